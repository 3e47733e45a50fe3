// SPDX-License-Identifier: Apache-2.0
// The scalar definition of every elementary function and of the 16-lane tree; numerics.h states the contract.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_MATH_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_MATH_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "firmware-model/tile/numerics/coefficients.h"
#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model::scalar {

inline constexpr float kInf = std::numeric_limits<float>::infinity();

inline uint32_t to_bits(float x) { return std::bit_cast<uint32_t>(x); }
inline float from_bits(uint32_t u) { return std::bit_cast<float>(u); }
inline float nan_value() { return from_bits(coef::kNanBits); }
inline float canonical(float x) { return std::isnan(x) ? nan_value() : x; }

template <size_t kCount>
inline float horner(float x, const float (&c)[kCount]) {
  float p = c[0];
  for (size_t i = 1; i < kCount; ++i) p = std::fmaf(p, x, c[i]);
  return p;
}

inline float max(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return nan_value();
  if (a == b) return from_bits(to_bits(a) & to_bits(b));  // +0 over -0
  return a > b ? a : b;
}

inline float min(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) return nan_value();
  if (a == b) return from_bits(to_bits(a) | to_bits(b));
  return a < b ? a : b;
}

// 2^n for -126 <= n <= 127
inline float pow2(int32_t n) { return from_bits(static_cast<uint32_t>(n + 127) << 23); }

inline float exp(float x) {
  if (std::isnan(x)) return nan_value();
  x = x < coef::kExpLo ? coef::kExpLo : x;
  x = x > coef::kExpHi ? coef::kExpHi : x;
  const float shifted = std::fmaf(x, coef::kLog2e, coef::kMagic);
  const float n = shifted - coef::kMagic;
  float r = std::fmaf(-n, coef::kLn2Hi, x);
  r = std::fmaf(-n, coef::kLn2Lo, r);
  float p = std::fmaf(horner(r, coef::kExp), r, 1.0f);
  p = std::fmaf(p, r, 1.0f);
  // Two factors, of which only the second product can round: one rounding for subnormal results.
  const auto e = static_cast<int32_t>(n);
  const int32_t half = e >> 1;
  return p * pow2(half) * pow2(e - half);
}

inline float log(float x) {
  if (std::isnan(x) || x < 0.0f) return nan_value();
  if (x == 0.0f) return -kInf;
  if (x == kInf) return kInf;
  const bool subnormal = x < 0x1p-126f;
  const uint32_t u = to_bits(subnormal ? x * 0x1p24f : x) - coef::kSqrtHalfBits;
  const float k = static_cast<float>((static_cast<int32_t>(u) >> 23) - (subnormal ? 24 : 0));
  const float f = from_bits((u & 0x007fffffu) + coef::kSqrtHalfBits) - 1.0f;
  float y = (f * f) * std::fmaf(horner(f, coef::kLog), f, -0.5f);
  y = std::fmaf(k, coef::kLn2Lo, y) + f;
  return std::fmaf(k, coef::kLn2Hi, y);
}

inline float tanh(float x) {
  if (std::isnan(x)) return nan_value();
  const float a = std::fabs(x);
  const float s = a * a;
  const float y = a < coef::kTanhSmall ? std::fmaf(a * s, horner(s, coef::kTanh), a)
                                       : 1.0f - 2.0f / (exp(a + a) + 1.0f);
  return std::copysign(y, x);
}

// x * sigmoid(y): never divides by something that overflowed.
inline float gate(float x, float y) {
  const float z = exp(-std::fabs(y));
  const float kept = x < coef::kGateMin ? coef::kGateMin : x;
  return canonical((y < 0.0f ? kept * z : x) / (1.0f + z));
}

inline float sigmoid(float x) { return gate(1.0f, x); }
inline float silu(float x) { return gate(x, x); }
inline float gelu(float x) { return gate(x, x * std::fmaf(x * x, coef::kGelu3, coef::kGelu1)); }

inline float erf(float x) {
  if (std::isnan(x)) return nan_value();
  const float a = std::fabs(x);
  if (a < 1.0f) return std::fmaf(x, horner(x * x, coef::kErf), x);
  const float u = (a > coef::kErfMax ? coef::kErfMax : a) - 1.0f;
  return std::copysign(1.0f - exp(-horner(u, coef::kErfc)), x);
}

inline float gelu_erf(float x) {
  const float kept = x < coef::kGateMin ? coef::kGateMin : x;
  return canonical((0.5f * kept) * (1.0f + erf(x * coef::kSqrtHalf)));
}

// sin(|x|) for shift 0, cos(|x|) for shift 1
inline float trig(float a, int32_t shift) {
  float r;
  int32_t quadrant;
  if (a <= coef::kTrigFast) {
    const float shifted = std::fmaf(a, coef::kTwoOverPi, coef::kMagic);
    const float n = shifted - coef::kMagic;
    r = std::fmaf(-n, coef::kPio2A, a);
    r = std::fmaf(-n, coef::kPio2B, r);
    r = std::fmaf(-n, coef::kPio2C, r);
    quadrant = static_cast<int32_t>(n);
  } else {
    const TrigReduced reduced = trig_reduce_large(a);
    r = reduced.r;
    quadrant = reduced.quadrant;
  }
  quadrant += shift;
  const float s = r * r;
  const float sin_r = std::fmaf(r * s, horner(s, coef::kSin), r);
  const float cos_r = std::fmaf(s * s, horner(s, coef::kCos), std::fmaf(s, -0.5f, 1.0f));
  const float y = (quadrant & 1) != 0 ? cos_r : sin_r;
  return (quadrant & 2) != 0 ? -y : y;
}

inline float sin(float x) {
  const float y = trig(std::fabs(x), 0);
  return canonical(std::signbit(x) ? -y : y);
}

inline float cos(float x) { return canonical(trig(std::fabs(x), 1)); }

// The 16 partial sums of a reduction.
struct Lanes {
  float v[kTreeLanes] = {};

  void add(size_t k, float x) { v[k % kTreeLanes] += x; }
  void fma(size_t k, float a, float b) {
    float& lane = v[k % kTreeLanes];
    lane = std::fmaf(a, b, lane);
  }
  float tree() const {
    float t[kTreeLanes];
    for (size_t i = 0; i < kTreeLanes; ++i) t[i] = v[i];
    for (size_t width = kTreeLanes / 2; width != 0; width /= 2) {
      for (size_t i = 0; i < width; ++i) t[i] += t[i + width];
    }
    return t[0];
  }
};

}  // namespace npu::model::scalar

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_MATH_H_
