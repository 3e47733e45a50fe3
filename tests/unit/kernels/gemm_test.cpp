// SPDX-License-Identifier: Apache-2.0
// GEMM against a double-precision reference. Bound: K + 3 roundings of fp32 on sums of |a b|, then one rounding to the output type.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/kernels/rig.h"
#include "uapi/npu_isa.h"

namespace npu::kernels {
namespace {

enum class FormB { kPlain, kTransposed, kPacked };

struct Case {
  uint32_t m, n, k;
  DType in = DType::F32, out = DType::F32;
  bool a_transposed = false;
  FormB b = FormB::kPlain;
  float alpha = 1, beta = 0;
  bool bias = false;
  uint32_t act = NPU_ACT_NONE;
  uint32_t batch = 1;
  uint32_t pad = 0;  // leading dimensions are larger than needed by so much
  uint32_t block_m = 256, block_n = 256, block_k = 128;
  uint32_t first_k = 0;  // 0: as the others
};

double activate(uint32_t act, double x) {
  switch (act) {
    case NPU_ACT_RELU:
      return x > 0 ? x : 0;
    case NPU_ACT_GELU:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case NPU_ACT_GELU_ERF:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case NPU_ACT_SILU:
      return x / (1 + std::exp(-x));
    case NPU_ACT_SIGMOID:
      return 1 / (1 + std::exp(-x));
    case NPU_ACT_TANH:
      return std::tanh(x);
    default:
      return x;
  }
}

// One GEMM in a rig of its own.
class GemmRun {
 public:
  GemmRun(const Case& c, Random& random) : c_(c) {
    lda_ = (c.a_transposed ? c.m : c.k) + c.pad;
    ldb_ = (c.b == FormB::kTransposed ? c.k : c.n) + c.pad;
    ldd_ = c.n + c.pad;
    rows_a_ = c.a_transposed ? c.k : c.m;
    rows_b_ = c.b == FormB::kTransposed ? c.n : c.k;
    a_ = random.values(uint64_t{lda_} * rows_a_ * c.batch, c.in);
    b_ = random.values(uint64_t{ldb_} * rows_b_ * c.batch, c.in);
    d_ = random.values(uint64_t{ldd_} * c.m * c.batch, c.out);
    bias_ = random.values(c.n);
  }

  void run() {
    uint32_t elem = isa::dtype_bytes(c_.in);
    at_d_ = rig.put(c_.out, d_);
    uint64_t at_b = rig.put(c_.in, b_);
    uint64_t stride_b = uint64_t{ldb_} * rows_b_ * elem;
    if (c_.b == FormB::kPacked) at_b = pack(at_b, &stride_b);
    std::string name = "gemm_" + type_name(c_.in) + "_" + type_name(c_.out) + "_" +
                       (c_.a_transposed ? "t" : "n") +
                       (c_.b == FormB::kPlain        ? "n"
                        : c_.b == FormB::kTransposed ? "t"
                                                     : "p");
    Args args{{"a", rig.put(c_.in, a_)},
              {"b", at_b},
              {"c", c_.beta != 0 ? at_d_ : uint64_t{0}},
              {"d", at_d_},
              {"bias", c_.bias ? rig.put(DType::F32, bias_) : uint64_t{0}},
              {"batch_stride_a", uint64_t{lda_} * rows_a_ * elem},
              {"batch_stride_b", stride_b},
              {"batch_stride_c", uint64_t{ldd_} * c_.m * isa::dtype_bytes(c_.out)},
              {"batch_stride_d", uint64_t{ldd_} * c_.m * isa::dtype_bytes(c_.out)},
              {"m", c_.m},
              {"n", c_.n},
              {"k", c_.k},
              {"lda", lda_},
              {"ldb", ldb_},
              {"ldc", ldd_},
              {"ldd", ldd_},
              {"block_m", c_.block_m},
              {"block_n", c_.block_n},
              {"block_k", c_.block_k},
              {"first_k", c_.first_k != 0 ? c_.first_k : c_.block_k},
              {"alpha", c_.alpha},
              {"beta", c_.beta},
              {"act", c_.act}};
    rig.run(name, args, {ceil_div(c_.n, c_.block_n), ceil_div(c_.m, c_.block_m), c_.batch});
  }

  void check() {
    std::vector<float> got = rig.get(c_.out, at_d_, d_.size());
    for (uint32_t z = 0; z < c_.batch; ++z) {
      for (uint32_t i = 0; i < c_.m; ++i) {
        for (uint32_t j = 0; j < c_.n; ++j) check_element(z, i, j, got);
        for (uint32_t j = c_.n; j < ldd_; ++j) {
          uint64_t at = (uint64_t{z} * c_.m + i) * ldd_ + j;
          ASSERT_EQ(got[at], d_[at]) << "padding was written";
        }
      }
    }
  }

  Rig rig;

