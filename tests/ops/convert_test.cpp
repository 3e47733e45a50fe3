// SPDX-License-Identifier: Apache-2.0
// npuOpsConvert between every pair of types: values of narrow types are exact, and fp32 is rounded as the formats say.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/ops/formats.h"
#include "tests/ops/session.h"

namespace npu::test {
namespace {

struct Shape {
  uint32_t rows, cols;
};
constexpr Shape kShapes[] = {{1, 1}, {3, 37}, {2, 300}, {5, 64}};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

class Conversions : public Session {
 protected:
  npuOpsElementwiseInfo info(const Format& from, npuDevPtr x, const Format& to, Shape s) {
    auto e = blank<npuOpsElementwiseInfo>();
    e.type = from.type, e.out_type = to.type;
    e.rows = s.rows, e.cols = s.cols;
    e.x = x, e.y = alloc(s.rows * row_bytes(to, s.cols));
    return e;
  }
  std::vector<uint8_t> run(const npuOpsElementwiseInfo& e) {
    NPU_EXPECT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
    return get_bytes(e.y, e.rows * row_bytes(format_of(e.out_type), e.cols));
  }
  std::vector<float> values(const npuOpsElementwiseInfo& e) {
    return values_of(format_of(e.out_type), run(e), e.rows, e.cols);
  }
  npuDevPtr put_rows(const std::vector<float>& x) { return put(NPU_FLOAT32, x); }
};

// The value of |type|'s elements next to |x|, halves to the even code.
float nearest(const std::vector<float>& codes, float x) {
  size_t best = codes.size();
  for (size_t code = 0; code < codes.size(); ++code) {
    if (!std::isfinite(codes[code])) continue;
    if (codes[code] != 0 && std::signbit(codes[code]) != std::signbit(x)) continue;
    if (best == codes.size()) best = code;
    const double distance = std::fabs(double{codes[code]} - x);
    const double least = std::fabs(double{codes[best]} - x);
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return best == codes.size() ? 0.0f : codes[best];
}

TEST_F(Conversions, NarrowValuesBecomeFp32ExactlyAndComeBack) {
  const Format& wide = format_of(NPU_FLOAT32);
  std::mt19937 engine(1);
  for (const Format& f : formats()) {
    if (f.type == NPU_FLOAT32 || f.type == NPU_Q4_K || f.type == NPU_Q6_K) continue;
    for (Shape s : kShapes) {
      SCOPED_TRACE(testing::Message() << f.name << " " << s.rows << " x " << s.cols << ", seed 1");
      const std::vector<uint8_t> bytes = random_bytes(f, s.rows, s.cols, engine);
      const std::vector<float> want = values_of(f, bytes, s.rows, s.cols);
      auto e = info(f, put_bytes(bytes), wide, s);
      ASSERT_EQ(values(e), want);
      if (f.type == NPU_Q8_0 || f.type == NPU_Q4_0) continue;  // their scales are not powers of two
      auto to = info(wide, e.y, f, s);
      // The scale that this rule chooses is never larger than the one that was there.
      if (f.type >= NPU_MXFP8_E4M3 && f.type <= NPU_MXINT8) to.scale_rule = NPU_OPS_SCALE_CEIL;
      const std::vector<float> back = values(to);
      ASSERT_EQ(back, want);
    }
  }
}

TEST_F(Conversions, Fp8IsTheNearestValueAndSaturatesOrOverflows) {
  const Format& wide = format_of(NPU_FLOAT32);
  for (npuDataType type : {NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2}) {
    const std::vector<float> codes = element_values(type);
    const float largest = type == NPU_FLOAT8_E4M3 ? 448 : 57344;
    std::vector<float> x = numbers(500, 2);
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::ldexp(x[i], static_cast<int>(i % 24) - 14);
    for (float v : {0.0f, -0.0f, largest, largest * 1.2f, -largest * 4, kInf, -kInf, kNan})
      x.push_back(v);
    const Shape s{1, static_cast<uint32_t>(x.size())};
    auto e = info(wide, put_rows(x), format_of(type), s);
    const std::vector<float> got = values(e);
    e.overflow = 1;
    const std::vector<float> open = values(e);
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) {
        ASSERT_TRUE(std::isnan(got[i]) && std::isnan(open[i])) << i;
        continue;
      }
      ASSERT_EQ(got[i], nearest(codes, std::clamp(x[i], -largest, largest))) << i;
      if (std::fabs(x[i]) <= largest) {
        ASSERT_EQ(open[i], got[i]) << i;
      } else if (type == NPU_FLOAT8_E4M3) {
        ASSERT_TRUE(std::isnan(open[i])) << i;
      } else {
        ASSERT_EQ(open[i], std::copysign(kInf, x[i])) << i;
      }
    }
  }
}

// The exponent of a block's scale by the rule of the OCP specification.
float floor_scale(const float* block, size_t count, float largest) {
  float m = 0;
  for (size_t i = 0; i < count; ++i) m = std::max(m, std::fabs(block[i]));
  if (m == 0) return 1;
  int of_m = 0, of_largest = 0;
  std::frexp(m, &of_m);
  std::frexp(largest, &of_largest);
  return std::ldexp(1.0f, of_m - of_largest);
}

TEST_F(Conversions, OcpMxHasTheScaleOfTheSpecificationAndTheNearestElements) {
  constexpr Shape kShape{4, 150};  // the last block has 22 elements
  std::vector<float> x = numbers(kShape.rows * kShape.cols, 3);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::ldexp(x[i], static_cast<int>(i * 7 % 9) - 4);
  const npuDevPtr at = put_rows(x);
  for (npuDataType type :
       {NPU_MXFP8_E4M3, NPU_MXFP8_E5M2, NPU_MXFP6_E2M3, NPU_MXFP6_E3M2, NPU_MXFP4, NPU_MXINT8}) {
    const std::vector<float> codes = element_values(type);
    float largest = 0;
    for (float v : codes)
      if (std::isfinite(v)) largest = std::max(largest, v);
    const std::vector<float> got =
        values(info(format_of(NPU_FLOAT32), at, format_of(type), kShape));
    for (uint32_t i = 0; i < kShape.rows; ++i) {
      for (uint32_t j = 0; j < kShape.cols; ++j) {
        const uint32_t first = i * kShape.cols + j / 32 * 32;
        const float scale =
            floor_scale(&x[first], std::min(32u, kShape.cols - j / 32 * 32), largest);
        const uint32_t e = i * kShape.cols + j;
        const float element = std::clamp(x[e] / scale, -largest, largest);
        ASSERT_EQ(got[e], scale * nearest(codes, element)) << format_of(type).name << " " << e;
      }
    }
  }
}

TEST_F(Conversions, EachScaleRuleBoundsTheErrorAndCeilNeverSaturates) {
  constexpr Shape kShape{3, 64};
  const std::vector<float> x = numbers(kShape.rows * kShape.cols, 4);
  auto e = info(format_of(NPU_FLOAT32), put_rows(x), format_of(NPU_MXFP8_E4M3), kShape);
  std::vector<std::vector<uint8_t>> of_rule;
  for (npuOpsScaleRule rule = NPU_OPS_SCALE_FLOOR; rule <= NPU_OPS_SCALE_WIDE; ++rule) {
    e.scale_rule = rule;
    of_rule.push_back(run(e));
    const std::vector<float> got = values(e);
    const bool saturates = rule == NPU_OPS_SCALE_FLOOR || rule == NPU_OPS_SCALE_EVEN;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = saturates ? 0.125 : 0.0625;
      ASSERT_NEAR(got[i], x[i], error * std::fabs(x[i]) + 0x1p-16) << rule << " " << i;
    }
  }
  for (size_t block = 0; block < of_rule[0].size(); block += 33)
    EXPECT_EQ(of_rule[3][block], of_rule[0][block] + 1);
}

