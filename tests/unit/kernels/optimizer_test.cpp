// SPDX-License-Identifier: Apache-2.0
// AdamW against double precision over several steps; sums of squares.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/matrix.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

npuOpsAdamWInfo adamw_info() {
  auto a = blank<npuOpsAdamWInfo>();
  a.lr = 0.01f, a.beta1 = 0.9f, a.beta2 = 0.95f, a.eps = 1e-8f, a.weight_decay = 0.1f;
  a.step = 1;
  return a;
}

TEST(AdamW, FollowsTheReferenceOverSteps) {
  for (uint32_t count : {1u, 1000u, 40001u}) {
    SCOPED_TRACE(count);
    Rig rig;
    Random random(count);
    npuOpsAdamWInfo a = adamw_info();
    std::vector<float> p32 = random.values(count);
    std::vector<double> p(p32.begin(), p32.end()), m(count), v(count);
    a.count = count;
    a.p = rig.put(DType::F32, p32);
    a.m = rig.put(DType::F32, std::vector<float>(count));
    a.v = rig.put(DType::F32, std::vector<float>(count));
    a.copy = rig.put(DType::BF16, std::vector<float>(count));
    a.grad_scale = rig.put(DType::F32, {0.5f});
    for (a.step = 1; a.step <= 4; ++a.step) {
      const std::vector<float> g = random.values(count);
      a.g = rig.put(DType::F32, g);
      run_planned(rig, NPU_OPS_ADAMW, &a);
      const double lr = a.lr, b1 = a.beta1, b2 = a.beta2, step = static_cast<double>(a.step);
      for (uint32_t i = 0; i < count; ++i) {
        const double slope = 0.5 * g[i];
        m[i] = b1 * m[i] + (1 - b1) * slope;
        v[i] = b2 * v[i] + (1 - b2) * slope * slope;
        p[i] -= lr * a.weight_decay * p[i];
        p[i] -= lr * (m[i] / (1 - std::pow(b1, step))) /
                (std::sqrt(v[i] / (1 - std::pow(b2, step))) + a.eps);
      }
    }
    const std::vector<float> got = rig.get(DType::F32, a.p, count);
    const std::vector<float> copy = rig.get(DType::BF16, a.copy, count);
    for (uint32_t i = 0; i < count; ++i) {
      ASSERT_NEAR(got[i], p[i], 4e-6 * std::fabs(p[i]) + 4e-6 * 0.01 + 4 * 0x1p-24) << i;
      ASSERT_EQ(copy[i], rounded(DType::BF16, got[i])) << i;
    }
  }
}

TEST(AdamW, NanStaysInItsParameterAndZeroGradientsDivideByEps) {
  Rig rig;
  npuOpsAdamWInfo a = adamw_info();
  a.count = 3, a.weight_decay = 0;
  a.p = rig.put(DType::F32, {1, 2, 3});
  a.g = rig.put(DType::F32, {0, std::numeric_limits<float>::quiet_NaN(), 1});
  a.m = rig.put(DType::F32, std::vector<float>(3));
  a.v = rig.put(DType::F32, std::vector<float>(3));
  run_planned(rig, NPU_OPS_ADAMW, &a);
  const std::vector<float> got = rig.get(DType::F32, a.p, 3);
  EXPECT_EQ(got[0], 1);
  EXPECT_TRUE(std::isnan(got[1]));
  EXPECT_NEAR(got[2], 2.99, 1e-6);
}

// What an fp32 step makes of the same parameters, rounded once.
TEST(AdamW, Bf16ParametersAreThoseOfFp32RoundedOnce) {
  for (uint32_t count : {1u, 777u, 40001u}) {
    for (npuOpsRoundingMode mode : {NPU_OPS_ROUND_NEAREST, NPU_OPS_ROUND_STOCHASTIC}) {
      SCOPED_TRACE(testing::Message() << count << " parameters, mode " << mode);
      Rig rig;
      Random random(count);
      npuOpsAdamWInfo a = adamw_info();
      const std::vector<float> p = random.values(count, DType::BF16);
      a.count = count, a.g = rig.put(DType::F32, random.values(count));
      const auto step = [&](npuDataType type, uint64_t at, uint64_t copy) {
        a.type = type, a.p = at, a.copy = copy;
        a.m = rig.put(DType::F32, std::vector<float>(count, 0.25f));
        a.v = rig.put(DType::F32, std::vector<float>(count, 0.5f));
        run_planned(rig, NPU_OPS_ADAMW, &a);
      };
      if (mode == NPU_OPS_ROUND_STOCHASTIC) a.rounding = {mode, 0, 99, ~uint64_t{0} - 5};
      step(NPU_FLOAT32, rig.put(DType::F32, p), rig.put(DType::BF16, p));
      const std::vector<float> wide = rig.get(DType::F32, a.p, count);
      const std::vector<float> copy = rig.get(DType::BF16, a.copy, count);
      step(NPU_BFLOAT16, rig.put(DType::BF16, p), 0);
      ASSERT_EQ(rig.get(DType::BF16, a.p, count), copy);
      for (uint32_t i = 0; i < count && mode == NPU_OPS_ROUND_NEAREST; ++i)
        ASSERT_EQ(copy[i], rounded(DType::BF16, wide[i])) << i;
    }
  }
}

