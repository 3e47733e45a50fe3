// SPDX-License-Identifier: Apache-2.0
// Weights in blocks: each format against a decoder in double arithmetic that is written bit by bit, SIMD against scalar.
#include "firmware-model/tile/numerics/block_layout.h"
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 4242;

struct Format {
  const char* name;
  size_t elements;
  size_t bytes;
  void (*Numerics::*decode)(float*, const std::byte*, size_t);
  std::vector<size_t> halves;  // where the fp16 scales are
};

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {"q8_0", 32, 34, &Numerics::decode_q8_0, {0}},
      {"q4_0", 32, 18, &Numerics::decode_q4_0, {0}},
      {"q4_k", 256, 144, &Numerics::decode_q4_k, {0, 2}},
      {"q6_k", 256, 210, &Numerics::decode_q6_k, {208}},
  };
  return all;
}

double half_value(const uint8_t* p) {
  const unsigned bits = p[0] | p[1] << 8;
  const int exponent = bits >> 10 & 31;
  const double mantissa = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  return sign *
         (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25));
}

int bits_at(const uint8_t* p, size_t first, size_t count) {
  int value = 0;
  for (size_t i = 0; i < count; ++i) value |= (p[(first + i) / 8] >> ((first + i) % 8) & 1) << i;
  return value;
}

// Element |i| of one block, exactly; every product here fits a double.
double expected(const std::string& format, const uint8_t* p, size_t i) {
  if (format == "q8_0") return half_value(p) * static_cast<int8_t>(p[2 + i]);
  if (format == "q4_0") return half_value(p) * (bits_at(p + 2 + i % 16, i / 16 * 4, 4) - 8);
  if (format == "q4_k") {
    const size_t part = i / 32;
    const uint8_t* s = p + 4;
    int scale = 0, offset = 0;
    if (part < 4) {
      scale = bits_at(s + part, 0, 6);
      offset = bits_at(s + 4 + part, 0, 6);
    } else {
      scale = bits_at(s + 4 + part, 0, 4) + 16 * bits_at(s + part - 4, 6, 2);
      offset = bits_at(s + 4 + part, 4, 4) + 16 * bits_at(s + part, 6, 2);
    }
    const int q = bits_at(p + 16 + part / 2 * 32 + i % 32, part % 2 * 4, 4);
    return half_value(p) * scale * q - half_value(p + 2) * offset;
  }
  const size_t half = i / 128, quarter = i % 128 / 32;
  const int low = bits_at(p + half * 64 + i % 64, quarter / 2 * 4, 4);
  const int high = bits_at(p + 128 + half * 32 + i % 32, quarter * 2, 2);
  return half_value(p + 208) * static_cast<int8_t>(p[192 + i / 16]) * (low + 16 * high - 32);
}

// Random bytes; the scales are finite where |finite|, else one in four is infinite or NaN.
Guarded<uint8_t> random_blocks(const Format& f, size_t blocks, Values& values, bool finite) {
  Guarded<uint8_t> src(blocks * f.bytes);
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<uint8_t>(values.below(256));
  for (size_t b = 0; b < blocks; ++b) {
    for (size_t half : f.halves) {
      uint8_t& top = src[b * f.bytes + half + 1];
      if (finite && (top & 0x7c) == 0x7c) top &= 0x83;
      if (!finite && values.below(4) == 0) top |= 0x7c;
    }
  }
  return src;
}

TEST(Blocks, EveryFormatDecodesToTheNearestFloat) {
  Values values(kSeed);
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  for (const Format& f : formats()) {
    constexpr size_t kBlocks = 50;
    const Guarded<uint8_t> src = random_blocks(f, kBlocks, values, true);
    for (const Numerics& t : tables) {
      Guarded<float> got(kBlocks * f.elements);
      (t.*f.decode)(got.data(), reinterpret_cast<const std::byte*>(src.data()), kBlocks);
      for (size_t i = 0; i < got.size(); ++i) {
        const double exact =
            expected(f.name, src.data() + i / f.elements * f.bytes, i % f.elements);
        ASSERT_EQ(got[i], static_cast<float>(exact)) << t.name << " " << f.name << " element " << i;
      }
    }
  }
}

TEST(Blocks, SimdEqualsScalarForEveryNumberOfBlocksAndEveryScale) {
  Values values(kSeed + 1);
  for (const Format& f : formats()) {
    for (const Numerics& t : simd_tables()) {
      for (size_t blocks = 0; blocks < 40; ++blocks) {
        const Guarded<uint8_t> src = random_blocks(f, blocks, values, blocks % 2 == 0);
        const auto* bytes = reinterpret_cast<const std::byte*>(src.data());
        Guarded<float> got(blocks * f.elements), want(blocks * f.elements);
        (t.*f.decode)(got.data(), bytes, blocks);
        (scalar_numerics().*f.decode)(want.data(), bytes, blocks);
        ASSERT_TRUE(same_bits(got, want)) << t.name << " " << f.name << " blocks " << blocks;
      }
    }
  }
}

