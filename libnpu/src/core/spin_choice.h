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
    const int64_t sleeping = sleeping_ns_.load(std::memory_order_relaxed);
    const int64_t failing = failing_.load(std::memory_order_relaxed);
    const int64_t spinning =
        spinning_ns_.load(std::memory_order_relaxed) * (kAllFail - failing) / kAllFail +
        failed_ns_.load(std::memory_order_relaxed) * failing / kAllFail;
    // Better by an eighth, or it stays as it is.
    const int64_t margin =
        last_choice_.load(std::memory_order_relaxed) ? -sleeping / 8 : sleeping / 8;
    const bool pays = spinning < (sleeping == 0 ? spin_ns_ : std::max(kShortNs, sleeping - margin));
    const bool looks = pays && failing < kAllFail / 2;
    if (looks && spinning < kShortNs) return true;
    return looks != tries_other(looks);
  }

  // A wait is over that had to wait |took_ns| in all.
  void ended(bool has_spun, int64_t took_ns) {
    if (spin_ns_ == 0) return;
    // Of the other kind there are few samples, and the mean is old.
    const int64_t share = has_spun == last_choice_.load(std::memory_order_relaxed) ? 4 : 2;
    const bool failed = has_spun && took_ns > spin_ns_;
    // A single failure changes little, a few good looks make up for many.
    if (has_spun) follow(failing_, failed ? kAllFail : 0, failed ? 2 * share : share);
    if (!has_spun) last_sleep_ns_.store(took_ns, std::memory_order_relaxed);
    const int64_t slept = last_sleep_ns_.load(std::memory_order_relaxed);
    if (failed && slept != 0 && took_ns > kDear * std::max(spin_ns_, slept)) grow_dear();
    // One wait that was longer than a look says nothing of the others.
    std::atomic<int64_t>& mean = failed ? failed_ns_ : has_spun ? spinning_ns_ : sleeping_ns_;
    const int64_t most = failed ? kDearestNs : 4 * spin_ns_;
    follow(mean, std::clamp<int64_t>(took_ns, 1, most),
           mean.load(std::memory_order_relaxed) == 0 ? 1 : share);
  }

 private:
  // The last waits of a period are of the other kind. Periods are short after a change, of the machine or of what is waited for, and grow while the choice holds.
  bool tries_other(bool looks) {
    if (last_choice_.exchange(looks, std::memory_order_relaxed) != looks) {
      const uint32_t period = period_.load(std::memory_order_relaxed);
      period_.store(std::max(period / 2, kTryEveryFirst), std::memory_order_relaxed);
      waits_.store(0, std::memory_order_relaxed);
    }
    const uint32_t period = period_.load(std::memory_order_relaxed);
    const uint32_t wait = waits_.fetch_add(1, std::memory_order_relaxed);
    if (wait + 1 >= period) {
      // The tries have ended, so none was dear.
      const uint32_t most = std::max(most_.load(std::memory_order_relaxed) / 2, kTryEveryMost);
      most_.store(most, std::memory_order_relaxed);
      period_.store(std::min(2 * period, most), std::memory_order_relaxed);
      waits_.store(0, std::memory_order_relaxed);
    }
    return wait + kTries >= period;
  }

  // A look that lost the CPU to somebody who computes may cost as much as thousands of sleeps: it is the last of its tries, and the next ones come much later.
  void grow_dear() {
    const uint32_t most = std::min(4 * most_.load(std::memory_order_relaxed), kTryEveryDear);
    most_.store(most, std::memory_order_relaxed);
    period_.store(most, std::memory_order_relaxed);
    waits_.store(0, std::memory_order_relaxed);
  }

  static void follow(std::atomic<int64_t>& mean, int64_t sample, int64_t share) {
    const int64_t before = mean.load(std::memory_order_relaxed);
    mean.store(before + (sample - before) / share, std::memory_order_relaxed);
  }

  static constexpr int64_t kAllFail = 1 << 20;
  // No sleep ends so soon: it is not even tried.
  static constexpr int64_t kShortNs = 5'000;
  // Some in a row: a look right after a sleep meets a device that sleeps too, the next ones do not.
  static constexpr uint32_t kTryEveryFirst = 8, kTryEveryMost = 64, kTryEveryDear = 16384,
                            kTries = 4;
  static constexpr int64_t kDear = 4, kDearestNs = 100'000'000;

  const int64_t spin_ns_;
  // Means of late; 0: not known yet. Of the looks that saw the end.
  std::atomic<int64_t> spinning_ns_{0}, sleeping_ns_{0};
  std::atomic<int64_t> failing_{0};    // share of the looks that did not, in kAllFail
  std::atomic<int64_t> failed_ns_{0};  // mean of those waits
  std::atomic<int64_t> last_sleep_ns_{0};
  std::atomic<bool> last_choice_{true};
  std::atomic<uint32_t> period_{kTryEveryFirst};
  std::atomic<uint32_t> most_{kTryEveryMost};  // for the period
  std::atomic<uint32_t> waits_{0};             // of the period, for which both were possible
};

}  // namespace npu
