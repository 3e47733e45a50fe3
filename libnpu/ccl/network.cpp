// SPDX-License-Identifier: Apache-2.0
// What goes and what comes.
#include "libnpu/ccl/network.h"

#include <cstring>

#include "libnpu/ccl/checksum.h"
#include "libnpu/ccl/lanes.h"
#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

// How long a record waits for the data that it can go with: longer than a device takes for a small message, and less than anybody waits for a word of a mismatch.
constexpr auto kTogether = std::chrono::microseconds(200);
// Between two looks at what only seldom happens: connections that are made or end.
constexpr auto kEventsEvery = std::chrono::milliseconds(1);
// A credit of its own goes out when so many small messages wait for one: fewer hold nobody up. After a large one it goes at once, or the pipeline would run dry.
constexpr uint64_t kSmallPerCredit = kSlots / 2;

Refusal bad(uint32_t rank, const std::string& text) {
  return {rank, NPU_CCL_PROTOCOL, "rank " + std::to_string(rank) + " sent " + text};
}

}  // namespace

// ---- What the submitting thread leaves here ----

void Network::will_send(uint32_t to, uint64_t bytes) {
  if (!is_remote(to)) return;
  std::lock_guard lock(mutex_);
  links_[to]->sizes.push_back(bytes);
  Watchdog::get().expect();
}

void Network::tell(uint32_t to, RecordKind kind, const Record& record) {
  if (!is_remote(to)) return;
  std::lock_guard lock(mutex_);
  links_[to]->records.push_back({kind, record, Clock::now() + kTogether});
  Watchdog::get().expect();
}

// ---- The watchdog's thread ----

std::vector<int> Network::fds() const { return fabric_ ? fabric_->fds() : std::vector<int>(); }

bool Network::may_sleep() { return !fabric_ || fabric_->may_sleep(); }

bool Network::has_work() {
  std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (!link || link->is_finished) continue;
    if (!link->sizes.empty() || !link->records.empty() || link->loss) return true;
    if (link->flushes_sent < flushes_ || link->flushes_told < link->flushes_came) return true;
    if (link->told_taken + link->credit_at <= link->arrived)
      return true;  // the device has yet to take some
  }
  return false;
}

std::vector<uint32_t> Network::awaited_lanes() {
  std::vector<uint32_t> lanes;
  std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (!link || link->is_finished) continue;
    if (!link->sizes.empty()) lanes.push_back(send_lane(link->rank));
    if (link->told_taken + link->credit_at <= link->arrived) {
      lanes.push_back(receive_lane(link->rank));
    }
  }
  return lanes;
}

std::optional<Network::Loss> Network::first_loss() const {
  for (const auto& link : links_) {
    if (link && link->loss && !link->is_finished) return link->loss;
  }
  return std::nullopt;
}

std::optional<Refusal> Network::progress(bool holds, std::vector<Arrival>* out_arrivals,
                                         Progress* out) {
  if (!fabric_) return std::nullopt;
  progress_ = {};
  if (const auto now = Clock::now(); now >= events_due_) {
    events_due_ = now + kEventsEvery;
    for (FabricEvent event = fabric_->next_event(); event.kind != FabricEvent::Kind::kNone;
         event = fabric_->next_event()) {
      take_event(std::move(event));
    }
  }
  std::optional<Refusal> refusal;
  std::array<FabricCompletion, 32> completions;
  size_t got = completions.size();
  while (!refusal && got == completions.size()) {
    got = fabric_->next_completions(completions);
    for (size_t i = 0; i < got && !refusal; i++) {
      progress_.has_moved = true;
      refusal = complete(completions[i], holds, out_arrivals);
    }
  }
  for (const auto& link : links_) {
    if (!link || !link->is_up || link->is_finished) continue;
    if (!holds && out_arrivals->empty()) show(*link);
    pump(*link);
  }
  *out = progress_;
  return refusal;
}

std::optional<Refusal> Network::complete(const FabricCompletion& completion, bool holds,
                                         std::vector<Arrival>* out_arrivals) {
  auto& transfer = *static_cast<Transfer*>(completion.context);
  Link& link = *transfer.link;
  transfer.is_busy = false;
  if (completion.error != 0) {
    lose(link, "a transfer failed");
    return std::nullopt;
  }
  if (transfer.kind != Transfer::Kind::kReceive || link.is_finished) return std::nullopt;
  WireMessage message;
  const auto bytes = std::as_bytes(std::span(transfer.buffer, 1))
                         .first(std::min(completion.bytes, sizeof(Buffer)));
  const std::string fault = fault_of(bytes, link.rank, rank_, &message);
  if (!fault.empty()) return bad(link.rank, fault);
  const size_t before = out_arrivals->size();
  if (auto refusal = take(link, message, bytes.subspan(sizeof(message)), out_arrivals)) {
    return refusal;
  }
  if (!post_receive(link, transfer)) lose(link, "no receive could be posted");
  // A record that just came is compared before any data behind it is shown.
  if (!holds && before == 0 && out_arrivals->empty()) show(link);
  return std::nullopt;
}

