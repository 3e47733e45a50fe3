// SPDX-License-Identifier: Apache-2.0
// How weights in blocks lie in memory: where the parts of a block are, and the scales of Q4_K, which are packed across bytes.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_BLOCK_LAYOUT_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_BLOCK_LAYOUT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace npu::model {

// Blocks have no alignment of their own: they are read through these as bytes.
struct BlockQ8_0 {
  static constexpr size_t kElements = 32;
  uint16_t scale;
  int8_t q[32];
};
struct BlockQ4_0 {
  static constexpr size_t kElements = 32;
  uint16_t scale;
  uint8_t q[16];  // low halves: elements 0..15, high halves: 16..31
};
struct BlockQ4_K {
  static constexpr size_t kElements = 256;
  static constexpr size_t kParts = 8;
  uint16_t scale, offset;
  uint8_t parts[12];  // 8 scales and 8 offsets of 6 bits
  uint8_t q[128];     // of each 64 elements 32 bytes: low halves first
};
struct BlockQ6_K {
  static constexpr size_t kElements = 256;
  uint8_t low[128];  // of each 128 elements 64 bytes: low halves first
  uint8_t
      high[64];  // of each 128 elements 32 bytes: two bits of elements i, i + 32, i + 64, i + 96
  int8_t parts[16];  // scales of 16 elements
  uint16_t scale;
};

// Weights in tiles: blocks of so many rows at one place of the row, first their scales, then their bytes in words, the first word of each row before the second one.
inline constexpr size_t kTileRows = 16;
inline constexpr size_t kTileWordBytes = 4;

inline uint16_t half_at(const std::byte* block, size_t offset_bytes) {
  uint16_t bits;
  std::memcpy(&bits, block + offset_bytes, sizeof(bits));
  return bits;
}
inline bool is_finite_half(uint16_t bits) { return (bits & 0x7c00u) != 0x7c00u; }

struct PartsQ4_K {
  uint8_t scale[BlockQ4_K::kParts];
  uint8_t offset[BlockQ4_K::kParts];
};

// Four parts at a time, a byte each.
inline PartsQ4_K parts_of_q4_k(const std::byte* block) {
  static_assert(std::endian::native == std::endian::little);
  uint32_t p[3];
  std::memcpy(p, block + offsetof(BlockQ4_K, parts), sizeof(p));
  const uint32_t words[4] = {p[0] & 0x3f3f3f3fu, (p[2] & 0x0f0f0f0fu) | (p[0] >> 2 & 0x30303030u),
                             p[1] & 0x3f3f3f3fu,
                             (p[2] >> 4 & 0x0f0f0f0fu) | (p[1] >> 2 & 0x30303030u)};
  PartsQ4_K parts;
  static_assert(sizeof(parts) == sizeof(words));
  std::memcpy(&parts, words, sizeof(parts));
  return parts;
}

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_BLOCK_LAYOUT_H_
