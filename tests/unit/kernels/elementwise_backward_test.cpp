// SPDX-License-Identifier: Apache-2.0
// Gradients of activations against finite differences of the functions in double precision; dropout: what stays, how often, and that it depends on the number of an element alone.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/matrix.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

struct Function {
  const char* name;
  int32_t function;
  double (*value)(double);
  double at_infinity;  // of the derivative
};
const Function kFunctions[] = {
    {"relu", NPU_OPS_RELU, [](double x) { return x > 0 ? x : 0; }, 1},
    {"tanh", NPU_OPS_TANH, [](double x) { return std::tanh(x); }, 0},
    {"sigmoid", NPU_OPS_SIGMOID, sigmoid, 0},
    {"gelu", NPU_OPS_GELU, gelu, 1},
    {"gelu_erf", NPU_OPS_GELU_ERF, [](double x) { return x / 2 * (1 + std::erf(x / M_SQRT2)); }, 1},
    {"silu", NPU_OPS_SILU, [](double x) { return x * sigmoid(x); }, 1}};

// Differences show nothing at the bend of a function: at 0 it has the slope of its left side.
double slope(double (*f)(double), double x) {
  const double step = std::fabs(x) < 1e-5 ? std::fabs(x) / 2 : 1e-5;
  return step != 0 ? (f(x + step) - f(x - step)) / (2 * step) : (f(0) - f(-1e-5)) / 1e-5;
}

struct Shape {
  uint32_t rows, cols, pad;
};
constexpr Shape kShapes[] = {{1, 1, 0}, {3, 17, 2}, {70, 1000, 1}, {2, 40000, 0}};

TEST(UnaryBackward, MatchesTheSlope) {
  uint32_t seed = 1;
  for (const Function& f : kFunctions) {
    for (DType type : kElementTypes) {
      for (const Shape& s : kShapes) {
        SCOPED_TRACE(testing::Message() << f.name << " seed " << seed);
        Rig rig;
        Random random(seed++);
        Matrix x(rig, random, type, s.rows, s.cols, s.pad, 8),
            dy(rig, random, type, s.rows, s.cols, 1);
        Matrix dx(rig, random, type, s.rows, s.cols, s.pad);
        auto info = blank<npuOpsUnaryBackwardInfo>();
        info.type = public_type(type), info.function = f.function;
        info.rows = s.rows, info.cols = s.cols;
        info.x = x.dva(), info.dy = dy.dva(), info.dx = dx.dva();
        info.ldx = x.ld(), info.lddy = dy.ld(), info.lddx = dx.ld();
        run_planned(rig, NPU_OPS_UNARY_BACKWARD, &info);
        dx.fetch();
        for (uint32_t i = 0; i < s.rows; ++i) {
          for (uint32_t j = 0; j < s.cols; ++j) {
            const double want = dy.at(i, j) * slope(f.value, x.at(i, j));
            ASSERT_NEAR(dx.got(i, j), want, 2e-6 + std::fabs(want) * half_ulp(type)) << x.at(i, j);
          }
        }
      }
    }
  }
}

// What lies at the ends: no overflow inside a formula may show.
TEST(UnaryBackward, HasLimitsAtTheEndsAndKeepsNan) {
  const std::vector<float> ends = {-kInf, -3e38f, -1e5f, 1e5f, 3e38f, kInf, kNan, -1e-40f, 1e-40f};
  for (const Function& f : kFunctions) {
    SCOPED_TRACE(f.name);
    Rig rig;
    auto info = blank<npuOpsUnaryBackwardInfo>();
    info.function = f.function, info.rows = 1, info.cols = static_cast<uint32_t>(ends.size());
    info.x = rig.put(DType::F32, ends);
    info.dy = info.dx = rig.put(DType::F32, std::vector<float>(ends.size(), 2.0f));
    run_planned(rig, NPU_OPS_UNARY_BACKWARD, &info);
    const std::vector<float> got = rig.get(DType::F32, info.dx, ends.size());
    for (size_t i : {0u, 1u, 2u}) EXPECT_EQ(got[i], 0) << ends[i];
    for (size_t i : {3u, 4u, 5u}) EXPECT_EQ(got[i], 2 * f.at_infinity) << ends[i];
    EXPECT_TRUE(std::isnan(got[6]));
    if (f.function == NPU_OPS_RELU) {
      EXPECT_EQ(got[7], 0);
      EXPECT_EQ(got[8], 2);
    }
  }
}