// Rows of weights of any type as bytes, and what they decode to.
struct Rows {
  Guarded<uint8_t> bytes;
  std::vector<float> values;
};

Rows random_rows(Weight weight, size_t elements, Values& values, bool finite) {
  const Numerics& s = scalar_numerics();
  if (weight >= Weight::kQ8_0) {
    const Format& f = formats()[static_cast<size_t>(weight) - static_cast<size_t>(Weight::kQ8_0)];
    Rows rows{random_blocks(f, elements / f.elements, values, finite), {}};
    rows.values.resize(elements);
    (s.*f.decode)(rows.values.data(), reinterpret_cast<const std::byte*>(rows.bytes.data()),
                  elements / f.elements);
    return rows;
  }
  const size_t bytes = weight == Weight::kF32 ? 4 : 2;
  Rows rows{Guarded<uint8_t>(elements * bytes), std::vector<float>(elements)};
  for (size_t i = 0; i < elements; ++i) {
    const float x = finite ? values.number() : values.hostile();
    uint16_t half = 0;
    if (weight == Weight::kBf16) s.narrow_bf16(&half, &x, 1);
    if (weight == Weight::kF16) s.narrow_f16(&half, &x, 1);
    std::memcpy(rows.bytes.data() + i * bytes, bytes == 4 ? static_cast<const void*>(&x) : &half,
                bytes);
    rows.values[i] = x;
    if (weight == Weight::kBf16) s.widen_bf16(&rows.values[i], &half, 1);
    if (weight == Weight::kF16) s.widen_f16(&rows.values[i], &half, 1);
  }
  return rows;
}

void compare_products(Weight weight, size_t m, size_t n, size_t k, Values& values, bool finite) {
  const size_t unit = weight >= Weight::kQ4_K ? 256 : weight >= Weight::kQ8_0 ? 32 : 1;
  k = (k + unit - 1) / unit * unit;
  const Rows rows = random_rows(weight, n * k, values, finite);
  Guarded<float> a(m * k), want(m * n);
  finite ? values.fill_numbers(a) : values.fill(a);
  values.fill_numbers(want);
  for (bool accumulate : {false, true}) {
    const Guarded<float> old = want;
    scalar_numerics().dot_rows(
        {m, n, k, a.data(), k, rows.values.data(), k, want.data(), n, accumulate});
    std::vector<Numerics> tables = simd_tables();
    tables.push_back(scalar_numerics());
    for (const Numerics& t : tables) {
      Guarded<float> got = old;
      t.dot_stream({m, n, k, a.data(), k, weight,
                    reinterpret_cast<const std::byte*>(rows.bytes.data()),
                    rows.bytes.size() / std::max<size_t>(n, 1), got.data(), n, accumulate});
      ASSERT_TRUE(same_bits(got, want))
          << t.name << " weight " << static_cast<int>(weight) << " " << m << "x" << n << "x" << k;
    }
  }
}

TEST(Blocks, ProductsWithRowsOfEveryTypeAreThoseOfDecodedRows) {
  Values values(kSeed + 2);
  for (int weight = 0; weight <= static_cast<int>(Weight::kQ6_K); ++weight) {
    for (int round = 0; round < 60; ++round) {
      compare_products(static_cast<Weight>(weight), 1 + values.below(9), 1 + values.below(20),
                       values.below(100), values, round % 2 == 0);
    }
    compare_products(static_cast<Weight>(weight), 1, 33, 1000, values, true);
  }
}

// The product of two rows of blocks in double arithmetic: what is left of the definition without its order.
double exact_product(const Format& f, const uint8_t* a, const uint8_t* b, size_t blocks) {
  double sum = 0;
  for (size_t i = 0; i < blocks; ++i) {
    float x[32], y[32];
    scalar_numerics().decode_q8_0(x, reinterpret_cast<const std::byte*>(a + i * 34), 1);
    (scalar_numerics().*f.decode)(y, reinterpret_cast<const std::byte*>(b + i * f.bytes), 1);
    for (int e = 0; e < 32; ++e) sum += static_cast<double>(x[e]) * static_cast<double>(y[e]);
  }
  return sum;
}

const Format& format_of(Weight weight) {
  return formats()[static_cast<size_t>(weight) - static_cast<size_t>(Weight::kQ8_0)];
}

std::vector<RoundedBlock> open_blocks(const Numerics& t, const uint8_t* src, size_t blocks) {
  std::vector<RoundedBlock> out(blocks);
  t.open_q8_0(out.data(), reinterpret_cast<const std::byte*>(src), blocks);
  return out;
}

