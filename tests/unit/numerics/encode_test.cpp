// SPDX-License-Identifier: Apache-2.0
// The way into Q8_0 and Q4_0: GGML's reference rule written again in its own order of steps, SIMD against scalar, and what that rule leaves open.
#include "firmware-model/tile/numerics/block_layout.h"
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 2718;

std::vector<Numerics> all_tables() {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  return tables;
}

std::vector<uint8_t> bytes_of_q8_0(const Numerics& t, const std::vector<float>& src) {
  std::vector<uint8_t> out(src.size() / 32 * 34);
  t.encode_q8_0(reinterpret_cast<std::byte*>(out.data()), src.data(), src.size() / 32);
  return out;
}

std::vector<uint8_t> bytes_of_q4_0(const Numerics& t, const std::vector<float>& src) {
  std::vector<uint8_t> out(src.size() / 32 * 18);
  t.encode_q4_0(reinterpret_cast<std::byte*>(out.data()), src.data(), src.size() / 32);
  return out;
}

uint16_t half_bits(float x) {
  uint16_t half = 0;
  scalar_numerics().narrow_f16(&half, &x, 1);
  return half;
}

// Both rules in plain fp32 arithmetic; blocks of numbers whose scale has a finite inverse.
std::vector<uint8_t> expected_q8_0(const float* x) {
  float most = 0;
  for (int i = 0; i < 32; ++i) most = std::fmax(most, std::fabs(x[i]));
  const float d = most / 127;
  const float id = d != 0 ? 1 / d : 0;
  const uint16_t half = half_bits(d);
  std::vector<uint8_t> block{static_cast<uint8_t>(half), static_cast<uint8_t>(half >> 8)};
  for (int i = 0; i < 32; ++i)
    block.push_back(static_cast<uint8_t>(static_cast<int8_t>(roundf(x[i] * id))));
  return block;
}

std::vector<uint8_t> expected_q4_0(const float* x) {
  float most = 0, with_sign = 0;
  for (int i = 0; i < 32; ++i) {
    if (most >= std::fabs(x[i])) continue;
    most = std::fabs(x[i]);
    with_sign = x[i];
  }
  const float d = with_sign / -8;
  const float id = d != 0 ? 1 / d : 0;
  const uint16_t half = half_bits(d);
  std::vector<uint8_t> block{static_cast<uint8_t>(half), static_cast<uint8_t>(half >> 8)};
  for (int i = 0; i < 16; ++i) {
    const int low = std::min(15, static_cast<int>(x[i] * id + 8.5f));
    const int high = std::min(15, static_cast<int>(x[i + 16] * id + 8.5f));
    block.push_back(static_cast<uint8_t>(low | high << 4));
  }
  return block;
}

// Ordinary blocks, of every size that leaves the inverse of the scale finite; some of multiples of one step, where halves come up; some with
// two largest magnitudes of different sign.
std::vector<float> ordinary(size_t blocks, Values& values) {
  std::vector<float> v(blocks * 32);
  for (size_t b = 0; b < blocks; ++b) {
    const int exponent = static_cast<int>(values.below(200)) - 100;
    const size_t kind = values.below(4);
    for (size_t i = 0; i < 32; ++i) {
      float x = values.number();
      if (kind == 1) x = 0.5f * (static_cast<float>(values.below(509)) - 254);
      if (kind == 2) x = values.below(2) == 0 ? -1.0f : 1.0f;
      v[b * 32 + i] = std::ldexp(x, exponent);
    }
    if (kind == 1) v[b * 32 + values.below(32)] = std::ldexp(127.0f, exponent);
    if (kind == 3 && values.below(3) == 0) std::fill_n(v.data() + b * 32, 32, 0.0f);
  }
  return v;
}

TEST(Encode, Q8AndQ4AreTheReferenceQuantisers) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  Values values(kSeed);
  const std::vector<float> src = ordinary(20000, values);
  std::vector<uint8_t> want8, want4;
  for (size_t b = 0; b < src.size() / 32; ++b) {
    for (uint8_t byte : expected_q8_0(&src[b * 32])) want8.push_back(byte);
    for (uint8_t byte : expected_q4_0(&src[b * 32])) want4.push_back(byte);
  }
  for (const Numerics& t : all_tables()) {
    EXPECT_TRUE(bytes_of_q8_0(t, src) == want8) << t.name;
    EXPECT_TRUE(bytes_of_q4_0(t, src) == want4) << t.name;
  }
}

TEST(Encode, WhatIsNoNumberMakesTheBlockNan) {
  for (uint32_t bad : {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xff812345u}) {
    std::vector<float> src(64, 1.5f), back(64);
    src[37] = float_of(bad);
    for (const Numerics& t : all_tables()) {
      const std::vector<uint8_t> q8 = bytes_of_q8_0(t, src), q4 = bytes_of_q4_0(t, src);
      t.decode_q8_0(back.data(), reinterpret_cast<const std::byte*>(q8.data()), 2);
      EXPECT_NEAR(back[0], 1.5f, 0.01f);
      for (size_t i = 32; i < 64; ++i) EXPECT_EQ(bits_of(back[i]), 0x7fc00000u);
      t.decode_q4_0(back.data(), reinterpret_cast<const std::byte*>(q4.data()), 2);
      EXPECT_NEAR(back[0], 1.5f, 0.01f);
      for (size_t i = 32; i < 64; ++i) EXPECT_EQ(bits_of(back[i]), 0x7fc00000u);
    }
  }
}

TEST(Encode, SimdEqualsScalarOnAnything) {
  Values values(kSeed + 1);
  const Numerics& s = scalar_numerics();
  for (int round = 0; round < 300; ++round) {
    std::vector<float> src(32 * (1 + values.below(8)));
    const size_t kind = values.below(3);
    for (float& x : src)
      x = kind == 0 ? values.any_bits() : kind == 1 ? values.hostile() : values.any_bits() * 1e-30f;
    // Subnormal blocks, whose scale has an infinite inverse.
    if (round % 5 == 0)
      for (float& x : src)
        x = float_of(static_cast<uint32_t>(values.below(600)) |
                     static_cast<uint32_t>(values.below(2)) << 31);
    for (const Numerics& t : simd_tables()) {
      ASSERT_TRUE(bytes_of_q8_0(t, src) == bytes_of_q8_0(s, src)) << t.name << " round " << round;
      ASSERT_TRUE(bytes_of_q4_0(t, src) == bytes_of_q4_0(s, src)) << t.name << " round " << round;
    }
  }
}

}  // namespace
}  // namespace npu::model
