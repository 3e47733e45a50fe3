// SPDX-License-Identifier: Apache-2.0
// Products of the same vectors with what stands around them, against the same operators one by one, bit for bit; what is refused.
#include <gtest/gtest.h>

#include <cstring>

#include "libnpu/ops/error.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/tensor.h"
#include "tests/unit/kernels/weights.h"

namespace npu::kernels {
namespace {

constexpr npuDataType kWeightTypes[] = {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_Q8_0,
                                        NPU_Q4_0,    NPU_Q4_K,     NPU_Q6_K};

struct Case {
  npuDataType type = NPU_FLOAT32;
  uint64_t n = 1, k = 256;
  std::vector<uint64_t> m = {16};
  bool norm = false, integers = false, tiled = false, dense = true, in_place = false;
  std::vector<bool> sums = {};
  int32_t gate = -1;
  bool keeps = true;  // the products that are gated
};

class Fused {
 public:
  Fused(const Case& c, uint32_t seed) : c_(c), random_(seed), x_(matrix(c.k, c.n)) {
    x_.fill(random_, 1);
    x_.put(rig_);
    info_.struct_size = sizeof(info_);
    info_.integers = c.integers ? 1 : 0;
    info_.count = static_cast<uint32_t>(c.m.size());
    info_.x = x_.tensor;
    if (c.norm) add_norm();
    for (uint32_t i = 0; i < info_.count; ++i) add_product(i);
    if (c.gate >= 0) add_gate();
  }

  void check() {
    run_tensor_op(rig_, NPU_OPS_TENSOR_PRODUCTS, &info_);
    if (testing::Test::HasFatalFailure()) return;
    const npuOpsTensor v = c_.norm ? norm() : info_.x;
    std::vector<npuOpsTensor> y;
    for (uint32_t i = 0; i < info_.count; ++i) y.push_back(product(i, v));
    for (uint32_t i = 0; i < info_.count; ++i)
      if (!ops::is_absent(info_.y[i])) expect_equal("y", results_[i], y[i]);
    if (c_.norm) expect_equal("normed", *normed_, v);
    if (c_.gate >= 0) expect_equal("gated", *gated_, gate(y));
  }

 private:
  TensorMemory matrix(uint64_t cols, uint64_t rows) {
    const uint64_t pad = c_.dense ? 0 : 3;
    TensorMemory t(NPU_FLOAT32, {cols, rows, 1, 1}, {0, 1, 2, 3}, {pad, 0, 0, 0});
    return t;
  }

  void add_norm() {
    TensorMemory weight = TensorMemory::dense(NPU_FLOAT32, {c_.k, 1, 1, 1});
    weight.fill(random_, 1);
    weight.put(rig_);
    info_.norm_weight = weight.tensor;
    info_.eps = 1e-5f;
    normed_ = matrix(c_.k, c_.n);
    normed_->put(rig_);
    info_.normed = normed_->tensor;
  }

  void add_product(uint32_t i) {
    weights_.emplace_back(c_.type, Index{c_.k, c_.m[i], 1, 1}, random_, true);
    c_.tiled ? weights_[i].put_tiled(rig_) : weights_[i].put(rig_);
    info_.a[i] = weights_[i].tensor();
    results_.push_back(matrix(c_.m[i], c_.n));
    const bool sums = i < c_.sums.size() && c_.sums[i];
    if (sums && c_.in_place) results_[i].fill(random_, 1);
    results_[i].put(rig_);
    if (c_.keeps) info_.y[i] = results_[i].tensor;
    if (!sums) return;
    // Of its own: what lies where the result does is gone after the operator.
    added_[i] = results_[i];
    if (!c_.in_place) added_[i]->fill(random_, 1);
    added_[i]->put(rig_);
    info_.c[i] = c_.in_place ? results_[i].tensor : added_[i]->tensor;
  }

  void add_gate() {
    gated_ = matrix(c_.m[0], c_.n);
    gated_->put(rig_);
    info_.gated = gated_->tensor;
    info_.function = c_.gate;
  }

