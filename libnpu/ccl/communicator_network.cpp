// SPDX-License-Identifier: Apache-2.0
// What a communicator does for ranks of other hosts: moving, asking whether they are there, and finding out who has called something else.
#include <algorithm>

#include "libnpu/ccl/communicator.h"
#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

// How long a data connection may be gone before its control connection tells why.
constexpr auto kGrace = std::chrono::milliseconds(1000);
// How long to wait for what the others have called before one of them is named.
constexpr auto kHearing = std::chrono::milliseconds(200);
// How long a call looks for messages of the other ranks: since the last one, and in all.
constexpr auto kCallLooks = std::chrono::microseconds(300);
constexpr auto kCallLooksMost = std::chrono::microseconds(1000);

std::string name_of_rank(uint32_t rank) { return "rank " + std::to_string(rank); }

// A Record, or a Called.
template <typename Call>
std::string told(uint32_t rank, const Call& call) {
  return name_of_rank(rank) + " has called " + describe(call);
}

}  // namespace

npuResult Communicator::rails(uint32_t rank, std::vector<Network::RailState>* out) const {
  if (state() == NPU_CCL_INIT) {
    return ccl::fail(NPU_NOT_READY, "the communicator is being made: other ranks are missing");
  }
  *out = transport_.network.rails(rank);
  return NPU_OK;
}

bool Communicator::moves() const {
  return transport_.network.address() &&
         (state() != NPU_CCL_FAILED || transport_.network.has_frames());
}

// Others would come twice by rails and control connection.
void Communicator::take_carried(const Network::Carried& carried) {
  const std::optional<Frame> frame = read_frame(carried.frame);
  if (frame && (frame->kind == FrameKind::kFail || frame->kind == FrameKind::kBye)) {
    return take_frame(carried.rank, *frame);
  }
  fail_with(
      {NPU_CCL_PROTOCOL, carried.rank, name_of_rank(carried.rank) + " sent a frame out of place"},
      true);
}

bool Communicator::move(bool nudges) {
  Network& network = transport_.network;
  if (!moves()) return false;
  if (state() == NPU_CCL_FAILED) return network.say_last(), false;
  std::vector<Network::Arrival> arrivals;
  bool moved = false, has_shown = false;
  do {
    arrivals.clear();
    Network::Progress progress;
    const auto refusal = network.progress(is_suspicious(), is_waiting(), &arrivals, &progress);
    has_shown = has_shown || progress.has_shown;
    moved = moved || progress.has_moved;
    if (refusal) {
      fail_with({refusal->reason, refusal->rank, refusal->text}, true);
      return moved;
    }
    for (const Network::Arrival& arrival : arrivals) compare(arrival);
  } while (!arrivals.empty());
  for (const Network::Carried& carried : network.take_frames()) take_carried(carried);
  if (has_shown && nudges) transport_.lanes.nudge();
  settle();
  if (network.is_flushed()) {
    {
      std::lock_guard lock(state_mutex_);
      is_flushed_ = true;
    }
    changed_.notify_all();
  }
  return moved;
}

// All that had come by control connections |until| then has been read, but of those that were |heard| now, who may have said more. Time alone is no evidence: this process may have been stopped while the word of the other one lay there.
void Communicator::judge_loss(Clock::time_point until, std::span<const uint32_t> heard) {
  if (!moves() || state() == NPU_CCL_FAILED) return;
  const auto loss = transport_.network.first_loss();
  if (!loss || until < loss->since + kGrace) return;
  if (std::find(heard.begin(), heard.end(), loss->rank) != heard.end()) return;
  fail_with({NPU_CCL_RANK_LOST, loss->rank,
             name_of_rank(loss->rank) + ": its data connection ended: " + loss->text},
            true);
}

// ---- What calls do by themselves ----

// Unless somebody does it already. The device is about to be rung.
void Communicator::move_now() {
  if (const auto turn = Watchdog::get().try_turn(); turn && !is_closed_) move(false);
}

