// SPDX-License-Identifier: Apache-2.0
// LookChoice: whether the watchdog's thread, or a call, looks for what comes next of small messages, or leaves that to a sleep that is ended. Looking saves that; but between two looks the thread gives its CPU away, and where others compute, it comes back late, mostly to find
// that there is something by then: a sleep would have ended when it came. So a phase of looks pays if it has seen something, and the CPU came back soon each time; and if the last one did not, only a few are tried.
//
// Thread safety: one owner, but for pays().
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace npu::ccl {

class LookChoice {
 public:
  // A phase of looks ends when there has been nothing to see for so long: a few times what waking a thread takes on a virtual machine.
  static constexpr auto kQuiet = std::chrono::microseconds(100);
  // From one look to the next: somebody else had the CPU.
  static constexpr auto kDear = std::chrono::microseconds(200);

  // Of the occasion that is there now.
  bool looks() {
    if (credit_ <= 0 && ++occasions_ % kTryEvery == 0) credit_ = kTry;
    return credit_ > 0;
  }
  bool pays() const { return credit_.load(std::memory_order_relaxed) > 0; }

  void saw() { credit_ = std::min(credit_ + 1, kMost); }
  void saw_nothing() { credit_ = credit_ - kVain; }
  void lost_cpu() { credit_ = credit_ - kLoss; }

 private:
  // What a loss of the CPU, and a phase in vain, take as many looks that saw something to make up for.
  static constexpr int kLoss = 8, kVain = 4;
  static constexpr int kMost = 32, kTry = 8;
  static constexpr unsigned kTryEvery = 64;

  std::atomic<int> credit_{kMost};
  unsigned occasions_ = 0;  // at which it did not pay
};

}  // namespace npu::ccl
