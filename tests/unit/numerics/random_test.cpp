// SPDX-License-Identifier: Apache-2.0
// Stochastic rounding: Philox against published vectors, every result against the oracle, the vectors against the definition, no drift on average, no trace of how a row was cut.
#include "firmware-model/tile/numerics/philox.h"
#include "tests/unit/numerics/format_oracle.h"
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 31337;

TEST(Random, PhiloxGivesThePublishedWords) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

struct Target {
  RandomTo type;
  oracle::Format format;
  uint32_t sign, nan, overflow;
};

const std::vector<Target>& targets() {
  static const std::vector<Target> all = {
      {RandomTo::kBf16, oracle::float_format("bf16", 8, 7, 0x7f7f), 0x8000, 0x7fc0, 0x7f80},
      {RandomTo::kF16, oracle::float_format("fp16", 5, 10, 0x7bff), 0x8000, 0x7e00, 0x7c00},
      {RandomTo::kE4m3, oracle::e4m3(), 0x80, 0x7f, 0x7f},
      {RandomTo::kE5m2, oracle::e5m2(), 0x80, 0x7e, 0x7c}};
  return all;
}

std::vector<uint32_t> rounded(const Target& t, const std::vector<float>& src, RandomRounding random,
                              bool overflows, const Numerics& table = simd_numerics()) {
  std::vector<uint16_t> wide(src.size());
  std::vector<uint8_t> narrow(src.size());
  if (t.sign == 0x80) {
    table.narrow_random(t.type, narrow.data(), src.data(), src.size(), random, overflows);
    return {narrow.begin(), narrow.end()};
  }
  table.narrow_random(t.type, wide.data(), src.data(), src.size(), random, overflows);
  return {wide.begin(), wide.end()};
}

std::vector<float> inputs(const Target& t, Values& values) {
  std::vector<float> v;
  for (int i = 0; i < 4000; ++i) {
    const int span = t.type == RandomTo::kBf16 ? 260 : 60;
    const float x = std::ldexp(
        values.number(), static_cast<int>(values.below(static_cast<size_t>(span))) - span / 2);
    v.push_back(i % 5 == 0 ? values.hostile() : x);
  }
  return v;
}

TEST(Random, EveryResultIsTheFloorOfTheNumberPlusItsWord) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  Values values(kSeed);
  for (const Target& t : targets()) {
    const std::vector<float> src = inputs(t, values);
    const RandomRounding random{0xfedcba9876543210ull, 0xfffffff1ull};
    for (bool overflows : {false, true}) {
      const std::vector<uint32_t> got = rounded(t, src, random, overflows, scalar_numerics());
      RandomWords words(random.seed);
      const auto largest = static_cast<uint32_t>(t.format.magnitudes.size() - 1);
      const bool saturates = t.sign == 0x80 && !overflows;
      for (size_t i = 0; i < src.size(); ++i) {
        const double x = std::fabs(static_cast<double>(src[i]));
        uint32_t want = t.nan;
        if (!std::isnan(src[i])) {
          want = oracle::stochastic(t.format, x, words.at(random.first + i));
          if (want > largest) want = saturates ? largest : t.overflow;
          if (std::signbit(src[i])) want |= t.sign;
        }
        ASSERT_EQ(got[i], want) << t.format.name << " " << std::hexfloat << src[i];
      }
    }
  }
}

// First places around all that carries: a block of four, the low word of the counter, all 64 bits.
TEST(Random, VectorsRoundAsTheDefinition) {
  Values values(kSeed + 2);
  for (uint64_t turn = 0; turn < 60; ++turn) {
    static constexpr uint64_t kCarries[] = {0, 1ull << 34, 0x123456789abcdef0ull};
    const RandomRounding random{turn * 0x9e3779b97f4a7c15ull,
                                kCarries[turn % 3] - 40 + values.below(80)};
    const size_t n = turn < 40 ? turn : values.below(500);
    Guarded<float> src(n, 1);
    for (size_t i = 0; i < n; ++i)
      src[i] = values.below(3) == 0 ? values.any_bits() : values.hostile();
    for (const Target& t : targets()) {
      const size_t bytes = n * (t.sign == 0x80 ? 1 : 2);
      Guarded<uint8_t> want(bytes), got(bytes);
      scalar_numerics().narrow_random(t.type, want.data(), src.data(), n, random, turn % 2 == 0);
      for (const Numerics& table : simd_tables()) {
        table.narrow_random(t.type, got.data(), src.data(), n, random, turn % 2 == 0);
        ASSERT_TRUE(same_bits(got, want)) << t.format.name << " " << table.name << " turn " << turn;
      }
    }
  }
}

TEST(Random, TheAverageIsTheNumber) {
  constexpr size_t kCount = 200000;
  for (const Target& t : targets()) {
    const double low = 1.0, unit = std::ldexp(1.0, -t.format.fraction_bits);
    for (double part : {0.0, 0.125, 0.5, 0.9}) {
      const auto x = static_cast<float>(low + part * unit);
      const double exact_part = (static_cast<double>(x) - low) / unit;
      const auto codes = rounded(t, std::vector<float>(kCount, x), {17, 4}, false);
      const uint32_t code = oracle::nearest(t.format, low);
      size_t ups = 0;
      for (uint32_t c : codes) {
        ASSERT_TRUE(c == code || c == code + 1);
        ups += c - code;
      }
      const double deviation = std::sqrt(kCount * exact_part * (1 - exact_part));
      EXPECT_LE(std::fabs(static_cast<double>(ups) - kCount * exact_part), 5 * deviation)
          << t.format.name << " part " << part;
    }
  }
}

TEST(Random, PiecesOfARowRoundAsTheWholeRow) {
  Values values(kSeed + 1);
  for (const Target& t : targets()) {
    const std::vector<float> src = inputs(t, values);
    const std::vector<uint32_t> whole = rounded(t, src, {9, 123}, false);
    for (size_t at = 0, n = 0; at < src.size(); at += n) {
      n = std::min<size_t>(1 + values.below(37), src.size() - at);
      const std::vector<float> piece(src.begin() + static_cast<ptrdiff_t>(at),
                                     src.begin() + static_cast<ptrdiff_t>(at + n));
      const std::vector<uint32_t> got = rounded(t, piece, {9, 123 + at}, false);
      ASSERT_TRUE(std::equal(got.begin(), got.end(), whole.begin() + static_cast<ptrdiff_t>(at)));
    }
    EXPECT_NE(rounded(t, src, {10, 123}, false), whole) << "another seed";
  }
}

}  // namespace
}  // namespace npu::model
