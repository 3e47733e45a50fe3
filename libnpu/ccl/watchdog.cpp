// SPDX-License-Identifier: Apache-2.0
// The watchdog's thread.
#include "libnpu/ccl/watchdog.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "libnpu/ccl/communicator.h"

namespace npu::ccl {
namespace {

// While something is pending, and for a while after that: operations come in crowds, and waking the thread for each would cost more than a short operation.
constexpr auto kQuietNap = std::chrono::microseconds(2000);
constexpr auto kLinger = std::chrono::milliseconds(20);
// Where devices do not see what others signal. Short at first, as most operations are; longer as they last.
constexpr auto kFirstNap = std::chrono::microseconds(50);
// Where descriptors and the movers tell of all that happens, only deadlines and signs of life need looks.
constexpr auto kLongestNap = std::chrono::milliseconds(20);
// Between two looks at ends and deadlines while data moves: each costs a call for each queue.
constexpr auto kLookEvery = std::chrono::microseconds(100);
// How long the thread looks for small messages before it turns to everything else.
constexpr auto kLooksMost = std::chrono::milliseconds(1);
constexpr unsigned long kTimerSlackNs = 1000;

}  // namespace

// Never destroyed: its thread may be there when the process ends.
Watchdog& Watchdog::get() {
  static Watchdog* const made = new Watchdog;
  return *made;
}

Watchdog::Watchdog() : wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Watchdog::add(std::shared_ptr<Communicator> communicator) {
  std::lock_guard lock(list_mutex_);
  communicators_.push_back(std::move(communicator));
  if (!std::exchange(is_running_, true)) std::thread([this] { loop(); }).detach();
  wake();
}

void Watchdog::remove(Communicator* communicator) {
  std::shared_ptr<Communicator> last;  // may be the last owner: not under the locks
  std::lock_guard turn(turn_mutex_);
  communicator->leave();
  std::lock_guard lock(list_mutex_);
  const auto found = std::find_if(communicators_.begin(), communicators_.end(),
                                  [&](const auto& c) { return c.get() == communicator; });
  if (found == communicators_.end()) return;
  last = std::move(*found);
  communicators_.erase(found);
  wake();
}

std::vector<std::shared_ptr<Communicator>> Watchdog::listed() {
  std::lock_guard lock(list_mutex_);
  return communicators_;
}

void Watchdog::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

void Watchdog::expect() {
  // pairs with watchdog.cpp : Watchdog::gather
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (is_deaf_.load(std::memory_order_relaxed) && is_deaf_.exchange(false)) wake();
}

bool Watchdog::look_for() {
  // pairs with watchdog.cpp : Watchdog::stop_looking
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (is_looking()) return true;
  if (!choice_.pays()) return false;
  if (!is_told_.exchange(true)) wake();
  return true;
}

void Watchdog::listen() {
  // pairs with watchdog.cpp : Watchdog::rests
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (is_resting_.load(std::memory_order_relaxed) && is_resting_.exchange(false)) wake();
}

void Watchdog::loop() {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);  // of this thread; its default is as long as a nap
  while (turn()) {
  }
}

bool Watchdog::turn() {
  Wait wait;
  if (!gather(&wait)) return false;
  if (wait.looks) look();
  const bool came = sleep(&wait);
  nap_ = wait.is_pending && !came ? std::min(nap_ * 5 / 4, wait.longest_nap) : wait.first_nap;
  uint64_t count = 0;
  if (wait.fds[0].revents != 0 && read(wake_.get(), &count, sizeof(count)) < 0) return true;
  serve(wait);
  return true;
}

bool Watchdog::gather(Wait* out) {
  out->fds = {{wake_.get(), POLLIN, 0}};
  out->owners = {{nullptr, 0}};
  out->first_nap = out->longest_nap = kQuietNap;
  is_deaf_.store(true, std::memory_order_relaxed);
  // pairs with watchdog.cpp : Watchdog::expect
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const auto turn = between_turns();
  std::lock_guard lock(list_mutex_);
  if (communicators_.empty()) {
    is_running_ = false;
    is_looking_ = false;
    return false;
  }
  for (const auto& communicator : communicators_) {
    out->is_pending = out->is_pending || communicator->has_pending();
  }
  out->rests = rests(out->is_pending);
  for (const auto& communicator : communicators_) {
    if (communicator->must_nudge()) out->first_nap = kFirstNap;
    out->moves = out->moves || communicator->moves();
    if (!out->rests && communicator->moves()) {
      out->at_once = out->at_once || !communicator->network().may_sleep();
      for (int fd : communicator->network().fds()) {
        out->fds.push_back({fd, POLLIN, 0});
        out->owners.emplace_back(nullptr, 0);
      }
    }
    for (const auto& [fd, rank] : communicator->sockets()) {
      out->fds.push_back({fd, POLLIN, 0});
      out->owners.emplace_back(communicator.get(), rank);
    }
  }
  if (out->moves && out->first_nap == kQuietNap) out->longest_nap = kLongestNap;
  out->looks = must_look(out->rests);
  return true;
}

