// SPDX-License-Identifier: Apache-2.0
// Functions of one operand on tensors against double precision: runs of elements, any strides, repeats, special values.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/error.h"
#include "tests/unit/kernels/tensor_memory.h"

namespace npu::kernels {
namespace {

constexpr npuDataType kTypes[] = {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16};
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kUlp = 0x1p-23;
constexpr float kA = 0.75f, kB = 1.5f;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Function {
  int32_t number;
  double (*fn)(double);
  double relative;  // of the result
  double of_x;      // of the argument
  bool positive;
};
const Function kFunctions[] = {
    {NPU_OPS_NEG, [](double x) { return -x; }, 0, 0, false},
    {NPU_OPS_ABS, [](double x) { return std::fabs(x); }, 0, 0, false},
    {NPU_OPS_RELU, [](double x) { return x > 0 ? x : 0; }, 0, 0, false},
    {NPU_OPS_EXP, [](double x) { return std::exp(x); }, kUlp, 0, false},
    {NPU_OPS_LOG, [](double x) { return std::log(x); }, kUlp, 0, true},
    {NPU_OPS_SQRT, [](double x) { return std::sqrt(x); }, 0, 0, true},
    {NPU_OPS_RSQRT, [](double x) { return 1 / std::sqrt(x); }, kUlp, 0, true},
    {NPU_OPS_RECIPROCAL, [](double x) { return 1 / x; }, 0, 0, true},
    {NPU_OPS_TANH, [](double x) { return std::tanh(x); }, 2 * kUlp, 0, false},
    {NPU_OPS_SIGMOID, sigmoid, 3 * kUlp, 0, false},
    {NPU_OPS_ERF, [](double x) { return std::erf(x); }, 2 * kUlp, 0, false},
    {NPU_OPS_GELU,
     [](double x) {
       return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
     },
     0, 0x1p-22, false},
    {NPU_OPS_GELU_ERF, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }, 0,
     0x1p-23, false},
    {NPU_OPS_SILU, [](double x) { return x * sigmoid(x); }, 0, 0x1.8p-23, false},
    {NPU_OPS_SIN, [](double x) { return std::sin(x); }, 1e-7, 1e-7, false},
    {NPU_OPS_COS, [](double x) { return std::cos(x); }, 1e-7, 1e-7, false},
    {NPU_OPS_MAP_SCALE, [](double x) { return kA * x + kB; }, 0, 0, false},
    {NPU_OPS_MAP_CLAMP, [](double x) { return std::min<double>(kB, std::max<double>(kA, x)); }, 0,
     0, false},
    {NPU_OPS_MAP_SQUARE, [](double x) { return x * x; }, 0, 0, false},
    {NPU_OPS_MAP_GELU_QUICK, [](double x) { return x * sigmoid(1.702 * x); }, 0, 0x1p-20, false},
    {NPU_OPS_MAP_LEAKY_RELU, [](double x) { return x > 0 ? x : kA * x; }, 0, 0, false},
    {NPU_OPS_MAP_SIGN, [](double x) { return x > 0   ? 1.0
                                             : x < 0 ? -1.0
                                                     : 0.0; }, 0, 0, false},
    {NPU_OPS_MAP_STEP, [](double x) { return x > 0 ? 1.0 : 0.0; }, 0, 0, false},
    {NPU_OPS_MAP_ELU, [](double x) { return x > 0 ? x : std::expm1(x); }, 4 * kUlp, 0, false},
    {NPU_OPS_MAP_HARDSWISH, [](double x) { return x * std::min(1.0, std::max(0.0, (x + 3) / 6)); },
     0, 0x1p-22, false},
    {NPU_OPS_MAP_HARDSIGMOID, [](double x) { return std::min(1.0, std::max(0.0, (x + 3) / 6)); },
     0x1p-22, 0x1p-24, false},
    {NPU_OPS_MAP_FLOOR, [](double x) { return std::floor(x); }, 0, 0, false},
    {NPU_OPS_MAP_CEIL, [](double x) { return std::ceil(x); }, 0, 0, false},
    {NPU_OPS_MAP_ROUND, [](double x) { return std::round(x); }, 0, 0, false},
    {NPU_OPS_MAP_TRUNC, [](double x) { return std::trunc(x); }, 0, 0, false},
    {NPU_OPS_MAP_SOFTPLUS,
     [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }, 4 * kUlp, 0,
     false},
    {NPU_OPS_MAP_EXPM1, [](double x) { return std::expm1(x); }, 6 * kUlp, 0, false},
};
static_assert(std::size(kFunctions) == NPU_OPS_COS + 1 + NPU_OPS_MAP_END - NPU_OPS_MAP_SCALE);

npuOpsMapInfo map_info(int32_t function, const TensorMemory& x, const TensorMemory& y) {
  npuOpsMapInfo m{};
  m.struct_size = sizeof(m);
  m.function = function;
  m.x = x.tensor, m.y = y.tensor;
  const bool clamps = function == NPU_OPS_MAP_SCALE || function == NPU_OPS_MAP_CLAMP;
  if (clamps || function == NPU_OPS_MAP_LEAKY_RELU) m.a = kA;
  if (clamps) m.b = kB;
  return m;
}

void check_function(const Function& f, TensorMemory x, TensorMemory y) {
  Rig rig;
  x.put(rig);
  y.put(rig);
  const npuOpsMapInfo m = map_info(f.number, x, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
  y.fetch(rig);
  ASSERT_FALSE(y.touched_outside());
  const npuDataType type = y.tensor.type;
  y.for_each([&](const Index& at) {
    const double in = x.get(at), want = f.fn(in), got = y.get(at);
    const double bound = std::fabs(want) * (f.relative + 1.01 * rounding_of(type)) +
                         std::fabs(in) * f.of_x + tiny_of(type);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << "of " << in;
    } else if (stored(type, want) == got) {
      return;
    } else {
      ASSERT_NEAR(got, want, bound) << "of " << in;
    }
  });
}

TEST(TensorMap, EveryFunctionMatchesTheReferenceOnARun) {
  uint32_t seed = 1;
  for (const Function& f : kFunctions) {
    for (npuDataType type : kTypes) {
      SCOPED_TRACE(testing::Message()
                   << "function " << f.number << " type " << type << " seed " << seed);
      Random random(seed++);
      TensorMemory x = TensorMemory::dense(type, {50, 41, 2, 2});
      x.for_each([&](const Index& at) {
        double v = random.value(at[3] == 0 ? 8 : 0.5f);
        if (at[2] == 1) v *= std::ldexp(1.0, -static_cast<int>(random.below(12)));
        x.set(at, f.positive ? std::fabs(v) + 0x1p-10 : v);
      });
      check_function(f, x, TensorMemory::dense(type, {50, 41, 2, 2}));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(TensorMap, EveryFunctionMatchesTheReferenceForAnyStrides) {
  uint32_t seed = 1000;
  for (const Function& f : kFunctions) {
    for (npuDataType type : kTypes) {
      for (int round = 0; round < 4; ++round) {
        SCOPED_TRACE(testing::Message()
                     << "function " << f.number << " type " << type << " seed " << seed);
        Random random(seed++);
        const Index sizes = any_sizes(random, 20, 3000);
        TensorMemory x = TensorMemory::any(type, any_repeat(random, sizes), random);
        x.for_each([&](const Index& at) {
          const double v = random.value(8);
          x.set(at, f.positive ? std::fabs(v) + 0x1p-10 : v);
        });
        check_function(f, x, TensorMemory::any(type, sizes, random));
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Halves, numbers beside them, numbers that have no fraction, the smallest and the largest.
TEST(TensorMap, RoundingIsExactForEveryKindOfNumber) {
  std::vector<double> values = {0,   0x1p-149,      0x1p-126, 0.25,    0.49999997, 0x1.fffffep-2,
                                0.5, 0x1.000002p-1, 0.75,     1,       1.5,        2.5,
                                3.5, 8388607.5,     8388608,  8388609, 16777216,   16777218,
                                3e9, 1e30,          3e38,     kInf};
  for (int i = 0; i < 200; ++i) values.push_back(std::ldexp(1 + i / 200.0, i % 26 - 2));
  TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {values.size(), 2, 1, 1});
  for (uint64_t i = 0; i < values.size(); ++i) {
    x.set({i, 0, 0, 0}, values[i]);
    x.set({i, 1, 0, 0}, -values[i]);
  }
  for (const Function& f : kFunctions) {
    const bool rounds = f.number >= NPU_OPS_MAP_FLOOR && f.number <= NPU_OPS_MAP_TRUNC;
    if (!rounds && f.number != NPU_OPS_MAP_SIGN && f.number != NPU_OPS_MAP_STEP) continue;
    SCOPED_TRACE(f.number);
    Rig rig;
    TensorMemory y = TensorMemory::dense(NPU_FLOAT32, {values.size(), 2, 1, 1});
    x.put(rig);
    y.put(rig);
    const npuOpsMapInfo m = map_info(f.number, x, y);
    run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
    y.fetch(rig);
    y.for_each(
        [&](const Index& at) { ASSERT_EQ(y.get(at), f.fn(x.get(at))) << "of " << x.get(at); });
  }
}

TEST(TensorMap, NanComesThroughEveryFunctionAndLimitsAreRight) {
  for (const Function& f : kFunctions) {
    for (npuDataType type : kTypes) {
      SCOPED_TRACE(testing::Message() << "function " << f.number << " type " << type);
      TensorMemory x = TensorMemory::dense(type, {4, 1, 1, 1});
      const bool trig = f.number == NPU_OPS_SIN || f.number == NPU_OPS_COS;
      const bool gate = f.number == NPU_OPS_GELU || f.number == NPU_OPS_GELU_ERF ||
                        f.number == NPU_OPS_SILU || f.number == NPU_OPS_MAP_GELU_QUICK ||
                        f.number == NPU_OPS_MAP_HARDSWISH;
      const double values[] = {kNan, kInf, -kInf, 0};
      for (uint64_t i = 0; i < 4; ++i) x.set({i, 0, 0, 0}, values[i]);
      Rig rig;
      TensorMemory y = TensorMemory::dense(type, {4, 1, 1, 1});
      x.put(rig);
      y.put(rig);
      const npuOpsMapInfo m = map_info(f.number, x, y);
      run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
      y.fetch(rig);
      EXPECT_TRUE(std::isnan(y.get({0, 0, 0, 0})));
      for (uint64_t i = 1; i < 4 && !trig; ++i) {
        // The reference formula of a gate gives NaN for -infinity; the limit is 0.
        const double want = gate && i == 2 ? 0 : f.fn(values[i]);
        const double got = y.get({i, 0, 0, 0});
        const bool near = std::fabs(got - want) <= std::fabs(want) * 2 * rounding_of(type);
        EXPECT_TRUE(std::isnan(want) ? std::isnan(got) : got == want || near)
            << got << " of " << values[i] << ", not " << want;
      }
    }
  }
}

struct Copy {
  npuDataType from, to;
};
std::vector<Copy> all_copies() {
  std::vector<Copy> out = {
      {NPU_INT32, NPU_INT32}, {NPU_INT32, NPU_FLOAT32}, {NPU_FLOAT32, NPU_INT32}};
  for (npuDataType from : kTypes)
    for (npuDataType to : kTypes) out.push_back({from, to});
  return out;
}

double copied(npuDataType to, double value) {
  return to == NPU_INT32 ? std::trunc(value) : stored(to, value);
}

void check_copy(TensorMemory x, TensorMemory y) {
  Rig rig;
  x.put(rig);
  y.put(rig);
  const npuOpsMapInfo m = map_info(NPU_OPS_MAP_COPY, x, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
  y.fetch(rig);
  ASSERT_FALSE(y.touched_outside());
  y.for_each([&](const Index& at) {
    if (x.tensor.type == y.tensor.type) {
      ASSERT_EQ(y.bits(at), x.bits(at));
    } else {
      ASSERT_EQ(y.get(at), copied(y.tensor.type, x.get(at)));
    }
  });
}

TEST(TensorCopy, EveryPairOfTypesForAnyStrides) {
  uint32_t seed = 5000;
  for (const Copy& c : all_copies()) {
    for (int round = 0; round < 25; ++round) {
      SCOPED_TRACE(testing::Message() << "from " << c.from << " to " << c.to << " seed " << seed);
      Random random(seed++);
      const Index sizes = any_sizes(random, 40, 4000);
      TensorMemory x =
          TensorMemory::any(c.from, round % 2 == 0 ? sizes : any_repeat(random, sizes), random);
      if (c.from == c.to) {
        x.for_each([&](const Index& at) { x.set_bits(at, random.below(UINT32_MAX)); });
      } else {
        x.fill(random, 150);
      }
      check_copy(x, TensorMemory::any(c.to, sizes, random));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(TensorCopy, LargeOnesAreCutIntoBlocks) {
  Random random(7);
  const auto both = [&](const Index& x_sizes, const Index& sizes,
                        const std::array<uint32_t, 4>& order, npuDataType to) {
    SCOPED_TRACE(testing::Message()
                 << "sizes " << sizes[0] << " " << sizes[1] << " " << sizes[2] << " " << sizes[3]);
    TensorMemory x(NPU_FLOAT32, x_sizes, order, {});
    x.fill(random, 100);
    check_copy(x, TensorMemory::dense(to, sizes));
  };
  both({70000, 3, 1, 1}, {70000, 3, 1, 1}, {0, 1, 2, 3}, NPU_FLOAT16);
  both({300, 500, 1, 1}, {300, 500, 1, 1}, {1, 0, 2, 3}, NPU_FLOAT32);  // a transpose
  both({64, 30, 40, 1}, {64, 30, 40, 1}, {0, 2, 1, 3}, NPU_FLOAT32);    // heads and tokens
  both({7, 60, 50, 4}, {7, 60, 50, 4}, {3, 2, 1, 0}, NPU_BFLOAT16);     // everything turned round
  both({1, 1, 1, 1}, {1000, 90, 1, 1}, {0, 1, 2, 3}, NPU_FLOAT32);      // one element
  both({1, 300, 1, 1}, {50, 300, 2, 1}, {0, 1, 2, 3}, NPU_FLOAT32);     // a column
  both({3000, 1, 1, 1}, {3000, 20, 1, 2}, {0, 1, 2, 3}, NPU_FLOAT32);   // a row
  both({10, 5, 4, 3}, {20, 10, 4, 6}, {0, 1, 2, 3}, NPU_FLOAT32);
}

// Windows that slide over one run of elements: rows begin before the last one has ended.
TEST(TensorCopy, AViewThatOverlapsItselfIsRead) {
  Random random(11);
  TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {300, 1, 1, 1});
  x.fill(random, 100);
  const Index sizes = {40, 17, 3, 2}, strides = {4, 4, 24, 400};
  for (int d = 0; d < 4; ++d) x.tensor.sizes[d] = sizes[d], x.tensor.strides[d] = strides[d];
  check_copy(x, TensorMemory::dense(NPU_FLOAT32, sizes));
  check_copy(x, TensorMemory(NPU_FLOAT16, sizes, {1, 0, 3, 2}, {}));
}

// A tensor [blocks of 16-bit words, ...] seen as one in blocks.
npuOpsTensor in_blocks(const BlockFormat& f, const TensorMemory& words) {
  npuOpsTensor t = words.tensor;
  t.type = f.type;
  t.sizes[0] = t.sizes[0] * 2 / f.bytes * f.elements;
  t.strides[0] = f.bytes;
  return t;
}

// Rows of whole blocks in any order, with gaps of whole blocks behind each.
TensorMemory any_block_rows(const BlockFormat& f, const Index& sizes, Random& random) {
  std::array<uint32_t, 4> order = {0, 1, 2, 3};
  for (uint32_t i = 3; i > 1; --i) std::swap(order[i], order[1 + random.below(i)]);
  const Index pad = {random.below(2) * f.bytes / 2, random.below(2), random.below(2), 0};
  return {NPU_FLOAT16, sizes, order, pad};
}

void put_blocks(const BlockFormat& f, TensorMemory* words, Random& random) {
  const uint64_t in_row = words->tensor.sizes[0] * 2 / f.bytes;
  std::vector<std::byte> row;
  words->for_each([&](const Index& at) {
    if (at[0] == 0) row = random_blocks(f, in_row, random);
    uint16_t word;
    std::memcpy(&word, &row[at[0] * 2], sizeof(word));
    words->set_bits(at, word);
  });
}

TEST(TensorCopy, BlocksMoveAsTheyAreAndAreDecodedToFp32) {
  uint32_t seed = 7000;
  for (const BlockFormat& f : kBlockFormats) {
    for (int round = 0; round < 16; ++round) {
      SCOPED_TRACE(testing::Message() << "type " << f.type << " seed " << seed);
      Random random(seed++);
      const uint64_t blocks = round == 0 ? 40000 / f.elements : 1 + random.below(4);
      const Index sizes = {blocks * f.bytes / 2, 1 + random.below(7), 1 + random.below(4),
                           1 + random.below(3)};
      TensorMemory x = any_block_rows(f, sizes, random), same = any_block_rows(f, sizes, random);
      put_blocks(f, &x, random);
      const Index y_sizes = {blocks * f.elements, sizes[1], sizes[2], sizes[3]};
      TensorMemory y = TensorMemory::any(NPU_FLOAT32, y_sizes, random);
      Rig rig;
      x.put(rig);
      y.put(rig);
      same.put(rig);
      npuOpsMapInfo m = map_info(NPU_OPS_MAP_COPY, x, y);
      m.x = in_blocks(f, x);
      run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
      m.y = in_blocks(f, same);
      run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
      y.fetch(rig);
      same.fetch(rig);
      ASSERT_FALSE(y.touched_outside() || same.touched_outside());
      x.for_each([&](const Index& at) { ASSERT_EQ(same.bits(at), x.bits(at)); });
      std::vector<std::byte> bytes(sizes[0] * 2);
      std::vector<float> row(y_sizes[0]);
      y.for_each([&](const Index& at) {
        for (uint64_t i = 0; at[0] == 0 && i < sizes[0]; ++i) {
          const auto word = static_cast<uint16_t>(x.bits({i, at[1], at[2], at[3]}));
          std::memcpy(&bytes[2 * i], &word, sizeof(word));
        }
        if (at[0] == 0) (model::scalar_numerics().*f.decode)(row.data(), bytes.data(), blocks);
        ASSERT_EQ(y.get(at), row[at[0]]);
      });
    }
  }
}

TEST(TensorCopy, FloatsAreEncodedIntoBlocks) {
  uint32_t seed = 8000;
  for (const BlockFormat& f : kBlockFormats) {
    if (f.type != NPU_Q8_0 && f.type != NPU_Q4_0) continue;
    for (int round = 0; round < 48; ++round) {
      const npuDataType from = kTypes[round % 3];
      SCOPED_TRACE(testing::Message() << "from " << from << " to " << f.type << " seed " << seed);
      Random random(seed++);
      const uint64_t blocks = round < 3 ? 40000 / f.elements : 1 + random.below(4);
      const Index x_sizes = {blocks * f.elements, 1 + random.below(7), 1 + random.below(4),
                             1 + random.below(3)};
      TensorMemory x = TensorMemory::any(from, x_sizes, random);
      x.fill(random, 50);
      TensorMemory y =
          any_block_rows(f, {blocks * f.bytes / 2, x_sizes[1], x_sizes[2], x_sizes[3]}, random);
      Rig rig;
      x.put(rig);
      y.put(rig);
      npuOpsMapInfo m = map_info(NPU_OPS_MAP_COPY, x, y);
      m.y = in_blocks(f, y);
      run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
      y.fetch(rig);
      ASSERT_FALSE(y.touched_outside());
      std::vector<std::byte> want;
      y.for_each([&](const Index& at) {
        std::vector<float> row(x_sizes[0]);
        for (uint64_t i = 0; at[0] == 0 && i < x_sizes[0]; ++i)
          row[i] = static_cast<float>(x.get({i, at[1], at[2], at[3]}));
        if (at[0] == 0) want = encoded_blocks(f, row);
        uint16_t word;
        std::memcpy(&word, &want[at[0] * 2], sizeof(word));
        ASSERT_EQ(y.bits(at), word);
      });
    }
  }
}

TEST(TensorCopy, Fp32ToInt32SaturatesAndNanIsZero) {
  TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {8, 1, 1, 1}),
               y = TensorMemory::dense(NPU_INT32, {8, 1, 1, 1});
  const double in[] = {3e9, -3e9, kNan, kInf, -kInf, -0.99999, 2147483520.0, -1.5};
  const double want[] = {INT32_MAX, INT32_MIN, 0, INT32_MAX, INT32_MIN, 0, 2147483520.0, -1};
  for (uint64_t i = 0; i < 8; ++i) x.set({i, 0, 0, 0}, in[i]);
  Rig rig;
  x.put(rig);
  y.put(rig);
  const npuOpsMapInfo m = map_info(NPU_OPS_MAP_COPY, x, y);
  run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
  y.fetch(rig);
  for (uint64_t i = 0; i < 8; ++i) EXPECT_EQ(y.get({i, 0, 0, 0}), want[i]) << "of " << in[i];
}

TEST(TensorMap, WorksInPlaceForAnyStrides) {
  uint32_t seed = 9000;
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed++);
    TensorMemory x =
        TensorMemory::any(kTypes[random.below(3)], any_sizes(random, 30, 5000), random);
    x.fill(random, 8);
    Rig rig;
    x.put(rig);
    const npuOpsMapInfo m = map_info(NPU_OPS_NEG, x, x);
    run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
    TensorMemory y = x;
    y.fetch(rig);
    ASSERT_FALSE(y.touched_outside());
    y.for_each([&](const Index& at) { ASSERT_EQ(y.get(at), -x.get(at)); });
  }
}

// A decode step of an LLM is made of launches like these: host time is mostly control instructions.
TEST(TensorMap, ARowTakesOneGroupAndFewInstructions) {
  TensorMemory x = TensorMemory::dense(NPU_FLOAT32, {2048, 1, 1, 1});
  Random random(1);
  x.fill(random, 1);
  Rig rig;
  x.put(rig);
  const npuOpsMapInfo m = map_info(NPU_OPS_SILU, x, x);
  ops::Plan plan;
  ASSERT_EQ(ops::plan_map(&m, &plan), NPU_OK);
  EXPECT_EQ(plan.grid[0] * plan.grid[1] * plan.grid[2], 1u);
  run_tensor_op(rig, NPU_OPS_TENSOR_MAP, &m);
  EXPECT_LE(rig.stats().instructions, 24u);
}

TEST(TensorMap, WorkIsSharedByAboutEightGroups) {
  const auto groups = [](const TensorMemory& x, const TensorMemory& y) {
    npuOpsMapInfo m = map_info(NPU_OPS_MAP_COPY, x, y);
    m.x.data = m.y.data = 0x10000;
    ops::Plan plan;
    EXPECT_EQ(ops::plan_map(&m, &plan), NPU_OK) << ops::error_text();
    return plan.grid[0] * plan.grid[1] * plan.grid[2];
  };
  const Index sizes = {8, 8, 32, 32};
  const TensorMemory dense = TensorMemory::dense(NPU_FLOAT32, sizes);
  EXPECT_EQ(groups(dense, dense), 8u);
  // Small rows around which much is walked are no groups of their own.
  EXPECT_LE(groups(TensorMemory(NPU_FLOAT32, sizes, {3, 1, 2, 0}, {}), dense), 16u);
  EXPECT_LE(groups(TensorMemory(NPU_FLOAT32, sizes, {0, 3, 1, 2}, {1, 1, 1, 1}), dense), 16u);
  const Index few = {8, 2, 2, 2};
  EXPECT_EQ(groups(TensorMemory(NPU_FLOAT32, few, {0, 3, 1, 2}, {}),
                   TensorMemory::dense(NPU_FLOAT32, few)),
            1u);
}

TEST(TensorMap, RefusesWhatCannotBe) {
  const TensorMemory t = TensorMemory::dense(NPU_FLOAT32, {6, 4, 1, 1});
  const auto result = [&](auto change) {
    npuOpsMapInfo m = map_info(NPU_OPS_EXP, t, t);
    m.x.data = m.y.data = 0x10000;
    change(m);
    ops::Plan plan;
    return ops::plan_map(&m, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_EQ(result([](auto& m) { m.struct_size = 8; }), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(result([](auto& m) { m.function = NPU_OPS_MAP_END; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.function = 16; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.function = -1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.a = 1; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.function = NPU_OPS_MAP_LEAKY_RELU, m.b = 1; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.x.type = m.y.type = NPU_INT32; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& m) { m.y.type = NPU_FLOAT16; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.x.type = 77; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.function = NPU_OPS_MAP_COPY, m.y.type = NPU_INT32; }), NPU_OK);
  EXPECT_EQ(result([](auto& m) {
              m.function = NPU_OPS_MAP_COPY, m.x.type = NPU_FLOAT16, m.y.type = NPU_INT32;
            }),
            NPU_ERROR_NOT_SUPPORTED);
  const auto blocks = [](auto& m) {
    m.function = NPU_OPS_MAP_COPY, m.x.type = NPU_Q8_0, m.x.sizes[0] = m.y.sizes[0] = 64;
    m.x.strides[0] = 34, m.x.strides[1] = 68, m.y.strides[1] = 256;
  };
  EXPECT_EQ(result([&](auto& m) { blocks(m); }), NPU_OK) << ops::error_text();
  EXPECT_EQ(result([&](auto& m) { blocks(m), m.x.strides[1] = 70; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([&](auto& m) { blocks(m), m.y.type = NPU_FLOAT16, m.y.strides[0] = 2; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([&](auto& m) { blocks(m), m.function = NPU_OPS_EXP; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([&](auto& m) { blocks(m), std::swap(m.x, m.y); }), NPU_OK);
  EXPECT_EQ(result([&](auto& m) { blocks(m), std::swap(m.x, m.y), m.x.sizes[0] = 16; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([&](auto& m) { blocks(m), std::swap(m.x, m.y), m.y.strides[1] = 34; }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([&](auto& m) { blocks(m), std::swap(m.x, m.y), m.function = NPU_OPS_EXP; }),
            NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& m) { m.x.sizes[0] = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.x.sizes[0] = 12; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.y.strides[1] = 8; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.y.strides[1] = 0; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.y.strides[0] = 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& m) { m.x.data = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& m) { m.x.data = 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& m) { m.x.strides[1] = 1ull << 63; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& m) { m.x.tiled = 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& m) { m.x.tiled = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& m) { m.x.sizes[1] = m.y.sizes[1] = 0, m.x.data = m.y.data = 0; }),
            NPU_OK);
  EXPECT_EQ(result([](auto& m) {
              m.x.sizes[0] = m.y.sizes[0] = m.x.sizes[1] = m.y.sizes[1] = 0x7fffffff;
              m.x.strides[1] = m.y.strides[1] = 4ull * 0x7fffffff;
            }),
            NPU_OK);
}

}  // namespace
}  // namespace npu::kernels
