// SPDX-License-Identifier: Apache-2.0
// Blocks with a scale that is a power of two: every code with every scale to fp32, and the way back by every scale rule, against the oracle;
// SIMD against scalar; products.
#include "firmware-model/tile/numerics/philox.h"
#include "tests/unit/numerics/format_oracle.h"
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 777;

struct Block {
  Mx type;
  oracle::Format format;
  size_t elements, bits, head;
  enum { kSignAbove, kTwosComplement } sign;

  size_t bytes() const { return head + elements * bits / 8; }
  bool has_pairs() const { return head == 2; }
};

const std::vector<Block>& blocks() {
  using oracle::fixed_format;
  using oracle::float_format;
  static const std::vector<Block> all = {
      {Mx::kE4m3, oracle::e4m3(), 32, 8, 1, Block::kSignAbove},
      {Mx::kE5m2, oracle::e5m2(), 32, 8, 1, Block::kSignAbove},
      {Mx::kE2m3, float_format("e2m3", 2, 3, 31), 32, 6, 1, Block::kSignAbove},
      {Mx::kE3m2, float_format("e3m2", 3, 2, 31), 32, 6, 1, Block::kSignAbove},
      {Mx::kE2m1, float_format("e2m1", 2, 1, 7), 32, 4, 1, Block::kSignAbove},
      {Mx::kInt8, fixed_format("int8", 7), 32, 8, 1, Block::kTwosComplement},
      {Mx::kMx9, fixed_format("mx9", 7), 16, 8, 2, Block::kSignAbove},
      {Mx::kMx6, fixed_format("mx6", 4), 16, 5, 2, Block::kSignAbove},
      {Mx::kMx4, fixed_format("mx4", 2), 16, 3, 2, Block::kSignAbove}};
  return all;
}

// First bit of element |i| behind the head.
size_t bit_place(const Block& b, size_t i) {
  return b.bits == 4 ? i % 16 * 8 + i / 16 * 4 : i * b.bits;
}

uint32_t code_at(const Block& b, const uint8_t* block, size_t i) {
  uint32_t code = 0;
  for (size_t k = 0; k < b.bits; ++k) {
    const size_t at = bit_place(b, i) + k;
    code |= (block[b.head + at / 8] >> (at % 8) & 1u) << k;
  }
  return code;
}

void put_code(const Block& b, uint8_t* block, size_t i, uint32_t code) {
  for (size_t k = 0; k < b.bits; ++k) {
    const size_t at = bit_place(b, i) + k;
    uint8_t& byte = block[b.head + at / 8];
    byte = static_cast<uint8_t>((byte & ~(1u << at % 8)) | (code >> k & 1u) << at % 8);
  }
}

// The value of element |i|; a NaN stands for one.
double value_at(const Block& b, const uint8_t* block, size_t i) {
  if (block[0] == 255) return std::nan("");
  const uint32_t code = code_at(b, block, i);
  double x = std::ldexp(1.0, block[0] - 127);
  if (b.has_pairs() && (block[1] >> (i / 2) & 1) != 0) x /= 2;
  if (b.sign == Block::kTwosComplement) return x * std::ldexp(static_cast<int8_t>(code), -6);
  const uint32_t magnitude = code & ((1u << (b.bits - 1)) - 1);
  const double sign = code >> (b.bits - 1) != 0 ? -1.0 : 1.0;
  if (magnitude < b.format.magnitudes.size()) return sign * x * b.format.magnitudes[magnitude];
  return b.type == Mx::kE5m2 && magnitude == 0x7c ? sign * HUGE_VAL : std::nan("");
}

std::vector<Numerics> all_tables() {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  return tables;
}

void expect_decoded(const Block& b, const std::vector<uint8_t>& src, const Numerics& t) {
  const size_t count = src.size() / b.bytes();
  std::vector<float> got(count * b.elements);
  t.decode_mx(b.type, got.data(), reinterpret_cast<const std::byte*>(src.data()), count);
  for (size_t i = 0; i < got.size(); ++i) {
    const double want = value_at(b, src.data() + i / b.elements * b.bytes(), i % b.elements);
    if (std::isnan(want)) {
      ASSERT_EQ(bits_of(got[i]), 0x7fc00000u) << t.name << " " << b.format.name << " " << i;
      continue;
    }
    ASSERT_EQ(bits_of(got[i]), bits_of(static_cast<float>(want)))
        << t.name << " " << b.format.name << " " << i << ": " << got[i] << " for " << want;
  }
}