 private:
  uint64_t pack(uint64_t at_b, uint64_t* stride) {
    *stride = uint64_t{c_.k} * ((c_.n + 15) / 16 * 16) * isa::dtype_bytes(c_.in);
    uint64_t packed = rig.alloc(*stride * c_.batch);
    uint32_t block_n = 64;
    uint32_t block_k = 256;
    rig.run("gemm_pack_" + type_name(c_.in) + "_n",
            {{"b", at_b},
             {"packed", packed},
             {"batch_stride_b", uint64_t{ldb_} * rows_b_ * isa::dtype_bytes(c_.in)},
             {"batch_stride_packed", *stride},
             {"n", c_.n},
             {"k", c_.k},
             {"ldb", ldb_},
             {"block_n", block_n},
             {"block_k", block_k}},
            {ceil_div(c_.n, block_n), ceil_div(c_.k, block_k), c_.batch});
    return packed;
  }

  void check_element(uint32_t z, uint32_t i, uint32_t j, const std::vector<float>& got) {
    const float* a = a_.data() + uint64_t{z} * lda_ * rows_a_;
    const float* b = b_.data() + uint64_t{z} * ldb_ * rows_b_;
    double sum = 0;
    double magnitude = 0;
    for (uint32_t k = 0; k < c_.k; ++k) {
      double x = c_.a_transposed ? a[uint64_t{k} * lda_ + i] : a[uint64_t{i} * lda_ + k];
      double y = c_.b == FormB::kTransposed ? b[uint64_t{j} * ldb_ + k] : b[uint64_t{k} * ldb_ + j];
      sum += x * y;
      magnitude += std::fabs(x * y);
    }
    uint64_t at = (uint64_t{z} * c_.m + i) * ldd_ + j;
    double value = c_.alpha * sum;
    magnitude *= std::fabs(c_.alpha);
    if (c_.beta != 0) {
      value += double{c_.beta} * d_[at];
      magnitude += std::fabs(double{c_.beta} * d_[at]);
    }
    if (c_.bias) {
      value += bias_[j];
      magnitude += std::fabs(bias_[j]);
    }
    // No activation here is steeper than 1.13; each adds at most 2^-22 of its argument.
    double error = 1.2 * (c_.k + 3) * 0x1p-24 * magnitude + 0x1p-21 * std::fabs(value) + 1e-30;
    double want = activate(c_.act, value);
    ASSERT_NEAR(got[at], want, error + half_ulp(c_.out) * std::fabs(want) * 1.01)
        << "batch " << z << " row " << i << " column " << j;
  }