TEST_F(Conversions, EveryPairOfTypesGoesByWayOfFp32) {
  constexpr Shape kShape{2, 70};
  const Format& wide = format_of(NPU_FLOAT32);
  std::mt19937 engine(5);
  for (const Format& from : formats()) {
    const npuDevPtr x = put_bytes(random_bytes(from, kShape.rows, kShape.cols, engine));
    npuDevPtr as_wide = x;
    if (from.type != NPU_FLOAT32) {
      auto e = info(from, x, wide, kShape);
      run(e);
      as_wide = e.y;
    }
    for (size_t t = 0; t < kWrittenFormats; ++t) {
      const Format& to = formats()[t];
      if (to.type == from.type || to.type == NPU_FLOAT32 || from.type == NPU_FLOAT32) continue;
      ASSERT_EQ(run(info(from, x, to, kShape)), run(info(wide, as_wide, to, kShape)))
          << from.name << " to " << to.name;
    }
  }
}

TEST_F(Conversions, ScaleDistancesAndPaddingAreKept) {
  const Format& mx = format_of(NPU_MXFP4);
  const std::vector<float> x = numbers(3 * 50, 6);
  auto e = info(format_of(NPU_FLOAT32), put_rows(x), mx, {3, 96});
  std::vector<uint8_t> marks(3 * row_bytes(mx, 96), 0xa5);
  e.y = put_bytes(marks);
  e.cols = 40, e.ldx = 50, e.ldy = 96, e.scale = 0.5f;
  NPU_ASSERT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
  const std::vector<uint8_t> got = get_bytes(e.y, marks.size());
  auto dense = info(format_of(NPU_FLOAT32), e.x, mx, {3, 40});
  dense.ldx = 50, dense.scale = 0.5f;
  const std::vector<uint8_t> want = run(dense);
  for (size_t i = 0; i < got.size(); ++i) {
    const size_t row = i / 51, at = i % 51;
    ASSERT_EQ(got[i], at < 34 ? want[row * 34 + at] : 0xa5) << i;
    // Byte i of the second block holds its elements i, from 8 on padding, and i + 16.
    if (at >= 26 && at < 34) {
      ASSERT_EQ(got[i], 0) << "padding " << i;
    }
  }
}