TEST(AdamWPlan, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change) {
    npuOpsAdamWInfo a = adamw_info();
    a.count = 4, a.p = a.g = a.m = a.v = kSomewhere;
    change(a);
    return ops::plan_of(NPU_OPS_ADAMW, &a, &plan);
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& a) { a.step = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) { a.beta1 = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([&](auto& a) { a.beta2 = nan; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([&](auto& a) { a.eps = nan; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) { a.eps = -1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) { a.lr = HUGE_VALF; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([&](auto& a) { a.weight_decay = nan; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) { a.rounding.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result([](auto& a) { a.v = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& a) { a.copy = 3; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& a) { a.grad_scale = 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& a) { a.count = 1u << 31; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& a) { a.count = 0, a.p = 0; }), NPU_OK);
}

TEST(AdamWPlan, RoundsOnlyWhatIsNarrow) {
  ops::Plan plan;
  auto result = [&](auto change) {
    npuOpsAdamWInfo a = adamw_info();
    a.count = 4, a.p = a.g = a.m = a.v = kSomewhere;
    a.rounding.mode = NPU_OPS_ROUND_STOCHASTIC;
    change(a);
    return ops::plan_of(NPU_OPS_ADAMW, &a, &plan);
  };
  EXPECT_EQ(result([](auto& a) { a.type = NPU_BFLOAT16; }), NPU_OK);
  EXPECT_EQ(result([](auto& a) { a.type = NPU_BFLOAT16, a.p += 2; }), NPU_OK);
  EXPECT_EQ(result([](auto& a) { a.copy = kSomewhere; }), NPU_OK);
  EXPECT_EQ(result([](auto&) {}), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& a) { a.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& a) { a.type = -1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) { a.type = NPU_BFLOAT16, a.copy = kSomewhere; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) { a.type = NPU_BFLOAT16, a.rounding.mode = 2; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) {
              a.rounding = {NPU_OPS_ROUND_NEAREST, 0, 1, 0};
            }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& a) {
              a.rounding = {NPU_OPS_ROUND_NEAREST, 0, 0, 1};
            }),
            NPU_ERROR_INVALID_ARGUMENT);
}

TEST(AdamWPlan, TheStructWithoutRoundingIsTaken) {
  ops::Plan plan;
  npuOpsAdamWInfo a = adamw_info();
  a.count = 4, a.p = a.g = a.m = a.v = kSomewhere;
  a.struct_size = 88, a.rounding.mode = 77;  // lies behind the struct
  EXPECT_EQ(ops::plan_of(NPU_OPS_ADAMW, &a, &plan), NPU_OK);
  a.struct_size = 84;
  EXPECT_EQ(ops::plan_of(NPU_OPS_ADAMW, &a, &plan), NPU_ERROR_STRUCT_SIZE);
}

TEST(SumSquares, HasOneNumberForEachPart) {
  for (DType type : kElementTypes) {
    for (uint32_t count : {1u, NPU_OPS_SUM_SQUARES_PART + 0u, NPU_OPS_SUM_SQUARES_PART + 5u}) {
      Rig rig;
      Random random(count);
      Matrix x(rig, random, type, 1, count);
      const uint32_t parts = ceil_div(count, NPU_OPS_SUM_SQUARES_PART);
      auto s = blank<npuOpsSumSquaresInfo>();
      s.type = public_type(type), s.count = count, s.x = x.dva();
      s.y = rig.put(DType::F32, std::vector<float>(parts));
      run_planned(rig, NPU_OPS_SUM_SQUARES, &s);
      const std::vector<float> got = rig.get(DType::F32, s.y, parts);
      for (uint32_t part = 0; part < parts; ++part) {
        double want = 0;
        const uint32_t first = part * NPU_OPS_SUM_SQUARES_PART;
        for (uint32_t i = first; i < std::min(count, first + NPU_OPS_SUM_SQUARES_PART); ++i)
          want += x.at(0, i) * x.at(0, i);
        EXPECT_NEAR(got[part], want, want * tree_error(NPU_OPS_SUM_SQUARES_PART));
      }
    }
  }
  auto s = blank<npuOpsSumSquaresInfo>();
  ops::Plan plan;
  s.count = 5, s.x = kSomewhere;
  EXPECT_EQ(ops::plan_of(NPU_OPS_SUM_SQUARES, &s, &plan), NPU_ERROR_INVALID_ADDRESS);
  s.y = kSomewhere, s.reserved = 1;
  EXPECT_EQ(ops::plan_of(NPU_OPS_SUM_SQUARES, &s, &plan), NPU_ERROR_RESERVED_NOT_ZERO);
}

}  // namespace
}  // namespace npu::kernels
