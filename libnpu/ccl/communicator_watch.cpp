// SPDX-License-Identifier: Apache-2.0
// What the watchdog does for a communicator: control connections, ends and deadlines of operations, and whom to blame.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {
namespace {

// More are not kept for later operations.
constexpr size_t kEndedMost = 1024;

std::string name_of_rank(uint32_t rank) { return "rank " + std::to_string(rank); }

}  // namespace

bool Communicator::has_pending() {
  std::lock_guard lock(state_mutex_);
  if (state_ == NPU_CCL_FAILED) return false;
  return !pending_.empty() || suspicion_ || transport_.network.has_work();
}

std::vector<std::pair<int, uint32_t>> Communicator::sockets() const {
  std::lock_guard lock(state_mutex_);
  std::vector<std::pair<int, uint32_t>> found;
  for (uint32_t rank = 0; rank < links_.size(); rank++) {
    if (links_[rank].is_open) found.emplace_back(links_[rank].peer.control.get(), rank);
  }
  return found;
}

void Communicator::read_from(uint32_t rank) {
  if (rank >= links_.size()) return;
  Link& link = links_[rank];  // only this thread reads
  const size_t fds = transport_.network.is_remote(rank) ? 0 : 1;
  const long got = receive_some(link.peer.control, link.reader.room(), &link.fds, fds);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return lost(rank, link.said_bye, got < 0 ? errno : 0);
  if (!link.reader.filled(static_cast<size_t>(got))) {
    fail_with({NPU_CCL_PROTOCOL, rank, name_of_rank(rank) + " sent what is no frame"}, true);
    return lost(rank, true, 0);
  }
  {
    std::lock_guard lock(state_mutex_);
    link.asked_first.reset();
  }
  if (const std::optional<Frame> frame = link.reader.take()) take_frame(rank, *frame);
}

// The connection is over.
void Communicator::lost(uint32_t rank, bool in_order, int error) {
  {
    std::lock_guard lock(state_mutex_);
    links_[rank].is_open = false;
  }
  changed_.notify_all();
  if (in_order) return;
  const bool has_ended = error == 0 || error == ECONNRESET || error == EPIPE;
  // Its route is gone for so long that the kernel has given up, but the rank is there.
  if (!has_ended && transport_.network.reaches(rank)) return;
  fail_with({NPU_CCL_RANK_LOST, rank,
             name_of_rank(rank) +
                 (has_ended ? std::string(": its process ended")
                            : std::string(": its connection broke: ") + std::strerror(error))},
            true);
}

void Communicator::take_frame(uint32_t rank, const Frame& frame) {
  if (frame.kind != FrameKind::kWindow && !links_[rank].fds.empty()) {
    links_[rank].fds.clear();
    return fail_with(
        {NPU_CCL_PROTOCOL, rank, name_of_rank(rank) + " sent a descriptor out of place"}, true);
  }
  switch (frame.kind) {
    case FrameKind::kFail: {
      const auto notice = frame.as<Notice>();
      const bool is_known = notice.reason > NPU_CCL_NO_FAILURE && notice.reason <= NPU_CCL_PROTOCOL;
      // Told on: who has it from here must not learn of this rank's end first.
      return fail_with({is_known ? notice.reason : NPU_CCL_PROTOCOL,
                        notice.rank < settings_.ranks ? notice.rank : rank, notice.text},
                       true);
    }
    case FrameKind::kBye: {
      const auto bye = frame.as<Bye>();
      links_[rank].said_bye = true;
      transport_.network.finish(rank, bye.arrived, bye.taken);
      transport_.lanes.nudge();
      return;
    }
    case FrameKind::kExchange: {
      std::lock_guard lock(state_mutex_);
      std::deque<Exchange>& exchanges = links_[rank].exchanges;
      if (exchanges.size() < 64) exchanges.push_back(frame.as<Exchange>());
      changed_.notify_all();
      return;
    }
    case FrameKind::kPing: {
      std::lock_guard lock(state_mutex_);
      if (links_[rank].is_open) {
        send_now(links_[rank].peer.control, make_frame(FrameKind::kPong, frame.as<Ping>()));
      }
      return;
    }
    case FrameKind::kPong:
      return;
    case FrameKind::kWindow:
    case FrameKind::kWindowVerdict:
      return take_window(rank, frame);
    default:
      fail_with({NPU_CCL_PROTOCOL, rank, name_of_rank(rank) + " sent a frame out of place"}, true);
  }
}

