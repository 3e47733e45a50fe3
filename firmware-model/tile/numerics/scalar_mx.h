// SPDX-License-Identifier: Apache-2.0
// Scalar definition of one block with a scale that is a power of two, both ways.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_MX_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_MX_H_

#include "firmware-model/tile/numerics/mx_layout.h"

namespace npu::model::scalar {

// The element without its scale.
template <class Block>
float mx_element(uint8_t code, bool halved) {
  using F = typename Block::F;
  if constexpr (Block::kTwosComplement) {
    return static_cast<float>(static_cast<int8_t>(code)) * pow2(1 - F::kM);
  } else if constexpr (Block::kPairs) {
    const float magnitude = static_cast<float>(code & F::kMax) * pow2(1 - F::kM - (halved ? 1 : 0));
    return (code & F::kSign) != 0 ? -magnitude : magnitude;
  } else {
    return from_small<F>(code);
  }
}

// Whether the two elements 2 |pair| and 2 |pair| + 1 are halved.
template <class Block>
bool is_halved(const std::byte* block, size_t pair) {
  if constexpr (!Block::kPairs) return false;
  return (static_cast<uint8_t>(block[1]) >> pair & 1) != 0;
}

template <class Block>
void decode_mx(float* dst, const std::byte* block) {
  const float scale = scale_value(static_cast<uint8_t>(block[0]));
  uint8_t codes[Block::kElements];
  unpack_codes<Block>(codes, block + Block::kHead);
  for (size_t i = 0; i < Block::kElements; ++i)
    dst[i] = canonical(scale * mx_element<Block>(codes[i], is_halved<Block>(block, i / 2)));
}

// A rounded magnitude with its sign, in the code of the format.
template <class Block>
uint8_t mx_code(uint32_t rounded, bool negative) {
  using F = typename Block::F;
  const uint32_t magnitude = std::min(rounded, F::kMax);
  if (!negative) return static_cast<uint8_t>(magnitude);
  return static_cast<uint8_t>(Block::kTwosComplement ? 0u - magnitude : magnitude | F::kSign);
}

// |largest|: bits of the largest magnitude of the block. False: it was no number, and the block is done.
template <class Block>
bool encode_mx_head(std::byte* block, uint32_t largest, ScaleRule rule, int* exponent) {
  if (largest >= 0x7f800000u) {
    std::memset(block, 0, Block::kBytes);
    block[0] = std::byte{kScaleNan};
    return false;
  }
  *exponent = scale_exponent<typename Block::F>(largest, rule);
  block[0] = std::byte{scale_code(*exponent)};
  return true;
}

// The byte of MX9, MX6, MX4 that tells which pairs are halved: those below the scale.
template <size_t kElements>
uint8_t halved_pairs(const float* src, int exponent) {
  uint8_t halved = 0;
  for (size_t pair = 0; pair < kElements / 2; ++pair) {
    const uint32_t x = to_bits(src[2 * pair]) & 0x7fffffffu;
    const uint32_t y = to_bits(src[2 * pair + 1]) & 0x7fffffffu;
    const uint32_t larger = std::max(x, y);
    if (larger == 0 || floor_log2(larger) < exponent) halved |= static_cast<uint8_t>(1u << pair);
  }
  return halved;
}

// round(bits of the magnitude of an element without its scale, its index) gives its code.
template <class Block, class Round>
void encode_mx(std::byte* block, const float* src, ScaleRule rule, const Round& round) {
  uint32_t largest = 0;
  for (size_t i = 0; i < Block::kElements; ++i)
    largest = std::max(largest, to_bits(src[i]) & 0x7fffffffu);
  int exponent = 0;
  if (!encode_mx_head<Block>(block, largest, rule, &exponent)) return;
  if constexpr (Block::kPairs) block[1] = std::byte{halved_pairs<Block::kElements>(src, exponent)};
  const float inverse = inverse_scale(exponent);
  uint8_t codes[Block::kElements];
  for (size_t i = 0; i < Block::kElements; ++i) {
    float x = src[i] * inverse;
    if (is_halved<Block>(block, i / 2)) x = x + x;
    const uint32_t rounded = round(to_bits(x) & 0x7fffffffu, i);
    codes[i] = mx_code<Block>(rounded, std::signbit(x));
  }
  pack_codes<Block>(block + Block::kHead, codes);
}

}  // namespace npu::model::scalar

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_MX_H_
