// SPDX-License-Identifier: Apache-2.0
// Reductions and orders of the rows of tensors: any strides, equal elements, infinities, limits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

std::vector<float> row_of(const Strided& x, Index at) {
  std::vector<float> row;
  for (at[0] = 0; at[0] < x.sizes()[0]; ++at[0]) row.push_back(x.value(at));
  return row;
}

void check_reduce(int32_t function, const Sizes& sizes, Lay x_lay, Lay y_lay, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "function " << function << " seed " << seed);
  Rig rig;
  Random random(seed);
  const Sizes rows = {1, sizes[1], sizes[2], sizes[3]};
  const bool argmax = function == NPU_OPS_REDUCE_ARGMAX;
  Strided x(rig, random, NPU_FLOAT32, sizes, x_lay, 5);
  Strided y(rig, random, argmax ? NPU_INT32 : NPU_FLOAT32, rows, y_lay, 9);
  // Two largest elements: the first one counts.
  if (sizes[0] > 4) {
    x.set({sizes[0] / 2, 0, 0, 0}, 7);
    x.set({sizes[0] - 1, 0, 0, 0}, 7);
  }
  npuOpsReduceInfo r{sizeof(r), function, x.tensor(), y.tensor()};
  run_planned(rig, NPU_OPS_TENSOR_REDUCE, &r);
  y.fetch();
  for_each_index(rows, [&](const Index& at) {
    const std::vector<float> row = row_of(x, at);
    double sum = 0, size = 0;
    for (float v : row) sum += v, size += std::fabs(v);
    if (function == NPU_OPS_REDUCE_MEAN)
      sum /= static_cast<double>(row.size()), size /= static_cast<double>(row.size());
    const double first = std::max_element(row.begin(), row.end()) - row.begin();
    const double bound = (static_cast<double>(row.size()) / 16 + 6) * 0x1p-24 * size;
    ASSERT_NEAR(y.got(at), argmax ? first : sum, argmax ? 0 : bound);
  });
}

TEST(TensorReduce, MatchesTheReferenceForAnyStrides) {
  uint32_t seed = 1;
  for (int32_t function : {NPU_OPS_REDUCE_SUM, NPU_OPS_REDUCE_MEAN, NPU_OPS_REDUCE_ARGMAX}) {
    for (Lay x : kAllLays) {
      for (Lay y : kAllLays) {
        for (const Sizes& sizes :
             {Sizes{33, 5, 4, 3}, {10, 1, 200, 2}, {1, 7, 3, 1}, {300, 1, 1, 1}})
          check_reduce(function, sizes, x, y, seed++);
      }
    }
    check_reduce(function, {ops::kTensorReduceElements, 1, 2, 1}, Lay::kDense, Lay::kDense, seed++);
    check_reduce(function, {2, 9000, 1, 1}, Lay::kDense, Lay::kPadded, seed++);
  }
}

struct SortCase {
  Sizes sizes;
  Lay x = Lay::kDense, y = Lay::kDense;
  uint32_t values = 0;  // 0: any; else elements are integers below that, and often equal
};

void check_sort(const SortCase& c, bool descending, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "descending " << descending << " seed " << seed);
  Rig rig;
  Random random(seed);
  Strided x(rig, random, NPU_FLOAT32, c.sizes, c.x, 100);
  Strided y(rig, random, NPU_INT32, c.sizes, c.y, 9);
  if (c.values != 0) {
    for_each_index(c.sizes,
                   [&](const Index& i) { x.set(i, static_cast<float>(random.below(c.values))); });
  }
  npuOpsSortInfo s{sizeof(s), descending, x.tensor(), y.tensor()};
  run_planned(rig, NPU_OPS_TENSOR_SORT, &s);
  y.fetch();
  for_each_index({1, c.sizes[1], c.sizes[2], c.sizes[3]}, [&](Index at) {
    const std::vector<float> row = row_of(x, at);
    std::vector<uint32_t> order(row.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return descending ? row[a] > row[b] : row[a] < row[b];
    });
    for (at[0] = 0; at[0] < row.size(); ++at[0])
      ASSERT_EQ(y.got(at), static_cast<float>(order[at[0]])) << "place " << at[0];
  });
}

