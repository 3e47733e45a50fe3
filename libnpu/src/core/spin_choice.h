// SPDX-License-Identifier: Apache-2.0
// SpinChoice: whether a wait looks for a while before it sleeps, decided by what waits of both kinds took lately.
//
// Whether a look pays cannot be told from the look alone: on a machine with few CPUs the one who looks may hold the very CPU that the device's thread needs, then nothing ends until he sleeps, and the end comes right after that as if it had
// nearly been seen.
//
// Thread safety: all functions; a lost update does no harm.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace npu {

class SpinChoice {
 public:
  // |spin_ns|: how long a wait looks at most; 0: none does.
  explicit SpinChoice(int64_t spin_ns) : spin_ns_(spin_ns) {}

  int64_t spin_ns() const { return spin_ns_; }

  // Of the wait that begins now.
  bool spins() {
    if (spin_ns_ == 0) return false;
    const int64_t spinning = spinning_ns_.load(std::memory_order_relaxed);
    const int64_t sleeping = sleeping_ns_.load(std::memory_order_relaxed);
    const bool looks = spinning == 0 || spinning < std::max(kShortNs, sleeping - sleeping / 8);
    if (looks && spinning < kShortNs) return true;
    const bool tries_other = waits_.fetch_add(1, std::memory_order_relaxed) % kTryEvery < kTries;
    return looks != tries_other;
  }

  // A wait is over that had to wait |took_ns| in all.
  void ended(bool has_spun, int64_t took_ns) {
    if (spin_ns_ == 0) return;
    std::atomic<int64_t>& mean = has_spun ? spinning_ns_ : sleeping_ns_;
    // What takes much longer than a look says nothing of looks.
    const int64_t sample = std::clamp<int64_t>(took_ns, 1, 4 * spin_ns_);
    const int64_t before = mean.load(std::memory_order_relaxed);
    mean.store(before == 0 ? sample : before + (sample - before) / 4, std::memory_order_relaxed);
  }

 private:
  // No sleep ends so soon: it is not even tried.
  static constexpr int64_t kShortNs = 5'000;
  // Some in a row: a look right after a sleep meets a device that sleeps too, the next ones do not.
  static constexpr uint32_t kTryEvery = 64, kTries = 4;

  const int64_t spin_ns_;
  std::atomic<int64_t> spinning_ns_{0}, sleeping_ns_{0};  // means of late; 0: not known yet
  std::atomic<uint32_t> waits_{0};                        // for which both were possible
};

}  // namespace npu
