// SPDX-License-Identifier: Apache-2.0
// Softmax of the rows of tensors against double precision: masks of both types, slopes, sinks, any strides, long rows.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Case {
  Sizes sizes;
  Lay x = Lay::kDense, y = Lay::kDense;
  std::optional<Sizes> mask = {};
  npuDataType mask_type = NPU_FLOAT32;
  float max_bias = 0;
  bool sinks = false;
  bool in_place = false;
};

class SoftmaxCase {
 public:
  SoftmaxCase(const Case& c, uint32_t seed)
      : random_(seed),
        x_(rig_, random_, NPU_FLOAT32, c.sizes, c.x, 10),
        y_(rig_, random_, NPU_FLOAT32, c.sizes, c.y),
        in_place_(c.in_place) {
    if (c.mask) mask_.emplace(rig_, random_, c.mask_type, *c.mask, Lay::kPadded, 4);
    if (c.sinks)
      sinks_.emplace(rig_, random_, NPU_FLOAT32, Sizes{c.sizes[2], 1, 1, 1}, Lay::kScattered, 8);
    info_.struct_size = sizeof(info_);
    info_.scale = 0.7f;
    info_.max_bias = c.max_bias;
  }
  Strided& x() { return x_; }
  Strided& mask() { return *mask_; }
  Strided& result() { return in_place_ ? x_ : y_; }

  void run() {
    info_.x = x_.tensor();
    info_.y = result().tensor();
    info_.mask = tensor_of(mask_ ? &*mask_ : nullptr);
    info_.sinks = tensor_of(sinks_ ? &*sinks_ : nullptr);
    run_planned(rig_, NPU_OPS_TENSOR_SOFTMAX, &info_);
    result().fetch();
  }

  void check() {
    run();
    Nmse error;
    const Sizes& sizes = x_.sizes();
    for_each_index({1, sizes[1], sizes[2], sizes[3]},
                   [&](const Index& at) { add_row(at, &error); });
    // The sum of n elements is off by up to n / 16 roundings.
    EXPECT_LT(error.value(), sizes[0] > 10000 ? 1e-9 : 1e-11);
  }

 private:
  double slope(uint64_t head) const {
    if (info_.max_bias == 0) return 1;
    uint64_t low = 1;
    while (2 * low <= x_.sizes()[2]) low *= 2;
    const double m0 = std::pow(2.0, -double{info_.max_bias} / static_cast<double>(low));
    const double m1 = std::pow(2.0, -double{info_.max_bias} / 2 / static_cast<double>(low));
    return head < low ? std::pow(m0, head + 1) : std::pow(m1, 2 * (head - low) + 1);
  }

  void add_row(Index at, Nmse* error) {
    const uint64_t cols = x_.sizes()[0];
    std::vector<double> row;
    double largest = sinks_ ? double{sinks_->value({at[2], 0, 0, 0})} : -INFINITY;
    double sum = 0;
    for (at[0] = 0; at[0] < cols; ++at[0]) {
      double v = double{info_.scale} * x_.value(at);
      if (mask_) {
        const Index m = {at[0], at[1], at[2] % mask_->sizes()[2], at[3] % mask_->sizes()[3]};
        v += slope(at[2]) * mask_->value(m);
      }
      row.push_back(v);
      largest = std::max(largest, v);
    }
    if (sinks_) sum = std::exp(sinks_->value({at[2], 0, 0, 0}) - largest);
    for (double& v : row) sum += v = std::exp(v - largest);
    for (at[0] = 0; at[0] < cols; ++at[0]) error->add(result().got(at), row[at[0]] / sum);
  }

  Rig rig_;
  Random random_;
  Strided x_, y_;
  std::optional<Strided> mask_, sinks_;
  npuOpsTensorSoftmaxInfo info_{};
  bool in_place_;
};

TEST(TensorSoftmax, MatchesTheReferenceForAnyStrides) {
  uint32_t seed = 1;
  for (Lay x : kAllLays) {
    for (Lay y : kAllLays) {
      for (bool sinks : {false, true}) {
        for (const Sizes& sizes : {Sizes{31, 5, 4, 3}, {64, 1, 12, 2}, {17, 40, 1, 1}}) {
          SCOPED_TRACE(testing::Message() << "seed " << seed);
          SoftmaxCase({.sizes = sizes, .x = x, .y = y, .sinks = sinks}, seed++).check();
        }
      }
    }
    SoftmaxCase({.sizes = {20, 6, 3, 2}, .x = x, .sinks = true, .in_place = true}, seed++).check();
  }
}

