// SPDX-License-Identifier: Apache-2.0
// LookBudget: how long the command thread looks for work before it sleeps: a few times the cost of a wake-up as long as that pays; else it shrinks to the least, and a long look is tried now and then.
//
// A sleep that ended so soon that a long look would have seen its end counts as one: the first operations after a quiet time are to be as short as later ones. Not while long looks were dear.
//
// A look gives the CPU away again and again. Where others compute, it comes back late, mostly to find that there is work by then; a sleep would have ended when it came. So only looks that see something soon count as such.
//
// Thread safety: one owner.
#ifndef NPU_MODEL_DEVICE_LOOK_BUDGET_H_
#define NPU_MODEL_DEVICE_LOOK_BUDGET_H_

#include <algorithm>
#include <chrono>

namespace npu::model {

class LookBudget {
 public:
  using Duration = std::chrono::nanoseconds;
  static constexpr Duration kMost = std::chrono::microseconds(50);
  static constexpr Duration kLeast = std::chrono::microseconds(2);
  // A look that took so long has lost the CPU to somebody who computes.
  static constexpr Duration kDear = 4 * kMost;

  Duration budget() const { return budget_; }

  void looked(Duration took, bool has_seen) {
    const bool is_dear = took >= kDear;
    if (has_seen && !is_dear) {
      *this = {};
      return;
    }
    if (is_dear) tries_between_ = std::min(tries_between_ * 2, kTriesBetweenMost);
    vain_++;
    if (vain_ % tries_between_ == 0) {
      budget_ = kMost;  // perhaps it pays again
    } else {
      budget_ = is_dear ? kLeast : std::max(budget_ / 2, kLeast);
    }
  }

  // The sleep after a look that was in vain is over, |took| after that look began.
  void slept(Duration took) {
    if (took < kMost && tries_between_ == kTriesBetween) budget_ = kMost;
  }

 private:
  static constexpr unsigned kTriesBetween = 16, kTriesBetweenMost = 1024;

  Duration budget_ = kMost;
  unsigned vain_ = 0;
  unsigned tries_between_ = kTriesBetween;  // vain looks from one long one to the next
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_LOOK_BUDGET_H_
