// SPDX-License-Identifier: Apache-2.0
// Element-by-element operations: SIMD equals scalar bit for bit, special values are as the contract says.
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 31337;
constexpr uint32_t kNan = 0x7fc00000u;

std::vector<Numerics> all_tables() {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  return tables;
}

void compare_unary(UnaryOp op, const Guarded<float>& src) {
  Guarded<float> expected(src.size());
  scalar_numerics().unary(op, expected.data(), src.data(), src.size());
  for (const Numerics& t : simd_tables()) {
    Guarded<float> got(src);
    t.unary(op, got.data(), got.data(), got.size());
    for (size_t i = 0; i < src.size(); ++i) {
      ASSERT_EQ(bits_of(got[i]), bits_of(expected[i]))
          << t.name << " op " << static_cast<int>(op) << " of " << std::hexfloat << src[i];
    }
  }
}

class Unary : public ::testing::TestWithParam<int> {
 protected:
  UnaryOp op() const { return static_cast<UnaryOp>(GetParam()); }
};

TEST_P(Unary, SimdEqualsScalarForEveryBf16ValueAndAMillionOthers) {
  Values values(kSeed);
  Guarded<float> all(65536);
  for (uint32_t i = 0; i < 65536; ++i) all[i] = float_of(i << 16);
  compare_unary(op(), all);
  Guarded<float> random(1000000);
  for (size_t i = 0; i < random.size(); ++i)
    random[i] = i % 2 != 0 ? values.any_bits() : 30.0f * values.number();
  compare_unary(op(), random);
}

TEST_P(Unary, SimdEqualsScalarForEveryLength) {
  Values values(kSeed + 1);
  for (size_t n = 0; n <= 70; ++n) {
    Guarded<float> src(n);
    for (size_t i = 0; i < n; ++i) src[i] = values.hostile();
    compare_unary(op(), src);
  }
}

