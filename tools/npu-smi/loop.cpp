// SPDX-License-Identifier: Apache-2.0
// The clock of the loop, and its end.
#include "tools/npu-smi/loop.h"

#include <signal.h>
#include <time.h>

namespace npu::smi {
namespace {

constexpr uint64_t kNsPerSecond = 1'000'000'000;

volatile sig_atomic_t ended = 0;

void end_loop(int) { ended = 1; }

uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

void catch_end_signals() {
  struct sigaction action {};
  action.sa_handler = end_loop;
  // A second one ends a turn that hangs.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool end_was_asked() { return ended != 0; }

Loop::Loop(uint64_t interval_ms, uint64_t count)
    : interval_ns_(interval_ms * 1'000'000), count_(interval_ms == 0 ? 1 : count) {
  if (interval_ms != 0) catch_end_signals();
}

bool Loop::next() {
  if (ended != 0 || (count_ != 0 && turns_ == count_)) return false;
  if (turns_++ == 0) {
    due_ns_ = now_ns();
    return true;
  }
  const uint64_t passed_ns = now_ns() - due_ns_;
  due_ns_ += (passed_ns / interval_ns_ + 1) * interval_ns_;
  const timespec due{static_cast<time_t>(due_ns_ / kNsPerSecond),
                     static_cast<long>(due_ns_ % kNsPerSecond)};
  // A signal that comes between the look and the sleep is seen one turn later.
  while (ended == 0 && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) != 0) {
  }
  return ended == 0;
}

}  // namespace npu::smi
