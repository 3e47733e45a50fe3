// SPDX-License-Identifier: Apache-2.0
// How often an operation of a size is measured, by npu-ccl-bench and by all peers alike: the larger the more seldom, or a run would take minutes for its largest size. And what peers are asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace npu::bench {

inline constexpr uint64_t kCclWarmups = 1;
// The first dozen operations of a process are about its threads finding their CPUs. Programs make thousands.
inline constexpr uint64_t kCclRepeats = 40;
inline constexpr uint64_t kCclRepeatBytes = 64 << 20;

// Of one size: operations that are called one behind the other, whose mean counts.
struct CclCase {
  uint64_t bytes = 0, in_a_row = 1;
};

// As npu-ccl-bench --repeat-bytes.
inline uint64_t ccl_repeats(const CclCase& size) {
  const uint64_t each = std::max<uint64_t>(size.bytes * size.in_a_row, 1);
  return std::clamp<uint64_t>(kCclRepeatBytes / each, 3, kCclRepeats);
}

// OPERATION:BYTES*IN_A_ROW[,BYTES*IN_A_ROW...]
struct CclProbe {
  explicit CclProbe(const std::string& text) {
    const size_t colon = text.find(':');
    operation = text.substr(0, colon);
    for (size_t at = colon; at != std::string::npos; at = text.find(',', at + 1)) {
      char* end = nullptr;
      CclCase one{std::strtoull(text.c_str() + at + 1, &end, 10), 1};
      if (*end == '*') one.in_a_row = std::strtoull(end + 1, nullptr, 10);
      cases.push_back(one);
    }
  }
  std::string operation;
  std::vector<CclCase> cases;
};

}  // namespace npu::bench
