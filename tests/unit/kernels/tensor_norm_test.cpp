// SPDX-License-Identifier: Apache-2.0
// Norms of the rows of tensors against double precision: every function, any strides, weights and biases that repeat.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

struct Case {
  Sizes sizes;
  Lay x, y;
  std::optional<Sizes> weight, bias;
  bool in_place = false;
};

class NormCase {
 public:
  NormCase(const Case& c, int32_t function, float eps, uint32_t seed)
      : random_(seed),
        x_(rig_, random_, NPU_FLOAT32, c.sizes, c.x, 3),
        y_(rig_, random_, NPU_FLOAT32, c.sizes, c.in_place ? c.x : c.y) {
    if (c.weight) weight_.emplace(rig_, random_, NPU_FLOAT32, *c.weight, Lay::kPadded);
    if (c.bias) bias_.emplace(rig_, random_, NPU_FLOAT32, *c.bias, Lay::kPermuted);
    info_.struct_size = sizeof(info_);
    info_.function = function;
    info_.eps = eps;
    in_place_ = c.in_place;
  }
  Strided& x() { return x_; }
  Strided& result() { return in_place_ ? x_ : y_; }

  void run() {
    info_.x = x_.tensor();
    info_.y = result().tensor();
    info_.weight = tensor_of(weight_ ? &*weight_ : nullptr);
    info_.bias = tensor_of(bias_ ? &*bias_ : nullptr);
    run_planned(rig_, NPU_OPS_TENSOR_NORM, &info_);
    result().fetch();
  }

  void check() {
    run();
    Nmse error;
    const Sizes& sizes = x_.sizes();
    for_each_index({1, sizes[1], sizes[2], sizes[3]},
                   [&](const Index& at) { add_row(at, &error); });
    EXPECT_LT(error.value(), 1e-12);
  }

 private:
  // The row by the definition.
  void add_row(Index at, Nmse* error) {
    const uint64_t cols = x_.sizes()[0];
    std::vector<double> row;
    for (at[0] = 0; at[0] < cols; ++at[0]) row.push_back(x_.value(at));
    double mean = 0, squares = 0;
    if (info_.function == NPU_OPS_NORM_LAYER) {
      for (double v : row) mean += v / static_cast<double>(cols);
    }
    for (double v : row) squares += (v - mean) * (v - mean);
    const double divisor = info_.function == NPU_OPS_NORM_L2
                               ? std::max(std::sqrt(squares), double{info_.eps})
                               : std::sqrt(squares / static_cast<double>(cols) + info_.eps);
    for (at[0] = 0; at[0] < cols; ++at[0]) {
      double want = (row[at[0]] - mean) / divisor;
      if (weight_) want *= weight_->value(wrapped(at, weight_->sizes()));
      if (bias_) want += bias_->value(wrapped(at, bias_->sizes()));
      error->add(result().got(at), want);
    }
  }

  Rig rig_;
  Random random_;
  Strided x_, y_;
  std::optional<Strided> weight_, bias_;
  npuOpsTensorNormInfo info_{};
  bool in_place_ = false;
};

constexpr int32_t kFunctions[] = {NPU_OPS_NORM_RMS, NPU_OPS_NORM_LAYER, NPU_OPS_NORM_L2};

TEST(TensorNorm, MatchesTheReferenceForAnyStrides) {
  uint32_t seed = 1;
  for (int32_t function : kFunctions) {
    for (Lay x : kAllLays) {
      for (Lay y : kAllLays) {
        for (const Sizes& sizes :
             {Sizes{64, 5, 4, 3}, {33, 1, 7, 2}, {17, 40, 1, 1}, {5, 1, 1, 30}}) {
          SCOPED_TRACE(testing::Message() << "seed " << seed);
          NormCase({sizes, x, y, {}, {}}, function, 1e-6f, seed++).check();
        }
      }
    }
  }
}

TEST(TensorNorm, WeightAndBiasRepeat) {
  uint32_t seed = 1000;
  const Sizes sizes = {21, 12, 4, 6};
  for (const Sizes& weight : {Sizes{21, 1, 1, 1},
                              {21, 12, 4, 6},
                              {21, 4, 1, 1},
                              {21, 12, 2, 1},
                              {21, 6, 4, 3},
                              {21, 1, 4, 1}}) {
    for (const Sizes& bias : {Sizes{21, 1, 1, 1}, {21, 12, 1, 1}, {21, 3, 2, 6}}) {
      for (Lay x : kUnitLays) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        NormCase({sizes, x, Lay::kDense, weight, bias}, kFunctions[seed % 3], 1e-5f, seed).check();
        ++seed;
        NormCase({sizes, x, Lay::kPadded, weight, {}}, kFunctions[seed % 3], 1e-5f, seed).check();
        ++seed;
        NormCase({sizes, x, Lay::kPadded, {}, bias}, kFunctions[seed % 3], 1e-5f, seed).check();
        ++seed;
      }
    }
  }
}