  npuOpsTensor fresh(uint64_t cols, uint64_t rows) {
    TensorMemory t = TensorMemory::dense(NPU_FLOAT32, {cols, rows, 1, 1});
    t.put(rig_);
    return t.tensor;
  }

  npuOpsTensor norm() {
    npuOpsTensorNormInfo n{};
    n.struct_size = sizeof(n);
    n.function = NPU_OPS_NORM_RMS;
    n.eps = info_.eps;
    n.x = info_.x;
    n.weight = info_.norm_weight;
    n.y = fresh(c_.k, c_.n);
    run_tensor_op(rig_, NPU_OPS_TENSOR_NORM, &n);
    return n.y;
  }

  npuOpsTensor product(uint32_t i, const npuOpsTensor& v) {
    npuOpsMatmulInfo p{};
    p.struct_size = sizeof(p);
    p.integers = info_.integers;
    p.a = info_.a[i];
    p.b = v;
    p.y = fresh(c_.m[i], c_.n);
    run_tensor_op(rig_, NPU_OPS_TENSOR_MATMUL, &p);
    if (!added_[i]) return p.y;
    npuOpsCombineInfo sum{};
    sum.struct_size = sizeof(sum);
    sum.function = NPU_OPS_ADD;
    sum.x = p.y;
    sum.b = added_[i]->tensor;
    sum.y = fresh(c_.m[i], c_.n);
    run_tensor_op(rig_, NPU_OPS_TENSOR_COMBINE, &sum);
    return sum.y;
  }

  npuOpsTensor gate(const std::vector<npuOpsTensor>& y) {
    npuOpsGateInfo g{};
    g.struct_size = sizeof(g);
    g.function = c_.gate;
    g.x = y[0];
    g.b = y[1];
    g.y = fresh(c_.m[0], c_.n);
    run_tensor_op(rig_, NPU_OPS_TENSOR_GATE, &g);
    return g.y;
  }

  void expect_equal(const char* name, TensorMemory& got, const npuOpsTensor& want) {
    got.fetch(rig_);
    EXPECT_FALSE(got.touched_outside()) << name;
    const uint64_t cols = got.tensor.sizes[0], rows = got.tensor.sizes[1];
    const std::vector<int32_t> bits = rig_.get_i32(want.data, cols * rows);
    for (uint64_t row = 0; row < rows; ++row)
      for (uint64_t col = 0; col < cols; ++col)
        ASSERT_EQ(static_cast<int32_t>(got.bits({col, row, 0, 0})), bits[row * cols + col])
            << name << " " << col << " " << row;
  }