// Rows of blocks as tiles, where they are a multiple of 16.
Guarded<uint8_t> tiles_of(const Guarded<uint8_t>& rows, size_t block_bytes, size_t blocks) {
  Guarded<uint8_t> tiles(rows.size());
  if (rows.size() % (16 * blocks * block_bytes) != 0) return tiles;
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t row = i / block_bytes / blocks, block = i / block_bytes % blocks;
    const size_t tile = (row / 16 * blocks + block) * 16 * block_bytes, byte = i % block_bytes;
    const size_t at =
        byte < 2 ? row % 16 * 2 + byte : 32 + (byte - 2) / 4 * 64 + row % 16 * 4 + (byte - 2) % 4;
    tiles[tile + at] = rows[i];
  }
  return tiles;
}

struct IntegerCase {
  Weight weight;
  size_t m, n, blocks;
  bool finite = true;
};

// Plain rows, and where there are 16 of them tiles, with old values in C and without.
void compare_integers(const IntegerCase& s, Values& values) {
  const Format& f = format_of(s.weight);
  Guarded<float> vectors(s.m * s.blocks * 32);
  s.finite ? values.fill_numbers(vectors) : values.fill(vectors);
  Guarded<uint8_t> a(s.m * s.blocks * 34), b = random_blocks(f, s.n * s.blocks, values, s.finite);
  scalar_numerics().encode_q8_0(reinterpret_cast<std::byte*>(a.data()), vectors.data(),
                                s.m * s.blocks);
  const Guarded<uint8_t> tiles = tiles_of(b, f.bytes, std::max<size_t>(s.blocks, 1));
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  Guarded<float> want(s.m * s.n);
  values.fill(want);
  for (bool accumulate : {false, true}) {
    const Guarded<float> old = want;
    auto run = [&](const Numerics& t, bool tiled, Guarded<float>& c) {
      const auto opened = open_blocks(t, a.data(), s.m * s.blocks);
      t.dot_integer({s.m, s.n, s.blocks * 32, opened.data(), s.blocks, s.weight, tiled,
                     reinterpret_cast<const std::byte*>((tiled ? tiles : b).data()),
                     s.blocks * f.bytes, c.data(), s.n, accumulate});
    };
    run(scalar_numerics(), false, want);
    for (const Numerics& t : tables) {
      for (bool tiled : {false, true}) {
        if (tiled && s.n % 16 != 0) continue;
        Guarded<float> got = old;
        run(t, tiled, got);
        ASSERT_TRUE(same_bits(got, want))
            << t.name << " weight " << static_cast<int>(s.weight) << " " << s.m << "x" << s.n << "x"
            << s.blocks << (tiled ? " tiled" : "");
      }
    }
  }
}

TEST(Blocks, ProductsByIntegersAreTheDefinitions) {
  Values values(kSeed + 3);
  for (Weight weight : {Weight::kQ8_0, Weight::kQ4_0}) {
    for (int round = 0; round < 200; ++round) {
      const size_t n = values.below(3) == 0 ? 16 * values.below(4) : 1 + values.below(20);
      compare_integers({weight, 1 + values.below(20), n, values.below(9), round % 2 == 0}, values);
    }
    compare_integers({weight, 1, 33, 40}, values);
    compare_integers({weight, 13, 32, 70}, values);  // in parts
  }
}

TEST(Blocks, ProductsByIntegersAreOneStepABlock) {
  Values values(kSeed + 4);
  for (Weight weight : {Weight::kQ8_0, Weight::kQ4_0}) {
    const Format& f = format_of(weight);
    for (size_t blocks : {0, 1, 2, 5, 50}) {
      const Guarded<uint8_t> a = random_blocks(formats()[0], blocks, values, true);
      const Guarded<uint8_t> b = random_blocks(f, blocks, values, true);
      const float old = values.number();
      float want = old, got = old;
      for (size_t i = 0; i < blocks; ++i) {
        const uint8_t *x = a.data() + i * 34, *w = b.data() + i * f.bytes;
        int sum = 0;
        for (size_t e = 0; e < 32; ++e)
          sum += static_cast<int8_t>(x[2 + e]) * (weight == Weight::kQ8_0
                                                      ? static_cast<int8_t>(w[2 + e])
                                                      : bits_at(w + 2 + e % 16, e / 16 * 4, 4) - 8);
        const double scale = half_value(x) * half_value(w);
        want = std::fmaf(static_cast<float>(sum), static_cast<float>(scale), want);
      }
      const auto opened = open_blocks(scalar_numerics(), a.data(), blocks);
      scalar_numerics().dot_integer({1, 1, blocks * 32, opened.data(), blocks, weight, false,
                                     reinterpret_cast<const std::byte*>(b.data()), b.size(), &got,
                                     1, true});
      EXPECT_EQ(bits_of(got), bits_of(want)) << f.name << ", " << blocks << " blocks";
    }
  }
}

