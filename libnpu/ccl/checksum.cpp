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

// The instruction gives a result every cycle, three cycles later: so three stretches of this size are summed side by side, and put together.
constexpr size_t kStretch = 4096;

// What a register becomes over kStretch bytes of zeros, by each of its bytes: a linear function, so its doubling is its use on itself.
using Shift = std::array<std::array<uint32_t, 256>, 4>;
uint32_t shifted(const Shift& shift, uint32_t crc) {
  return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^
         shift[3][crc >> 24];
}
Shift make_shift() {
  Shift shift;
  for (uint32_t at = 0; at < 4; at++) {
    for (uint32_t byte = 0; byte < 256; byte++) {
      const uint32_t crc = byte << 8 * at;
      shift[at][byte] = crc >> 8 ^ kTables[0][crc & 0xff];
    }
  }
  for (size_t bytes = 1; bytes < kStretch; bytes *= 2) {
    const Shift half = shift;
    for (auto& row : shift) {
      for (uint32_t& value : row) value = shifted(half, value);
    }
  }
  return shift;
}

__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(std::span<const std::byte> bytes) {
  static const Shift kShift = make_shift();
  uint64_t crc = UINT32_MAX;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 3 * kStretch; left -= 3 * kStretch, at += 3 * kStretch) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kStretch; i += 8) {
      crc = __builtin_ia32_crc32di(crc, load64(at + i));
      second = __builtin_ia32_crc32di(second, load64(at + kStretch + i));
      third = __builtin_ia32_crc32di(third, load64(at + 2 * kStretch + i));
    }
    crc = shifted(kShift, static_cast<uint32_t>(crc)) ^ static_cast<uint32_t>(second);
    crc = shifted(kShift, static_cast<uint32_t>(crc)) ^ static_cast<uint32_t>(third);
  }
  for (; left >= 8; left -= 8, at += 8) crc = __builtin_ia32_crc32di(crc, load64(at));
  auto rest = static_cast<uint32_t>(crc);
  for (; left != 0; left--, at++) rest = __builtin_ia32_crc32qi(rest, static_cast<uint8_t>(*at));
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