TEST(TensorNorm, InPlaceAndLongRows) {
  uint32_t seed = 2000;
  for (int32_t function : kFunctions) {
    for (Lay x : kAllLays)
      NormCase({{40, 6, 3, 2}, x, x, {}, {}, true}, function, 1e-6f, seed++).check();
    NormCase({{ops::kTensorNormElements, 2, 1, 1}, Lay::kDense, Lay::kDense, {}, {}}, function,
             1e-6f, seed++)
        .check();
    NormCase({{ops::kTensorNormWeights, 1, 2, 1},
              Lay::kDense,
              Lay::kDense,
              Sizes{ops::kTensorNormWeights, 1, 1, 1},
              Sizes{ops::kTensorNormWeights, 1, 2, 1}},
             function, 1e-6f, seed++)
        .check();
    NormCase({{3, 9000, 1, 1}, Lay::kDense, Lay::kDense, Sizes{3, 1, 1, 1}, Sizes{3, 9000, 1, 1}},
             function, 1e-6f, seed++)
        .check();
  }
}

npuOpsTensorNormInfo norm_info(const Sizes& sizes) {
  npuOpsTensorNormInfo n{};
  n.struct_size = sizeof(n);
  n.x = n.y = dense(sizes);
  return n;
}

TEST(TensorNorm, RowsThatLieOneBehindTheOtherAreOneWalk) {
  npuOpsTensorNormInfo n = norm_info({64, 5, 40, 30});
  n.weight = dense({64, 1, 1, 1});
  ops::Plan plan;
  ASSERT_EQ(ops::plan_tensor_norm(&n, &plan), NPU_OK) << ops::error_text();
  EXPECT_EQ(plan.grid[0], ops::kGroupsWanted);
  EXPECT_EQ(plan.grid[1] * plan.grid[2], 1u);
  n.y.strides[3] += 4;
  ASSERT_EQ(ops::plan_tensor_norm(&n, &plan), NPU_OK) << ops::error_text();
  EXPECT_EQ(plan.grid[1] * plan.grid[2], 30u);
}

TEST(TensorNorm, NanAndInfinityStayInTheirRows) {
  for (int32_t function : kFunctions) {
    NormCase c({{8, 3, 1, 1}, Lay::kDense, Lay::kDense, {}, {}}, function, 1e-6f, 1);
    c.x().set({2, 0, 0, 0}, std::numeric_limits<float>::quiet_NaN());
    c.x().set({2, 1, 0, 0}, std::numeric_limits<float>::infinity());
    c.run();
    for (uint64_t j = 0; j < 8; ++j) {
      EXPECT_TRUE(std::isnan(c.result().got({j, 0, 0, 0})));
      EXPECT_TRUE(std::isfinite(c.result().got({j, 2, 0, 0})));
    }
    EXPECT_TRUE(std::isnan(c.result().got({2, 1, 0, 0})));
  }
}

TEST(TensorNorm, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change) {
    npuOpsTensorNormInfo n = norm_info({4, 3, 2, 1});
    change(n);
    return ops::plan_tensor_norm(&n, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& n) { n.function = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& n) { n.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result([](auto& n) { n.x.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) { n.x.sizes[2] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.x.data = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& n) { n.x.strides[0] = 0; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) { n.weight = dense({4, 2, 1, 1}); }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& n) { n.weight = dense({2, 1, 1, 1}); }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) {
              n.bias = dense({4, 1, 1, 1}), n.bias.strides[0] = 8;
            }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) {
              n = norm_info({ops::kTensorNormElements + 1, 1, 1, 1});
            }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) {
              n = norm_info({ops::kTensorNormWeights + 1, 1, 1, 1});
              n.bias = dense({ops::kTensorNormWeights + 1, 1, 1, 1});
            }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& n) { n.x.sizes[3] = n.y.sizes[3] = 0; }), NPU_OK);
}

}  // namespace
}  // namespace npu::kernels