  Case c_;
  uint32_t lda_, ldb_, ldd_, rows_a_, rows_b_;
  std::vector<float> a_, b_, d_, bias_;
  uint64_t at_d_ = 0;
};

void run_case(const Case& c, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << " m " << c.m << " n " << c.n << " k " << c.k
                                  << " act " << c.act);
  Random random(seed);
  GemmRun run(c, random);
  run.run();
  run.check();
}

TEST(Gemm, EveryVariantMatchesTheReferenceOnOddShapes) {
  constexpr uint32_t kShapes[][3] = {{1, 1, 1}, {17, 33, 129}, {33, 129, 17}, {129, 17, 33}};
  uint32_t seed = 1;
  for (DType in : kElementTypes) {
    for (DType out : kElementTypes) {
      for (bool transposed : {false, true}) {
        for (FormB b : {FormB::kPlain, FormB::kTransposed, FormB::kPacked}) {
          for (auto& s : kShapes) {
            Case c{s[0], s[1], s[2], in, out, transposed, b};
            c.pad = seed % 3;
            c.block_m = 64, c.block_n = 48, c.block_k = 40, c.first_k = 24;
            run_case(c, seed++);
          }
        }
      }
    }
  }
}

TEST(Gemm, LargeBlocksMatchTheReference) {
  for (DType type : kElementTypes) {
    Case c{257, 300, 131, type, DType::F32};
    run_case(c, 5);
    c.b = FormB::kTransposed;
    run_case(c, 6);
    c.out = DType::BF16;  // sums end where they lie, in shorter rows
    c.beta = 0.5f;
    c.bias = true;
    run_case(c, 7);
  }
}

TEST(Gemm, DeepSumsKeepTheirBound) { run_case({3, 20, 5000}, 7); }

TEST(Gemm, EmptyDepthGivesBetaCAndBias) {
  Case c{19, 35, 0};
  run_case(c, 8);
  c.beta = 0.5f;
  c.bias = true;
  run_case(c, 9);
}

TEST(Gemm, AlphaBetaBiasAndActivationsAreApplied) {
  for (uint32_t act = 0; act < NPU_ACT_COUNT; ++act) {
    for (DType out : kElementTypes) {
      Case c{21, 37, 29, DType::F32, out};
      c.act = act;
      c.alpha = 0.75f;
      c.bias = true;
      run_case(c, 10 + act);
      c.beta = -1.5f;
      c.pad = 3;
      run_case(c, 20 + act);
    }
  }
}

TEST(Gemm, AnEndThatChangesNothingTakesTheTensorUnitNoTime) {
  std::vector<uint64_t> busy_ps;
  for (const float alpha : {1.0f, 2.0f}) {
    Case c{48, 32, 64};
    c.alpha = alpha;
    Random random(30);
    GemmRun run(c, random);
    run.run();
    run.check();
    busy_ps.push_back(run.rig.stats().engine_busy_ps[NPU_ENGINE_MM]);
  }
  EXPECT_LT(busy_ps[0], busy_ps[1]);
}

TEST(Gemm, BatchesHaveStrides) {
  for (FormB b : {FormB::kPlain, FormB::kTransposed, FormB::kPacked}) {
    Case c{7, 19, 23};
    c.batch = 3;
    c.b = b;
    c.beta = 2;
    run_case(c, 40);
  }
}

TEST(Gemm, TheResultDoesNotDependOnTheBlocks) {
  Random random(50);
  std::vector<float> a = random.values(60 * 70), b = random.values(70 * 50);
  std::vector<float> first;
  for (uint32_t block : {16u, 32u, 48u, 128u}) {
    Rig rig;
    uint64_t d = rig.alloc(60 * 50 * 4);
    Args args{{"a", rig.put(DType::F32, a)},
              {"b", rig.put(DType::F32, b)},
              {"c", 0},
              {"d", d},
              {"bias", 0},
              {"batch_stride_a", 0},
              {"batch_stride_b", 0},
              {"batch_stride_c", 0},
              {"batch_stride_d", 0},
              {"m", 60},
              {"n", 50},
              {"k", 70},
              {"lda", 70},
              {"ldb", 50},
              {"ldc", 0},
              {"ldd", 50},
              {"block_m", block},
              {"block_n", block},
              {"block_k", block - 3},
              {"first_k", block / 2},
              {"alpha", 1.0f},
              {"beta", 0.0f},
              {"act", 0}};
    rig.run("gemm_f32_f32_nn", args, {ceil_div(50, block), ceil_div(60, block)});
    std::vector<float> got = rig.get(DType::F32, d, 60 * 50);
    if (first.empty()) first = got;
    EXPECT_EQ(first, got) << "block " << block;
  }
}

TEST(Gemm, InfinityAndNanReachExactlyTheirRowsAndColumns) {
  constexpr uint32_t kN = 20;
  Random random(60);
  std::vector<float> a = random.values(kN * kN), b = random.values(kN * kN);
  a[3 * kN + 4] = std::numeric_limits<float>::infinity();
  b[5 * kN + 7] = std::numeric_limits<float>::quiet_NaN();
  for (float& v : b) v = v == 0 ? 1 : v;
  Rig rig;
  uint64_t d = rig.alloc(kN * kN * 4);
  Args args{{"a", rig.put(DType::F32, a)},
            {"b", rig.put(DType::F32, b)},
            {"c", 0},
            {"d", d},
            {"bias", 0},
            {"batch_stride_a", 0},
            {"batch_stride_b", 0},
            {"batch_stride_c", 0},
            {"batch_stride_d", 0},
            {"m", kN},
            {"n", kN},
            {"k", kN},
            {"lda", kN},
            {"ldb", kN},
            {"ldc", 0},
            {"ldd", kN},
            {"block_m", 64},
            {"block_n", 64},
            {"block_k", 64},
            {"first_k", 64},
            {"alpha", 1.0f},
            {"beta", 0.0f},
            {"act", 0}};
  rig.run("gemm_f32_f32_nn", args, {1, 1});
  std::vector<float> got = rig.get(DType::F32, d, kN * kN);
  for (uint32_t i = 0; i < kN; ++i) {
    for (uint32_t j = 0; j < kN; ++j) {
      float v = got[i * kN + j];
      if (j == 7) {
        EXPECT_TRUE(std::isnan(v));
      } else if (i == 3) {
        EXPECT_TRUE(std::isinf(v));
      } else {
        EXPECT_TRUE(std::isfinite(v));
      }
    }
  }
}

TEST(Gemm, AnActivationThatDoesNotExistTraps) {
  Rig rig;
  uint64_t d = rig.alloc(4);
  Args args{{"a", d},
            {"b", d},
            {"c", 0},
            {"d", d},
            {"bias", 0},
            {"batch_stride_a", 0},
            {"batch_stride_b", 0},
            {"batch_stride_c", 0},
            {"batch_stride_d", 0},
            {"m", 1},
            {"n", 1},
            {"k", 1},
            {"lda", 1},
            {"ldb", 1},
            {"ldc", 1},
            {"ldd", 1},
            {"block_m", 16},
            {"block_n", 16},
            {"block_k", 16},
            {"first_k", 16},
            {"alpha", 1.0f},
            {"beta", 0.0f},
            {"act", 9}};
  rig.run("gemm_f32_f32_nn", args, {1, 1}, NPU_ST_KERNEL_TRAP);
}

}  // namespace
}  // namespace npu::kernels