std::optional<Refusal> Network::take(Link& link, const WireMessage& message,
                                     std::span<const std::byte> payload,
                                     std::vector<Arrival>* out_arrivals) {
  const WireHeader& header = message.header;
  if (header.records != link.records_came) return bad(link.rank, "a message after a lost record");
  if (auto refusal = take_counts(link, header)) return refusal;
  if (header.record != RecordKind::kNone) take_record(link, message, out_arrivals);
  if (is_data(header.kind)) return take_data(link, header, payload);
  if (header.kind == MessageKind::kFlush) {
    if (header.sequence != link.flushes_came + 1) return bad(link.rank, "a flush out of place");
    link.flushes_came++;
  }
  return std::nullopt;
}

std::optional<Refusal> Network::take_counts(Link& link, const WireHeader& header) {
  const uint64_t sent = link.next - 1;
  if (header.arrived < link.peer_arrived || header.arrived > sent ||
      header.taken < link.peer_taken || header.taken > header.arrived ||
      header.flushed < link.flushes_answered || header.flushed > link.flushes_sent) {
    return bad(link.rank, "counts that cannot be");
  }
  link.peer_arrived = header.arrived;
  link.flushes_answered = header.flushed;
  if (header.taken > link.peer_taken) {
    link.peer_taken = header.taken;
    write_word(&memory_.rank(link.rank).board->taken[rank_], header.taken);
    progress_.has_shown = true;
  }
  return std::nullopt;
}

std::optional<Refusal> Network::take_data(Link& link, const WireHeader& header,
                                          std::span<const std::byte> payload) {
  const uint64_t expected = link.arrived + 1;
  if (header.sequence != expected) {
    return bad(link.rank, "message " + std::to_string(header.sequence) + " where message " +
                              std::to_string(expected) + " comes next");
  }
  if (header.payload_bytes > chunk_bytes_ ||
      expected > read_word(memory_.own().board->taken[link.rank]) + kSlots) {
    return bad(link.rank, "a message for which there is no room");
  }
  std::byte* const slot = memory_.rank(link.rank).slots_host + expected % kSlots * chunk_bytes_;
  if (!payload.empty()) std::memcpy(slot, payload.data(), payload.size());
  if (crc32c({slot, header.payload_bytes}) != header.payload_crc) {
    return bad(link.rank,
               "message " + std::to_string(expected) + " whose data has a wrong checksum");
  }
  link.arrived = expected;
  link.credit_at = header.kind == MessageKind::kInline ? kSmallPerCredit : 1;
  return std::nullopt;
}

void Network::take_record(Link& link, const WireMessage& message,
                          std::vector<Arrival>* out_arrivals) {
  Board& board = *memory_.rank(link.rank).board;
  const Record& record = message.record;
  const RecordKind kind = message.header.record;
  link.records_came++;
  if (kind == RecordKind::kCollective) {
    write_record(&board.collectives[record.sequence % kRecordedCollectives], record);
  } else {
    auto& messages = kind == RecordKind::kSend ? board.sends : board.receives;
    write_record(&messages[rank_][record.sequence % kRecordedMessages], record);
  }
  out_arrivals->push_back({link.rank, kind, record.sequence});
}

// The device may take what has arrived.
void Network::show(Link& link) {
  if (link.shown == link.arrived) return;
  link.shown = link.arrived;
  write_word(&memory_.rank(link.rank).board->sent[rank_], link.arrived);
  progress_.has_shown = true;
}

void Network::finish(uint32_t rank, uint64_t arrived, uint64_t taken) {
  if (!is_remote(rank)) return;
  Link& link = *links_[rank];
  if (arrived < link.next && taken <= arrived && taken > link.peer_taken) {
    link.peer_taken = taken;
    write_word(&memory_.rank(rank).board->taken[rank_], taken);
  }
  link.is_finished = true;
}

// ---- Sending ----

// Records first: a peer knows what was called before it uses its data.
void Network::pump(Link& link) {
  while (pump_data(link) || pump_record(link)) {
  }
  pump_counts(link);
}

// One that has waited long enough for data.
bool Network::pump_record(Link& link) {
  WireMessage message{};
  {
    std::lock_guard lock(mutex_);
    if (link.records.empty() || Clock::now() < link.records.front().until) return false;
    message.header.record = link.records.front().kind;
    message.record = link.records.front().record;
  }
  if (!send(link, MessageKind::kCounts, message)) return false;
  std::lock_guard lock(mutex_);
  link.records.pop_front();
  return true;
}

bool Network::next_data(Link& link, uint64_t* out_bytes, WireMessage* out) {
  // Acquires what the device has put into the slot.
  if (link.next > read_word(memory_.own().board->sent[link.rank])) return false;
  std::lock_guard lock(mutex_);
  if (link.sizes.empty()) return false;
  *out_bytes = link.sizes.front();
  // Among those that wait may be that of this message. All but the last one go alone, now.
  for (size_t i = 0; i + 1 < link.records.size(); i++) link.records[i].until = {};
  if (link.records.size() > 1) return false;
  if (link.records.empty()) return true;
  out->header.record = link.records.front().kind;
  out->record = link.records.front().record;
  return true;
}

