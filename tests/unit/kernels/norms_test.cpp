// SPDX-License-Identifier: Apache-2.0
// Softmax, RMSnorm and layernorm against double-precision references. A tree sum over n elements adds at most n / 16 + 4 roundings.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Shape {
  uint32_t rows, cols, pad, block;
};
constexpr Shape kShapes[] = {{1, 1, 0, 1},    {3, 17, 2, 2},    {17, 33, 0, 8},  {2, 129, 1, 64},
                             {1, 4096, 0, 1}, {5, 1000, 24, 2}, {1, 32000, 0, 1}};

class Job {
 public:
  Job(const Shape& shape, DType type, Random& random, float size = 1)
      : s(shape), type(type), ld(shape.cols + shape.pad) {
    x = random.values(uint64_t{ld} * s.rows, type, size);
    y = rig.put(type, std::vector<float>(x.size(), 7.0f));
  }
  void run(const std::string& name, const Args& more) {
    Args args{{"x", rig.put(type, x)}, {"y", y},    {"rows", s.rows},
              {"cols", s.cols},        {"ldx", ld}, {"ldy", ld},
              {"block_rows", s.block}};
    args.insert(more.begin(), more.end());
    rig.run(name + "_" + type_name(type), args, {ceil_div(s.rows, s.block)});
    got = rig.get(type, y, x.size());
  }

  Rig rig;
  Shape s;
  DType type;
  uint32_t ld;
  std::vector<float> x, got;
  uint64_t y;
};

TEST(Softmax, MatchesTheReference) {
  uint32_t seed = 1;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      Random random(seed++);
      Job r(s, type, random, 30);
      r.run("softmax", {{"scale", 0.5f}});
      for (uint32_t i = 0; i < s.rows; ++i) {
        const float* x = &r.x[uint64_t{i} * r.ld];
        double largest = -INFINITY;
        double sum = 0;
        for (uint32_t j = 0; j < s.cols; ++j) largest = std::max(largest, 0.5 * x[j]);
        for (uint32_t j = 0; j < s.cols; ++j) sum += std::exp(0.5 * x[j] - largest);
        for (uint32_t j = 0; j < s.cols; ++j) {
          double want = std::exp(0.5 * x[j] - largest) / sum;
          // The difference to the largest is rounded once: at most 30 * 2^-24.
          double bound = want * ((s.cols / 16 + 40) * 0x1p-24 + half_ulp(type)) + 1e-40;
          ASSERT_NEAR(r.got[uint64_t{i} * r.ld + j], want, bound) << s.cols << " seed " << seed;
        }
      }
    }
  }
}

TEST(Softmax, MinusInfinityIsMaskedAndNanStaysInItsRow) {
  Random random(20);
  Job r({4, 10, 0, 4}, DType::F32, random);
  r.x[3] = -kInf;
  for (int j = 0; j < 10; ++j) r.x[10 + j] = -kInf;
  r.x[25] = std::numeric_limits<float>::quiet_NaN();
  r.run("softmax", {{"scale", 1.0f}});
  EXPECT_EQ(r.got[3], 0);
  for (int j = 0; j < 10; ++j) {
    EXPECT_TRUE(std::isfinite(r.got[j]));
    EXPECT_TRUE(std::isnan(r.got[10 + j]));
    EXPECT_TRUE(std::isfinite(r.got[30 + j]));
  }
  EXPECT_TRUE(std::isnan(r.got[25]));
}

TEST(RmsNorm, MatchesTheReference) {
  uint32_t seed = 40;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      for (bool weighted : {false, true}) {
        Random random(seed++);
        Job r(s, type, random, 3);
        std::vector<float> w = random.values(s.cols, type);
        float inverse = 1.0f / static_cast<float>(s.cols);
        r.run("rms_norm", {{"weight", weighted ? r.rig.put(type, w) : uint64_t{0}},
                           {"inverse_cols", inverse},
                           {"eps", 1e-5f}});
        for (uint32_t i = 0; i < s.rows; ++i) {
          double squares = 0;
          for (uint32_t j = 0; j < s.cols; ++j) squares += std::pow(r.x[uint64_t{i} * r.ld + j], 2);
          double scale = 1 / std::sqrt(squares / s.cols + double{1e-5f});
          for (uint32_t j = 0; j < s.cols; ++j) {
            double want = r.x[uint64_t{i} * r.ld + j] * scale * (weighted ? w[j] : 1);
            double bound = std::fabs(want) * ((s.cols / 32 + 8) * 0x1p-24 + half_ulp(type)) + 1e-40;
            ASSERT_NEAR(r.got[uint64_t{i} * r.ld + j], want, bound) << s.cols << " seed " << seed;
          }
        }
      }
    }
  }
}

TEST(LayerNorm, MatchesTheReference) {
  uint32_t seed = 80;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      for (bool affine : {false, true}) {
        Random random(seed++);
        Job r(s, type, random, 3);
        std::vector<float> w = random.values(s.cols, type), b = random.values(s.cols, type);
        r.run("layer_norm", {{"weight", affine ? r.rig.put(type, w) : uint64_t{0}},
                             {"bias", affine ? r.rig.put(type, b) : uint64_t{0}},
                             {"inverse_cols", 1.0f / static_cast<float>(s.cols)},
                             {"eps", 1e-5f}});
        for (uint32_t i = 0; i < s.rows; ++i) {
          const float* x = &r.x[uint64_t{i} * r.ld];
          double sum = 0;
          double squares = 0;
          for (uint32_t j = 0; j < s.cols; ++j) sum += x[j];
          double mean = sum / s.cols;
          for (uint32_t j = 0; j < s.cols; ++j) squares += (x[j] - mean) * (x[j] - mean);
          double scale = 1 / std::sqrt(squares / s.cols + double{1e-5f});
          for (uint32_t j = 0; j < s.cols; ++j) {
            double normal = (x[j] - mean) * scale;
            double want = affine ? normal * w[j] + b[j] : normal;
            // The mean is off by at most 2^-24 of 3 for each rounding of its tree; a single column leaves only eps.
            double mean_error = 3 * (s.cols / 16 + 6) * 0x1p-24 * scale;
            double bound = mean_error + std::fabs(normal) * (s.cols / 32 + 12) * 0x1p-24 +
                           std::fabs(want) * half_ulp(type) + 1e-6;
            ASSERT_NEAR(r.got[uint64_t{i} * r.ld + j], want, bound) << s.cols << " seed " << seed;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace npu::kernels
