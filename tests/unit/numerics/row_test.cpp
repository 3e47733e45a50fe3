// SPDX-License-Identifier: Apache-2.0
// Reductions over a row: SIMD equals scalar, and the fused step equals its parts.
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 271828;

std::vector<Numerics> all_tables() {
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  return tables;
}

void compare(const Guarded<float>& a, float m) {
  const Numerics& s = scalar_numerics();
  const size_t n = a.size();
  Guarded<float> expected_p(n), expected_scaled(n);
  const float expected_sum = s.exp_sub_sum(expected_p.data(), a.data(), m, n);
  const float expected_max = s.scale_max(expected_scaled.data(), a.data(), m, n);
  for (const Numerics& t : simd_tables()) {
    SCOPED_TRACE(::testing::Message() << t.name << " n=" << n << " m=" << m);
    ASSERT_EQ(bits_of(t.sum(a.data(), n)), bits_of(s.sum(a.data(), n)));
    ASSERT_EQ(bits_of(t.sum_squares(a.data(), n)), bits_of(s.sum_squares(a.data(), n)));
    ASSERT_EQ(bits_of(t.max(a.data(), n)), bits_of(s.max(a.data(), n)));
    ASSERT_EQ(t.argmax(a.data(), n), s.argmax(a.data(), n));
    Guarded<float> p(a);
    ASSERT_EQ(bits_of(t.exp_sub_sum(p.data(), p.data(), m, n)), bits_of(expected_sum));
    ASSERT_TRUE(same_bits(p, expected_p));
    Guarded<float> scaled(a);
    ASSERT_EQ(bits_of(t.scale_max(scaled.data(), scaled.data(), m, n)), bits_of(expected_max));
    ASSERT_TRUE(same_bits(scaled, expected_scaled));
  }
}

TEST(Row, SimdEqualsScalarForEveryLength) {
  Values values(kSeed);
  for (int round = 0; round < 8; ++round) {
    for (size_t n = 0; n <= 70; ++n) {
      Guarded<float> a(n);
      values.fill(a);
      compare(a, values.hostile());
      for (size_t i = 0; i < n; ++i) a[i] = 20.0f * values.number();
      compare(a, 40.0f);
    }
  }
  for (const size_t n : {127, 128, 1000, 4097}) {
    Guarded<float> a(n);
    values.fill_numbers(a);
    compare(a, 2.0f);
  }
}

TEST(Row, SimdEqualsScalarOnRowsOfSpecialValuesOnly) {
  Values values(kSeed + 1);
  const float special[] = {0.0f, -0.0f, HUGE_VALF, -HUGE_VALF, float_of(0xffc12345u), 0x1p-149f};
  for (int round = 0; round < 2000; ++round) {
    Guarded<float> a(1 + values.below(40));
    const size_t kinds = 1 + values.below(std::size(special));
    for (size_t i = 0; i < a.size(); ++i)
      a[i] = special[(values.below(kinds) + static_cast<size_t>(round)) % std::size(special)];
    compare(a, special[values.below(std::size(special))]);
  }
}

TEST(Row, EmptyRowsHaveNeutralResults) {
  for (const Numerics& t : all_tables()) {
    EXPECT_EQ(bits_of(t.sum(nullptr, 0)), 0u) << t.name;
    EXPECT_EQ(bits_of(t.sum_squares(nullptr, 0)), 0u) << t.name;
    EXPECT_EQ(t.max(nullptr, 0), -HUGE_VALF) << t.name;
    EXPECT_EQ(t.argmax(nullptr, 0), 0u) << t.name;
    EXPECT_EQ(bits_of(t.exp_sub_sum(nullptr, nullptr, 0.0f, 0)), 0u) << t.name;
  }
}

TEST(Row, ArgmaxPassesOverNanAndTakesTheFirstOfEquals) {
  const float nan = std::nanf("");
  const float a[] = {nan, -HUGE_VALF, 3.0f, nan, 3.0f, -0.0f};
  const float only_low[] = {nan, nan, -HUGE_VALF, -HUGE_VALF};
  const float zeros[] = {-0.0f, 0.0f};
  const float nothing[] = {nan, nan, nan};
  for (const Numerics& t : all_tables()) {
    EXPECT_EQ(t.argmax(a, std::size(a)), 2u) << t.name;
    EXPECT_EQ(t.argmax(only_low, std::size(only_low)), 2u) << t.name;
    EXPECT_EQ(t.argmax(zeros, std::size(zeros)), 0u) << t.name;
    EXPECT_EQ(t.argmax(nothing, std::size(nothing)), 0u) << t.name;
  }
}

TEST(Row, SumFollowsTheTreeAndNotTheOrderOfTheElements) {
  // Lanes 0 and 8 cancel before lane 1 is added; a left-to-right sum would lose the one.
  float a[16] = {};
  a[0] = 0x1p30f;
  a[1] = 1.0f;
  a[8] = -0x1p30f;
  for (const Numerics& t : all_tables()) EXPECT_EQ(t.sum(a, 16), 1.0f) << t.name;
}

TEST(Row, FusedSoftmaxStepEqualsItsParts) {
  Values values(kSeed + 2);
  for (const Numerics& t : all_tables()) {
    for (size_t n = 1; n <= 70; ++n) {
      Guarded<float> s(n), p(n), parts(n);
      for (size_t i = 0; i < n; ++i)
        s[i] = values.below(9) == 0 ? -HUGE_VALF : 10.0f * values.number();
      const float m = t.max(s.data(), n);
      const float total = t.exp_sub_sum(p.data(), s.data(), m, n);
      t.binary_scalar(BinaryOp::kSub, parts.data(), s.data(), m, n);
      t.unary(UnaryOp::kExp, parts.data(), parts.data(), n);
      for (size_t i = 0; i < n; ++i) parts[i] = s[i] == -HUGE_VALF ? 0.0f : parts[i];
      ASSERT_TRUE(same_bits(p, parts)) << t.name;
      ASSERT_EQ(bits_of(total), bits_of(t.sum(parts.data(), n))) << t.name;
    }
  }
}

TEST(Row, FullyMaskedRowSumsToZero) {
  Guarded<float> s(37), p(37);
  for (size_t i = 0; i < s.size(); ++i) s[i] = -HUGE_VALF;
  for (const Numerics& t : all_tables()) {
    EXPECT_EQ(bits_of(t.exp_sub_sum(p.data(), s.data(), -HUGE_VALF, s.size())), 0u) << t.name;
    for (size_t i = 0; i < p.size(); ++i) ASSERT_EQ(bits_of(p[i]), 0u) << t.name;
  }
}

}  // namespace
}  // namespace npu::model
