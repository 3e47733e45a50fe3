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

void Watchdog::remove(const Communicator* communicator) {
  std::shared_ptr<Communicator> last;  // may be the last owner: not under the locks
  std::lock_guard turn(turn_mutex_);
  std::lock_guard lock(list_mutex_);
  const auto found = std::find_if(communicators_.begin(), communicators_.end(),
                                  [&](const auto& c) { return c.get() == communicator; });
  if (found == communicators_.end()) return;
  last = std::move(*found);
  communicators_.erase(found);
  wake();
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

void Watchdog::loop() {
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);  // of this thread; its default is as long as a nap
  while (turn()) {
  }
}

bool Watchdog::turn() {
  Wait wait;
  if (!gather(&wait)) return false;
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
    return false;
  }
  for (const auto& communicator : communicators_) {
    out->is_pending = out->is_pending || communicator->has_pending();
    if (communicator->must_nudge()) out->first_nap = kFirstNap;
    if (communicator->moves()) {
      out->moves = true;
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
  return true;
}

bool Watchdog::sleep(Wait* wait) {
  if (wait->is_pending) awake_until_ = Clock::now() + kLinger;
  const bool lingers = wait->first_nap == kQuietNap && Clock::now() < awake_until_;
  const bool naps = wait->is_pending || wait->at_once || lingers;
  const bool is_long = nap_ > kQuietNap;
  if (naps && !is_long) is_deaf_.store(false, std::memory_order_relaxed);
  const timespec time{0, wait->at_once ? 0 : nap_.count()};
  const int ready = ppoll(wait->fds.data(), wait->fds.size(), naps ? &time : nullptr, nullptr);
  is_deaf_.store(false, std::memory_order_relaxed);
  return ready > 0;
}

void Watchdog::serve(const Wait& wait) {
  std::lock_guard turn(turn_mutex_);
  std::vector<std::shared_ptr<Communicator>> all;
  {
    std::lock_guard lock(list_mutex_);
    all = communicators_;
  }
  const Clock::time_point now = Clock::now();
  const bool is_due = !wait.moves || now >= look_due_;
  if (is_due) look_due_ = now + kLookEvery;
  for (const auto& communicator : all) {
    for (size_t i = 1; i < wait.fds.size(); i++) {
      if (wait.owners[i].first == communicator.get() && wait.fds[i].revents != 0) {
        communicator->read_from(wait.owners[i].second);
      }
    }
    if (communicator->move()) nap_ = wait.first_nap;
    if (is_due && communicator->has_pending()) communicator->look();
  }
}

}  // namespace npu::ccl
