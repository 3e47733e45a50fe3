// SPDX-License-Identifier: Apache-2.0
// What comes from ranks of other hosts. It is hostile.
#include <cstring>
#include <utility>

#include "libnpu/ccl/checksum.h"
#include "libnpu/ccl/network.h"

namespace npu::ccl {
namespace {

Refusal bad(uint32_t rank, const std::string& text) {
  return {rank, NPU_CCL_PROTOCOL, "rank " + std::to_string(rank) + " sent " + text};
}

}  // namespace

std::optional<Refusal> Network::complete(const FabricCompletion& completion, bool holds,
                                         std::vector<Arrival>* out_arrivals) {
  auto& transfer = *static_cast<Transfer*>(completion.context);
  transfer.is_busy = false;
  Path& path = *transfer.path;
  path.rail().count_ended(transfer);
  PeerLink& link = path.link();
  // What an earlier connection has left is told again by the other side, if it was not told of.
  if (!path.owns(transfer)) return std::nullopt;
  if (completion.error != 0) {
    lose(path, "a transfer failed");
    return std::nullopt;
  }
  if (transfer.kind != Transfer::Kind::kSend) path.is_asked = false;
  if (transfer.kind == Transfer::Kind::kWrite && link.paths.size() == 1) {
    write_word(&memory_.own().board->left[link.rank], transfer.message);
    const Outgoing& out = link.outgoing[transfer.message % kSlots];
    // Of a message that has made room for a later one it is not known any more.
    const bool is_from_slot = out.sequence == transfer.message && out.source == nullptr;
    progress_.has_shown = progress_.has_shown || !is_from_slot;
  }
  if (transfer.kind != Transfer::Kind::kReceive || link.is_finished) return std::nullopt;
  path.heard = Clock::now();
  if (path.state() == Path::State::kConnecting) connected(path);  // the event is on its way
  WireMessage message;
  const auto bytes = transfer.received(completion.bytes);
  const std::string fault = fault_of(bytes, link.rank, rank_, &message);
  if (!fault.empty()) return bad(link.rank, fault);
  const size_t before = out_arrivals->size();
  if (auto refusal = take(path, message, bytes.subspan(sizeof(message)), out_arrivals)) {
    return refusal;
  }
  if (!path.post_receive(transfer)) lose(path, "no receive could be posted");
  // A record that just came is compared before any data behind it is shown.
  if (!holds && before == 0 && out_arrivals->empty()) show(link);
  return std::nullopt;
}

std::optional<Refusal> Network::take(Path& path, const WireMessage& message,
                                     std::span<const std::byte> tail,
                                     std::vector<Arrival>* out_arrivals) {
  PeerLink& link = path.link();
  const WireHeader& header = message.header;
  if (header.rail != path.rail().number || header.epoch != path.epoch) {
    return bad(link.rank, "a message of another connection");
  }
  if (auto refusal = take_counts(path, header)) return refusal;
  if (header.record != RecordKind::kNone) {
    if (auto refusal = take_record(link, message, out_arrivals)) return refusal;
  }
  if (is_data(header.kind)) {
    if (auto refusal = take_data(link, header, tail)) return refusal;
  }
  link.reassembly.advance(link.records_came.known());
  return take_control(path, header, tail);
}

std::optional<Refusal> Network::take_control(Path& path, const WireHeader& header,
                                             std::span<const std::byte> tail) {
  PeerLink& link = path.link();
  const bool has_crc = header.kind == MessageKind::kCut || header.kind == MessageKind::kFrame;
  if (has_crc && crc32c(tail) != header.payload_crc) {
    return bad(link.rank, "a message whose checksum is wrong");
  }
  switch (header.kind) {
    case MessageKind::kFlush:
      if (header.sequence > link.flushes_came + 1) return bad(link.rank, "a flush out of place");
      link.flushes_came = std::max(link.flushes_came, header.sequence);
      link.must_tell = true;
      return std::nullopt;
    case MessageKind::kPing:
      path.ping_to_answer = header.sequence;
      return std::nullopt;
    case MessageKind::kPong:
      if (header.sequence == 0 || header.sequence > path.pings) {
        return bad(link.rank, "an answer to nothing");
      }
      if (path.state() == Path::State::kProbing) raise(path);
      return std::nullopt;
    case MessageKind::kCut:
      return take_cut(path, tail);
    case MessageKind::kFrame:
      link.has_frame = true;
      carried_.push_back({link.rank, {tail.begin(), tail.end()}});
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// Connections have no order among each other: what is behind what another one has told is old, not wrong.
std::optional<Refusal> Network::take_counts(Path& path, const WireHeader& header) {
  PeerLink& link = path.link();
  Path::Counts& last = path.counts;
  if (header.arrived < last.arrived || header.arrived >= link.next || header.taken < last.taken ||
      header.taken > header.arrived || header.flushed < last.flushed || header.flushed > flushes_ ||
      header.records_known < last.records || header.records_known > link.records_begun) {
    return bad(link.rank, "counts that cannot be");
  }
  last = {header.arrived, header.taken, header.flushed, header.records_known};
  link.peer_arrived = std::max(link.peer_arrived, header.arrived);
  link.flushes_answered = std::max<uint64_t>(link.flushes_answered, header.flushed);
  std::unique_lock lock(mutex_, std::defer_lock);
  if (header.taken > link.peer_taken) {
    const uint64_t before = std::exchange(link.peer_taken, header.taken);
    write_word(&memory_.rank(link.rank).board->taken[rank_], header.taken);
    lock.lock();
    progress_.has_shown = progress_.has_shown || link.awaits_slot(before);
  }
  if (header.records_known <= link.records_acked) return std::nullopt;
  if (!lock.owns_lock()) lock.lock();
  while (link.records_acked < header.records_known) {
    link.records.pop_front();
    link.records_acked++;
  }
  link.records_sent = std::max(link.records_sent, link.records_acked);
  return std::nullopt;
}

std::optional<Refusal> Network::take_data(PeerLink& link, const WireHeader& header,
                                          std::span<const std::byte> payload) {
  const Segment segment{header.sequence, header.payload_bytes, header.segment, header.segments,
                        header.records};
  const std::string fault =
      link.reassembly.fault_of(segment, taken_from(link.rank) + kSlots, chunk_bytes_);
  if (!fault.empty()) return bad(link.rank, fault);
  const bool is_inline = header.kind == MessageKind::kInline;
  if (header.records > link.records_came.known() + RecordWindow::kRecords + 1 ||
      (is_inline && header.segments != 1)) {
    return bad(link.rank, "a message out of place");
  }
  const Piece piece = piece_of(segment.bytes, segment.index, segment.count);
  std::byte* const at =
      memory_.rank(link.rank).slots_host + segment.sequence % kSlots * chunk_bytes_ + piece.offset;
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
  if (crc32c({at, piece.bytes}) != header.payload_crc) {
    return bad(link.rank,
               "message " + std::to_string(segment.sequence) + " whose data has a wrong checksum");
  }
  link.reassembly.add(segment);
  return std::nullopt;
}

std::optional<Refusal> Network::take_record(PeerLink& link, const WireMessage& message,
                                            std::vector<Arrival>* out_arrivals) {
  const WireHeader& header = message.header;
  if (!link.records_came.add(header.record_number, {header.record, message.record})) {
    return bad(link.rank, "a record out of place");
  }
  Board& board = *memory_.rank(link.rank).board;
  while (const auto entry = link.records_came.take()) {
    const uint64_t sequence = entry->record.sequence;
    if (entry->kind == RecordKind::kCollective) {
      write_record(&board.collectives[sequence % kRecordedCollectives].record, entry->record);
    } else {
      auto& messages = entry->kind == RecordKind::kSend ? board.sends : board.receives;
      write_record(&messages[rank_][sequence % kRecordedMessages], entry->record);
    }
    out_arrivals->push_back({link.rank, entry->kind, sequence});
  }
  return std::nullopt;
}

// The device may take what has arrived.
void Network::show(PeerLink& link) {
  const uint64_t arrived = link.reassembly.arrived();
  if (link.shown == arrived) return;
  const uint64_t before = std::exchange(link.shown, arrived);
  write_word(&memory_.rank(link.rank).board->sent[rank_], arrived);
  // Whoever comes with the wait later finds the word as it is now.
  std::lock_guard lock(mutex_);
  progress_.has_shown = progress_.has_shown || link.awaits_message(before);
}

}  // namespace npu::ccl