TEST(Mx, EveryCodeWithEveryScaleInEveryPlaceDecodesToTheNearestFloat) {
  for (const Block& b : blocks()) {
    std::vector<uint8_t> src;
    const uint32_t codes = 1u << b.bits;
    for (uint32_t scale = 0; scale < 256; ++scale) {
      for (uint32_t first = 0; first < codes; ++first) {
        if (scale % 16 != 0 && first % 8 != 0)
          continue;  // each code in each place for every 16th scale
        std::vector<uint8_t> block(b.bytes());
        block[0] = static_cast<uint8_t>(scale);
        if (b.has_pairs()) block[1] = static_cast<uint8_t>(first * 37 + scale);
        for (size_t i = 0; i < b.elements; ++i)
          put_code(b, block.data(), i, (first + static_cast<uint32_t>(i)) % codes);
        src.insert(src.end(), block.begin(), block.end());
      }
    }
    for (const Numerics& t : all_tables()) ASSERT_NO_FATAL_FAILURE(expect_decoded(b, src, t));
  }
}

// The exponent of the scale by the text of enum npu_scale_rule.
int scale_exponent(const oracle::Format& f, double m, ScaleRule rule) {
  if (m == 0) return -127;
  const int e = std::ilogb(m);
  int exponent = e - f.emax;
  if (rule == ScaleRule::kWide) ++exponent;
  if (rule == ScaleRule::kEven) {
    const double rounded = std::nearbyint(std::ldexp(m, f.fraction_bits - e));  // to even
    exponent = std::ilogb(rounded) - f.fraction_bits + e - f.emax;
  }
  if (rule == ScaleRule::kCeil) {
    exponent = e - f.emax - 2;
    while (m > std::ldexp(f.largest(), exponent)) ++exponent;
  }
  return std::clamp(exponent, -127, 127);
}

// One block by definition. round(magnitude, index) gives the code of a magnitude without its scale.
template <class Round>
std::vector<uint8_t> encoded(const Block& b, const float* src, ScaleRule rule, const Round& round) {
  std::vector<uint8_t> block(b.bytes());
  double m = 0;
  for (size_t i = 0; i < b.elements; ++i) {
    if (!std::isfinite(src[i])) {
      block[0] = 255;
      return block;
    }
    m = std::max(m, std::fabs(static_cast<double>(src[i])));
  }
  const int exponent = scale_exponent(b.format, m, rule);
  block[0] = static_cast<uint8_t>(exponent + 127);
  for (size_t i = 0; i < b.elements; ++i) {
    double scale = std::ldexp(1.0, exponent);
    if (b.has_pairs()) {
      const double pair = std::max(std::fabs(src[i & ~size_t{1}]), std::fabs(src[i | 1]));
      if (pair < scale) {
        block[1] = static_cast<uint8_t>(block[1] | 1u << (i / 2));
        scale /= 2;
      }
    }
    const double x = std::fabs(static_cast<double>(src[i])) / scale;
    const auto largest = static_cast<uint32_t>(b.format.magnitudes.size() - 1);
    const uint32_t magnitude = std::min(round(x, i), largest);
    const bool negative = std::signbit(src[i]);
    const uint32_t code = b.sign == Block::kTwosComplement
                              ? (negative ? 0u - magnitude : magnitude) & 0xff
                              : magnitude | (negative ? 1u : 0u) << (b.bits - 1);
    put_code(b, block.data(), i, code);
  }
  return block;
}

// Blocks of every magnitude; midpoints, subnormals, zeros of both signs, the largest numbers; one in |rare| holds something that is no number.
std::vector<float> numbers(const Block& b, size_t count, Values& values, size_t rare) {
  std::vector<float> v(count * b.elements);
  for (size_t n = 0; n < count; ++n) {
    const int exponent = static_cast<int>(values.below(290)) - 155;
    const bool exact = values.below(3) == 0;
    for (size_t i = 0; i < b.elements; ++i) {
      float x = std::ldexp(values.number(), exponent - static_cast<int>(values.below(8)));
      if (exact) {
        // On a magnitude of the format or halfway between two of them.
        const size_t code = values.below(b.format.magnitudes.size() - 1);
        const double low = b.format.magnitudes[code], high = b.format.magnitudes[code + 1];
        x = static_cast<float>(
            std::ldexp(values.below(2) == 0 ? low : (low + high) / 2, exponent - b.format.emax));
        if (values.below(2) == 0) x = -x;
      }
      if (!std::isfinite(x)) x = std::copysign(std::numeric_limits<float>::max(), x);
      if (values.below(40) == 0) x = values.below(2) == 0 ? 0.0f : -0.0f;
      v[n * b.elements + i] = x;
    }
    if (rare != 0 && values.below(rare) == 0)
      v[n * b.elements + values.below(b.elements)] =
          values.below(2) == 0 ? -HUGE_VALF : float_of(0x7f812345u);
    if (n == 0) std::fill_n(v.begin(), b.elements, -0.0f);
  }
  return v;
}

