// SPDX-License-Identifier: Apache-2.0
// Cross-entropy with its gradient, and the gradient of softmax, against double precision and against finite differences.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/matrix.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  uint32_t rows, cols, pad;
};
constexpr Shape kShapes[] = {{1, 1, 0},    {3, 17, 2},  {17, 33, 0},
                             {2, 1000, 5}, {130, 9, 1}, {1, 50257, 0}};

// A loss with targets, some of them ignored.
class LossJob {
 public:
  LossJob(const Shape& s, DType type, uint32_t seed, float size)
      : shape(s), random(seed), x(rig, random, type, s.rows, s.cols, s.pad, size), type_(type) {
    for (uint32_t i = 0; i < s.rows; ++i)
      targets.push_back(i % 5 == 3 ? -100 : static_cast<int32_t>(random.below(s.cols)));
    info.type = public_type(type);
    info.rows = s.rows, info.cols = s.cols;
    info.grad_scale = 0.25f;
  }
  void run(bool in_place = false, npu_status expect = NPU_ST_OK) {
    Matrix dx(rig, random, type_, shape.rows, shape.cols, shape.pad + 1);
    Matrix& result = in_place ? x : dx;
    info.x = x.dva(), info.ldx = x.ld();
    info.dx = result.dva(), info.lddx = result.ld();
    info.targets = rig.put_i32(targets);
    info.loss = rig.put(DType::F32, std::vector<float>(shape.rows, 9.0f));
    run_planned(rig, NPU_OPS_CROSS_ENTROPY, &info, expect);
    result.fetch();
    loss = rig.get(DType::F32, info.loss, shape.rows);
    gradient.clear();
    for (uint32_t i = 0; i < shape.rows; ++i)
      for (uint32_t j = 0; j < shape.cols; ++j) gradient.push_back(result.got(i, j));
  }
  double got(uint32_t i, uint32_t j) const { return gradient[uint64_t{i} * shape.cols + j]; }

  Rig rig;
  Shape shape;
  Random random;
  Matrix x;
  std::vector<int32_t> targets;
  std::vector<float> loss;
  std::vector<double> gradient;
  npuOpsCrossEntropyInfo info = blank<npuOpsCrossEntropyInfo>();

 private:
  DType type_;
};

double log_sum(const Matrix& x, uint32_t row, uint32_t cols) {
  double largest = -INFINITY, sum = 0;
  for (uint32_t j = 0; j < cols; ++j) largest = std::max(largest, x.at(row, j));
  for (uint32_t j = 0; j < cols; ++j) sum += std::exp(x.at(row, j) - largest);
  return largest + std::log(sum);
}

void check_loss(const LossJob& r, DType type) {
  for (uint32_t i = 0; i < r.shape.rows; ++i) {
    const bool counts = r.targets[i] >= 0;
    const auto target = static_cast<uint32_t>(r.targets[i]);
    const double all = log_sum(r.x, i, r.shape.cols);
    const double relative = tree_error(r.shape.cols) + 30 * 0x1p-24;
    ASSERT_NEAR(r.loss[i], counts ? all - r.x.at(i, target) : 0, counts ? relative + 4e-6 : 0);
    for (uint32_t j = 0; j < r.shape.cols; ++j) {
      const double p = std::exp(r.x.at(i, j) - all);
      const double want = counts ? 0.25 * (p - (j == target ? 1 : 0)) : 0;
      const double bound = 0.25 * p * relative + 0.25 * 0x1p-24 + std::fabs(want) * half_ulp(type);
      ASSERT_NEAR(r.got(i, j), want, counts ? bound : 0) << i << ", " << j;
    }
  }
}

TEST(CrossEntropy, LossAndGradientMatchTheReference) {
  uint32_t seed = 1;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      for (bool in_place : {false, true}) {
        SCOPED_TRACE(testing::Message() << s.rows << " x " << s.cols << " seed " << seed);
        LossJob r(s, type, seed++, 12);
        r.run(in_place && s.pad == 0);
        ASSERT_NO_FATAL_FAILURE(check_loss(r, type));
      }
    }
  }
}

TEST(CrossEntropy, LargeLogitsNeitherOverflowNorVanish) {
  LossJob r({3, 4, 0}, DType::F32, 50, 1);
  r.targets = {0, 1, 2};
  for (uint32_t i = 0; i < 3; ++i)
    for (uint32_t j = 0; j < 4; ++j) r.x.set(i, j, j == 0 ? 1e30f : -1e30f);
  r.run();
  EXPECT_EQ(r.loss[0], 0);
  EXPECT_EQ(r.loss[1], 2e30f);
  EXPECT_EQ(r.got(1, 0), 0.25);
  EXPECT_EQ(r.got(1, 1), -0.25);
}

TEST(CrossEntropy, NanAndInfinitiesStayInTheirRow) {
  LossJob r({5, 6, 0}, DType::F32, 60, 1);
  r.targets = {0, 1, 2, 3, -1};
  for (uint32_t j = 0; j < 6; ++j) r.x.set(1, j, -kInf);
  r.x.set(0, 5, -kInf);
  r.x.set(2, 4, kNan);
  r.x.set(3, 4, kInf);
  r.x.set(4, 4, kNan);
  r.run();
  EXPECT_TRUE(std::isfinite(r.loss[0]));
  EXPECT_EQ(r.got(0, 5), 0);
  for (uint32_t i : {1u, 2u, 3u}) {
    EXPECT_TRUE(std::isnan(r.loss[i])) << i;
    for (uint32_t j = 0; j < 6; ++j) EXPECT_TRUE(std::isnan(r.got(i, j))) << i << ", " << j;
  }
  EXPECT_EQ(r.loss[4], 0);
  for (uint32_t j = 0; j < 6; ++j) EXPECT_EQ(r.got(4, j), 0);
}

