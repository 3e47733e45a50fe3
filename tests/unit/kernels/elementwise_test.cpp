// SPDX-License-Identifier: Apache-2.0
// Element-by-element programs against double precision. Bounds of the functions: numerics.h of the tile.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "tests/unit/kernels/rig.h"

namespace npu::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Shape {
  uint32_t rows, cols, pad, block_rows, block_cols;
};
constexpr Shape kShapes[] = {
    {1, 1, 0, 1, 1}, {1, 5000, 0, 1, 1024}, {17, 33, 2, 5, 16}, {129, 3, 0, 200, 8}};

class Job {
 public:
  Job(const Shape& shape, DType type, Random& random, float size)
      : s(shape),
        type(type),
        ld(shape.cols + shape.pad),
        x(random.values(uint64_t{ld} * s.rows, type, size)) {}
  void run(const std::string& name, DType to, const Args& more) {
    uint64_t y = rig.put(to, std::vector<float>(x.size(), 7.0f));
    Args args{{"x", rig.put(type, x)},
              {"y", y},
              {"rows", s.rows},
              {"cols", s.cols},
              {"ldx", ld},
              {"ldy", ld},
              {"block_rows", s.block_rows},
              {"block_cols", s.block_cols}};
    args.insert(more.begin(), more.end());
    rig.run(name, args, {ceil_div(s.cols, s.block_cols), ceil_div(s.rows, s.block_rows)});
    got = rig.get(to, y, x.size());
  }
  // fn(row, column, x) gives the wanted value and an absolute bound before the last rounding.
  void check(DType to,
             const std::function<std::pair<double, double>(uint32_t, uint32_t, double)>& fn) {
    for (uint32_t i = 0; i < s.rows; ++i) {
      for (uint32_t j = 0; j < ld; ++j) {
        uint64_t at = uint64_t{i} * ld + j;
        if (j >= s.cols) {
          ASSERT_EQ(got[at], 7.0f) << "padding was written";
          continue;
        }
        auto [want, bound] = fn(i, j, x[at]);
        ASSERT_NEAR(got[at], want, bound + std::fabs(want) * half_ulp(to) * 1.01 + 1e-37)
            << "x " << x[at];
      }
    }
  }

  Rig rig;
  Shape s;
  DType type;
  uint32_t ld;
  std::vector<float> x, got;
};

struct Function {
  const char* name;
  double (*fn)(double);
  double relative;  // of the result
  double of_x;      // of the argument
  bool positive;
};
constexpr double kUlp = 0x1p-23;
const Function kFunctions[] = {
    {"neg", [](double x) { return -x; }, 0, 0, false},
    {"abs", [](double x) { return std::fabs(x); }, 0, 0, false},
    {"relu", [](double x) { return x > 0 ? x : 0; }, 0, 0, false},
    {"exp", [](double x) { return std::exp(x); }, kUlp, 0, false},
    {"log", [](double x) { return std::log(x); }, kUlp, 0, true},
    {"sqrt", [](double x) { return std::sqrt(x); }, 0, 0, true},
    {"rsqrt", [](double x) { return 1 / std::sqrt(x); }, kUlp, 0, true},
    {"rcp", [](double x) { return 1 / x; }, 0, 0, true},
    {"tanh", [](double x) { return std::tanh(x); }, 2 * kUlp, 0, false},
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }, 3 * kUlp, 0, false},
    {"erf", [](double x) { return std::erf(x); }, 2 * kUlp, 0, false},
    {"gelu",
     [](double x) {
       return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
     },
     0, 0x1p-22, false},
    {"gelu_erf", [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }, 0, 0x1p-23,
     false},
    {"silu", [](double x) { return x / (1 + std::exp(-x)); }, 0, 0x1.8p-23, false},
    {"sin", [](double x) { return std::sin(x); }, 0, 1e-7, false},
    {"cos", [](double x) { return std::cos(x); }, 0, 1e-7, false},
};

TEST(Unary, EveryFunctionMatchesTheReference) {
  uint32_t seed = 1;
  for (const Function& f : kFunctions) {
    for (DType type : kElementTypes) {
      for (const Shape& s : kShapes) {
        SCOPED_TRACE(testing::Message() << f.name << " seed " << seed);
        Random random(seed++);
        Job r(s, type, random, 8);
        if (f.positive) {
          for (float& v : r.x) v = std::fabs(v) + 0x1p-10f;
          for (float& v : r.x) v = rounded(type, v);
        }
        r.run(std::string(f.name) + "_" + type_name(type), type, {});
        r.check(type, [&](uint32_t, uint32_t, double x) {
          double want = f.fn(x);
          double of_x = f.of_x * (f.name[1] == 'i' || f.name[0] == 'c' ? std::max(1.0, std::fabs(x))
                                                                       : std::fabs(x));
          return std::pair(want, std::fabs(want) * f.relative + of_x);
        });
      }
    }
  }
}