bool Network::pump_data(Link& link) {
  uint64_t bytes = 0;
  WireMessage message{};
  if (!next_data(link, &bytes, &message)) return false;
  std::byte* const slot =
      memory_.own().slots_host + (uint64_t{link.rank} * kSlots + link.next % kSlots) * chunk_bytes_;
  const std::span payload(slot, bytes);
  const bool goes_inline = bytes <= kInlineBytesMax;
  if (!link.is_written) link.payload_crc = crc32c(payload);
  const bool damages = !link.is_written && bytes != 0 && fault_.kind == Fault::Kind::kPayload &&
                       fault_.rank == rank_ && fault_.number == data_sent_ + 1;
  if (damages) payload[bytes / 2] ^= std::byte{1};
  if (!goes_inline && !link.is_written) link.is_written = write_payload(link, payload);
  message.header.sequence = link.next;
  message.header.payload_bytes = static_cast<uint32_t>(bytes);
  message.header.payload_crc = link.payload_crc;
  const bool is_sent = goes_inline ? send(link, MessageKind::kInline, message, payload)
                                   : link.is_written && send(link, MessageKind::kData, message);
  if (damages && !is_sent && !link.is_written) payload[bytes / 2] ^= std::byte{1};
  if (!is_sent) return false;
  data_sent_++;
  link.next++;
  link.is_written = false;
  std::lock_guard lock(mutex_);
  link.sizes.pop_front();
  if (message.header.record != RecordKind::kNone) link.records.pop_front();
  return true;
}

bool Network::write_payload(Link& link, std::span<const std::byte> payload) {
  Transfer* const transfer = free_transfer(link, Transfer::Kind::kWrite);
  if (transfer == nullptr) return false;
  transfer->is_busy =
      fi_write(link.endpoint.get(), payload.data(), payload.size(), slots_region_.desc(), 0,
               link.landing.at + link.next % kSlots * chunk_bytes_, link.landing.key,
               &transfer->context) == 0;
  return transfer->is_busy;
}

void Network::pump_counts(Link& link) {
  if (link.flushes_sent < flushes_) {
    WireMessage message{};
    message.header.sequence = link.flushes_sent + 1;
    if (send(link, MessageKind::kFlush, message)) link.flushes_sent++;
  }
  const uint64_t taken = read_word(memory_.own().board->taken[link.rank]);
  if (taken >= link.told_taken + link.credit_at || link.flushes_told < link.flushes_came) {
    send(link, MessageKind::kCounts, {});
  }
}

// Completes the header. False: not now.
bool Network::send(Link& link, MessageKind kind, WireMessage message,
                   std::span<const std::byte> payload) {
  Transfer* const transfer = free_transfer(link, Transfer::Kind::kSend);
  if (transfer == nullptr) return false;
  WireHeader& header = message.header;
  header.kind = kind;
  header.source = rank_;
  header.target = link.rank;
  header.arrived = link.arrived;
  header.taken = read_word(memory_.own().board->taken[link.rank]);
  header.flushed = link.flushes_came;
  header.records = link.records_sent;
  seal(&message);
  if (is_data(kind) && fault_.rank == rank_ && fault_.number == data_sent_ + 1) {
    if (fault_.kind == Fault::Kind::kSequence) message.header.sequence++, seal(&message);
    if (fault_.kind == Fault::Kind::kVersion) message.header.version++;
  }
  Buffer& buffer = *transfer->buffer;
  buffer.message = message;
  if (!payload.empty()) std::memcpy(buffer.payload, payload.data(), payload.size());
  transfer->is_busy = fi_send(link.endpoint.get(), &buffer, sizeof(message) + payload.size(),
                              link.buffers_region.desc(), 0, &transfer->context) == 0;
  if (!transfer->is_busy) return false;
  if (header.record != RecordKind::kNone) link.records_sent++;
  link.told_taken = header.taken;
  link.flushes_told = header.flushed;
  return true;
}

Network::Transfer* Network::free_transfer(Link& link, Transfer::Kind kind) {
  for (Transfer& transfer : link.transfers) {
    if (transfer.kind == kind && !transfer.is_busy) return &transfer;
  }
  return nullptr;
}

// ---- The end ----

bool Network::is_flushed() {
  if (flushes_ == 0) return false;
  std::lock_guard lock(mutex_);
  for (const auto& link : links_) {
    if (!link || link->is_finished || link->loss) continue;
    if (!link->sizes.empty() || !link->records.empty()) return false;
    if (link->flushes_answered < flushes_ || link->peer_arrived + 1 < link->next) return false;
  }
  return true;
}

Bye Network::farewell(uint32_t to) const {
  if (!is_remote(to)) return {};
  return {links_[to]->arrived, read_word(memory_.own().board->taken[to])};
}

}  // namespace npu::ccl
