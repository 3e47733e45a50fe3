// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the number format conversions, one value at a time.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_CONVERT_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_CONVERT_H_

#include "firmware-model/tile/numerics/scalar_math.h"

namespace npu::model::scalar {

inline float from_bf16(uint16_t h) { return canonical(from_bits(static_cast<uint32_t>(h) << 16)); }

inline uint16_t to_bf16(float x) {
  if (std::isnan(x)) return coef::kNanBf16;
  const uint32_t u = to_bits(x);
  return static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

inline float from_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1fu;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0x1f) return mantissa != 0 ? nan_value() : from_bits(sign | 0x7f800000u);
  if (exponent != 0) return from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

inline uint16_t to_f16(float x) {
  if (std::isnan(x)) return coef::kNanF16;
  const uint32_t u = to_bits(x);
  const auto sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more round to infinity
  if (magnitude < 0x38800000u) {
    // Below 2^-14 the result counts units of 2^-24: adding 1.5 * 2^-1 leaves that count in the low bits, rounded to nearest even.
    const float shifted = from_bits(magnitude) + 0.75f;
    return static_cast<uint16_t>(sign | (to_bits(shifted) - to_bits(0.75f)));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

inline int32_t to_i32(float x) {
  if (std::isnan(x)) return 0;
  if (x >= 0x1p31f) return std::numeric_limits<int32_t>::max();
  if (x < -0x1p31f) return std::numeric_limits<int32_t>::min();
  return static_cast<int32_t>(std::nearbyintf(x));
}

}  // namespace npu::model::scalar

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_CONVERT_H_