TEST_F(Conversions, ABlockWithANanBecomesNanAndNoOther) {
  std::vector<float> x = numbers(64, 7);
  x[40] = kNan;
  const npuDevPtr at = put_rows(x);
  for (npuDataType type : {NPU_MXFP8_E4M3, NPU_MXFP4, NPU_MXINT8}) {
    const std::vector<float> got =
        values(info(format_of(NPU_FLOAT32), at, format_of(type), {1, 64}));
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(std::isnan(got[i]), i >= 32) << i;
  }
}

TEST_F(Conversions, NothingIsNoError) {
  auto e = blank<npuOpsElementwiseInfo>();
  e.out_type = NPU_MXFP4;
  uint64_t value = 0;
  for (auto [rows, cols] : {Shape{0, 5}, {5, 0}, {0, 0}}) {
    e.rows = rows, e.cols = cols;
    NPU_EXPECT_OK(npuOpsConvert(ops_, queue_, &e, &value));
  }
  EXPECT_NE(value, 0u);
  finish();
}

TEST(ConvertCheck, WhatIsNotWrittenOrDoesNotBelongTogetherIsRefused) {
  auto base = blank<npuOpsElementwiseInfo>();
  base.rows = 2, base.cols = 64, base.x = base.y = 64;
  base.out_type = NPU_MXFP8_E4M3;
  const auto check = [&](auto change) {
    npuOpsElementwiseInfo e = base;
    change(e);
    return npuOpsCheck(NPU_OPS_CONVERT, &e);
  };
  using Info = npuOpsElementwiseInfo;
  EXPECT_EQ(check([](Info&) {}), NPU_OK);
  EXPECT_EQ(check([](Info& e) { e.out_type = NPU_Q4_K; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check([](Info& e) { e.out_type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check([](Info& e) { e.type = NPU_INT64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(check([](Info& e) { e.type = 99; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.type = e.out_type; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.scale_rule = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.overflow = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.out_type = NPU_MX9, e.scale_rule = 1; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.ldy = 65; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.ldy = 32; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.y = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(check([](Info& e) { e.y = 65; }), NPU_OK);
  EXPECT_EQ(check([](Info& e) { e.out_type = NPU_Q8_0, e.y = 65; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(check([](Info& e) { e.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(check([](Info& e) { e.b = 64; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(check([](Info& e) { e.cols = INT32_MAX; }), NPU_ERROR_OVERFLOW);
  base.out_type = NPU_FLOAT32, base.scale = 2;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_UNARY, &base), NPU_ERROR_INVALID_ARGUMENT);
}

TEST(ConvertCheck, TheStructOfTheFirstReleaseIsTaken) {
  auto e = blank<npuOpsElementwiseInfo>();
  e.struct_size = 80;
  e.rows = e.cols = 4, e.x = e.y = 64, e.out_type = NPU_BFLOAT16;
  e.scale_rule = 77;  // lies behind what that release knows
  EXPECT_EQ(npuOpsCheck(NPU_OPS_CONVERT, &e), NPU_OK) << npuOpsGetErrorText();
  e.struct_size = 76;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_CONVERT, &e), NPU_ERROR_STRUCT_SIZE);
}

}  // namespace
}  // namespace npu::test