bool Watchdog::sleep(Wait* wait) {
  if (wait->is_pending) awake_until_ = Clock::now() + kLinger;
  const bool lingers = wait->first_nap == kQuietNap && Clock::now() < awake_until_;
  const bool naps = wait->is_pending || wait->at_once || wait->rests || lingers || is_looking();
  const auto nap = wait->rests ? std::min<std::chrono::nanoseconds>(nap_, kQuietNap) : nap_;
  if (naps && nap <= kQuietNap) is_deaf_.store(false, std::memory_order_relaxed);
  const timespec time{0, wait->at_once || is_looking() ? 0 : nap.count()};
  wait->begin = Clock::now();
  const int ready = ppoll(wait->fds.data(), wait->fds.size(), naps ? &time : nullptr, nullptr);
  is_deaf_.store(false, std::memory_order_relaxed);
  is_resting_.store(false, std::memory_order_relaxed);
  return ready > 0;
}

// Whether calls look for all that comes from other hosts. With the list's mutex held.
bool Watchdog::is_served() const {
  bool moves = false;
  for (const auto& communicator : communicators_) {
    if (!communicator->moves()) continue;
    if (!communicator->is_served()) return false;
    moves = true;
  }
  return moves;
}

// And did so a short while ago: then nothing of that wakes the thread, which would only be in their way. With the list's mutex held.
bool Watchdog::rests(bool is_pending) {
  is_resting_.store(true, std::memory_order_relaxed);
  // pairs with watchdog.cpp : Watchdog::listen
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool rests = is_served() && (is_pending || Clock::now() < awake_until_);
  is_resting_.store(rests, std::memory_order_relaxed);
  return rests;
}

// Whether there is something to look for: small messages have moved, or are about to, and no large ones. With the list's mutex held.
bool Watchdog::must_look(bool rests) {
  const bool is_told = is_told_.exchange(false);
  const bool has_moved = std::exchange(has_moved_, false);
  bool looks = is_looking();
  if (!looks && !rests && (is_told || has_moved)) {
    seen_ = Clock::now();
    looks = choice_.looks();
  }
  bool moves = false;
  for (const auto& communicator : communicators_) {
    if (!communicator->moves()) continue;
    looks = looks && !communicator->expects_large();
    moves = true;
  }
  looks = looks && moves && !rests;
  if (is_looking() && !looks) {
    stop_looking();
  } else if (is_told && !looks) {
    wake_movers();  // who was told that this thread would look has not done so
  }
  return looks;
}

// Moves what there is again and again, until there has been nothing for a while.
void Watchdog::look() {
  if (!is_looking_.exchange(true)) has_seen_ = false;
  const auto begin = Clock::now();
  for (auto now = begin; now - begin < kLooksMost;) {
    bool moved = false, is_large = false;
    {
      const auto turn = between_turns();
      for (const auto& communicator : listed()) {
        moved = communicator->move() || moved;
        is_large = is_large || communicator->expects_large();
      }
    }
    now = Clock::now();
    if (moved) {
      seen_ = now;
      has_seen_ = true;
      choice_.saw();
    }
    {
      std::lock_guard lock(list_mutex_);
      const bool must_stop = !choice_.pays() || is_large || is_served();
      if (must_stop || now - seen_ >= LookChoice::kQuiet) return stop_looking();
    }
    if (moved) continue;
    std::this_thread::yield();
    const auto back = Clock::now();
    if (back - now >= LookChoice::kDear) choice_.lost_cpu();
    now = back;
  }
}

// With the list's mutex held.
void Watchdog::stop_looking() {
  if (!has_seen_ && !is_served()) choice_.saw_nothing();
  is_looking_ = false;
  // pairs with watchdog.cpp : Watchdog::look_for
  std::atomic_thread_fence(std::memory_order_seq_cst);
  wake_movers();
}

void Watchdog::wake_movers() {
  for (const auto& communicator : communicators_) communicator->wake_mover();
}

void Watchdog::serve(const Wait& wait) {
  const auto turn = between_turns();
  const Clock::time_point now = Clock::now();
  const bool is_due = !wait.moves || now >= look_due_;
  if (is_due) look_due_ = now + kLookEvery;
  for (const auto& communicator : listed()) {
    std::vector<uint32_t> heard;
    for (size_t i = 1; i < wait.fds.size(); i++) {
      if (wait.owners[i].first == communicator.get() && wait.fds[i].revents != 0) {
        communicator->read_from(wait.owners[i].second);
        heard.push_back(wait.owners[i].second);  // and there may be more
      }
    }
    communicator->judge_loss(wait.begin, heard);
    if (communicator->move()) {
      nap_ = wait.first_nap;
      has_moved_ = true;
    }
    if (is_due && communicator->has_pending()) communicator->look();
  }
}

}  // namespace npu::ccl