TEST(TensorSoftmax, MasksRepeatOverHeadsWithAndWithoutSlopes) {
  uint32_t seed = 500;
  struct Pair {
    Sizes x, mask;
  };
  for (const auto& [x, mask] :
       {Pair{{33, 5, 6, 4}, {33, 5, 1, 1}}, Pair{{33, 5, 6, 4}, {33, 8, 3, 2}},
        Pair{{64, 1, 12, 1}, {64, 7, 1, 1}}, Pair{{64, 1, 12, 2}, {64, 1, 12, 1}},
        Pair{{64, 1, 12, 2}, {64, 1, 4, 2}}, Pair{{16, 30, 20, 1}, {16, 32, 20, 1}}}) {
    for (npuDataType type : {NPU_FLOAT32, NPU_FLOAT16}) {
      for (float max_bias : {0.0f, 8.0f}) {
        for (bool sinks : {false, true}) {
          for (Lay lay : {Lay::kDense, Lay::kPermuted, Lay::kScattered}) {
            SCOPED_TRACE(testing::Message() << "seed " << seed);
            SoftmaxCase({.sizes = x,
                         .x = lay,
                         .y = lay,
                         .mask = mask,
                         .mask_type = type,
                         .max_bias = max_bias,
                         .sinks = sinks},
                        seed++)
                .check();
          }
        }
      }
    }
  }
}

TEST(TensorSoftmax, LongRows) {
  constexpr uint32_t kLong = ops::kTensorSoftmaxElements;
  SoftmaxCase({.sizes = {kLong, 1, 2, 1}, .sinks = true}, 900).check();
  SoftmaxCase({.sizes = {kLong, 1, 2, 1}, .mask = Sizes{kLong, 1, 1, 1}, .mask_type = NPU_FLOAT16},
              901)
      .check();
  SoftmaxCase({.sizes = {kLong - 5, 2, 1, 1}, .mask = Sizes{kLong - 5, 2, 1, 1}, .max_bias = 4},
              902)
      .check();
  SoftmaxCase({.sizes = {30000, 4, 3, 1}, .mask = Sizes{30000, 4, 1, 1}, .mask_type = NPU_FLOAT16},
              903)
      .check();
  SoftmaxCase({.sizes = {2, 9000, 1, 1}, .mask = Sizes{2, 9001, 1, 1}}, 904).check();
}

TEST(TensorSoftmax, MaskedElementsAreZeroAndRowsWithoutElementsAreNan) {
  SoftmaxCase c({.sizes = {9, 3, 1, 1}, .mask = Sizes{9, 3, 1, 1}, .mask_type = NPU_FLOAT16}, 7);
  c.mask().set({4, 0, 0, 0}, -kInf);
  for (uint64_t j = 0; j < 9; ++j) c.mask().set({j, 1, 0, 0}, -kInf);
  c.x().set({3, 2, 0, 0}, std::numeric_limits<float>::quiet_NaN());
  c.run();
  EXPECT_EQ(c.result().got({4, 0, 0, 0}), 0);
  for (uint64_t j = 0; j < 9; ++j) {
    EXPECT_TRUE(std::isfinite(c.result().got({j, 0, 0, 0})));
    EXPECT_TRUE(std::isnan(c.result().got({j, 1, 0, 0})));
    EXPECT_TRUE(std::isnan(c.result().got({j, 2, 0, 0})));
  }
}

TEST(TensorSoftmax, HeadsOfOneTokenAreOneWalk) {
  npuOpsTensorSoftmaxInfo s{};
  s.struct_size = sizeof(s);
  s.x = s.y = dense({256, 1, 32, 1});
  s.mask = dense({256, 64, 1, 1}, NPU_FLOAT16);
  s.sinks = dense({32, 1, 1, 1});
  ops::Plan plan;
  ASSERT_EQ(ops::plan_tensor_softmax(&s, &plan), NPU_OK) << ops::error_text();
  EXPECT_EQ(plan.grid[1] * plan.grid[2], 1u);
  EXPECT_LE(plan.grid[0], ops::kGroupsWanted);
}

TEST(TensorSoftmax, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change) {
    npuOpsTensorSoftmaxInfo s{};
    s.struct_size = sizeof(s);
    s.x = s.y = dense({8, 4, 6, 2});
    s.mask = dense({8, 4, 3, 1}, NPU_FLOAT16);
    s.sinks = dense({6, 1, 1, 1});
    change(s);
    return ops::plan_tensor_softmax(&s, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(result([](auto& s) { s.struct_size = 4; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& s) { s.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result([](auto& s) { s.max_bias = -1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& s) { s.max_bias = NAN; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& s) { s.mask.type = NPU_BFLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& s) { s.mask.sizes[1] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& s) { s.mask.sizes[2] = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& s) { s.mask.strides[0] = 4; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& s) { s.sinks.sizes[0] = 5; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& s) { s.sinks.sizes[1] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& s) {
              s.x = s.y = dense({ops::kTensorSoftmaxElements + 1, 1, 1, 1});
              s.mask = s.sinks = {};
            }),
            NPU_ERROR_NOT_SUPPORTED);
}

}  // namespace
}  // namespace npu::kernels