  Case c_;
  Random random_;
  Rig rig_;
  TensorMemory x_;
  npuOpsProductsInfo info_{};
  std::vector<Weights> weights_;
  std::vector<TensorMemory> results_;
  std::optional<TensorMemory> normed_, gated_, added_[NPU_OPS_PRODUCTS_MAX];
};

void check(const Case& c, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ", type " << c.type << ", n " << c.n
                                  << ", k " << c.k << ", " << c.m.size() << " products");
  Fused(c, seed).check();
}

TEST(Products, EveryTypeOfWeightsGivesTheBitsOfTheOperatorsAlone) {
  uint32_t seed = 1;
  for (npuDataType type : kWeightTypes) {
    for (bool integers : {false, true}) {
      for (uint64_t n : {1, 3}) {
        Case c{.type = type, .n = n, .m = {40, 24, 8}, .norm = true, .integers = integers};
        check(c, seed++);
        c.sums = {true, false, true};
        check(c, seed++);
        Case gated{.type = type, .n = n, .m = {40, 40}, .norm = true, .integers = integers};
        gated.gate = NPU_OPS_SILU;
        check(gated, seed++);
      }
    }
  }
}

TEST(Products, TilesGiveTheBitsOfTheOperatorsAlone) {
  uint32_t seed = 50;
  for (npuDataType type : {NPU_Q8_0, NPU_Q4_0}) {
    for (uint64_t n : {1, 3, 16}) {
      Case c{.type = type, .n = n, .m = {48, 16, 32}, .norm = true, .integers = true};
      c.tiled = true;
      c.sums = {true, false, true};
      check(c, seed++);
      c.m = {1600, 1600};
      c.gate = NPU_OPS_SILU;
      check(c, seed++);
    }
  }
}

TEST(Products, OneWithASumNeedsNoNorm) {
  uint32_t seed = 100;
  for (npuDataType type : {NPU_FLOAT32, NPU_Q8_0}) {
    for (bool in_place : {false, true}) {
      for (bool dense : {false, true})
        check(
            {.type = type, .n = 2, .m = {33}, .dense = dense, .in_place = in_place, .sums = {true}},
            seed++);
    }
  }
}

TEST(Products, EveryFunctionGates) {
  uint32_t seed = 200;
  for (int32_t function : {int32_t{NPU_OPS_RELU}, int32_t{NPU_OPS_GELU}, int32_t{NPU_OPS_GELU_ERF},
                           int32_t{NPU_OPS_SILU}, int32_t{NPU_OPS_MAP_GELU_QUICK}}) {
    for (bool keeps : {false, true}) {
      Case c{.n = 2, .k = 64, .m = {50, 50}, .dense = false};
      c.gate = function;
      c.keeps = keeps;
      c.sums = {keeps, true};
      check(c, seed++);
    }
  }
}

// More than one group of each product; products of few rows and of none between others.
TEST(Products, RowsAreSharedAmongGroups) {
  uint32_t seed = 300;
  for (const std::vector<uint64_t>& m : {std::vector<uint64_t>{700, 300, 5},
                                         {8, 700},
                                         {300, 8, 300},
                                         {300, 0, 300},
                                         {0, 300},
                                         {700}}) {
    Case c{.n = 1, .k = 512, .m = m, .norm = true};
    check(c, seed++);
    c.n = 16;
    check(c, seed++);
  }
  Case gated{.n = 16, .k = 512, .m = {700, 700}, .norm = true};
  gated.gate = NPU_OPS_SILU;
  check(gated, seed++);
}

TEST(Products, TheLimitsOfVectorsFit) {
  check({.n = 16, .k = 7168, .m = {9, 9}}, 400);
  check({.n = 2, .k = ops::kTensorNormWeights, .m = {9}, .norm = true}, 401);
  check({.type = NPU_Q8_0, .n = 1, .k = ops::kMatmulVectorElements, .m = {3, 3}, .integers = true},
        402);
}

// --- refusals ---------------------------------------------------------------------------------------------------------

npuOpsTensor matrix_at(uint64_t data, uint64_t cols, uint64_t rows) {
  return {
      data, NPU_FLOAT32, 0, {cols, rows, 1, 1}, {4, cols * 4, cols * rows * 4, cols * rows * 4}};
}

// Everything is given: a norm, two products, sums, a gate.
npuOpsProductsInfo whole_info() {
  npuOpsProductsInfo g{};
  g.struct_size = sizeof(g);
  g.count = 2;
  g.function = NPU_OPS_SILU;
  g.x = matrix_at(0x10000, 64, 2);
  g.norm_weight = matrix_at(0x20000, 64, 1);
  g.normed = matrix_at(0x30000, 64, 2);
  for (uint64_t i = 0; i < 2; ++i) {
    g.a[i] = matrix_at(0x100000 + 0x10000 * i, 64, 32);
    g.c[i] = matrix_at(0x200000 + 0x10000 * i, 32, 2);
    g.y[i] = matrix_at(0x300000 + 0x10000 * i, 32, 2);
  }
  g.gated = matrix_at(0x400000, 32, 2);
  return g;
}

template <typename Change>
npuResult result_of(const Change& change) {
  npuOpsProductsInfo info = whole_info();
  change(info);
  ops::Plan plan;
  const npuResult result = ops::plan_products(&info, &plan);
  EXPECT_TRUE(result == NPU_OK || plan.program == ops::kProgramNull);
  return result;
}

TEST(ProductsPlan, RefusesWhatCannotBe) {
  EXPECT_EQ(result_of([](auto&) {}), NPU_OK) << ops::error_text();
  EXPECT_EQ(result_of([](auto& g) { g.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result_of([](auto& g) { g.integers = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result_of([](auto& g) { g.a[1].tiled = 1; }), NPU_ERROR_NOT_SUPPORTED);
  const auto in_tiles = [](uint32_t integers, uint32_t first, uint32_t second) {
    return [=](auto& g) {
      g.integers = integers;
      for (npuOpsTensor& a : {std::ref(g.a[0]), std::ref(g.a[1])}) {
        a.type = NPU_Q8_0;
        a.strides[0] = 34;
        a.strides[1] = 68;
      }
      g.a[0].tiled = first;
      g.a[1].tiled = second;
    };
  };
  EXPECT_EQ(result_of(in_tiles(1, 1, 1)), NPU_OK) << ops::error_text();
  EXPECT_EQ(result_of(in_tiles(0, 1, 1)), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of(in_tiles(1, 1, 0)), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.count = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.count = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.count = NPU_OPS_PRODUCTS_MAX + 1; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.function = NPU_OPS_EXP; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.x.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.x.sizes[2] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.x.sizes[0] = 32; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.x.strides[0] = 8; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.x.strides[1] = 128; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.norm_weight.sizes[1] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.norm_weight = {}; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.normed = {}; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.a[1].type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.a[1].sizes[1] = 31; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.a[0].sizes[2] = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.a[2] = g.a[0]; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.c[1].sizes[1] = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result_of([](auto& g) { g.y[1].type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.gated.strides[1] = 64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result_of([](auto& g) { g.gated = {}, g.function = 0, g.y[1].data = 0; }),
            NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result_of([](auto& g) { g.y[1] = {}; }), NPU_OK) << ops::error_text();
}

TEST(ProductsPlan, ManyVectorsAreRefused) {
  const auto with_vectors = [](uint64_t n) {
    return result_of([n](npuOpsProductsInfo& g) {
      g.x = matrix_at(0x10000, 64, n);
      g.normed = matrix_at(0x30000, 64, n);
      for (uint64_t i = 0; i < 2; ++i) {
        g.c[i] = matrix_at(0x200000 + 0x10000 * i, 32, n);
        g.y[i] = matrix_at(0x300000 + 0x10000 * i, 32, n);
      }
      g.gated = matrix_at(0x400000, 32, n);
    });
  };
  EXPECT_EQ(with_vectors(ops::kMatmulVectors), NPU_OK) << ops::error_text();
  EXPECT_EQ(with_vectors(ops::kMatmulVectors + 1), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(with_vectors(0), NPU_OK) << ops::error_text();
}

TEST(ProductsPlan, AResultThatOthersReadOrWriteIsRefused) {
  const auto overlap = NPU_ERROR_INVALID_ARGUMENT;
  EXPECT_EQ(result_of([](auto& g) { g.normed.data = g.x.data; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.y[0].data = g.x.data + 4; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.y[0].data = g.norm_weight.data; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.y[1].data = g.y[0].data + 128; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.y[1].data = g.c[0].data; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.gated.data = g.y[0].data; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.gated.data = g.c[0].data; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.gated.data = g.a[1].data + 4096; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.c[0].data = g.y[0].data + 4; }), overlap);
  EXPECT_EQ(result_of([](auto& g) { g.c[0].data = g.y[0].data; }), NPU_OK) << ops::error_text();
  EXPECT_EQ(result_of([](auto& g) { g.c[1].data = g.c[0].data; }), NPU_OK) << ops::error_text();
}

}  // namespace
}  // namespace npu::kernels
