// SPDX-License-Identifier: Apache-2.0
// Deadline: the end of a bounded wait.
#pragma once

#include <chrono>
#include <cstdint>

namespace npu {

// Nothing wakes a sleeper whose server was killed or whose device went away: it looks by itself so often.
inline constexpr int64_t kSleepSliceNs = 100'000'000;

class Deadline {
 public:
  static int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  static Deadline never() { return Deadline(INT64_MAX); }
  // A timeout of 0 asks without waiting.
  static Deadline in(int64_t timeout_ns) {
    if (timeout_ns == 0) return Deadline(0);
    const int64_t now = now_ns();
    return Deadline(timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns);
  }
  bool is_poll() const { return end_ns_ == 0; }
  int64_t left_ns() const {
    if (end_ns_ == 0 || end_ns_ == INT64_MAX) return end_ns_;
    const int64_t left = end_ns_ - now_ns();
    return left > 0 ? left : 0;
  }

 private:
  explicit Deadline(int64_t end_ns) : end_ns_(end_ns) {}
  int64_t end_ns_;
};

}  // namespace npu
