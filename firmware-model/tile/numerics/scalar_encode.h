// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the way into Q8_0 and Q4_0: GGML's reference quantisers, with an answer for numbers that those leave open (NaN, infinity,
// scales whose inverse is infinite).
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_ENCODE_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_ENCODE_H_

#include <algorithm>

#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/scalar_convert.h"

namespace npu::model::scalar {

// The first element that has the largest magnitude; false: a NaN or an infinity is among them.
inline bool find_largest(const float* src, size_t n, float* largest) {
  *largest = 0;
  for (size_t i = 0; i < n; ++i) {
    if (!std::isfinite(src[i])) return false;
    if (std::fabs(src[i]) > std::fabs(*largest)) *largest = src[i];
  }
  return true;
}

inline void store_scale(std::byte* block, float scale) {
  const uint16_t half = to_f16(scale);
  std::memcpy(block, &half, sizeof(half));
}

inline float inverse_of(float scale) { return scale != 0 ? 1.0f / scale : 0.0f; }

// A block that holds something that is no number: the scale is NaN, so that every element is.
inline void encode_nan(std::byte* block, size_t bytes) {
  std::memset(block, 0, bytes);
  store_scale(block, nan_value());
}

inline int8_t round_away(float x) {
  if (std::isnan(x)) return 0;
  return static_cast<int8_t>(std::clamp(std::round(x), -128.0f, 127.0f));
}

inline void encode_q8_0(std::byte* block, const float* src) {
  static_assert(offsetof(BlockQ8_0, scale) == 0);
  float largest = 0;
  if (!find_largest(src, BlockQ8_0::kElements, &largest))
    return encode_nan(block, sizeof(BlockQ8_0));
  const float scale = std::fabs(largest) / 127.0f;
  const float inverse = inverse_of(scale);
  store_scale(block, scale);
  for (size_t i = 0; i < BlockQ8_0::kElements; ++i)
    block[offsetof(BlockQ8_0, q) + i] = static_cast<std::byte>(round_away(src[i] * inverse));
}

inline uint32_t nibble(float x) {
  const float shifted = x + 8.5f;
  if (!(shifted > 0)) return 0;
  return shifted < 15.0f ? static_cast<uint32_t>(shifted) : 15;
}

inline void encode_q4_0(std::byte* block, const float* src) {
  static_assert(offsetof(BlockQ4_0, scale) == 0);
  float largest = 0;
  if (!find_largest(src, BlockQ4_0::kElements, &largest))
    return encode_nan(block, sizeof(BlockQ4_0));
  const float scale = largest / -8.0f;
  const float inverse = inverse_of(scale);
  store_scale(block, scale);
  for (size_t i = 0; i < BlockQ4_0::kElements / 2; ++i) {
    const uint32_t low = nibble(src[i] * inverse), high = nibble(src[i + 16] * inverse);
    block[offsetof(BlockQ4_0, q) + i] = static_cast<std::byte>(low | high << 4);
  }
}

}  // namespace npu::model::scalar

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_ENCODE_H_
