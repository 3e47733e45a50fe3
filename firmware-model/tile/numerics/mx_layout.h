// SPDX-License-Identifier: Apache-2.0
// Blocks with a scale that is a power of two: where their parts are, and which exponent a block of numbers gets.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_MX_LAYOUT_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_MX_LAYOUT_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/numerics/small_float.h"

namespace npu::model {

inline constexpr uint8_t kScaleNan = 255;  // E8M0
inline constexpr int kScaleMin = -127, kScaleMax = 127;

// Codes of kBits each behind kHead bytes of scale; codes of 4 bits as two halves, all others from the lowest bit on.
template <class Format, size_t kCount, size_t kCodeBits, size_t kHeadBytes>
struct MxBlock {
  using F = Format;
  static constexpr size_t kElements = kCount, kBits = kCodeBits, kHead = kHeadBytes;
  static constexpr size_t kBytes = kHead + kElements * kBits / 8;
  static constexpr bool kPairs = kHead == 2;  // the second byte halves pairs of elements
  static constexpr bool kTwosComplement = kBits == 8 && !kPairs && Format::kEmin == 1;
};
using MxE4m3 = MxBlock<E4m3, 32, 8, 1>;
using MxE5m2 = MxBlock<E5m2, 32, 8, 1>;
using MxE2m3 = MxBlock<E2m3, 32, 6, 1>;
using MxE3m2 = MxBlock<E3m2, 32, 6, 1>;
using MxE2m1 = MxBlock<E2m1, 32, 4, 1>;
using MxInt8 = MxBlock<FixedPoint<7>, 32, 8, 1>;
using Mx9 = MxBlock<FixedPoint<7>, 16, 8, 2>;
using Mx6 = MxBlock<FixedPoint<4>, 16, 5, 2>;
using Mx4 = MxBlock<FixedPoint<2>, 16, 3, 2>;

inline Mx mx_of(Weight weight) {
  static_assert(static_cast<int>(Weight::kMxE4m3) + static_cast<int>(Mx::kCount) ==
                static_cast<int>(Weight::kCount));
  return static_cast<Mx>(static_cast<int>(weight) - static_cast<int>(Weight::kMxE4m3));
}

// Calls fn(Block()) with the block type of |type|.
template <class Fn>
auto with_mx(Mx type, const Fn& fn) {
  switch (type) {
    case Mx::kE4m3:
      return fn(MxE4m3());
    case Mx::kE5m2:
      return fn(MxE5m2());
    case Mx::kE2m3:
      return fn(MxE2m3());
    case Mx::kE3m2:
      return fn(MxE3m2());
    case Mx::kE2m1:
      return fn(MxE2m1());
    case Mx::kInt8:
      return fn(MxInt8());
    case Mx::kMx9:
      return fn(Mx9());
    case Mx::kMx6:
      return fn(Mx6());
    default:
      return fn(Mx4());
  }
}

// The codes behind the head of a block, a byte each. Eight of them fill kBits bytes.
template <class Block>
void unpack_codes(uint8_t* codes, const std::byte* packed) {
  static_assert(std::endian::native == std::endian::little);
  if constexpr (Block::kBits == 8) {
    std::memcpy(codes, packed, Block::kElements);
  } else if constexpr (Block::kBits == 4) {
    for (size_t i = 0; i < Block::kElements / 2; ++i) {
      codes[i] = static_cast<uint8_t>(packed[i]) & 15;
      codes[i + Block::kElements / 2] = static_cast<uint8_t>(packed[i]) >> 4;
    }
  } else {
    for (size_t i = 0; i < Block::kElements; i += 8, packed += Block::kBits) {
      uint64_t bits = 0;
      std::memcpy(&bits, packed, Block::kBits);
      for (size_t j = 0; j < 8; ++j)
        codes[i + j] = bits >> (j * Block::kBits) & ((1u << Block::kBits) - 1);
    }
  }
}

template <class Block>
void pack_codes(std::byte* packed, const uint8_t* codes) {
  if constexpr (Block::kBits == 8) {
    std::memcpy(packed, codes, Block::kElements);
  } else if constexpr (Block::kBits == 4) {
    for (size_t i = 0; i < Block::kElements / 2; ++i)
      packed[i] = static_cast<std::byte>(codes[i] | codes[i + Block::kElements / 2] << 4);
  } else {
    for (size_t i = 0; i < Block::kElements; i += 8, packed += Block::kBits) {
      uint64_t bits = 0;
      for (size_t j = 0; j < 8; ++j) bits |= uint64_t{codes[i + j]} << (j * Block::kBits);
      std::memcpy(packed, &bits, Block::kBits);
    }
  }
}

inline float scale_value(uint8_t code) {
  if (code == kScaleNan) return scalar::nan_value();
  return code == 0 ? 0x1p-127f : scalar::from_bits(uint32_t{code} << 23);
}

// floor(log2 |x|) of the fp32 magnitude with bits |u|, which is not 0.
inline int floor_log2(uint32_t u) {
  return u >> 23 != 0 ? static_cast<int>(u >> 23) - 127 : static_cast<int>(std::bit_width(u)) - 150;
}

// The scale's exponent for the largest magnitude of a block, given by its finite fp32 bits: npu_isa.h, enum npu_scale_rule.
template <class F>
int scale_exponent(uint32_t largest, ScaleRule rule) {
  if (largest == 0) return kScaleMin;
  const int e = floor_log2(largest);
  // As a number from 2^23 to 2^24 - 1, and as the same the largest number of the format.
  const uint32_t mantissa = largest >> 23 != 0 ? (largest & 0x7fffffu) | 0x800000u
                                               : largest << (std::countl_zero(largest) - 8);
  constexpr int kFraction = F::kEmin == 1 && F::kEmax == 0 ? F::kM - 1 : F::kM;
  constexpr uint32_t kTop = F::kMax & ((1u << kFraction) - 1);
  constexpr uint32_t kMaxMantissa = (1u << kFraction | kTop) << (23 - kFraction);
  constexpr uint32_t kRoundsUp = 0x1000000u - (1u << (22 - kFraction));
  bool up = rule == ScaleRule::kWide;
  if (rule == ScaleRule::kCeil) up = mantissa > kMaxMantissa;
  if (rule == ScaleRule::kEven) up = mantissa >= kRoundsUp;
  return std::clamp(e - F::kEmax + (up ? 1 : 0), kScaleMin, kScaleMax);
}

inline uint8_t scale_code(int exponent) { return static_cast<uint8_t>(exponent + 127); }
// 2^-exponent, of a scale's exponent.
inline float inverse_scale(int exponent) {
  return scale_value(static_cast<uint8_t>(127 - exponent));
}

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_MX_LAYOUT_H_