TEST(SiluMulBackward, MatchesTheSlope) {
  uint32_t seed = 100;
  for (DType type : kElementTypes) {
    for (const Shape& s : kShapes) {
      SCOPED_TRACE(testing::Message() << s.rows << " x " << s.cols << " seed " << seed);
      Rig rig;
      Random random(seed++);
      Matrix x(rig, random, type, s.rows, s.cols, s.pad, 8),
          b(rig, random, type, s.rows, s.cols, 3);
      Matrix dy(rig, random, type, s.rows, s.cols, 1);
      Matrix dx(rig, random, type, s.rows, s.cols), db(rig, random, type, s.rows, s.cols, s.pad);
      auto info = blank<npuOpsSiluMulBackwardInfo>();
      info.type = public_type(type), info.rows = s.rows, info.cols = s.cols;
      info.x = x.dva(), info.b = b.dva(), info.dy = dy.dva(), info.dx = dx.dva(),
      info.db = db.dva();
      info.ldx = x.ld(), info.ldb = b.ld(), info.lddy = dy.ld();
      info.lddx = dx.ld(), info.lddb = db.ld();
      run_planned(rig, NPU_OPS_SILU_MUL_BACKWARD, &info);
      dx.fetch();
      db.fetch();
      auto silu = [](double v) { return v * sigmoid(v); };
      for (uint32_t i = 0; i < s.rows; ++i) {
        for (uint32_t j = 0; j < s.cols; ++j) {
          const double at = x.at(i, j);
          const double want_x = dy.at(i, j) * b.at(i, j) * slope(silu, at);
          const double want_b = dy.at(i, j) * silu(at);
          ASSERT_NEAR(dx.got(i, j), want_x, 2e-6 + std::fabs(want_x) * half_ulp(type)) << at;
          ASSERT_NEAR(db.got(i, j), want_b, 2e-6 + std::fabs(want_b) * half_ulp(type)) << at;
        }
      }
    }
  }
}

npuOpsDropoutInfo dropout_info(Rig& rig, uint32_t rows, uint32_t cols, uint32_t ld) {
  auto info = blank<npuOpsDropoutInfo>();
  info.rows = rows, info.cols = cols, info.ldx = info.ldy = ld;
  info.x = rig.put(DType::F32, std::vector<float>(uint64_t{rows} * ld, 3.0f));
  info.y = rig.put(DType::F32, std::vector<float>(uint64_t{rows} * ld, 7.0f));
  info.seed = 0x123456789abcdef0, info.p = 0.3f;
  return info;
}

std::vector<float> dropped(Rig& rig, const npuOpsDropoutInfo& info) {
  run_planned(rig, NPU_OPS_DROPOUT, &info);
  std::vector<float> out;
  const std::vector<float> all = rig.get(DType::F32, info.y, info.rows * info.ldy);
  for (uint64_t i = 0; i < info.rows; ++i) {
    for (uint64_t j = 0; j < info.ldy; ++j) {
      if (j < info.cols) {
        out.push_back(all[i * info.ldy + j]);
      } else {
        EXPECT_EQ(all[i * info.ldy + j], 7.0f);
      }
    }
  }
  return out;
}

TEST(Dropout, KeepsAsManyAsPromisedAndScalesThem) {
  for (float p : {0.0f, 0.1f, 0.5f, 0.999f}) {
    Rig rig;
    npuOpsDropoutInfo info = dropout_info(rig, 100, 1000, 1000);
    info.p = p;
    const std::vector<float> got = dropped(rig, info);
    const auto kept = static_cast<float>(1 / (1 - double{p}));
    uint32_t stay = 0;
    for (float v : got) {
      ASSERT_TRUE(v == 0 || v == 3 * kept) << v;
      stay += v != 0;
    }
    // Five standard deviations of as many independent draws.
    EXPECT_NEAR(stay, 1e5 * (1 - double{p}), 5 * std::sqrt(1e5 * p * (1 - p))) << "p " << p;
  }
}

