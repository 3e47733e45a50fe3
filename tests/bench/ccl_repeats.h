// SPDX-License-Identifier: Apache-2.0
// How often an operation of a size is measured, by npu-ccl-bench and by all peers alike: the larger the more seldom, or a run would take minutes for its largest size.
#pragma once

#include <algorithm>
#include <cstdint>

namespace npu::bench {

inline constexpr uint64_t kCclWarmups = 1;
inline constexpr uint64_t kCclRepeats = 7;
inline constexpr uint64_t kCclRepeatBytes = 64 << 20;

// As npu-ccl-bench --repeat-bytes.
inline uint64_t ccl_repeats(uint64_t bytes) {
  return std::clamp<uint64_t>(kCclRepeatBytes / std::max<uint64_t>(bytes, 1), 3, kCclRepeats);
}

}  // namespace npu::bench
