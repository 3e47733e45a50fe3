// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/mover.h"

#include <npu/npu_queue.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "libnpu/ccl/communicator.h"
#include "libnpu/ccl/watchdog.h"

namespace npu::ccl {
namespace {

// What was submitted meanwhile is waited for the next time.
constexpr int64_t kLongestNs = 2'000'000;
// What is there but cannot go, for want of room or of a rail, is tried again: what ends that mostly wakes the watchdog's thread.
constexpr int64_t kAgainNs = 1'000'000;
constexpr int64_t kLeastNs = 50'000;

}  // namespace

bool Mover::start() {
  try {
    thread_ = std::thread([this] { loop(); });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

void Mover::wake() {
  {
    std::lock_guard lock(mutex_);
    wakes_++;
  }
  woken_.notify_one();
}

void Mover::stop() {
  {
    std::lock_guard lock(mutex_);
    stops_ = true;
  }
  woken_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Mover::sleep(uint64_t wakes_seen, int64_t most_ns) {
  std::unique_lock lock(mutex_);
  const auto is_woken = [&] { return stops_ || wakes_ != wakes_seen; };
  if (most_ns == INT64_MAX) return woken_.wait(lock, is_woken);
  woken_.wait_for(lock, std::chrono::nanoseconds(most_ns), is_woken);
}

// Leaves of |marks| those that are worth a wait, and says how long at most (ns).
int64_t Mover::narrow(std::vector<Mark>* marks) {
  if (marks->empty()) return INT64_MAX;
  std::vector<uint64_t> stuck;
  std::erase_if(*marks, [&](const Mark& mark) {
    const bool is = std::find(reached_.begin(), reached_.end(), mark.order) != reached_.end();
    if (is) stuck.push_back(mark.order);
    return is;
  });
  reached_ = std::move(stuck);
  // Of a lane the first one: it comes to the others later.
  for (size_t i = 0; i < marks->size(); i++) {
    marks->erase(std::remove_if(marks->begin() + static_cast<ptrdiff_t>(i) + 1, marks->end(),
                                [&](const Mark& mark) { return mark.lane == (*marks)[i].lane; }),
                 marks->end());
  }
  return reached_.empty() ? kLongestNs : kAgainNs;
}

void Mover::await_device(uint64_t wakes_seen) {
  Network::Awaited awaited;
  {
    const auto turn = Watchdog::get().between_turns();
    awaited = communicator_.awaited();
  }
  std::vector<Mark>& marks = awaited.marks;
  int64_t most_ns = narrow(&marks);
  if (awaited.record_due) {
    const auto left = std::chrono::nanoseconds(*awaited.record_due - Clock::now()).count();
    most_ns = std::min(most_ns, std::max(left, kLeastNs));
  }
  if (marks.empty()) return sleep(wakes_seen, most_ns);
  uint32_t index = 0;
  switch (communicator_.await(marks, most_ns, &index)) {
    case NPU_OK:
      reached_.push_back(marks[index].order);
      return;
    case NPU_TIMEOUT:
      return;
    default:  // not submitted yet, or cut off: whoever does that says so
      return sleep(wakes_seen, kAgainNs);
  }
}

void Mover::loop() {
  for (;;) {
    uint64_t wakes_seen = 0;
    {
      std::lock_guard lock(mutex_);
      if (stops_) return;
      wakes_seen = wakes_;
    }
    if (Watchdog::get().is_looking()) {
      sleep(wakes_seen, INT64_MAX);
    } else {
      await_device(wakes_seen);
    }
    const auto turn = Watchdog::get().between_turns();
    communicator_.move();
  }
}

}  // namespace npu::ccl