TEST(Dropout, DependsOnTheNumberOfAnElementAlone) {
  Rig rig;
  npuOpsDropoutInfo info = dropout_info(rig, 1, 6000, 6000);
  info.first = 11;
  const std::vector<float> line = dropped(rig, info);
  for (auto [rows, ld] : {std::pair{60u, 100u}, {60u, 103u}, {6000u, 1u}}) {
    npuOpsDropoutInfo other = dropout_info(rig, rows, 6000 / rows, ld);
    other.first = 11;
    EXPECT_EQ(dropped(rig, other), line) << rows << " rows";
  }
  npuOpsDropoutInfo later = dropout_info(rig, 1, 5000, 5000);
  later.first = 1011;
  EXPECT_EQ(dropped(rig, later), std::vector<float>(line.begin() + 1000, line.end()));
  later.seed += 1;
  EXPECT_NE(dropped(rig, later), std::vector<float>(line.begin() + 1000, line.end()));
}

TEST(Dropout, TheSameMaskBackwardInBothTypes) {
  Rig rig;
  Random random(7);
  Matrix dy(rig, random, DType::BF16, 9, 33);
  npuOpsDropoutInfo info = dropout_info(rig, 9, 33, 33);
  info.p = 0.5f;
  const std::vector<float> forward = dropped(rig, info);
  npuOpsDropoutInfo backward = info;
  backward.type = NPU_BFLOAT16, backward.x = backward.y = dy.dva();
  run_planned(rig, NPU_OPS_DROPOUT, &backward);
  dy.fetch();
  for (uint32_t i = 0; i < 9; ++i) {
    for (uint32_t j = 0; j < 33; ++j)
      EXPECT_EQ(dy.got(i, j), forward[i * 33 + j] != 0 ? 2 * dy.at(i, j) : 0) << i << ", " << j;
  }
}

TEST(ElementwiseBackwardPlan, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto unary = [&](auto change) {
    auto u = blank<npuOpsUnaryBackwardInfo>();
    u.rows = u.cols = 4, u.function = NPU_OPS_GELU, u.x = u.dy = u.dx = kSomewhere;
    change(u);
    return ops::plan_of(NPU_OPS_UNARY_BACKWARD, &u, &plan);
  };
  EXPECT_EQ(unary([](auto&) {}), NPU_OK);
  EXPECT_EQ(unary([](auto& u) { u.function = NPU_OPS_SIN; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(unary([](auto& u) { u.function = 16; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(unary([](auto& u) { u.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(unary([](auto& u) { u.dx = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(unary([](auto& u) { u.rows = 0, u.dx = 0; }), NPU_OK);
  auto dropout = [&](auto change) {
    auto d = blank<npuOpsDropoutInfo>();
    d.rows = d.cols = 4, d.x = d.y = kSomewhere, d.p = 0.5f;
    change(d);
    return ops::plan_of(NPU_OPS_DROPOUT, &d, &plan);
  };
  EXPECT_EQ(dropout([](auto&) {}), NPU_OK);
  for (float p : {1.0f, -0.1f, kNan, kInf})
    EXPECT_EQ(dropout([&](auto& d) { d.p = p; }), NPU_ERROR_INVALID_ARGUMENT) << p;
  EXPECT_EQ(dropout([](auto& d) { d.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(dropout([](auto& d) { d.cols = 0, d.x = d.y = 0; }), NPU_OK);
  auto s = blank<npuOpsSiluMulBackwardInfo>();
  s.rows = s.cols = 2, s.x = s.b = s.dy = s.dx = kSomewhere;
  EXPECT_EQ(ops::plan_of(NPU_OPS_SILU_MUL_BACKWARD, &s, &plan), NPU_ERROR_INVALID_ADDRESS);
}

}  // namespace
}  // namespace npu::kernels
