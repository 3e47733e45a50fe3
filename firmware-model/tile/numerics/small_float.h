// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the element types of 8 bits and less: their codes, and both ways of rounding to them.
//
// A format is described by the exponent of its smallest normal number and the bits of its fraction; below, codes count units of the smallest
// subnormal number. Fixed-point formats are all "subnormal".
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SMALL_FLOAT_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SMALL_FLOAT_H_

#include <algorithm>
#include <cstdint>

#include "firmware-model/tile/numerics/scalar_math.h"

namespace npu::model {

// kOver: the code for what is larger than the largest number where overflow is not saturated.
template <int kExponentBits, int kFraction, uint32_t kLargest, uint32_t kNanCode, uint32_t kOver>
struct SmallFloat {
  static constexpr int kE = kExponentBits, kM = kFraction;
  static constexpr int kBias = (1 << (kE - 1)) - 1;
  static constexpr int kEmin = 1 - kBias;
  static constexpr uint32_t kSign = 1u << (kE + kM);
  static constexpr uint32_t kMax = kLargest;
  static constexpr uint32_t kNan = kNanCode;  // 0: has none
  static constexpr uint32_t kOverflow = kOver;
  // Of the largest number: its exponent.
  static constexpr int kEmax = static_cast<int>(kMax >> kM) - kBias;
};
using E4m3 = SmallFloat<4, 3, 0x7e, 0x7f, 0x7f>;
using E5m2 = SmallFloat<5, 2, 0x7b, 0x7e, 0x7c>;
using E2m3 = SmallFloat<2, 3, 0x1f, 0, 0>;
using E3m2 = SmallFloat<3, 2, 0x1f, 0, 0>;
using E2m1 = SmallFloat<2, 1, 0x07, 0, 0>;
using Fp16 = SmallFloat<5, 10, 0x7bff, 0x7e00, 0x7c00>;
using Bf16 = SmallFloat<8, 7, 0x7f7f, 0x7fc0, 0x7f80>;

// Magnitudes of |kBits| bits that count units of 2^(1 - kBits).
template <int kBits>
struct FixedPoint {
  static constexpr int kM = kBits;
  static constexpr int kEmin = 1;
  static constexpr uint32_t kSign = 1u << kBits;
  static constexpr uint32_t kMax = kSign - 1;
  static constexpr int kEmax = 0;
};

namespace scalar {

template <class F>
float from_small(uint32_t code) {
  const uint32_t magnitude = code & (F::kSign - 1);
  const uint32_t exponent = magnitude >> F::kM;
  const uint32_t fraction = magnitude & ((1u << F::kM) - 1);
  const uint32_t sign = (code & F::kSign) != 0 ? 0x80000000u : 0;
  if constexpr (F::kNan != 0) {
    if (magnitude > F::kMax) {
      const bool infinite = F::kOverflow != F::kNan && magnitude == F::kOverflow;
      return infinite ? from_bits(sign | 0x7f800000u) : nan_value();
    }
  }
  const uint32_t units = exponent == 0 ? fraction : fraction | 1u << F::kM;
  const int place = std::max(static_cast<int>(exponent), 1) - 1 + F::kEmin - F::kM;
  const float value = static_cast<float>(units) * pow2(place);
  return from_bits(to_bits(value) | sign);
}

// The code of the nearest number (ties to even), as if there were no largest one. |u|: bits of an fp32 magnitude that is no NaN.
template <class F>
uint32_t round_nearest(uint32_t u) {
  constexpr int kDropped = 23 - F::kM;
  if (from_bits(u) < pow2(F::kEmin)) {
    // The sum's last place is the format's unit there: the addition rounds.
    const float magic = pow2(F::kEmin + kDropped);
    return to_bits(from_bits(u) + magic) - to_bits(magic);
  }
  const uint32_t rounded = u + ((1u << (kDropped - 1)) - 1) + (u >> kDropped & 1);
  return (rounded >> kDropped) - (static_cast<uint32_t>(F::kEmin + 126) << F::kM);
}

// The code of floor(q + w / 2^32), q the magnitude in units of the place that it is rounded at. |u|: bits of a finite fp32 magnitude.
template <class F>
uint32_t round_random(uint32_t u, uint32_t w) {
  const int exponent = std::max(static_cast<int>(u >> 23), 1);
  const uint64_t digits = (u & 0x7fffff) | (u >> 23 != 0 ? 0x800000 : 0);
  const int place = std::max(exponent - 127, F::kEmin) - F::kM;
  const int dropped = place - (exponent - 150);
  const uint64_t fraction = dropped < 64 ? digits << 32 >> dropped : 0;
  const auto units = static_cast<uint32_t>((fraction + w) >> 32);
  const int above = std::max(exponent - 127 - F::kEmin, 0);
  return units + (static_cast<uint32_t>(above) << F::kM);
}

// Sign, NaN and overflow around a rounded magnitude, for the formats that have NaN.
template <class F>
uint32_t to_small(float x, uint32_t rounded, bool overflows) {
  if (std::isnan(x)) return F::kNan;
  const uint32_t sign = std::signbit(x) ? F::kSign : 0;
  if (rounded <= F::kMax) return sign | rounded;
  return sign | (overflows ? F::kOverflow : F::kMax);
}

template <class F>
uint8_t to_fp8(float x, bool overflows) {
  const uint32_t rounded = std::isnan(x) ? 0 : round_nearest<F>(to_bits(x) & 0x7fffffffu);
  return static_cast<uint8_t>(to_small<F>(x, rounded, overflows));
}

inline int8_t to_i8(float x) {
  if (std::isnan(x)) return 0;
  return static_cast<int8_t>(std::nearbyintf(std::clamp(x, -128.0f, 127.0f)));
}

}  // namespace scalar
}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SMALL_FLOAT_H_
