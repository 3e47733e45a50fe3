// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the decoding of one block.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_BLOCKS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_BLOCKS_H_

#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/scalar_convert.h"

namespace npu::model::scalar {

inline void decode_q8_0(float* dst, const std::byte* block) {
  const float scale = from_f16(half_at(block, offsetof(BlockQ8_0, scale)));
  const std::byte* q = block + offsetof(BlockQ8_0, q);
  for (size_t i = 0; i < BlockQ8_0::kElements; ++i)
    dst[i] = canonical(scale * static_cast<float>(static_cast<int8_t>(q[i])));
}

inline void decode_q4_0(float* dst, const std::byte* block) {
  const float scale = from_f16(half_at(block, offsetof(BlockQ4_0, scale)));
  const std::byte* q = block + offsetof(BlockQ4_0, q);
  for (size_t i = 0; i < BlockQ4_0::kElements / 2; ++i) {
    const auto both = static_cast<int32_t>(q[i]);
    dst[i] = canonical(scale * static_cast<float>((both & 15) - 8));
    dst[i + 16] = canonical(scale * static_cast<float>((both >> 4) - 8));
  }
}

inline void decode_q4_k(float* dst, const std::byte* block) {
  const float scale = from_f16(half_at(block, offsetof(BlockQ4_K, scale)));
  const float offset = from_f16(half_at(block, offsetof(BlockQ4_K, offset)));
  const PartsQ4_K parts = parts_of_q4_k(block);
  const std::byte* q = block + offsetof(BlockQ4_K, q);
  for (size_t i = 0; i < BlockQ4_K::kElements; ++i) {
    const size_t part = i / 32;
    const auto both = static_cast<int32_t>(q[part / 2 * 32 + i % 32]);
    const int32_t value = part % 2 == 0 ? both & 15 : both >> 4;
    dst[i] = canonical(std::fmaf(scale * static_cast<float>(parts.scale[part]),
                                 static_cast<float>(value),
                                 -(offset * static_cast<float>(parts.offset[part]))));
  }
}

inline void decode_q6_k(float* dst, const std::byte* block) {
  const float scale = from_f16(half_at(block, offsetof(BlockQ6_K, scale)));
  const std::byte* low = block + offsetof(BlockQ6_K, low);
  const std::byte* high = block + offsetof(BlockQ6_K, high);
  const std::byte* parts = block + offsetof(BlockQ6_K, parts);
  for (size_t i = 0; i < BlockQ6_K::kElements; ++i) {
    const size_t half = i / 128;
    const size_t quarter = i % 128 / 32;
    const auto both = static_cast<int32_t>(low[half * 64 + i % 64]);
    const int32_t four = quarter < 2 ? both & 15 : both >> 4;
    const auto two = static_cast<int32_t>(high[half * 32 + i % 32]) >> (2 * quarter) & 3;
    const auto part = static_cast<int8_t>(parts[i / 16]);
    dst[i] =
        canonical(scale * static_cast<float>(part) * static_cast<float>((four | two << 4) - 32));
  }
}

}  // namespace npu::model::scalar

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_BLOCKS_H_
