// SPDX-License-Identifier: Apache-2.0
// The text form of a board's UUID: "NPU-" and 32 hexadecimal digits in groups.
#pragma once

#include <cstdint>
#include <cstdio>

namespace npu {

inline constexpr int kUuidTextBytes = 48;  // as in the public structs

// |out| has room for kUuidTextBytes.
inline void format_uuid(const uint8_t uuid[16], char* out) {
  char* at = out + std::sprintf(out, "NPU-");
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
    at += std::sprintf(at, "%02x", uuid[i]);
  }
}

}  // namespace npu