TEST(Blocks, ProductsByIntegersAreThoseOfTheRoundedRows) {
  Values values(kSeed + 4);
  for (Weight weight : {Weight::kQ8_0, Weight::kQ4_0}) {
    const Format& f = format_of(weight);
    for (size_t blocks : {1, 2, 5, 16}) {
      std::vector<float> vector(blocks * 32), weights(blocks * 32);
      for (float& x : vector) x = static_cast<float>(values.below(2001)) / 1000.0f - 1.0f;
      for (float& x : weights) x = static_cast<float>(values.below(2001)) / 1000.0f - 1.0f;
      std::vector<uint8_t> a(blocks * 34), b(blocks * f.bytes);
      auto* b_at = reinterpret_cast<std::byte*>(b.data());
      scalar_numerics().encode_q8_0(reinterpret_cast<std::byte*>(a.data()), vector.data(), blocks);
      (weight == Weight::kQ8_0 ? scalar_numerics().encode_q8_0 : scalar_numerics().encode_q4_0)(
          b_at, weights.data(), blocks);
      float got = 0;
      const auto opened = open_blocks(scalar_numerics(), a.data(), blocks);
      scalar_numerics().dot_integer({1, 1, blocks * 32, opened.data(), blocks, weight, false, b_at,
                                     b.size(), &got, 1, false});
      EXPECT_NEAR(static_cast<double>(got), exact_product(f, a.data(), b.data(), blocks), 1e-5);
    }
  }
}

TEST(Blocks, OpenedBlocksAreTheDefinitions) {
  Values values(kSeed + 5);
  for (size_t blocks : {0, 1, 7}) {
    const Guarded<uint8_t> src = random_blocks(formats()[0], blocks, values, false);
    const auto want = open_blocks(scalar_numerics(), src.data(), blocks);
    for (const Numerics& t : simd_tables()) {
      const auto got = open_blocks(t, src.data(), blocks);
      for (size_t i = 0; i < blocks; ++i) {
        EXPECT_EQ(std::memcmp(got[i].q, want[i].q, sizeof(want[i].q)), 0) << t.name;
        EXPECT_EQ(got[i].minus_sum, want[i].minus_sum) << t.name;
        EXPECT_TRUE(bits_of(got[i].scale) == bits_of(want[i].scale) ||
                    (std::isnan(got[i].scale) && std::isnan(want[i].scale)))
            << t.name;
      }
    }
  }
}

// The largest sums of each sign that 16 bits, and products of bytes without a sign, have to hold.
TEST(Blocks, ProductsByIntegersDoNotSaturate) {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  const auto product = [](const Numerics& t, Weight weight, int a_byte, int b_byte) {
    std::vector<uint8_t> a(34, static_cast<uint8_t>(a_byte));
    std::vector<uint8_t> b(weight == Weight::kQ8_0 ? 34 : 18, static_cast<uint8_t>(b_byte));
    for (std::vector<uint8_t>* block : {&a, &b}) {
      (*block)[0] = 0x00;
      (*block)[1] = 0x3c;  // 1
    }
    float got = 0;
    const auto opened = open_blocks(t, a.data(), 1);
    t.dot_integer({1, 1, 32, opened.data(), 1, weight, false,
                   reinterpret_cast<const std::byte*>(b.data()), b.size(), &got, 1, false});
    return got;
  };
  for (const Numerics& t : tables) {
    for (int a : {-128, -127, 127}) {
      for (int b : {-128, 127}) {
        EXPECT_EQ(product(t, Weight::kQ8_0, a, b), static_cast<float>(32 * a * b))
            << t.name << " " << a << " " << b;
      }
      EXPECT_EQ(product(t, Weight::kQ4_0, a, 0x00), static_cast<float>(32 * a * -8))
          << t.name << " " << a;
      EXPECT_EQ(product(t, Weight::kQ4_0, a, 0xff), static_cast<float>(32 * a * 7))
          << t.name << " " << a;
    }
  }
}

TEST(Blocks, ANanScaleGivesTheCanonicalNanEverywhere) {
  for (const Format& f : formats()) {
    std::vector<uint8_t> src(f.bytes, 0x5a);
    src[f.halves[0]] = 0x01;
    src[f.halves[0] + 1] = 0xfe;
    std::vector<Numerics> tables = simd_tables();
    tables.push_back(scalar_numerics());
    for (const Numerics& t : tables) {
      std::vector<float> got(f.elements);
      (t.*f.decode)(got.data(), reinterpret_cast<const std::byte*>(src.data()), 1);
      for (float x : got) ASSERT_EQ(bits_of(x), 0x7fc00000u) << t.name << " " << f.name;
    }
  }
}

}  // namespace
}  // namespace npu::model
