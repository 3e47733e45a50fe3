// SPDX-License-Identifier: Apache-2.0
// Elementary functions against double-precision libm: the bounds that numerics.h states.
#include "tests/unit/numerics/numerics_fixture.h"

namespace npu::model {
namespace {

constexpr uint64_t kSeed = 1618;

// Distance from |exact| in units of the last place of a float of its size; 2^-149 is the smallest unit.
double ulps(float got, double exact) {
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::fabs(static_cast<double>(got) - exact) / std::ldexp(1.0, exponent - 23);
}

struct Function {
  const char* name;
  UnaryOp op;
  double (*exact)(double);
  float lo, hi;
  double bound;
  // What the bound counts: ulps of the result, or units of |x| or of 1.
  enum Unit { kUlp, kOfX, kAbsolute } unit;
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double gelu(double x) { return x * sigmoid(2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)); }
double gelu_erf(double x) { return 0.5 * x * std::erfc(-x * M_SQRT1_2); }

double error_of(const Function& f, float x, float got) {
  const double exact = f.exact(x);
  switch (f.unit) {
    case Function::kUlp:
      return exact == 0.0 ? (got == 0.0f ? 0.0 : 1e9) : ulps(got, exact);
    case Function::kOfX:
      return std::fabs(got - exact) / std::max(std::fabs(static_cast<double>(x)), 0x1p-126);
    case Function::kAbsolute:
      break;
  }
  return std::fabs(got - exact);
}

class Accuracy : public ::testing::TestWithParam<Function> {};

TEST_P(Accuracy, StaysWithinTheStatedBound) {
  const Function& f = GetParam();
  constexpr size_t kCount = 400000;
  std::mt19937_64 random(kSeed);
  std::uniform_real_distribution<float> even(f.lo, f.hi);
  std::vector<float> x;
  x.reserve(kCount);
  // Half of the points evenly spread, half with evenly spread exponents.
  while (x.size() < kCount) {
    x.push_back(even(random));
    const float y = float_of(static_cast<uint32_t>(random()));
    if (y >= f.lo && y <= f.hi) x.push_back(y);
  }
  std::vector<float> y(x.size());
  simd_numerics().unary(f.op, y.data(), x.data(), x.size());
  double worst = 0;
  float at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double e = error_of(f, x[i], y[i]);
    if (!(e <= worst)) {
      worst = e;
      at = x[i];
    }
  }
  RecordProperty("worst", std::to_string(worst));
  if (std::getenv("NPU_PRINT_ERRORS") != nullptr)
    std::printf("%s [%g, %g]: %.4g at %a\n", f.name, f.lo, f.hi, worst, at);
  EXPECT_LE(worst, f.bound) << f.name << " at " << std::hexfloat << at;
}

INSTANTIATE_TEST_SUITE_P(
    Numerics, Accuracy,
    ::testing::Values(
        Function{"exp", UnaryOp::kExp, std::exp, -87.3f, 88.72f, 0.9, Function::kUlp},
        Function{"exp_subnormal", UnaryOp::kExp, std::exp, -103.9f, -87.3f, 1.0, Function::kUlp},
        Function{"log", UnaryOp::kLog, std::log, 0x1p-149f, 3e38f, 0.9, Function::kUlp},
        Function{"log_near_one", UnaryOp::kLog, std::log, 0.5f, 2.0f, 0.9, Function::kUlp},
        Function{"sqrt", UnaryOp::kSqrt, std::sqrt, 0x1p-149f, 3e38f, 0.5, Function::kUlp},
        Function{"tanh", UnaryOp::kTanh, std::tanh, -10.0f, 10.0f, 1.4, Function::kUlp},
        Function{"sigmoid", UnaryOp::kSigmoid, sigmoid, -87.0f, 87.0f, 2.4, Function::kUlp},
        Function{"erf", UnaryOp::kErf, std::erf, -5.0f, 5.0f, 1.0, Function::kUlp},
        Function{"gelu", UnaryOp::kGelu, gelu, -30.0f, 30.0f, 1.3e-7, Function::kOfX},
        Function{"gelu_erf", UnaryOp::kGeluErf, gelu_erf, -30.0f, 30.0f, 1.3e-7, Function::kOfX},
        Function{"silu", UnaryOp::kSilu, silu, -87.0f, 87.0f, 1.3e-7, Function::kOfX},
        Function{"sin", UnaryOp::kSin, std::sin, -1e5f, 1e5f, 1e-7, Function::kAbsolute},
        Function{"cos", UnaryOp::kCos, std::cos, -1e5f, 1e5f, 1e-7, Function::kAbsolute},
        Function{"sin_wide", UnaryOp::kSin, std::sin, -1e38f, 1e38f, 1e-7, Function::kAbsolute},
        Function{"cos_wide", UnaryOp::kCos, std::cos, -1e38f, 1e38f, 1e-7, Function::kAbsolute}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace npu::model