TEST_P(Unary, EveryNanResultIsCanonical) {
  for (const Numerics& t : all_tables()) {
    for (const uint32_t u : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xffffffffu, 0x7f800000u,
                             0xff800000u, 0xbf800000u}) {
      const float x = float_of(u);
      float y;
      t.unary(op(), &y, &x, 1);
      if (std::isnan(x) || std::isnan(y)) {
        EXPECT_EQ(bits_of(y), kNan) << t.name << std::hex << " " << u;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Elementwise, Unary,
                         ::testing::Range(0, static_cast<int>(UnaryOp::kCount)));

struct Point {
  UnaryOp op;
  float x;
  uint32_t y;
};

constexpr uint32_t kPlusInf = 0x7f800000u;
constexpr uint32_t kMinusInf = 0xff800000u;
constexpr uint32_t kOne = 0x3f800000u;
constexpr uint32_t kMinusOne = 0xbf800000u;
constexpr uint32_t kMinusZero = 0x80000000u;
constexpr float kInf = HUGE_VALF;
constexpr Point kPoints[] = {
    {UnaryOp::kNeg, 0.0f, kMinusZero},
    {UnaryOp::kAbs, -0.0f, 0},
    {UnaryOp::kRelu, -0.0f, 0},
    {UnaryOp::kRelu, -kInf, 0},
    {UnaryOp::kExp, 0.0f, kOne},
    {UnaryOp::kExp, -0.0f, kOne},
    {UnaryOp::kExp, -kInf, 0},
    {UnaryOp::kExp, kInf, kPlusInf},
    {UnaryOp::kExp, -104.0f, 0},
    {UnaryOp::kExp, -103.97f, 1},
    {UnaryOp::kExp, 88.75f, kPlusInf},
    {UnaryOp::kLog, 1.0f, 0},
    {UnaryOp::kLog, 0.0f, kMinusInf},
    {UnaryOp::kLog, -0.0f, kMinusInf},
    {UnaryOp::kLog, kInf, kPlusInf},
    {UnaryOp::kLog, -1.0f, kNan},
    {UnaryOp::kSqrt, -0.0f, kMinusZero},
    {UnaryOp::kSqrt, -1.0f, kNan},
    {UnaryOp::kRsqrt, 0.0f, kPlusInf},
    {UnaryOp::kRsqrt, -0.0f, kMinusInf},
    {UnaryOp::kRsqrt, kInf, 0},
    {UnaryOp::kRcp, -0.0f, kMinusInf},
    {UnaryOp::kRcp, -kInf, kMinusZero},
    {UnaryOp::kTanh, kInf, kOne},
    {UnaryOp::kTanh, -kInf, kMinusOne},
    {UnaryOp::kTanh, -0.0f, kMinusZero},
    {UnaryOp::kTanh, 1e-40f, bits_of(1e-40f)},
    {UnaryOp::kSigmoid, kInf, kOne},
    {UnaryOp::kSigmoid, -kInf, 0},
    {UnaryOp::kSigmoid, 0.0f, 0x3f000000u},
    {UnaryOp::kErf, kInf, kOne},
    {UnaryOp::kErf, -kInf, kMinusOne},
    {UnaryOp::kErf, -0.0f, kMinusZero},
    {UnaryOp::kGelu, kInf, kPlusInf},
    {UnaryOp::kGelu, -kInf, kMinusZero},
    {UnaryOp::kGelu, -0.0f, kMinusZero},
    {UnaryOp::kGelu, 1e30f, bits_of(1e30f)},
    {UnaryOp::kGeluErf, kInf, kPlusInf},
    {UnaryOp::kGeluErf, -kInf, kMinusZero},
    {UnaryOp::kGeluErf, -0.0f, kMinusZero},
    {UnaryOp::kSilu, kInf, kPlusInf},
    {UnaryOp::kSilu, -kInf, kMinusZero},
    {UnaryOp::kSilu, -0.0f, kMinusZero},
    {UnaryOp::kSin, -0.0f, kMinusZero},
    {UnaryOp::kSin, kInf, kNan},
    {UnaryOp::kCos, -kInf, kNan},
    {UnaryOp::kCos, 0.0f, kOne},
};

TEST(Elementwise, UnaryResultsAtSpecialPointsAreExact) {
  for (const Numerics& t : all_tables()) {
    for (const Point& p : kPoints) {
      float y;
      t.unary(p.op, &y, &p.x, 1);
      EXPECT_EQ(bits_of(y), p.y) << t.name << " op " << static_cast<int>(p.op) << " of " << p.x
                                 << " gave " << y;
    }
  }
}

TEST(Elementwise, SimdBinaryEqualsScalarForEveryLength) {
  Values values(kSeed + 2);
  const Numerics& s = scalar_numerics();
  for (int op = 0; op < static_cast<int>(BinaryOp::kCount); ++op) {
    const auto binary_op = static_cast<BinaryOp>(op);
    for (size_t n = 0; n <= 200; n += n < 70 ? 1 : 65) {
      Guarded<float> a(n), b(n), expected(n), expected_scalar(n);
      for (size_t i = 0; i < n; ++i) {
        a[i] = values.hostile();
        b[i] = values.hostile();
      }
      const float value = values.hostile();
      s.binary(binary_op, expected.data(), a.data(), b.data(), n);
      s.binary_scalar(binary_op, expected_scalar.data(), a.data(), value, n);
      for (const Numerics& t : simd_tables()) {
        Guarded<float> got(b);
        t.binary(binary_op, got.data(), a.data(), got.data(), n);
        ASSERT_TRUE(same_bits(got, expected)) << t.name << " op " << op;
        t.binary_scalar(binary_op, got.data(), a.data(), value, n);
        ASSERT_TRUE(same_bits(got, expected_scalar)) << t.name << " op " << op << " with " << value;
      }
    }
  }
}

TEST(Elementwise, MaxAndMinKnowTheSignOfZeroAndCarryNan) {
  const float a[] = {0.0f, -0.0f, -0.0f, std::nanf(""), 1.0f, -HUGE_VALF};
  const float b[] = {-0.0f, 0.0f, -0.0f, 1.0f, -std::nanf(""), 1.0f};
  const uint32_t largest[] = {0, 0, 0x80000000u, kNan, kNan, 0x3f800000u};
  const uint32_t smallest[] = {0x80000000u, 0x80000000u, 0x80000000u, kNan, kNan, 0xff800000u};
  for (const Numerics& t : all_tables()) {
    float y[std::size(a)];
    t.binary(BinaryOp::kMax, y, a, b, std::size(a));
    for (size_t i = 0; i < std::size(a); ++i)
      EXPECT_EQ(bits_of(y[i]), largest[i]) << t.name << " " << i;
    t.binary(BinaryOp::kMin, y, a, b, std::size(a));
    for (size_t i = 0; i < std::size(a); ++i)
      EXPECT_EQ(bits_of(y[i]), smallest[i]) << t.name << " " << i;
  }
}

TEST(Elementwise, SimdFmaEqualsScalarForEveryFormAndLength) {
  Values values(kSeed + 3);
  for (size_t n = 0; n <= 70; ++n) {
    Guarded<float> a(n), b(n), c(n), expected(n);
    for (size_t i = 0; i < n; ++i) {
      a[i] = values.hostile();
      b[i] = values.hostile();
      c[i] = values.hostile();
    }
    for (int form = 0; form < 4; ++form) {
      const float* pb = (form & 1) != 0 ? b.data() : nullptr;
      const float* pc = (form & 2) != 0 ? c.data() : nullptr;
      const float vb = values.hostile();
      const float vc = values.hostile();
      scalar_numerics().fma(expected.data(), a.data(), pb, vb, pc, vc, n);
      for (const Numerics& t : simd_tables()) {
        Guarded<float> got(a);
        t.fma(got.data(), got.data(), pb, vb, pc, vc, n);
        ASSERT_TRUE(same_bits(got, expected)) << t.name << " form " << form;
      }
    }
  }
}

TEST(Elementwise, MaskKeepsExactlyTheStatedRangeEvenAtTheEndsOfInt64) {
  Values values(kSeed + 4);
  const int64_t corners[] = {INT64_MIN, INT64_MIN + 3, -5,       -1, 0, 1, 7,
                             40,        INT64_MAX - 3, INT64_MAX};
  for (size_t n = 0; n <= 40; n += 13) {
    Guarded<float> src(n);
    for (size_t i = 0; i < n; ++i) src[i] = values.any_bits();
    for (const int64_t j0 : corners) {
      for (const int64_t lo : corners) {
        for (const int64_t limit : corners) {
          Guarded<float> expected(n);
          scalar_numerics().mask_row(expected.data(), src.data(), n, j0, lo, limit, -HUGE_VALF);
          for (const Numerics& t : simd_tables()) {
            Guarded<float> got(src);
            t.mask_row(got.data(), got.data(), n, j0, lo, limit, -HUGE_VALF);
            ASSERT_TRUE(same_bits(got, expected))
                << t.name << " j0=" << j0 << " lo=" << lo << " limit=" << limit;
            Guarded<float> copy(n);
            t.mask_row(copy.data(), src.data(), n, j0, lo, limit, -HUGE_VALF);
            ASSERT_TRUE(same_bits(copy, expected)) << t.name;
          }
        }
      }
    }
  }
}

TEST(Elementwise, CausalMaskKeepsColumnsUpToTheLimit) {
  const float src[] = {1, 2, 3, 4, 5};
  for (const Numerics& t : all_tables()) {
    float dst[5];
    t.mask_row(dst, src, 5, 10, 11, 13, -1.0f);
    const float expected[] = {-1, 2, 3, 4, -1};
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(dst[i], expected[i]) << t.name;
  }
}

TEST(Elementwise, SimdRotationEqualsScalarForEveryWidth) {
  Values values(kSeed + 5);
  for (size_t d = 0; d <= 140; d += 2) {
    Guarded<float> x(d), c(d / 2), s(d / 2), expected(d);
    values.fill(x);
    values.fill(c);
    values.fill(s);
    for (const bool half : {false, true}) {
      scalar_numerics().rope_row(expected.data(), x.data(), c.data(), s.data(), d, half);
      for (const Numerics& t : simd_tables()) {
        Guarded<float> got(x);
        t.rope_row(got.data(), got.data(), c.data(), s.data(), d, half);
        ASSERT_TRUE(same_bits(got, expected)) << t.name << " d=" << d << " half=" << half;
      }
    }
  }
}

TEST(Elementwise, RotationPairsNeighboursOrHalves) {
  const float x[] = {1, 2, 3, 4};
  const float c[] = {0, 1};  // pair 0 turns by 90 degrees, pair 1 stays
  const float s[] = {1, 0};
  for (const Numerics& t : all_tables()) {
    float y[4];
    t.rope_row(y, x, c, s, 4, false);
    const float neighbours[] = {-2, 1, 3, 4};
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(y[i], neighbours[i]) << t.name;
    t.rope_row(y, x, c, s, 4, true);
    const float halves[] = {-3, 2, 1, 4};
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(y[i], halves[i]) << t.name;
  }
}

}  // namespace
}  // namespace npu::model
