// SPDX-License-Identifier: Apache-2.0
// The text form of IP addresses. Thread safety: pure.
#pragma once

#include <cstddef>
#include <cstdint>

namespace npu {

inline constexpr size_t kIpv4TextBytes = 16;
inline constexpr size_t kIpv6TextBytes = 46;

// |out| has room for kIpv4TextBytes, kIpv6TextBytes.
void format_ipv4(const uint8_t address[4], char* out);
void format_ipv6(const uint8_t address[16], char* out);

}  // namespace npu
