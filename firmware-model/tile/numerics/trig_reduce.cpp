// SPDX-License-Identifier: Apache-2.0
// Payne-Hanek reduction modulo pi/2 for large arguments of SIN and COS.
#include <bit>
#include <cmath>

#include "firmware-model/tile/numerics/coefficients.h"

namespace npu::model {
namespace {

__extension__ using u128 = unsigned __int128;
__extension__ using i128 = __int128;

// 32 zero bits, then the binary fraction of 2/pi.
constexpr uint32_t kTwoOverPiBits[] = {0x00000000u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                                       0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};

// 96 bits of the table from bit |first| on, counted from the most significant bit.
u128 two_over_pi_window(uint32_t first) {
  const uint32_t word = first / 32;
  u128 bits = 0;
  for (uint32_t i = 0; i < 4; ++i) bits = (bits << 32) | kTwoOverPiBits[word + i];
  return (bits << (first % 32)) >> 32;
}

}  // namespace

TrigReduced trig_reduce_large(float abs_x) {
  const uint32_t bits = std::bit_cast<uint32_t>(abs_x);
  if (bits >= 0x7f800000u) return {std::bit_cast<float>(coef::kNanBits), 0};
  // abs_x = mantissa * 2^exponent, -6 <= exponent <= 104. Bits of 2/pi of weight 2^(2 - exponent) and more only add multiples of 4.
  const uint32_t mantissa = (bits & 0x007fffffu) | 0x00800000u;
  const int32_t exponent = static_cast<int32_t>(bits >> 23) - 150;
  constexpr u128 kMask96 = (u128{1} << 96) - 1;
  const u128 product =
      (two_over_pi_window(static_cast<uint32_t>(exponent + 30)) * mantissa) & kMask96;
  auto quadrant = static_cast<int32_t>(product >> 94);
  auto fraction = static_cast<i128>(product & ((u128{1} << 94) - 1));
  if (fraction >= (i128{1} << 93)) {
    fraction -= i128{1} << 94;
    ++quadrant;
  }
  const double turns = static_cast<double>(static_cast<int64_t>(fraction >> 31)) * 0x1p-63;
  return {static_cast<float>(turns * 0x1.921fb54442d18p+0), quadrant & 3};
}

}  // namespace npu::model