std::vector<ScaleRule> rules_of(const Block& b) {
  if (b.has_pairs()) return {ScaleRule::kFloor};
  return {ScaleRule::kFloor, ScaleRule::kCeil, ScaleRule::kEven, ScaleRule::kWide};
}

TEST(Mx, EncodingIsTheNearestCodeByEveryScaleRule) {
  std::printf("seed %llu\n", static_cast<unsigned long long>(kSeed));
  Values values(kSeed);
  constexpr size_t kCount = 3000;
  for (const Block& b : blocks()) {
    const std::vector<float> src = numbers(b, kCount, values, 50);
    for (ScaleRule rule : rules_of(b)) {
      std::vector<uint8_t> want;
      for (size_t n = 0; n < kCount; ++n) {
        const std::vector<uint8_t> one =
            encoded(b, src.data() + n * b.elements, rule,
                    [&](double x, size_t) { return oracle::nearest(b.format, x); });
        want.insert(want.end(), one.begin(), one.end());
      }
      for (const Numerics& t : all_tables()) {
        std::vector<uint8_t> got(want.size());
        t.encode_mx(b.type, rule, reinterpret_cast<std::byte*>(got.data()), src.data(), kCount);
        const auto differs = std::mismatch(got.begin(), got.end(), want.begin()).first;
        ASSERT_TRUE(differs == got.end())
            << t.name << " " << b.format.name << " rule " << static_cast<int>(rule) << " byte "
            << differs - got.begin();
      }
    }
  }
}

TEST(Mx, TheLargestNumberDecidesTheScaleAtEveryBorder) {
  // m just below, on and just above each border of each rule, and the exponents at the ends of fp32.
  for (const Block& b : blocks()) {
    if (b.has_pairs()) continue;
    for (int e : {-149, -127, -126, -1, 0, 5, 127}) {
      const double top = std::ldexp(b.format.largest(), e - b.format.emax);
      const double tie = std::ldexp(2 - std::ldexp(1, -b.format.fraction_bits - 1), e);
      for (double m : {std::ldexp(1.0, e), top, tie, std::ldexp(1.9999999, e)}) {
        for (float step : {0.0f, 1.0f, HUGE_VALF}) {
          std::vector<float> src(b.elements);
          src[3] = -static_cast<float>(m);
          if (step != 1.0f) src[3] = std::nextafterf(src[3], step == 0.0f ? 0.0f : -HUGE_VALF);
          if (!std::isfinite(src[3])) continue;
          for (ScaleRule rule : rules_of(b)) {
            std::vector<uint8_t> got(b.bytes());
            scalar_numerics().encode_mx(b.type, rule, reinterpret_cast<std::byte*>(got.data()),
                                        src.data(), 1);
            ASSERT_EQ(got[0] - 127, scale_exponent(b.format, -static_cast<double>(src[3]), rule))
                << b.format.name << " rule " << static_cast<int>(rule) << " of " << src[3];
          }
        }
      }
    }
  }
}

TEST(Mx, WhatWasDecodedEncodesToTheSameNumbers) {
  Values values(kSeed + 1);
  for (const Block& b : blocks()) {
    std::vector<float> src = numbers(b, 500, values, 0);
    std::vector<std::byte> first(500 * b.bytes()), second(first.size());
    std::vector<float> once(src.size()), twice(src.size());
    const Numerics& t = simd_numerics();
    t.encode_mx(b.type, ScaleRule::kFloor, first.data(), src.data(), 500);
    t.decode_mx(b.type, once.data(), first.data(), 500);
    for (float& x : once) {
      if (!std::isfinite(x)) x = 0;  // 2^127 times an element can be too large for fp32
    }
    t.encode_mx(b.type, ScaleRule::kFloor, second.data(), once.data(), 500);
    t.decode_mx(b.type, twice.data(), second.data(), 500);
    EXPECT_EQ(once, twice) << b.format.name;
  }
}