TEST(CrossEntropy, ATargetThatIsNoColumnEndsTheJob) {
  for (int32_t target : {6, 7, INT32_MAX}) {
    LossJob r({2, 6, 0}, DType::F32, 70, 1);
    r.targets = {5, target};
    r.run(false, NPU_ST_KERNEL_BOUNDS);
  }
}

TEST(CrossEntropy, LossOrGradientMayBeAbsent) {
  LossJob r({4, 11, 0}, DType::F32, 80, 3);
  r.run();
  const std::vector<float> loss = r.loss;
  npuOpsCrossEntropyInfo info = r.info;
  info.dx = 0;
  info.loss = r.rig.put(DType::F32, std::vector<float>(4));
  run_planned(r.rig, NPU_OPS_CROSS_ENTROPY, &info);
  EXPECT_EQ(r.rig.get(DType::F32, info.loss, 4), loss);
  info.loss = 0;
  run_planned(r.rig, NPU_OPS_CROSS_ENTROPY, &info);
  info.dx = r.rig.put(DType::F32, std::vector<float>(4 * 11, 5.0f)), info.lddx = 0;
  run_planned(r.rig, NPU_OPS_CROSS_ENTROPY, &info);
  EXPECT_EQ(r.rig.get(DType::F32, info.dx, 1)[0], static_cast<float>(r.got(0, 0)));
}

// The gradient against differences of the losses that the program itself makes.
TEST(CrossEntropy, GradientAgreesWithFiniteDifferences) {
  constexpr Shape kShape{2, 5, 0};
  constexpr float kStep = 1.0f / 64;
  LossJob r(kShape, DType::F32, 90, 2);
  r.info.grad_scale = 1;
  r.targets = {1, 4};
  r.run();
  for (uint32_t j = 0; j < 5; ++j) {
    double change = 0;
    for (float sign : {1.0f, -1.0f}) {
      LossJob moved(kShape, DType::F32, 90, 2);
      moved.targets = {1, 4};
      moved.x.set(0, j, static_cast<float>(moved.x.at(0, j)) + sign * kStep);
      moved.run();
      change += sign * moved.loss[0];
    }
    EXPECT_NEAR(change / (2 * kStep), r.got(0, j), 1e-4) << j;
  }
}

TEST(SoftmaxBackward, MatchesTheReference) {
  uint32_t seed = 100;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(testing::Message() << s.rows << " x " << s.cols << " seed " << seed);
      Rig rig;
      Random random(seed++);
      Matrix y(rig, random, type, s.rows, s.cols, s.pad), dy(rig, random, type, s.rows, s.cols, 1);
      Matrix dx(rig, random, type, s.rows, s.cols, 2);
      auto info = blank<npuOpsSoftmaxBackwardInfo>();
      info.type = public_type(type), info.rows = s.rows, info.cols = s.cols, info.scale = 0.5f;
      info.y = y.dva(), info.dy = dy.dva(), info.dx = dx.dva();
      info.ldy = y.ld(), info.lddy = dy.ld(), info.lddx = dx.ld();
      run_planned(rig, NPU_OPS_SOFTMAX_BACKWARD, &info);
      dx.fetch();
      for (uint32_t i = 0; i < s.rows; ++i) {
        double sum = 0, magnitude = 0;
        for (uint32_t j = 0; j < s.cols; ++j) sum += y.at(i, j) * dy.at(i, j);
        for (uint32_t j = 0; j < s.cols; ++j) magnitude += std::fabs(y.at(i, j) * dy.at(i, j));
        for (uint32_t j = 0; j < s.cols; ++j) {
          const double want = 0.5 * y.at(i, j) * (dy.at(i, j) - sum);
          const double bound = (magnitude + 1) * (tree_error(s.cols) + 4 * 0x1p-24) +
                               std::fabs(want) * half_ulp(type);
          ASSERT_NEAR(dx.got(i, j), want, bound) << i << ", " << j;
        }
      }
    }
  }
}

TEST(LossPlan, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change) {
    auto c = blank<npuOpsCrossEntropyInfo>();
    c.rows = c.cols = 4;
    c.x = c.targets = c.loss = c.dx = kSomewhere;
    change(c);
    plan = {};
    return ops::plan_of(NPU_OPS_CROSS_ENTROPY, &c, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& c) { c.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& c) { c.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result([](auto& c) { c.type = NPU_INT8; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& c) { c.type = 77; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.cols = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.cols = ops::kSoftmaxCols + 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& c) { c.rows = 1u << 31; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& c) { c.x = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& c) { c.targets = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& c) { c.loss += 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& c) { c.dx = ~3ull; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& c) { c.lddx = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.rows = c.cols = 0, c.x = c.targets = 0; }), NPU_OK);
  EXPECT_EQ(plan.program, uint32_t{ops::kProgramNull});
  auto s = blank<npuOpsSoftmaxBackwardInfo>();
  s.rows = 1, s.cols = ops::kNormElements + 1, s.y = s.dy = s.dx = kSomewhere;
  EXPECT_EQ(ops::plan_of(NPU_OPS_SOFTMAX_BACKWARD, &s, &plan), NPU_ERROR_NOT_SUPPORTED);
  s.cols = 0, s.y = s.dy = s.dx = 0;
  EXPECT_EQ(ops::plan_of(NPU_OPS_SOFTMAX_BACKWARD, &s, &plan), NPU_OK);
}

}  // namespace
}  // namespace npu::kernels