TEST(TensorSort, MatchesTheReferenceForAnyStrides) {
  uint32_t seed = 1;
  for (bool descending : {false, true}) {
    for (Lay x : kAllLays) {
      for (Lay y : kAllLays) {
        for (const Sizes& sizes :
             {Sizes{8, 1, 1, 1}, {16, 5, 4, 3}, {60, 30, 1, 2}, {2, 300, 1, 1}, {130, 2, 1, 3}})
          check_sort({sizes, x, y, seed % 3 == 0 ? 4u : 0u}, descending, seed), ++seed;
      }
    }
  }
}

TEST(TensorSort, LongRowsAndManyRows) {
  uint32_t seed = 300;
  for (uint32_t values : {0u, 50u}) {
    check_sort({.sizes = {1023, 2, 1, 1}, .values = values}, values == 0, seed++);
    check_sort({.sizes = {128, 70, 1, 1}, .values = values}, values == 0, seed++);
    check_sort({.sizes = {1, 5000, 1, 1}, .values = values}, values == 0, seed++);
    check_sort({.sizes = {2, 20000, 1, 1}, .values = values}, values == 0, seed++);
  }
  check_sort({.sizes = {ops::kTensorSortCols, 1, 1, 1}, .values = 3000}, true, seed++);
}

// One row alone, and the same row many times: both programs.
void check_order(const std::vector<float>& row, bool descending, const std::vector<int>& want) {
  for (uint64_t rows : {1, 64}) {
    Rig rig;
    Random random(1);
    const Sizes sizes = {row.size(), rows, 1, 1};
    Strided x(rig, random, NPU_FLOAT32, sizes, Lay::kDense);
    Strided y(rig, random, NPU_INT32, sizes, Lay::kDense, 9);
    for_each_index(sizes, [&](const Index& i) { x.set(i, row[i[0]]); });
    npuOpsSortInfo s{sizeof(s), descending, x.tensor(), y.tensor()};
    run_planned(rig, NPU_OPS_TENSOR_SORT, &s);
    y.fetch();
    for_each_index(sizes, [&](const Index& i) {
      ASSERT_EQ(y.got(i), static_cast<float>(want[i[0]]))
          << "place " << i[0] << " descending " << descending;
    });
  }
}

TEST(TensorSort, NumbersThatDifferLittleOrMuchAndInfinities) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMin = std::numeric_limits<float>::denorm_min();
  constexpr float kMax = 3e38f;
  const std::vector<float> row = {kMax, kMin,  -kInf,    0.0f,  -kMin, -0.0f,
                                  kInf, -kMax, 2 * kMin, -kInf, 1,     1 + 0x1p-23f};
  check_order(row, false, {2, 9, 7, 4, 3, 5, 1, 8, 10, 11, 0, 6});
  check_order(row, true, {6, 0, 11, 10, 8, 1, 3, 5, 4, 7, 2, 9});
}

TEST(TensorReduce, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto reduce = [&](auto change) {
    npuOpsReduceInfo r{sizeof(r), NPU_OPS_REDUCE_SUM, dense({4, 3, 2, 1}), dense({1, 3, 2, 1})};
    change(r);
    return ops::plan_reduce(&r, &plan);
  };
  EXPECT_EQ(reduce([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(reduce([](auto& r) { r.function = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(reduce([](auto& r) { r.function = NPU_OPS_REDUCE_ARGMAX; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(reduce([](auto& r) { r.y.sizes[0] = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(reduce([](auto& r) { r.y.sizes[1] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(reduce([](auto& r) { r.x.sizes[0] = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(reduce([](auto& r) { r.x.sizes[0] = ops::kTensorReduceElements + 1; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(reduce([](auto& r) { r.x.sizes[1] = r.y.sizes[1] = 0; }), NPU_OK);
}

TEST(TensorSort, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto sort = [&](auto change) {
    npuOpsSortInfo s{sizeof(s), 0, dense({4, 3, 2, 1}), dense({4, 3, 2, 1}, NPU_INT32)};
    change(s);
    return ops::plan_sort(&s, &plan);
  };
  EXPECT_EQ(sort([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(sort([](auto& s) { s.descending = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(sort([](auto& s) { s.y.type = NPU_FLOAT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(sort([](auto& s) { s.y.sizes[2] = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(sort([](auto& s) { s.x.sizes[0] = s.y.sizes[0] = ops::kTensorSortCols + 1; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(sort([](auto& s) { s.x.sizes[0] = s.y.sizes[0] = 0; }), NPU_OK);
}

}  // namespace
}  // namespace npu::kernels