// Moves what there is until |is_done|, if that is soon. |nudges|: as of move().
template <typename Done>
bool Communicator::look_until(bool nudges, const Done& is_done) {
  const auto begin = Clock::now();
  auto now = begin, seen = begin;
  for (;;) {
    if (const auto turn = Watchdog::get().try_turn()) {
      if (is_closed_ || has_failed()) return false;
      if (move(nudges)) seen = Clock::now();
      if (is_done()) {
        choice_.saw();
        return true;
      }
    }
    if (now - seen >= kCallLooks || now - begin >= kCallLooksMost) break;
    const auto away = Clock::now();
    std::this_thread::yield();
    now = Clock::now();
    if (now - away >= CallChoice::kDear) choice_.lost_cpu(collectives_);
  }
  choice_.saw_nothing();
  return false;
}

// For all that was added to the lanes, and until the own ones are in the kernel's hands. Before the device is rung: then it need not wait, and nobody has to wake it.
bool Communicator::look_for_messages(bool nudges) {
  const Network& network = transport_.network;
  return choice_.looks(collectives_) && look_until(nudges, [&] {
           return network.has_come(transport_.received) && !network.is_writing();
         });
}

// To end what it was given, which is small: then the call can send what comes next.
bool Communicator::look_for_device() {
  return !expects_large() && choice_.looks(collectives_) &&
         look_until(true, [&] { return transport_.lanes.is_idle(); });
}

// What was submitted goes on without the call.
void Communicator::hand_over() {
  if (!mover_ || !transport_.network.awaits_device()) return;
  // Of what is served only counts have to go, some time.
  if (expects_large() || is_served() || !Watchdog::get().look_for()) mover_->wake();
}

void Communicator::serve(bool is_served) {
  is_served_.store(is_served, std::memory_order_seq_cst);
  if (!is_served && transport_.network.address()) Watchdog::get().listen();
}

void Communicator::wake_mover() {
  if (mover_ && transport_.network.awaits_device()) mover_->wake();
}

Network::Awaited Communicator::awaited() {
  if (!moves() || state() == NPU_CCL_FAILED || is_suspicious()) return {};
  return transport_.network.awaited();
}

// ---- Signs of life ----

// A rank that has not answered |asks| questions and the time that they take. With the state's mutex held. The time alone proves nothing: it may have been this thread that got no processor.
std::optional<Failure> Communicator::silent_rank(int asks) const {
  std::optional<Failure> found;
  std::chrono::milliseconds longest = asks * settings_.heartbeat / kAsks;
  for (uint32_t rank = 0; rank < links_.size(); rank++) {
    const Link& link = links_[rank];
    if (!link.is_open || !link.asked_first || link.asks < asks) continue;
    const auto silence =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - *link.asked_first);
    if (silence < longest) continue;
    longest = silence;
    found = {
        NPU_CCL_RANK_LOST, rank,
        name_of_rank(rank) + ": no sign of life for " + std::to_string(silence.count()) + " ms"};
  }
  return found;
}

// Asks the other ranks while operations are pending, and only then. Where there are other hosts, ranks of this one too: whoever is stopped holds up ranks everywhere, and is to be told from those.
std::optional<Failure> Communicator::beat() {
  std::lock_guard lock(state_mutex_);
  if (state_ != NPU_CCL_READY || !transport_.network.address()) return std::nullopt;
  const Clock::time_point now = Clock::now();
  for (uint32_t rank = 0; rank < links_.size(); rank++) {
    Link& link = links_[rank];
    if (!link.is_open) continue;
    if (pending_.empty()) {
      link.asked_first.reset();
      continue;
    }
    const Clock::time_point heard = transport_.network.heard(rank);
    if (link.asked_first && heard > *link.asked_first) link.asked_first.reset();
    if (now < link.asked_last + settings_.heartbeat / kAsks) continue;
    link.asked_last = now;
    if (!link.asked_first) link.asked_first = now, link.asks = 0;
    link.asks++;
    send_now(link.peer.control, make_frame(FrameKind::kPing, Ping{++pings_}));
  }
  return silent_rank(kAsks);
}

