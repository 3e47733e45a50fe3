// SPDX-License-Identifier: Apache-2.0
// Functions of two operands on tensors against double precision: runs of elements, any strides, repeats in every dimension.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "libnpu/ops/error.h"
#include "tests/unit/kernels/tensor_memory.h"

namespace npu::kernels {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Types {
  npuDataType x, b, y;
};
constexpr Types kTypes[] = {
    {NPU_FLOAT32, NPU_FLOAT32, NPU_FLOAT32}, {NPU_BFLOAT16, NPU_BFLOAT16, NPU_BFLOAT16},
    {NPU_FLOAT16, NPU_FLOAT16, NPU_FLOAT16}, {NPU_FLOAT16, NPU_FLOAT32, NPU_FLOAT16},
    {NPU_FLOAT16, NPU_FLOAT32, NPU_FLOAT32}, {NPU_BFLOAT16, NPU_FLOAT32, NPU_BFLOAT16},
    {NPU_BFLOAT16, NPU_FLOAT32, NPU_FLOAT32}};

double combined(int32_t function, double x, double b) {
  switch (function) {
    case NPU_OPS_ADD:
      return x + b;
    case NPU_OPS_SUB:
      return x - b;
    case NPU_OPS_MUL:
      return x * b;
    case NPU_OPS_DIV:
      return x / b;
    case NPU_OPS_MAX:
      return std::max(x, b);
    default:
      return std::min(x, b);
  }
}

npuOpsCombineInfo combine_info(int32_t function, const TensorMemory& x, const TensorMemory& b,
                               const TensorMemory& y) {
  npuOpsCombineInfo c{};
  c.struct_size = sizeof(c);
  c.function = function;
  c.x = x.tensor, c.b = b.tensor, c.y = y.tensor;
  return c;
}

void expect_combined(int32_t function, const TensorMemory& x, const TensorMemory& b,
                     const TensorMemory& y) {
  ASSERT_FALSE(y.touched_outside());
  y.for_each([&](const Index& at) {
    const double want = combined(function, x.get(at), b.get(at));
    // Once to fp32, once to the result's type.
    const double bound = std::fabs(want) * (0x1p-24 + 1.01 * rounding_of(y.tensor.type));
    ASSERT_NEAR(y.get(at), want, bound + tiny_of(y.tensor.type))
        << x.get(at) << " and " << b.get(at) << " at " << at[0] << " " << at[1] << " " << at[2]
        << " " << at[3];
  });
}

void check_combine(int32_t function, TensorMemory x, TensorMemory b, TensorMemory y,
                   Random& random) {
  x.fill(random, 8);
  b.for_each([&](const Index& at) { b.set(at, 1.25 + random.value(1)); });
  Rig rig;
  x.put(rig);
  b.put(rig);
  y.put(rig);
  const npuOpsCombineInfo c = combine_info(function, x, b, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_COMBINE, &c);
  y.fetch(rig);
  expect_combined(function, x, b, y);
}

TEST(TensorCombine, EveryFunctionAndTypeOnARun) {
  uint32_t seed = 1;
  for (const Types& t : kTypes) {
    for (int32_t function = NPU_OPS_ADD; function <= NPU_OPS_MIN; ++function) {
      SCOPED_TRACE(testing::Message() << "types " << t.x << t.b << t.y << " function " << function
                                      << " seed " << seed);
      Random random(seed++);
      const Index sizes = {130, 5, 3, 4};
      check_combine(function, TensorMemory::dense(t.x, sizes), TensorMemory::dense(t.b, sizes),
                    TensorMemory::dense(t.y, sizes), random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(TensorCombine, EveryFunctionAndTypeForAnyStridesAndRepeats) {
  uint32_t seed = 1000;
  for (const Types& t : kTypes) {
    for (int32_t function = NPU_OPS_ADD; function <= NPU_OPS_MIN; ++function) {
      for (int round = 0; round < 20; ++round) {
        SCOPED_TRACE(testing::Message() << "types " << t.x << t.b << t.y << " function " << function
                                        << " seed " << seed);
        Random random(seed++);
        const Index sizes = any_sizes(random, 24, 3000);
        const Index b_sizes = round % 4 == 0 ? sizes : any_repeat(random, sizes);
        const bool plain = round % 2 == 0;
        check_combine(
            function,
            plain ? TensorMemory::dense(t.x, sizes) : TensorMemory::any(t.x, sizes, random),
            plain ? TensorMemory::dense(t.b, b_sizes) : TensorMemory::any(t.b, b_sizes, random),
            plain ? TensorMemory::dense(t.y, sizes) : TensorMemory::any(t.y, sizes, random),
            random);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST(TensorCombine, LargeOnesAreCutIntoBlocks) {
  Random random(3);
  const auto both = [&](const Index& sizes, const Index& b_sizes,
                        const std::array<uint32_t, 4>& order) {
    SCOPED_TRACE(testing::Message()
                 << "sizes " << sizes[0] << " " << sizes[1] << " " << sizes[2] << " " << sizes[3]);
    check_combine(NPU_OPS_ADD, TensorMemory::dense(NPU_FLOAT32, sizes),
                  TensorMemory(NPU_FLOAT32, b_sizes, order, {}),
                  TensorMemory::dense(NPU_FLOAT32, sizes), random);
  };
  both({70000, 3, 1, 1}, {70000, 3, 1, 1}, {0, 1, 2, 3});
  both({70000, 3, 1, 1}, {70000, 1, 1, 1}, {0, 1, 2, 3});  // one row for all
  both({640, 200, 1, 1}, {640, 1, 1, 1}, {0, 1, 2, 3});    // a norm's weights
  both({16, 16, 640, 1}, {1, 1, 640, 1}, {0, 1, 2, 3});    // one number for each channel
  both({300, 400, 1, 1}, {1, 400, 1, 1}, {0, 1, 2, 3});    // one number for each row
  both({300, 400, 1, 1}, {300, 400, 1, 1}, {1, 0, 2, 3});  // a transpose
  both({90000, 1, 1, 1}, {1, 1, 1, 1}, {0, 1, 2, 3});      // one number for all
  both({6, 3, 1000, 10}, {3, 3, 1000, 10}, {0, 1, 2, 3});  // rows that are repeated side by side
  both({20, 10, 8, 60}, {10, 5, 4, 3}, {0, 1, 2, 3});      // everywhere
}

TEST(TensorCombine, WorksInPlaceOnEitherOperand) {
  uint32_t seed = 5000;
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed++);
    const npuDataType type = kTypes[random.below(3)].x;
    const Index sizes = any_sizes(random, 30, 5000);
    TensorMemory x = TensorMemory::any(type, sizes, random);
    TensorMemory b = x;
    x.fill(random, 8);
    b.fill(random, 8);
    Rig rig;
    x.put(rig);
    b.put(rig);
    TensorMemory y = round % 2 == 0 ? x : b;
    const npuOpsCombineInfo c = combine_info(NPU_OPS_SUB, x, b, y);
    run_tensor_op(rig, NPU_OPS_TENSOR_COMBINE, &c);
    y.fetch(rig);
    expect_combined(NPU_OPS_SUB, x, b, y);
    if (HasFatalFailure()) return;
  }
}

TEST(TensorCombine, NanAndInfinityComeThrough) {
  const double xs[] = {kNan, 1, kInf, kInf, -kInf, 1, 0};
  const double bs[] = {1, kNan, 1, kInf, 1, 0, 0};
  for (int32_t function = NPU_OPS_ADD; function <= NPU_OPS_MIN; ++function) {
    SCOPED_TRACE(function);
    TensorMemory x = TensorMemory::dense(NPU_FLOAT16, {7, 1, 1, 1}), b = x, y = x;
    for (uint64_t i = 0; i < 7; ++i) x.set({i, 0, 0, 0}, xs[i]), b.set({i, 0, 0, 0}, bs[i]);
    Rig rig;
    x.put(rig);
    b.put(rig);
    y.put(rig);
    const npuOpsCombineInfo c = combine_info(function, x, b, y);
    run_tensor_op(rig, NPU_OPS_TENSOR_COMBINE, &c);
    y.fetch(rig);
    for (uint64_t i = 0; i < 7; ++i) {
      const bool nan = std::isnan(xs[i]) || std::isnan(bs[i]);
      const double want = nan ? kNan : combined(function, xs[i], bs[i]);
      const double got = y.get({i, 0, 0, 0});
      EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : want == got) << xs[i] << " and " << bs[i];
    }
  }
}

TEST(TensorCombine, ARowTakesOneGroupAndFewInstructions) {
  TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {4096, 1, 1, 1});
  Random random(1);
  x.fill(random, 1);
  Rig rig;
  x.put(rig);
  const npuOpsCombineInfo c = combine_info(NPU_OPS_ADD, x, x, x);
  ops::Plan plan;
  ASSERT_EQ(ops::plan_combine(&c, &plan), NPU_OK);
  EXPECT_EQ(plan.grid[0] * plan.grid[1] * plan.grid[2], 1u);
  run_tensor_op(rig, NPU_OPS_TENSOR_COMBINE, &c);
  EXPECT_LE(rig.stats().instructions, 30u);
}

TEST(TensorCombine, RefusesWhatCannotBe) {
  const TensorMemory t = TensorMemory::dense(NPU_FLOAT32, {6, 4, 1, 1});
  const auto result = [&](auto change) {
    npuOpsCombineInfo c = combine_info(NPU_OPS_ADD, t, t, t);
    c.x.data = c.b.data = c.y.data = 0x10000;
    change(c);
    ops::Plan plan;
    return ops::plan_combine(&c, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& c) { c.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& c) { c.function = 6; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.b.sizes[1] = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.b.sizes[1] = 1; }), NPU_OK);
  EXPECT_EQ(result([](auto& c) { c.x.sizes[1] = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.b.type = NPU_FLOAT16; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& c) { c.b.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& c) { c.y.strides[1] = 20; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& c) { c.b.data = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& c) { c.x.sizes[2] = c.b.sizes[2] = c.y.sizes[2] = 0; }), NPU_OK);
}

struct Gate {
  int32_t function;
  double (*fn)(double);
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
const Gate kGates[] = {
    {NPU_OPS_RELU, [](double x) { return std::max(x, 0.0); }},
    {NPU_OPS_GELU,
     [](double x) {
       return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
     }},
    {NPU_OPS_GELU_ERF, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }},
    {NPU_OPS_SILU, [](double x) { return x * sigmoid(x); }},
    {NPU_OPS_MAP_GELU_QUICK, [](double x) { return x * sigmoid(1.702 * x); }},
};

npuOpsGateInfo gate_info(int32_t function, const TensorMemory& x, const TensorMemory& b,
                         const TensorMemory& y) {
  npuOpsGateInfo g{};
  g.struct_size = sizeof(g);
  g.function = function;
  g.x = x.tensor, g.b = b.tensor, g.y = y.tensor;
  return g;
}

void check_gate(const Gate& gate, TensorMemory x, TensorMemory b, TensorMemory y, Random& random,
                bool in_place) {
  x.fill(random, random.below(2) == 0 ? 8 : 150);
  b.fill(random, 2);
  Rig rig;
  x.put(rig);
  b.put(rig);
  y.put(rig);
  if (in_place) y = x;
  const npuOpsGateInfo g = gate_info(gate.function, x, b, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_GATE, &g);
  y.fetch(rig);
  ASSERT_FALSE(y.touched_outside());
  const npuDataType type = y.tensor.type;
  y.for_each([&](const Index& at) {
    const double in = x.get(at), want = gate.fn(in) * b.get(at);
    const double bound =
        std::fabs(in * b.get(at)) * 0x1p-20 + std::fabs(want) * 1.01 * rounding_of(type);
    ASSERT_NEAR(y.get(at), want, bound + tiny_of(type)) << in << " and " << b.get(at);
  });
}

TEST(TensorGate, EveryFunctionAndTypeForRunsAndAnyStrides) {
  uint32_t seed = 1;
  for (const Gate& gate : kGates) {
    for (npuDataType type : {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16}) {
      for (int round = 0; round < 12; ++round) {
        SCOPED_TRACE(testing::Message()
                     << "function " << gate.function << " type " << type << " seed " << seed);
        Random random(seed++);
        const Index sizes = any_sizes(random, 60, 6000);
        const bool plain = round % 3 == 0;
        const auto make = [&] {
          return plain ? TensorMemory::dense(type, sizes) : TensorMemory::any(type, sizes, random);
        };
        check_gate(gate, make(), make(), make(), random, round % 4 == 1);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Gate and value are the halves of one row, as the product with joined weights gives them.
TEST(TensorGate, HalvesOfARow) {
  Random random(77);
  Rig rig;
  TensorMemory both = TensorMemory::dense(NPU_FLOAT32, {2 * 300, 50, 1, 1});
  TensorMemory y = TensorMemory::dense(NPU_FLOAT32, {300, 50, 1, 1});
  both.fill(random, 4);
  both.put(rig);
  y.put(rig);
  npuOpsGateInfo g = gate_info(NPU_OPS_SILU, both, both, y);
  g.x.sizes[0] = g.b.sizes[0] = 300;
  g.b.data += 300 * 4;
  run_tensor_op(rig, NPU_OPS_TENSOR_GATE, &g);
  y.fetch(rig);
  y.for_each([&](const Index& at) {
    const double x = both.get(at), b = both.get({at[0] + 300, at[1], 0, 0});
    ASSERT_NEAR(y.get(at), x * sigmoid(x) * b, std::fabs(x * b) * 0x1p-21);
  });
}

TEST(TensorGate, RefusesWhatCannotBe) {
  const TensorMemory t = TensorMemory::dense(NPU_FLOAT32, {6, 4, 1, 1});
  const auto result = [&](auto change) {
    npuOpsGateInfo g = gate_info(NPU_OPS_SILU, t, t, t);
    g.x.data = g.b.data = g.y.data = 0x10000;
    change(g);
    ops::Plan plan;
    return ops::plan_gate(&g, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& g) { g.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& g) { g.function = NPU_OPS_EXP; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.b.sizes[1] = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.b.type = NPU_FLOAT16; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& g) { g.x.type = NPU_INT64; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& g) { g.x.data = 0; }), NPU_ERROR_INVALID_ADDRESS);
}

}  // namespace
}  // namespace npu::kernels