TEST(Unary, SpecialValuesPassThrough) {
  Random random(7);
  Job r({1, 4, 0, 1, 4}, DType::F32, random, 1);
  r.x = {kInf, -kInf, std::numeric_limits<float>::quiet_NaN(), 0};
  r.run("silu_f32", DType::F32, {});
  EXPECT_EQ(r.got[0], kInf);
  EXPECT_EQ(r.got[3], 0);
  EXPECT_TRUE(std::isnan(r.got[2]));
  r.run("exp_f32", DType::F32, {});
  EXPECT_EQ(r.got[0], kInf);
  EXPECT_EQ(r.got[1], 0);
  EXPECT_TRUE(std::isnan(r.got[2]));
  EXPECT_EQ(r.got[3], 1);
}

struct Binary {
  const char* name;
  double (*fn)(double, double);
};
const Binary kBinary[] = {{"add", [](double a, double b) { return a + b; }},
                          {"sub", [](double a, double b) { return a - b; }},
                          {"mul", [](double a, double b) { return a * b; }},
                          {"div", [](double a, double b) { return a / b; }},
                          {"max", [](double a, double b) { return std::max(a, b); }},
                          {"min", [](double a, double b) { return std::min(a, b); }}};

TEST(Binary, EveryFunctionAndSpreadMatchesTheReference) {
  uint32_t seed = 300;
  const char* spreads[] = {"full", "row", "col", "scalar"};
  for (const Binary& f : kBinary) {
    for (DType type : kElementTypes) {
      for (int spread = 0; spread < 4; ++spread) {
        const Shape& s = kShapes[seed % 4];
        SCOPED_TRACE(testing::Message() << f.name << " " << spreads[spread] << " seed " << seed);
        Random random(seed++);
        Job r(s, type, random, 8);
        uint32_t ldb = spread == 0 ? s.cols + 1 : spread == 1 ? s.cols : 2;
        std::vector<float> b = random.values(uint64_t{ldb} * s.rows, type, 8);
        r.run(std::string(f.name) + "_" + type_name(type) + "_" + spreads[spread], type,
              {{"b", r.rig.put(type, b)}, {"ldb", ldb}, {"value", 2.5f}});
        r.check(type, [&](uint32_t i, uint32_t j, double x) {
          double other = spread == 0   ? b[uint64_t{i} * ldb + j]
                         : spread == 1 ? b[j]
                         : spread == 2 ? b[uint64_t{i} * ldb]
                                       : 2.5;
          double want = f.fn(x, other);
          return std::pair(want, std::fabs(want) * 0x1p-24);
        });
      }
    }
  }
}

TEST(SiluMul, MatchesTheReference) {
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      Random random(400);
      Job r(s, type, random, 8);
      uint32_t ldb = s.cols + 5;
      std::vector<float> b = random.values(uint64_t{ldb} * s.rows, type, 8);
      r.run("silu_mul_" + type_name(type), type, {{"b", r.rig.put(type, b)}, {"ldb", ldb}});
      r.check(type, [&](uint32_t i, uint32_t j, double x) {
        double other = b[uint64_t{i} * ldb + j];
        return std::pair(x / (1 + std::exp(-x)) * other, std::fabs(x * other) * 0x1p-22);
      });
    }
  }
}

TEST(Convert, RoundsToNearestEvenAndWidensExactly) {
  Random random(500);
  Job r(kShapes[2], DType::F32, random, 1e6f);
  r.x[0] = 0x1.01p0f;  // halfway: to the even neighbour
  r.x[1] = 0x1.03p0f;
  r.x[2] = kInf;
  r.x[3] = 3.4e38f;
  r.run("convert_f32_bf16", DType::BF16, {});
  for (uint32_t j = 0; j < 33; ++j) EXPECT_EQ(r.got[j], rounded(DType::BF16, r.x[j]));
  EXPECT_EQ(r.got[0], 1.0f);
  EXPECT_EQ(r.got[1], 0x1.04p0f);
  Job back(kShapes[1], DType::BF16, random, 1e30f);
  back.run("convert_bf16_f32", DType::F32, {});
  EXPECT_EQ(back.got, back.x);
}

}  // namespace
}  // namespace npu::kernels