void Communicator::add_pending(uint64_t begin_value, const Record& record) {
  if (ended_.empty()) {
    pending_.emplace_back();
  } else {
    pending_.splice(pending_.end(), ended_, ended_.begin());
  }
  pending_.back() = {begin_value, UINT64_MAX, record, {}, {}, {}, std::nullopt};
}

void Communicator::end_pending() {
  if (ended_.size() == kEndedMost) return pending_.pop_front();
  ended_.splice(ended_.end(), pending_, pending_.begin());
}

// Once every few moments while there is something pending.
void Communicator::look() {
  if (must_nudge()) transport_.lanes.nudge();
  uint32_t lane = 0;
  uint64_t completed = 0;
  if (transport_.lanes.completed(&completed) != NPU_OK ||
      transport_.lanes.first_failure(&lane) != NPU_OK) {
    if (state() == NPU_CCL_FAILED) return;
    return fail_with(
        {NPU_CCL_DEVICE, settings_.rank,
         name_of_rank(settings_.rank) + ": its device or queue failed: " + error_text()},
        true);
  }
  std::optional<Failure> failure;
  {
    std::lock_guard lock(state_mutex_);
    while (!pending_.empty() && pending_.front().end_value <= completed) end_pending();
    if (!pending_.empty() && pending_.front().begin_value <= completed) {
      Pending& first = pending_.front();
      if (!first.deadline) first.deadline = Clock::now() + settings_.op_timeout;
      if (Clock::now() > *first.deadline) failure = blame(first);
    }
  }
  changed_.notify_all();
  if (!failure) failure = beat();
  if (failure) fail_with(std::move(*failure), true);
}

// Who holds up an operation whose time is over.
Failure Communicator::blame(const Pending& late) const {
  const std::string time = " within " + std::to_string(settings_.op_timeout.count()) + " ms";
  const uint64_t sequence = late.record.sequence;
  // Whoever does not even answer is the cause rather than whoever waits for that one.
  if (auto silent = silent_rank(1)) {
    return *silent;
  }
  for (uint32_t rank = 0; rank < settings_.ranks && sequence != 0; rank++) {
    if (rank == settings_.rank) continue;
    const Board& board = *transport_.memory.rank(rank).board;
    const Record& place = board.collectives[sequence % kRecordedCollectives].record;
    Record theirs;
    if (read_record(&place, sequence, &theirs)) continue;
    if (std::atomic_ref(const_cast<uint64_t&>(place.sequence)).load() > sequence) continue;
    return {NPU_CCL_TIMEOUT, rank,
            name_of_rank(rank) + " has not called operation " + std::to_string(sequence) + " (" +
                describe(late.record) + ")" + time};
  }
  Failure failure = late_message(late);
  failure.text += time;
  return failure;
}

Failure Communicator::late_message(const Pending& late) const {
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (rank == settings_.rank) continue;
    const Board& board = *transport_.memory.rank(rank).board;
    if (read_word(board.sent[settings_.rank]) < late.received[rank]) {
      return {NPU_CCL_TIMEOUT, rank, name_of_rank(rank) + " has not sent its part"};
    }
  }
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (rank == settings_.rank) continue;
    if (read_word(transport_.memory.rank(rank).board->posted) < late.heard[rank]) {
      return {NPU_CCL_TIMEOUT, rank, name_of_rank(rank) + " has not done its part"};
    }
  }
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    if (rank == settings_.rank) continue;
    const Board& board = *transport_.memory.rank(rank).board;
    if (read_word(board.taken[settings_.rank]) + kSlots < late.sent[rank]) {
      return {NPU_CCL_TIMEOUT, rank, name_of_rank(rank) + " has not received its part"};
    }
  }
  return {NPU_CCL_TIMEOUT, settings_.rank,
          name_of_rank(settings_.rank) + ": its own device did not finish"};
}

}  // namespace npu::ccl
