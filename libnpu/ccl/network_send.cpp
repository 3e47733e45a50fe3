// SPDX-License-Identifier: Apache-2.0
// What goes to ranks of other hosts.
#include <algorithm>

#include "libnpu/ccl/checksum.h"
#include "libnpu/ccl/network.h"

namespace npu::ccl {
namespace {

// So many records that the other side has not acknowledged make it say so.
constexpr uint64_t kRecordsPerCredit = RecordWindow::kRecords / 4;
// By how much an injected fault is wrong: by more than messages may overtake each other.
constexpr uint64_t kWrongBy = 100;

}  // namespace

// Records first: a peer knows what was called before it uses its data.
void Network::pump(PeerLink& link) {
  answer(link);
  if (link.lead() == nullptr) return;
  pump_cuts(link);
  pump_frames(link);
  while (pump_data(link) || pump_record(link)) {
  }
  pump_counts(link);
}

bool Network::next_record(PeerLink& link, bool must_be_due, WireMessage* out) {
  std::lock_guard lock(mutex_);
  const uint64_t on_their_way = link.records_sent - link.records_acked;
  if (link.records_unsent() == 0 || on_their_way >= RecordWindow::kRecords) return false;
  const PeerLink::Waiting& waiting = link.records[on_their_way];
  if (must_be_due && Clock::now() < waiting.until) return false;
  out->header.record = waiting.kind;
  out->header.record_number = link.records_sent + 1;
  out->record = waiting.record;
  return true;
}

// One that has waited long enough for data.
bool Network::pump_record(PeerLink& link) {
  WireMessage message{};
  Path* const path = link.lead();
  return path != nullptr && next_record(link, true, &message) &&
         send(*path, MessageKind::kCounts, message);
}

bool Network::begin_data(PeerLink& link) {
  // Acquires what the device has put into the slot.
  if (link.next > read_word(memory_.own().board->sent[link.rank])) return false;
  std::lock_guard lock(mutex_);
  if (link.sends.empty()) return false;
  // Among those that wait may be that of this message. All but the last one go alone, now.
  const uint64_t unsent = link.records_unsent();
  for (uint64_t i = 1; i < unsent; i++) link.records[link.records.size() - 1 - i].until = {};
  if (unsent > 1) return false;
  Outgoing& out = link.outgoing[link.next % kSlots];
  out = {};
  out.sequence = link.next++;
  out.bytes = link.sends.front().bytes;
  out.source = link.sends.front().source;
  if (is_large(out.bytes)) large_--;
  out.records = link.records_acked + link.records.size();
  out.pieces = pieces_of(out.bytes, link.up_count());
  out.unsent = out.pieces;
  link.unsent += out.pieces;
  link.sends.pop_front();
  data_sent_++;
  const bool recurs = fault_.kind == Fault::Kind::kCut && data_sent_ % fault_.number == 0;
  if (fault_.rank == rank_ && (recurs || data_sent_ == fault_.number)) out.fault = fault_.kind;
  return true;
}

bool Network::pump_data(PeerLink& link) {
  bool moved = begin_data(link);
  if (link.unsent == 0) return moved;
  for (uint64_t sequence = link.peer_arrived + 1; sequence < link.next; sequence++) {
    Outgoing& out = link.outgoing[sequence % kSlots];
    for (uint32_t index = 0; index < out.pieces && out.unsent != 0; index++) {
      moved = send_part(link, out, index) || moved;
    }
  }
  return moved;
}

// Parts go side by side, whole messages by turns. What goes inline is for the quick way, which has an order.
Path* Network::path_for(PeerLink& link, const Outgoing& out, uint32_t index) {
  const Outgoing::Part& part = out.parts[index];
  if (part.state == Outgoing::State::kWritten) return link.path_at(part.rail);
  const uint32_t count = link.up_count();
  if (count <= 1 || out.bytes <= kInlineBytesMax) return link.lead();
  return link.up_path((out.pieces > 1 ? index : out.sequence) % count);
}

std::span<std::byte> Network::payload_of(const PeerLink& link, const Outgoing& out, Piece piece) {
  if (out.source != nullptr) return {out.source + piece.offset, piece.bytes};
  std::byte* const slot = memory_.own().slots_host +
                          (uint64_t{link.rank} * kSlots + out.sequence % kSlots) * chunk_bytes_;
  return {slot + piece.offset, piece.bytes};
}

bool Network::write_part(Path& path, Outgoing& out, uint32_t index) {
  Outgoing::Part& part = out.parts[index];
  const Piece piece = piece_of(out.bytes, index, out.pieces);
  const std::span<std::byte> payload = payload_of(path.link(), out, piece);
  if (out.bytes > kInlineBytesMax && part.state == Outgoing::State::kWaiting) {
    const uint64_t offset = out.sequence % kSlots * chunk_bytes_ + piece.offset;
    if (!path.write(payload, offset, out.sequence, out.source != nullptr)) return false;
    part.state = Outgoing::State::kWritten;
    part.rail = path.rail().number;
    part.epoch = path.epoch;
  }
  if (part.has_crc) return true;
  // Behind the write: the payload is on its way meanwhile.
  part.crc = crc32c(payload);
  part.has_crc = true;
  const bool is_damaged = out.fault == Fault::Kind::kPayload && index == 0 && !payload.empty();
  if (is_damaged) part.crc ^= 1;
  return true;
}

// Memory of the user's ends with the lanes that work there, which wait for this.
bool Network::write_source(Path& path, Outgoing& out, uint32_t index) {
  has_written_ = true;
  return !spares_sources_ && write_part(path, out, index);
}

bool Network::send_part(PeerLink& link, Outgoing& out, uint32_t index) {
  Outgoing::Part& part = out.parts[index];
  if (part.state == Outgoing::State::kSent) return false;
  Path* const path = path_for(link, out, index);
  if (path == nullptr || !path->is_up()) return false;
  const bool is_inline = out.bytes <= kInlineBytesMax;
  if (!(out.source != nullptr ? write_source(*path, out, index) : write_part(*path, out, index))) {
    return false;
  }
  if (out.fault == Fault::Kind::kCut && link.up_count() > 1) {
    out.fault = Fault::Kind::kNone;
    lose(*path, "NPU_CCL_INJECT");
    return true;
  }
  WireMessage message{};
  message.header.sequence = out.sequence;
  message.header.segment = static_cast<uint8_t>(index);
  message.header.segments = static_cast<uint8_t>(out.pieces);
  message.header.records = out.records;
  message.header.payload_bytes = static_cast<uint32_t>(out.bytes);
  message.header.payload_crc = part.crc;
  next_record(link, false, &message);
  if (!send(*path, is_inline ? MessageKind::kInline : MessageKind::kData, message,
            is_inline ? payload_of(link, out, {0, out.bytes}) : std::span<std::byte>(),
            out.fault)) {
    return false;
  }
  part.state = Outgoing::State::kSent;
  part.rail = path->rail().number;
  part.epoch = path->epoch;
  out.unsent--;
  link.unsent--;
  return true;
}

// After a flush the other side waits for the last word.
bool Network::owes_counts(const PeerLink& link) const {
  const PeerLink::Told& told = link.told;
  const uint64_t arrived = link.reassembly.arrived(), records = link.records_came.known();
  if (link.must_tell || told.flushes < link.flushes_came ||
      records >= told.records + kRecordsPerCredit)
    return true;
  return link.flushes_came != 0 && (told.arrived != arrived || told.records != records);
}

bool Network::has_credit(PeerLink& link) {
  std::lock_guard lock(mutex_);
  const auto credit = link.next_credit();
  return credit && taken_from(link.rank) >= credit->taken;
}

void Network::pump_counts(PeerLink& link) {
  Path* const path = link.lead();
  if (path == nullptr) return;
  if (link.flushes_sent < flushes_) {
    WireMessage message{};
    message.header.sequence = link.flushes_sent + 1;
    if (send(*path, MessageKind::kFlush, message)) link.flushes_sent++;
  }
  if (has_credit(link) || owes_counts(link)) send(*path, MessageKind::kCounts, {});
}

bool Network::send(Path& path, MessageKind kind, WireMessage message,
                   std::span<const std::byte> tail, Fault::Kind fault) {
  PeerLink& link = path.link();
  WireHeader& header = message.header;
  header.kind = kind;
  header.source = static_cast<uint16_t>(rank_);
  header.target = static_cast<uint16_t>(link.rank);
  header.rail = static_cast<uint8_t>(path.rail().number);
  header.epoch = path.epoch;
  header.arrived = link.reassembly.arrived();
  header.taken = taken_from(link.rank);
  header.flushed = static_cast<uint32_t>(link.flushes_came);
  header.records_known = link.records_came.known();
  if (has_tail(kind) && kind != MessageKind::kInline) {
    header.payload_bytes = static_cast<uint32_t>(tail.size());
    header.payload_crc = crc32c(tail);
  }
  if (fault == Fault::Kind::kSequence) header.sequence += kWrongBy;
  seal(&message);
  if (fault == Fault::Kind::kVersion) header.version++;
  if (!path.send(message, tail)) return false;
  std::lock_guard lock(mutex_);
  if (header.record != RecordKind::kNone) link.records_sent++;
  link.records_begun = std::max(link.records_begun, link.records_sent);
  link.must_tell = false;
  link.told = {header.arrived, header.taken, header.flushed, header.records_known};
  return true;
}

}  // namespace npu::ccl
