// SPDX-License-Identifier: Apache-2.0
// How long one waits for a sign of life. What cannot run gives none: time in which those who owe the sign wanted a processor and had none does not count, up to a bound.
// Pure: times come in, a verdict comes out.
#pragma once

#include <algorithm>
#include <cstdint>

namespace npu::soak {

// What the kernel tells of a thread.
struct ThreadTimes {
  uint64_t ran_ns = 0;
  uint64_t waited_ns = 0;  // for a processor; the kernel adds a wait when it ends
  bool is_runnable = false;
};

// The part of a turn of |took_ns| in which the thread wanted a processor and had none.
inline int64_t starved_ns(const ThreadTimes& before, const ThreadTimes& now, int64_t took_ns) {
  // A wait that has not ended yet is not in the sum. Once it is, more than this turn may be in it.
  if (now.is_runnable && now.ran_ns == before.ran_ns) return took_ns;
  if (now.waited_ns < before.waited_ns) return 0;
  return static_cast<int64_t>(
      std::min<uint64_t>(now.waited_ns - before.waited_ns, static_cast<uint64_t>(took_ns)));
}

class Patience {
 public:
  // |bound_ns|: where starvation is no excuse any more.
  Patience(int64_t limit_ns, int64_t bound_ns) : limit_ns_(limit_ns), bound_ns_(bound_ns) {}

  void see_sign() { silent_ns_ = starved_ns_ = 0; }
  // A turn without a sign. |starved_ns|: what each party to it lacked, added up; they may have lacked it one after the other or at once.
  void see_silence(int64_t took_ns, int64_t starved_ns) {
    silent_ns_ += took_ns;
    starved_ns_ += std::clamp<int64_t>(starved_ns, 0, took_ns);
  }
  bool is_over() const { return owed_ns() >= limit_ns_ || silent_ns_ >= bound_ns_; }
  // Silence without an excuse.
  int64_t owed_ns() const { return silent_ns_ - starved_ns_; }
  int64_t silent_ns() const { return silent_ns_; }
  int64_t starved_ns() const { return starved_ns_; }

 private:
  int64_t limit_ns_;
  int64_t bound_ns_;
  int64_t silent_ns_ = 0;
  int64_t starved_ns_ = 0;
};

}  // namespace npu::soak
