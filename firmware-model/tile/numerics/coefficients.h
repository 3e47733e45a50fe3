// SPDX-License-Identifier: Apache-2.0
// The constants that define EXP, LOG, TANH, ERF, GELU, SIN and COS: both implementations read them here and nowhere else.
//
// The polynomials are minimax fits (Remez exchange, 40 digits), then rounded to binary32. Lists run from the highest power down, as
// Horner's rule takes them. The error after a list is that of the rounded polynomial, relative to the function.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_COEFFICIENTS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_COEFFICIENTS_H_

#include <cstdint>

namespace npu::model::coef {

inline constexpr uint32_t kNanBits = 0x7fc00000u;
inline constexpr uint16_t kNanBf16 = 0x7fc0u;
inline constexpr uint16_t kNanF16 = 0x7e00u;

// x + kMagic - kMagic rounds to an integer for |x| < 2^22; the low bits of x + kMagic are that integer, two's complement.
inline constexpr float kMagic = 0x1.8p+23f;

inline constexpr float kLog2e = 0x1.715476p+0f;
inline constexpr float kLn2Hi = 0x1.62e43p-1f;
inline constexpr float kLn2Lo = -0x1.05c61p-29f;

// exp: e^r = 1 + r (1 + r P(r)), |r| <= ln2 / 2. 4.4e-9
inline constexpr float kExpLo = -104.0f;  // e^-104 < 2^-150
inline constexpr float kExpHi = 89.0f;    // e^89 > 2^128
inline constexpr float kExp[] = {0x1.6a24f4p-10f, 0x1.123a74p-7f, 0x1.5558f4p-5f, 0x1.55549p-3f,
                                 0x1.fffffcp-2f};

// log: log(1 + f) = f + f^2 (f P(f) - 1/2), 1 + f in [sqrt 1/2, sqrt 2). 7.0e-9
inline constexpr uint32_t kSqrtHalfBits = 0x3f3504f3u;
inline constexpr float kLog[] = {-0x1.38a97ep-4f, 0x1.05595cp-3f, -0x1.0d866cp-3f, 0x1.22da76p-3f,
                                 -0x1.547232p-3f, 0x1.99a004p-3f, -0x1.000228p-2f, 0x1.555554p-2f};

// tanh: x + x s P(s), s = x^2, |x| < 0.625. 9.4e-9
inline constexpr float kTanhSmall = 0.625f;
inline constexpr float kTanh[] = {-0x1.75dde6p-8f, 0x1.5225c6p-6f, -0x1.b83c3cp-5f, 0x1.110726p-3f,
                                  -0x1.555532p-2f};

// erf: x + x P(x^2), |x| < 1. 4.6e-9
inline constexpr float kErf[] = {0x1.4966ccp-14f, -0x1.a3f5d2p-11f, 0x1.54058ap-8f, -0x1.b7f908p-6f,
                                 0x1.ce2cf8p-4f,  -0x1.81273ep-2f,  0x1.06eba8p-3f};
// erf: 1 - exp(-Q(|x| - 1)), 1 <= |x| <= 4; 1 above. 7.8e-9 absolute
inline constexpr float kErfMax = 4.0f;
inline constexpr float kErfc[] = {-0x1.852c0ap-13f, 0x1.deb728p-10f, -0x1.441ab8p-7f,
                                  0x1.53f93cp-5f,   0x1.afad34p-1f,  0x1.51c9aap+1f,
                                  0x1.d97fcp+0f};

inline constexpr float kSqrtHalf = 0x1.6a09e6p-1f;
inline constexpr float kGelu1 = 0x1.988454p+0f;  // 2 sqrt(2/pi)
inline constexpr float kGelu3 = 0x1.2444f2p-4f;  // 2 sqrt(2/pi) 0.044715
inline constexpr float kGateMin = -128.0f;       // below, the gate is exactly 0: keeps -inf * 0 out

// sin, cos: |x| = n pi/2 + r by three-part Cody-Waite up to kTrigFast, by trig_reduce_large() above.
inline constexpr float kTrigFast = 131072.0f;
inline constexpr float kTwoOverPi = 0x1.45f306p-1f;
inline constexpr float kPio2A = 0x1.921fb6p+0f;
inline constexpr float kPio2B = -0x1.777a5cp-25f;
inline constexpr float kPio2C = -0x1.ee59dap-50f;
// sin r = r + r s P(s), s = r^2. 4.8e-9
inline constexpr float kSin[] = {-0x1.992094p-13f, 0x1.1106d4p-7f, -0x1.555544p-3f};
// cos r = 1 - s/2 + s^2 P(s). 8e-10
inline constexpr float kCos[] = {0x1.99cb58p-16f, -0x1.6c0bc4p-10f, 0x1.55554ap-5f};

}  // namespace npu::model::coef

namespace npu::model {

// |x| > kTrigFast, infinities and NaN: remainder r of |x| modulo pi/2, |r| <= pi/4, and the quadrant 0..3. One routine for both
// implementations: integer arithmetic on 96 bits of 2/pi, one double product, one rounding. Not finite: r = NaN, quadrant 0.
struct TrigReduced {
  float r;
  int32_t quadrant;
};
TrigReduced trig_reduce_large(float abs_x);

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_COEFFICIENTS_H_
