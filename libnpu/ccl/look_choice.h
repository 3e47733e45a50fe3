// SPDX-License-Identifier: Apache-2.0
// LookChoice: whether the watchdog's thread looks for what comes next of small messages, or leaves that to a sleep that is ended. Looking saves that; but between two looks the thread gives its CPU away, and where others compute, it comes back late, mostly to find
// that there is something by then: a sleep would have ended when it came. So a phase of looks pays if it has seen something, and the CPU came back soon each time; and if the last one did not, only a few are tried.
//
// Thread safety: one owner, but for pays().
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace npu::ccl {

class LookChoice {
 public:
  // A phase of looks ends when there has been nothing to see for so long: a few times what waking a thread takes on a virtual machine.
  static constexpr auto kQuiet = std::chrono::microseconds(100);
  // A yield that takes so long: somebody else had the CPU.
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

// CallChoice: the same for calls. Where all ranks look for each other's messages that pays even when several share a CPU; where only some do, it mostly does not. So where it does not pay, some operations in a row are
// tried now and then, the same ones on all ranks, whose calls have the same numbers.
class CallChoice {
 public:
  // A yield: not a rank that shares the CPU and works for the same operation, but somebody who computes.
  static constexpr auto kDear = std::chrono::microseconds(1000);

  // In operation |number|.
  bool looks(uint64_t number) const {
    return credit_ > 0 || (number % period_ < kTries && number >= next_try_);
  }

  void saw() {
    credit_ = std::min(credit_ + 1, kMost);
    if (credit_ > kLoss) period_ = kPeriod;
  }
  void saw_nothing() { credit_ = std::max(credit_ - kVain, 0); }
  void lost_cpu(uint64_t number) {
    credit_ = std::max(credit_ - kLoss, 0);
    if (credit_ != 0) return;
    period_ = std::min(2 * period_, kPeriodMost);
    next_try_ = number + kTries;
  }

 private:
  static constexpr int kMost = 32, kLoss = 8, kVain = 4;
  static constexpr uint64_t kTries = 4;
  // Each is a multiple of the shorter ones: ranks that differ try together all the same.
  static constexpr uint64_t kPeriod = 64, kPeriodMost = 1024;

  int credit_ = kMost;
  uint64_t period_ = kPeriod, next_try_ = 0;
};

}  // namespace npu::ccl
