// SPDX-License-Identifier: Apache-2.0
// Sums over rows: every one must be the chain that is promised, to the bit.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/matrix.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

struct Shape {
  uint32_t rows, cols, pad;
};
constexpr Shape kShapes[] = {{1, 1, 0},     {3000, 1, 0}, {3, 17, 2},   {0, 5, 0},
                             {1025, 33, 1}, {2, 5000, 0}, {129, 768, 0}};

TEST(ColumnSum, IsOneChainInAscendingRows) {
  uint32_t seed = 1;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      for (uint32_t accumulate : {0u, 1u}) {
        SCOPED_TRACE(testing::Message() << s.rows << " x " << s.cols << " seed " << seed);
        Rig rig;
        Random random(seed++);
        Matrix x(rig, random, type, s.rows, s.cols, s.pad, 3),
            y(rig, random, DType::F32, 1, s.cols);
        auto info = blank<npuOpsColumnSumInfo>();
        info.type = public_type(type), info.rows = s.rows, info.cols = s.cols;
        info.x = x.dva(), info.y = y.dva(), info.ldx = x.ld(), info.accumulate = accumulate;
        run_planned(rig, NPU_OPS_COLUMN_SUM, &info);
        y.fetch();
        for (uint32_t j = 0; j < s.cols; ++j) {
          float sum = accumulate != 0 ? static_cast<float>(y.at(0, j)) : 0.0f;
          for (uint32_t i = 0; i < s.rows; ++i) sum += static_cast<float>(x.at(i, j));
          ASSERT_EQ(static_cast<float>(y.got(0, j)), sum) << j;
        }
      }
    }
  }
}

TEST(ColumnSum, NanStaysInItsColumn) {
  Rig rig;
  Random random(40);
  Matrix x(rig, random, DType::F32, 7, 5), y(rig, random, DType::F32, 1, 5);
  x.set(3, 2, std::numeric_limits<float>::quiet_NaN());
  auto info = blank<npuOpsColumnSumInfo>();
  info.rows = 7, info.cols = 5, info.x = x.dva(), info.y = y.dva();
  run_planned(rig, NPU_OPS_COLUMN_SUM, &info);
  y.fetch();
  for (uint32_t j = 0; j < 5; ++j) EXPECT_EQ(std::isnan(y.got(0, j)), j == 2);
}

// Rows of the table that are named more than once get their sums in the order of the list.
TEST(GatherBackward, AddsInTheOrderOfTheList) {
  uint32_t seed = 50;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(testing::Message() << s.rows << " x " << s.cols << " seed " << seed);
      constexpr uint32_t kTable = 13;
      Rig rig;
      Random random(seed++);
      Matrix dy(rig, random, type, s.rows, s.cols, s.pad, 3);
      Matrix dx(rig, random, DType::F32, kTable, s.cols, 3);
      std::vector<int32_t> indices;
      for (uint32_t i = 0; i < s.rows; ++i)
        indices.push_back(static_cast<int32_t>(random.below(kTable - 1)));
      auto info = blank<npuOpsGatherBackwardInfo>();
      info.type = public_type(type), info.count = s.rows, info.cols = s.cols;
      info.table_rows = kTable;
      info.dy = dy.dva(), info.dx = dx.dva(), info.indices = rig.put_i32(indices);
      info.lddy = dy.ld(), info.lddx = dx.ld();
      run_planned(rig, NPU_OPS_GATHER_BACKWARD, &info);
      dx.fetch();
      for (uint32_t row = 0; row < kTable; ++row) {
        for (uint32_t j = 0; j < s.cols; ++j) {
          auto sum = static_cast<float>(dx.at(row, j));
          for (uint32_t i = 0; i < s.rows; ++i)
            if (indices[i] == static_cast<int32_t>(row)) sum += static_cast<float>(dy.at(i, j));
          ASSERT_EQ(static_cast<float>(dx.got(row, j)), sum) << row << ", " << j;
        }
      }
    }
  }
}

TEST(GatherBackward, AnIndexOutsideTheTableEndsTheJob) {
  for (int32_t index : {4, -1, INT32_MIN}) {
    Rig rig;
    Random random(70);
    Matrix dy(rig, random, DType::F32, 2, 8), dx(rig, random, DType::F32, 4, 8);
    auto info = blank<npuOpsGatherBackwardInfo>();
    info.count = 2, info.cols = 8, info.table_rows = 4;
    info.dy = dy.dva(), info.dx = dx.dva(), info.indices = rig.put_i32({3, index});
    run_planned(rig, NPU_OPS_GATHER_BACKWARD, &info, NPU_ST_KERNEL_BOUNDS);
  }
}

TEST(ColumnSumPlan, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto sum = [&](auto change) {
    auto c = blank<npuOpsColumnSumInfo>();
    c.rows = c.cols = 4, c.x = c.y = kSomewhere;
    change(c);
    return ops::plan_of(NPU_OPS_COLUMN_SUM, &c, &plan);
  };
  EXPECT_EQ(sum([](auto&) {}), NPU_OK);
  EXPECT_EQ(sum([](auto& c) { c.accumulate = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(sum([](auto& c) { c.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(sum([](auto& c) { c.y = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(sum([](auto& c) { c.cols = 1u << 31; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(sum([](auto& c) { c.cols = 0, c.y = 0; }), NPU_OK);
  auto gather = [&](auto change) {
    auto g = blank<npuOpsGatherBackwardInfo>();
    g.count = g.cols = g.table_rows = 4, g.dy = g.dx = g.indices = kSomewhere;
    change(g);
    return ops::plan_of(NPU_OPS_GATHER_BACKWARD, &g, &plan);
  };
  EXPECT_EQ(gather([](auto&) {}), NPU_OK);
  EXPECT_EQ(gather([](auto& g) { g.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(gather([](auto& g) { g.dx = kSomewhere + 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(gather([](auto& g) { g.indices = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(gather([](auto& g) { g.count = 0, g.dy = g.indices = 0; }), NPU_OK);
}

}  // namespace
}  // namespace npu::kernels
