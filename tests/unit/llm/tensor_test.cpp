// SPDX-License-Identifier: Apache-2.0
//
// Number formats of checkpoints.
#include "samples/llm/tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace npu::llm {
namespace {

TEST(TensorFormats, EveryBf16ValueSurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float wide = bf16_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(wide)))) << bits;
    } else {
      EXPECT_EQ(float_to_bf16(wide), bits);
    }
  }
}

TEST(TensorFormats, RoundingToBf16GoesToTheNearestAndTiesGoToEven) {
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // tie, even below
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // tie, even above
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f807fffu)), 0x3f80);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80);  // infinity
  EXPECT_EQ(float_to_bf16(-0.0f), 0x8000);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(TensorFormats, HalfPrecisionWidensToTheValuesOfIeee754) {
  EXPECT_EQ(f16_to_float(0x0000), 0.0f);
  EXPECT_TRUE(std::signbit(f16_to_float(0x8000)));
  EXPECT_EQ(f16_to_float(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_float(0xc000), -2.0f);
  EXPECT_EQ(f16_to_float(0x3555), 0.333251953125f);
  EXPECT_EQ(f16_to_float(0x0001), std::ldexp(1.0f, -24));    // least subnormal
  EXPECT_EQ(f16_to_float(0x03ff), std::ldexp(1023.f, -24));  // largest subnormal
  EXPECT_EQ(f16_to_float(0x0400), std::ldexp(1.0f, -14));    // least normal
  EXPECT_EQ(f16_to_float(0x7bff), 65504.0f);
  EXPECT_EQ(f16_to_float(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(f16_to_float(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(f16_to_float(0x7e00)));
}

TEST(TensorFormats, WideningReadsElementsThatAreNotAligned) {
  std::byte raw[1 + 4] = {};
  raw[1] = std::byte{0x80}, raw[2] = std::byte{0x3f};  // bf16 1.0
  raw[3] = std::byte{0x00}, raw[4] = std::byte{0xc0};  // bf16 -2.0
  const TensorView view{DType::kBf16, 1, 2, std::span<const std::byte>(raw).subspan(1)};
  EXPECT_EQ(widen(view), (std::vector<float>{1.0f, -2.0f}));
}

TEST(TensorFormats, NamesOfTypesReadBackAndOthersAreUnknown) {
  for (DType dtype : {DType::kF32, DType::kBf16, DType::kF16}) {
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  EXPECT_FALSE(dtype_from_name("F8_E4M3").has_value());
  EXPECT_FALSE(dtype_from_name("").has_value());
}

}  // namespace
}  // namespace npu::llm
