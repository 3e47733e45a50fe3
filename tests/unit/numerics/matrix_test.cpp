// SPDX-License-Identifier: Apache-2.0
// Matrix products: SIMD equals the scalar definition bit for bit, the definition equals its written formula.
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

struct Shape {
  size_t m, n, k, pad;  // pad: distance of the strides from their smallest value
};

constexpr uint64_t kSeed = 20240611;

Guarded<float> run_mm(const Numerics& t, const Shape& s, bool panel, bool accumulate,
                      const Guarded<float>& a, const Guarded<float>& b, const Guarded<float>& c) {
  Guarded<float> out(c);
  const size_t ldb = s.n + s.pad;
  t.mm({s.m, s.n, s.k, a.data(), s.k + s.pad, b.data(), panel ? (s.k + s.pad) * 16 : 16,
        panel ? 16 : ldb, out.data(), s.n + s.pad, accumulate});
  return out;
}

void compare_mm(const Shape& s, Values& values) {
  if (s.m == 0 || s.n == 0) return;
  // The last row ends where its last column ends: nothing may be read behind it.
  Guarded<float> a((s.m - 1) * (s.k + s.pad) + s.k);
  Guarded<float> c((s.m - 1) * (s.n + s.pad) + s.n);
  values.fill(a);
  values.fill(c);
  for (const bool panel : {false, true}) {
    const size_t rows = s.k == 0 ? 0 : (s.k - 1) * (s.n + s.pad) + s.n;
    Guarded<float> b(panel ? (s.n + 15) / 16 * 16 * (s.k + s.pad) : rows);
    values.fill(b);
    for (const bool accumulate : {false, true}) {
      const Guarded<float> expected = run_mm(scalar_numerics(), s, panel, accumulate, a, b, c);
      for (const Numerics& t : simd_tables()) {
        ASSERT_TRUE(same_bits(run_mm(t, s, panel, accumulate, a, b, c), expected))
            << t.name << " m=" << s.m << " n=" << s.n << " k=" << s.k << " pad=" << s.pad
            << " panel=" << panel << " accumulate=" << accumulate;
      }
    }
  }
}

TEST(Matrix, SimdProductEqualsScalarForEverySmallShape) {
  Values values(kSeed);
  for (size_t m = 0; m <= 33; ++m) {
    for (const size_t n : {0, 1, 7, 15, 16, 17, 31, 32, 33, 48, 63, 70})
      compare_mm({m, n, 1 + values.below(20), values.below(4)}, values);
  }
  for (size_t n = 1; n <= 70; ++n)
    compare_mm({1 + values.below(6), n, values.below(40), values.below(3)}, values);
  for (size_t k = 0; k <= 70; ++k)
    compare_mm({1 + values.below(20), 1 + values.below(50), k, values.below(3)}, values);
}

TEST(Matrix, SimdProductEqualsScalarForManyPanelsAndDeepChains) {
  Values values(kSeed + 1);
  for (const size_t m : {1, 2, 3, 4, 5, 13, 15, 28, 29})
    compare_mm({m, 16 * (1 + values.below(19)), 17, 0}, values);
  compare_mm({3, 40, 700, 1}, values);
  compare_mm({30, 40, 513, 0}, values);
  compare_mm({17, 33, 1024, 0}, values);
  // Rows of A a multiple of 4 KiB apart take a way of their own.
  compare_mm({59, 75, 1024, 0}, values);
  compare_mm({5, 64, 2048, 0}, values);
}

TEST(Matrix, ProductIsOneFusedChainInAscendingOrder) {
  // 2^24 + 1 - 2^24 in that order gives 0 in a chain that rounds each step; any other order gives 1.
  const float a[] = {0x1p24f, 1.0f, -0x1p24f};
  const float b[] = {1.0f, 1.0f, 1.0f};
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  for (const Numerics& t : tables) {
    float c = 0.5f;
    t.mm({1, 1, 3, a, 3, b, 16, 1, &c, 1, false});
    EXPECT_EQ(c, 0.0f) << t.name;
    // x^2 - 1 with x = 1 + 2^-12 keeps its last bit only when the product is not rounded.
    const float x[] = {1.0f, 1.0f + 0x1p-12f};
    const float y[] = {-1.0f, 1.0f + 0x1p-12f};
    t.mm({1, 1, 2, x, 2, y, 16, 1, &c, 1, false});
    EXPECT_EQ(c, 0x1p-11f + 0x1p-24f) << t.name;
  }
}

Guarded<float> run_dot(const Numerics& t, const Shape& s, bool accumulate, const Guarded<float>& a,
                       const Guarded<float>& b, const Guarded<float>& c) {
  Guarded<float> out(c);
  t.dot_rows({s.m, s.n, s.k, a.data(), s.k + s.pad, b.data(), s.k + s.pad, out.data(), s.n + s.pad,
              accumulate});
  return out;
}

void compare_dot(const Shape& s, Values& values) {
  if (s.m == 0 || s.n == 0) return;
  Guarded<float> a((s.m - 1) * (s.k + s.pad) + s.k);
  Guarded<float> b((s.n - 1) * (s.k + s.pad) + s.k);
  Guarded<float> c((s.m - 1) * (s.n + s.pad) + s.n);
  values.fill(a);
  values.fill(b);
  values.fill(c);
  for (const bool accumulate : {false, true}) {
    const Guarded<float> expected = run_dot(scalar_numerics(), s, accumulate, a, b, c);
    for (const Numerics& t : simd_tables()) {
      ASSERT_TRUE(same_bits(run_dot(t, s, accumulate, a, b, c), expected))
          << t.name << " m=" << s.m << " n=" << s.n << " k=" << s.k << " pad=" << s.pad
          << " accumulate=" << accumulate;
    }
  }
}

TEST(Matrix, SimdRowDotsEqualScalarForEverySmallShape) {
  Values values(kSeed + 2);
  for (size_t k = 0; k <= 70; ++k)
    compare_dot({1 + values.below(9), 1 + values.below(40), k, values.below(3)}, values);
  for (size_t n = 0; n <= 70; ++n)
    compare_dot({1 + values.below(7), n, values.below(50), values.below(3)}, values);
  for (size_t m = 0; m <= 20; ++m)
    compare_dot({m, 1 + values.below(35), values.below(50), values.below(3)}, values);
  compare_dot({5, 37, 1000, 0}, values);
}

TEST(Matrix, RowDotLeavesALaneWithoutAnElementUntouched) {
  // Lane 1 underflows to -0; a padded lane would turn it into +0 and so change the sign of the total.
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  for (const Numerics& t : tables) {
    float a[32] = {};
    float b[32] = {};
    for (float& x : a) x = -0x1p-100f;
    for (float& x : b) x = 0x1p-100f;
    for (const size_t k : {16, 17, 31, 32}) {
      float c = 1.0f;
      t.dot_rows({1, 1, k, a, 32, b, 32, &c, 1, false});
      EXPECT_EQ(bits_of(c), 0x80000000u) << t.name << " k=" << k;
    }
  }
}

}  // namespace
}  // namespace npu::model
