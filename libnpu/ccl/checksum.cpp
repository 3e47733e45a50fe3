// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/checksum.h"

#include <array>
#include <cstring>

namespace npu::ccl {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

// Row k: what a byte does k bytes later.
using Tables = std::array<std::array<uint32_t, 256>, 8>;
constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (size_t row = 1; row < 8; row++) {
      const uint32_t before = tables[row - 1][byte];
      tables[row][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

uint64_t load64(const std::byte* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(std::span<const std::byte> bytes) {
  uint64_t crc = UINT32_MAX;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    crc = __builtin_ia32_crc32di(crc, load64(bytes.data() + at));
  }
  auto rest = static_cast<uint32_t>(crc);
  for (; at < bytes.size(); at++) {
    rest = __builtin_ia32_crc32qi(rest, static_cast<uint8_t>(bytes[at]));
  }
  return ~rest;
}
#endif

}  // namespace

uint32_t crc32c_portable(std::span<const std::byte> bytes) {
  uint32_t crc = UINT32_MAX;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    const uint64_t word = load64(bytes.data() + at) ^ crc;
    crc = 0;
    for (size_t i = 0; i < 8; i++) crc ^= kTables[7 - i][word >> (8 * i) & 0xff];
  }
  for (; at < bytes.size(); at++) {
    crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<uint8_t>(bytes[at])) & 0xff];
  }
  return ~crc;
}

uint32_t crc32c(std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return crc32c_sse42(bytes);
#endif
  return crc32c_portable(bytes);
}

}  // namespace npu::ccl