bool Communicator::is_waiting() const {
  std::lock_guard lock(state_mutex_);
  return !pending_.empty();
}

// ---- Who has called something else ----

bool Communicator::is_suspicious() const {
  std::lock_guard lock(state_mutex_);
  return suspicion_.has_value();
}

void Communicator::suspect(uint64_t sequence) {
  std::lock_guard lock(state_mutex_);
  if (!suspicion_) suspicion_ = {sequence, Clock::now() + kHearing};
}

// A record has come. Either this side sees the other one's, or the other one sees this one's: see write_record().
void Communicator::compare(const Network::Arrival& arrival) {
  if (arrival.kind == RecordKind::kCollective) {
    Called mine, theirs;
    if (find_collective(settings_.rank, arrival.sequence, &mine) &&
        find_collective(arrival.rank, arrival.sequence, &theirs) && !agree(mine, theirs)) {
      suspect(arrival.sequence);
    }
    return;
  }
  Record mine, theirs;
  const bool sends = arrival.kind == RecordKind::kReceive;  // this rank
  const size_t place = arrival.sequence % kRecordedMessages;
  const Board& own = *transport_.memory.own().board;
  const Board& other = *transport_.memory.rank(arrival.rank).board;
  if (!read_record(&(sends ? own.sends : own.receives)[arrival.rank][place], arrival.sequence,
                   &mine) ||
      !read_record(&(sends ? other.receives : other.sends)[settings_.rank][place], arrival.sequence,
                   &theirs) ||
      agree(mine, theirs)) {
    return;
  }
  const uint32_t other_rank = arrival.rank;
  fail_with(odd_message(sends ? settings_.rank : other_rank, sends ? mine : theirs,
                        sends ? other_rank : settings_.rank, sends ? theirs : mine),
            true);
}

// The same words on both sides.
Failure Communicator::odd_message(uint32_t sender, const Record& sent, uint32_t receiver,
                                  const Record& received) const {
  return {NPU_CCL_MISMATCH, sender,
          "operation " + std::to_string(sent.sequence) + ": " + told(sender, sent) + "; " +
              told(receiver, received)};
}

// Who has called something else as operation |sequence|, from what is known of the ranks. Every rank comes to the same: what most have called is right, of two as many that of the lower rank.
std::optional<Failure> Communicator::odd_one(uint64_t sequence) const {
  std::vector<std::pair<uint32_t, Called>> known;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    Called called;
    if (find_collective(rank, sequence, &called)) known.emplace_back(rank, called);
  }
  const auto agreeing = [&](const Called& called) {
    return std::count_if(known.begin(), known.end(),
                         [&](const auto& other) { return agree(called, other.second); });
  };
  const auto right = std::max_element(
      known.begin(), known.end(),
      [&](const auto& a, const auto& b) { return agreeing(a.second) < agreeing(b.second); });
  const auto odd = std::find_if(known.begin(), known.end(), [&](const auto& other) {
    return !agree(other.second, right->second);
  });
  if (odd == known.end()) return std::nullopt;
  const auto first = std::min(right, odd), second = std::max(right, odd);
  return Failure{NPU_CCL_MISMATCH, odd->first,
                 "operation " + std::to_string(sequence) + ": " +
                     told(first->first, first->second) + "; " +
                     told(second->first, second->second)};
}

void Communicator::settle() {
  Suspicion suspicion;
  {
    std::lock_guard lock(state_mutex_);
    if (!suspicion_) return;
    suspicion = *suspicion_;
  }
  bool all = true;
  for (uint32_t rank = 0; rank < settings_.ranks; rank++) {
    Called called;
    all = all && find_collective(rank, suspicion.sequence, &called);
  }
  if (!all && Clock::now() < suspicion.until) return;
  if (auto failure = odd_one(suspicion.sequence)) return fail_with(std::move(*failure), true);
  std::lock_guard lock(state_mutex_);
  suspicion_.reset();
}

}  // namespace npu::ccl
