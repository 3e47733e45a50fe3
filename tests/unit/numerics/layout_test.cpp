// SPDX-License-Identifier: Apache-2.0
// Panel packing and transposition: SIMD equals scalar, scalar equals the written index formula.
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 4711;

struct Case {
  size_t k, n, pad;
  bool transposed;
};

size_t source_elements(const Case& c) {
  if (c.k == 0 || c.n == 0) return 0;
  return c.transposed ? (c.n - 1) * (c.k + c.pad) + c.k : (c.k - 1) * (c.n + c.pad) + c.n;
}

size_t panel_elements(const Case& c) { return (c.n + 15) / 16 * 16 * c.k; }

template <typename From, typename To>
Guarded<To> run(void (*fn)(To*, const PackArgs&), const Case& c, Elem elem,
                const Guarded<From>& src) {
  Guarded<To> dst(panel_elements(c));
  std::memset(dst.data(), 0x55, dst.size() * sizeof(To));
  fn(dst.data(),
     {c.k, c.n, src.data(), elem, (c.transposed ? c.k : c.n) + c.pad, c.transposed, c.k * 16});
  return dst;
}

void compare(const Case& c, Values& values) {
  Guarded<float> wide(source_elements(c));
  Guarded<uint16_t> narrow(source_elements(c));
  for (size_t i = 0; i < wide.size(); ++i) {
    wide[i] = values.any_bits();
    narrow[i] = static_cast<uint16_t>(values.below(65536));
  }
  const Numerics& scalar = scalar_numerics();
  for (const Numerics& t : simd_tables()) {
    SCOPED_TRACE(::testing::Message() << t.name << " k=" << c.k << " n=" << c.n << " pad=" << c.pad
                                      << " T=" << c.transposed);
    ASSERT_TRUE(same_bits(run(t.pack_panel, c, Elem::kF32, wide),
                          run(scalar.pack_panel, c, Elem::kF32, wide)));
    ASSERT_TRUE(same_bits(run(t.pack_panel, c, Elem::kBf16, narrow),
                          run(scalar.pack_panel, c, Elem::kBf16, narrow)));
    ASSERT_TRUE(same_bits(run(t.pack_panel, c, Elem::kF16, narrow),
                          run(scalar.pack_panel, c, Elem::kF16, narrow)));
    ASSERT_TRUE(same_bits(run(t.pack_panel_u16, c, Elem::kBf16, narrow),
                          run(scalar.pack_panel_u16, c, Elem::kBf16, narrow)));
  }
}

TEST(Layout, SimdPackEqualsScalarForEveryWidthAndDepth) {
  Values values(kSeed);
  for (const bool transposed : {false, true}) {
    for (size_t n = 0; n <= 70; ++n)
      compare({1 + values.below(40), n, values.below(3), transposed}, values);
    for (size_t k = 0; k <= 70; ++k)
      compare({k, 1 + values.below(40), values.below(3), transposed}, values);
  }
}

TEST(Layout, PackPutsEachElementInItsPlaceAndZerosBehind) {
  constexpr size_t kDepth = 3;
  constexpr size_t kWidth = 20;
  float rows[kDepth * kWidth];
  for (size_t i = 0; i < std::size(rows); ++i) rows[i] = 1.0f + static_cast<float>(i);
  float panel[2 * kDepth * 16];
  scalar_numerics().pack_panel(panel,
                               {kDepth, kWidth, rows, Elem::kF32, kWidth, false, kDepth * 16});
  for (size_t k = 0; k < kDepth; ++k) {
    for (size_t j = 0; j < 32; ++j) {
      EXPECT_EQ(panel[(j / 16) * kDepth * 16 + k * 16 + j % 16],
                j < kWidth ? rows[k * kWidth + j] : 0.0f);
    }
  }
}

template <typename T>
void compare_transpose(void (*simd)(T*, size_t, const T*, size_t, size_t, size_t), size_t rows,
                       size_t cols, size_t pad, Values& values) {
  Guarded<T> src(rows == 0 || cols == 0 ? 0 : (rows - 1) * (cols + pad) + cols);
  for (size_t i = 0; i < src.size(); ++i) src[i] = static_cast<T>(bits_of(values.any_bits()));
  Guarded<T> dst(rows == 0 || cols == 0 ? 0 : (cols - 1) * (rows + pad) + rows);
  std::memset(dst.data(), 0x55, dst.size() * sizeof(T));
  Guarded<T> expected(dst);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) expected[j * (rows + pad) + i] = src[i * (cols + pad) + j];
  }
  simd(dst.data(), rows + pad, src.data(), cols + pad, rows, cols);
  ASSERT_TRUE(same_bits(dst, expected)) << rows << " x " << cols << " pad " << pad;
}

TEST(Layout, TransposeMovesEachElementAndTouchesNothingElse) {
  Values values(kSeed + 1);
  std::vector<Numerics> tables = simd_tables();
  tables.push_back(scalar_numerics());
  for (const Numerics& t : tables) {
    for (size_t n = 0; n <= 40; ++n) {
      compare_transpose<uint32_t>(t.transpose_u32, n, values.below(40), values.below(3), values);
      compare_transpose<uint16_t>(t.transpose_u16, n, values.below(40), values.below(3), values);
    }
  }
}

}  // namespace
}  // namespace npu::model