TEST(Mx, StochasticRoundingTakesTheWordOfEachPlace) {
  Values values(kSeed + 2);
  for (const Block& b : blocks()) {
    const RandomRounding random{0x123456789abcdefull, 5000000001ull};
    const std::vector<float> src = numbers(b, 200, values, 20);
    std::vector<uint8_t> got(200 * b.bytes());
    scalar_numerics().encode_mx_random(b.type, ScaleRule::kFloor,
                                       reinterpret_cast<std::byte*>(got.data()), src.data(), 200,
                                       random);
    RandomWords words(random.seed);
    for (size_t n = 0; n < 200; ++n) {
      const std::vector<uint8_t> want =
          encoded(b, src.data() + n * b.elements, ScaleRule::kFloor, [&](double x, size_t i) {
            return oracle::stochastic(b.format, x, words.at(random.first + n * b.elements + i));
          });
      ASSERT_TRUE(
          std::equal(want.begin(), want.end(), got.begin() + static_cast<ptrdiff_t>(n * b.bytes())))
          << b.format.name << " block " << n;
    }
  }
}

TEST(Mx, VectorsRoundStochasticallyAsTheDefinition) {
  Values values(kSeed + 4);
  for (const Block& b : blocks()) {
    for (uint64_t count : {1, 5, 6, 7, 12, 13, 40}) {
      const RandomRounding random{count * 0x9e3779b97f4a7c15ull, values.below(9) - 4};
      const std::vector<float> src = numbers(b, count, values, 20);
      const auto rule = b.type < Mx::kMx9 ? static_cast<ScaleRule>(count % 4) : ScaleRule::kFloor;
      Guarded<uint8_t> want(count * b.bytes()), got(count * b.bytes());
      scalar_numerics().encode_mx_random(b.type, rule, reinterpret_cast<std::byte*>(want.data()),
                                         src.data(), count, random);
      for (const Numerics& table : simd_tables()) {
        table.encode_mx_random(b.type, rule, reinterpret_cast<std::byte*>(got.data()), src.data(),
                               count, random);
        ASSERT_TRUE(same_bits(got, want)) << b.format.name << " " << table.name << " " << count;
      }
    }
  }
}

void compare_products(const Block& b, size_t m, size_t n, size_t k_blocks, Values& values) {
  const size_t k = k_blocks * b.elements;
  Guarded<uint8_t> rows(n * k_blocks * b.bytes());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint8_t>(values.below(256));
  for (size_t i = 0; i < n * k_blocks; ++i)  // most of them of ordinary size
    if (values.below(8) != 0) rows[i * b.bytes()] = static_cast<uint8_t>(120 + values.below(16));
  std::vector<float> wide(n * k);
  scalar_numerics().decode_mx(b.type, wide.data(), reinterpret_cast<const std::byte*>(rows.data()),
                              n * k_blocks);
  Guarded<float> a(m * k), want(m * n);
  values.fill(a);
  values.fill_numbers(want);
  const Guarded<float> old = want;
  for (bool accumulate : {false, true}) {
    scalar_numerics().dot_rows({m, n, k, a.data(), k, wide.data(), k, want.data(), n, accumulate});
    for (const Numerics& t : all_tables()) {
      Guarded<float> got = old;
      if (accumulate)  // the second round goes on from the first one's result
        t.dot_rows({m, n, k, a.data(), k, wide.data(), k, got.data(), n, false});
      const auto weight =
          static_cast<Weight>(static_cast<int>(Weight::kMxE4m3) + static_cast<int>(b.type));
      t.dot_stream_mx({m, n, k, a.data(), k, weight,
                       reinterpret_cast<const std::byte*>(rows.data()), k_blocks * b.bytes(),
                       got.data(), n, accumulate});
      ASSERT_TRUE(same_bits(got, want)) << t.name << " " << b.format.name << " " << m << "x" << n;
    }
  }
}

TEST(Mx, ProductsWithRowsInBlocksAreThoseOfDecodedRows) {
  Values values(kSeed + 3);
  for (const Block& b : blocks()) {
    for (int round = 0; round < 25; ++round)
      compare_products(b, 1 + values.below(9), 1 + values.below(20), values.below(5), values);
    compare_products(b, 1, 33, 40, values);
  }
}

}  // namespace
}  // namespace npu::model
