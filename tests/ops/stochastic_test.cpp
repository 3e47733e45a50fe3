// SPDX-License-Identifier: Apache-2.0
// Stochastic rounding of conversions, products and AdamW: bit for bit what a reference in double arithmetic makes of the fp32 result, wherever blocks begin; right on average; and what it is for,
// parameters of bf16 that learn from steps too small for them.
#include <npu/npu_ops_train.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "tests/ops/formats.h"
#include "tests/ops/session.h"

namespace npu::test {
namespace {

constexpr uint64_t kSeed = 0x0123456789abcdef;

// Philox4x32-10 as its authors publish it; the counter is a fourth of the number.
uint32_t word(uint64_t seed, uint64_t number) {
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(number / 4),
                               static_cast<uint32_t>(number / 4 >> 32), 0, 0};
  auto low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, low += 0x9E3779B9, high += 0xBB67AE85) {
    const uint64_t x = uint64_t{0xD2511F53} * c[0], y = uint64_t{0xCD9E8D57} * c[2];
    c = {static_cast<uint32_t>(y >> 32) ^ c[1] ^ low, static_cast<uint32_t>(y),
         static_cast<uint32_t>(x >> 32) ^ c[3] ^ high, static_cast<uint32_t>(x)};
  }
  return c[number % 4];
}

// Elements of a type: how fine its numbers are, and the largest one. |emin| is the exponent below which they grow no finer.
struct Grid {
  npuDataType type;
  int emin, fraction_bits;
  double largest;
  bool saturates;
};
constexpr Grid kGrids[] = {{NPU_BFLOAT16, -126, 7, 0x1.FEp127, false},
                           {NPU_FLOAT16, -14, 10, 65504, false},
                           {NPU_FLOAT8_E4M3, -6, 3, 448, true},
                           {NPU_FLOAT8_E5M2, -14, 2, 57344, true},
                           {NPU_MXFP8_E4M3, -6, 3, 448, true},
                           {NPU_MXFP8_E5M2, -14, 2, 57344, true},
                           {NPU_MXFP6_E2M3, 0, 3, 7.5, true},
                           {NPU_MXFP6_E3M2, -2, 2, 28, true},
                           {NPU_MXFP4, 0, 1, 6, true},
                           {NPU_MXINT8, 0, 6, 127.0 / 64, true},
                           {NPU_MX9, 0, 6, 127.0 / 64, true},
                           {NPU_MX6, 0, 3, 15.0 / 8, true},
                           {NPU_MX4, 0, 1, 3.0 / 2, true}};

double unit_at(const Grid& grid, double magnitude) {
  const bool fixed = grid.largest < 2;
  const int exponent = magnitude == 0 || fixed ? 0 : std::max(std::ilogb(magnitude), grid.emin);
  return std::ldexp(1.0, (fixed ? 0 : std::max(exponent, grid.emin)) - grid.fraction_bits);
}

// |x| without the scale of its block.
double rounded(const Grid& grid, double x, uint32_t w) {
  const double magnitude = std::fabs(x), unit = unit_at(grid, magnitude);
  const double units = std::floor(magnitude / unit);
  // The rest and w / 2^32 are 1 or more, without a sum that could round.
  const bool up = magnitude / unit - units >= std::ldexp(4294967296.0 - w, -32);
  double result = (units + (up ? 1 : 0)) * unit;
  if (result > grid.largest) result = grid.saturates ? grid.largest : HUGE_VAL;
  return std::copysign(result, x);
}

const Grid& grid_of(npuDataType type) {
  return *std::find_if(std::begin(kGrids), std::end(kGrids),
                       [&](const Grid& g) { return g.type == type; });
}

struct Shape {
  uint32_t rows, cols;
};

class Stochastic : public Session {
 protected:
  npuOpsElementwiseInfo conversion(npuDevPtr x, npuDataType to, Shape s) {
    auto e = blank<npuOpsElementwiseInfo>();
    e.out_type = to, e.rows = s.rows, e.cols = s.cols, e.x = x;
    e.y = alloc(s.rows * row_bytes(format_of(to), s.cols));
    e.rounding = {NPU_OPS_ROUND_STOCHASTIC, 0, kSeed, 0};
    return e;
  }
  std::vector<uint8_t> run(const npuOpsElementwiseInfo& e) {
    NPU_EXPECT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
    return get_bytes(e.y, e.rows * row_bytes(format_of(e.out_type), e.cols));
  }
  npuDevPtr floats(const std::vector<float>& values) { return put(NPU_FLOAT32, values); }
  std::vector<float> read(npuDevPtr at, uint64_t count) { return get(NPU_FLOAT32, at, count); }
};

// What the element's scale divides by: that of the block and, in types of pairs, of the pair.
double scale_at(const Format& f, const std::vector<uint8_t>& bytes, Shape s, uint32_t i,
                uint32_t j) {
  if (f.block_elements == 1) return 1;
  const uint8_t* block = &bytes[i * row_bytes(f, s.cols) + j / f.block_elements * f.block_bytes];
  const bool pairs = f.type >= NPU_MX9;
  const bool halved = pairs && (block[1] >> j % 16 / 2 & 1) != 0;
  return std::ldexp(1.0, block[0] - 127 - (halved ? 1 : 0));
}

// Numbers of many sizes, half of them within the range of |type|'s finest numbers.
std::vector<float> spread(Shape s, uint32_t seed) {
  std::vector<float> x = numbers(uint64_t{s.rows} * s.cols, seed);
  for (size_t i = 0; i < x.size(); ++i) x[i] = std::ldexp(x[i], static_cast<int>(i * 7 % 23) - 16);
  return x;
}

TEST_F(Stochastic, ConversionsAreTheReferenceBitForBit) {
  // A row, a few blocks, more columns than a work-group takes, more rows than one takes.
  constexpr Shape kShapes[] = {{1, 5}, {3, 37}, {2, 33000}, {300, 130}};
  for (Shape s : kShapes) {
    const std::vector<float> x = spread(s, s.cols);
    const npuDevPtr at = floats(x);
    for (const Grid& grid : kGrids) {
      const Format& f = format_of(grid.type);
      auto e = conversion(at, grid.type, s);
      e.rounding.first = ~uint64_t{0} - 40;  // goes on at 0
      const std::vector<uint8_t> bytes = run(e);
      e.rounding = {};
      const std::vector<uint8_t> nearest = run(e);
      const std::vector<float> got = values_of(f, bytes, s.rows, s.cols);
      for (uint32_t i = 0; i < s.rows; ++i) {
        for (uint32_t j = 0; j < s.cols; ++j) {
          const uint64_t number = uint64_t{i} * s.cols + j;
          const double scale = scale_at(f, nearest, s, i, j);
          const uint32_t w = word(kSeed, ~uint64_t{0} - 40 + number);
          ASSERT_EQ(got[number], rounded(grid, x[number] / scale, w) * scale)
              << f.name << " [" << i << ", " << j << "] of " << s.cols << " columns";
        }
      }
    }
  }
}

// Parts with distances between rows, each with the number of its first element, are the whole.
TEST_F(Stochastic, AMatrixInPartsIsRoundedAsAWhole) {
  constexpr Shape kShape{6, 96};
  const npuDevPtr x = floats(spread(kShape, 3));
  for (npuDataType type : {NPU_BFLOAT16, NPU_FLOAT8_E4M3, NPU_MXFP4}) {
    const Format& f = format_of(type);
    auto e = conversion(x, type, kShape);
    e.rounding.first = 1000;
    const std::vector<uint8_t> whole = run(e);
    for (uint32_t row : {0u, 2u, 5u}) {
      auto part = conversion(x + uint64_t{row} * 96 * 4, type, {1, 96});
      part.rounding.first = 1000 + row * 96;
      const std::vector<uint8_t> got = run(part);
      ASSERT_TRUE(std::equal(got.begin(), got.end(),
                             whole.begin() + static_cast<ptrdiff_t>(row * row_bytes(f, 96))))
          << f.name << " row " << row;
    }
    e.rounding.seed = kSeed + 1;
    EXPECT_NE(run(e), whole) << f.name << ": another seed";
    e.rounding.seed = kSeed;
    EXPECT_EQ(run(e), whole) << f.name << ": again";
  }
}

// Numbers go by columns, not by the distance of rows.
TEST_F(Stochastic, DistancesBetweenRowsMoveNoNumber) {
  const std::vector<float> x = spread({6, 96}, 4);
  std::vector<float> dense;
  for (size_t i = 0; i < 6; ++i)
    dense.insert(dense.end(), x.begin() + static_cast<ptrdiff_t>(i * 96),
                 x.begin() + static_cast<ptrdiff_t>(i * 96 + 64));
  for (npuDataType type : {NPU_BFLOAT16, NPU_FLOAT8_E4M3, NPU_MXFP4}) {
    const Format& f = format_of(type);
    auto e = conversion(floats(x), type, {6, 96});
    e.cols = 64, e.ldx = e.ldy = 96;
    NPU_ASSERT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
    const std::vector<uint8_t> got = get_bytes(e.y, 6 * row_bytes(f, 96));
    const std::vector<uint8_t> want = run(conversion(floats(dense), type, {6, 64}));
    for (size_t i = 0; i < 6; ++i)
      ASSERT_EQ(
          std::memcmp(&got[i * row_bytes(f, 96)], &want[i * row_bytes(f, 64)], row_bytes(f, 64)), 0)
          << f.name << " row " << i;
  }
}

TEST_F(Stochastic, WhatIsTooLargeAndNanAreAsToNearest) {
  const float inf = HUGE_VALF;
  const std::vector<float> x = {inf, -inf, std::nanf(""), 1e9f, -1e9f, 3.4e38f, 0.0f, -0.0f};
  const npuDevPtr at = floats(x);
  for (npuDataType type : {NPU_BFLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2}) {
    for (uint32_t overflow : {0u, 1u}) {
      if (overflow != 0 && type < NPU_FLOAT8_E4M3) continue;
      auto e = conversion(at, type, {1, 8});
      e.overflow = overflow, e.rounding.seed = 1;
      std::vector<uint8_t> got = run(e);
      e.rounding = {};
      std::vector<uint8_t> want = run(e);
      if (type == NPU_BFLOAT16)  // which has numbers beside 1e9 and 3.4e38
        for (size_t byte = 6; byte < 12; ++byte) got[byte] = want[byte] = 0;
      EXPECT_EQ(got, want) << format_of(type).name << " overflow " << overflow;
    }
  }
}

TEST_F(Stochastic, TheMeanIsTheNumber) {
  constexpr uint32_t kCount = 1 << 16;
  for (const Grid& grid : kGrids) {
    const Format& f = format_of(grid.type);
    const bool mx = f.block_elements > 1;
    // 1 lies on every grid; the first element of a block of MX makes its scale 1, whatever the type.
    const double unit = mx ? 0.5 : std::ldexp(1.0, -grid.fraction_bits);
    for (double part : {0.1, 0.5, 0.8}) {
      std::vector<float> x(kCount, static_cast<float>(1 + part * unit));
      auto e = conversion(floats(x), grid.type, {1, kCount});
      e.rounding.seed = 7;
      const std::vector<float> got = values_of(f, run(e), 1, kCount);
      const auto [low, high] = std::minmax_element(got.begin(), got.end());
      double sum = 0;
      for (float v : got) sum += v;
      const double mean = sum / kCount, width = double{*high} - *low, exact = x[0];
      // Where the number lies on the grid itself there is nothing to choose.
      const double p = width > 0 ? (exact - *low) / width : 0;
      const double deviation = width * std::sqrt(p * (1 - p) / kCount);
      EXPECT_NEAR(mean, exact, 5 * deviation) << f.name << " part " << part << ", seed 7";
      EXPECT_TRUE(*low <= exact && exact <= *high) << f.name;
    }
  }
}

class StochasticGemm : public Stochastic {
 protected:
  npuOpsGemmInfo product(uint32_t m, uint32_t n, uint32_t k, uint32_t batch = 1) {
    auto g = blank<npuOpsGemmInfo>();
    g.m = m, g.n = n, g.k = k, g.batch = batch, g.alpha = 1;
    g.a = floats(numbers(uint64_t{batch} * m * k, 1));
    g.b = floats(numbers(uint64_t{batch} * n * k, 2));
    g.batch_stride_a = uint64_t{m} * k, g.batch_stride_b = uint64_t{n} * k;
    g.batch_stride_d = uint64_t{m} * n;
    g.d = alloc(uint64_t{batch} * m * n * 4);
    return g;
  }
  std::vector<float> wide(npuOpsGemmInfo g) {
    g.out_type = NPU_FLOAT32, g.rounding = {}, g.scale_rule = 0, g.overflow = 0;
    NPU_EXPECT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
    return read(g.d, uint64_t{std::max(g.batch, 1u)} * g.m * g.n);
  }
  void expect_rounded(npuOpsGemmInfo g, npuDataType type, const char* what) {
    const std::vector<float> sums = wide(g);
    g.out_type = type, g.rounding = {NPU_OPS_ROUND_STOCHASTIC, 0, kSeed, 12345};
    NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr)) << what;
    const Format& f = format_of(type);
    const std::vector<float> got =
        values_of(f, get_bytes(g.d, sums.size() * f.block_bytes), 1, sums.size());
    for (size_t i = 0; i < sums.size(); ++i)
      ASSERT_EQ(got[i], rounded(grid_of(type), sums[i], word(kSeed, 12345 + i)))
          << what << " to " << f.name << ", element " << i;
  }
};

TEST_F(StochasticGemm, ResultsAreTheReferenceBitForBit) {
  for (npuDataType type : {NPU_BFLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2}) {
    expect_rounded(product(5, 7, 33), type, "one block");
    expect_rounded(product(300, 270, 20), type, "blocks");
    expect_rounded(product(9, 40, 17, 3), type, "a batch");
  }
}

TEST_F(StochasticGemm, EveryWayOfMakingTheSumsIsRoundedTheSame) {
  npuOpsGemmInfo g = product(20, 48, 256);
  g.bias = floats(numbers(48, 5)), g.activation = NPU_OPS_ACT_GELU, g.out_scale = 3;
  expect_rounded(g, NPU_BFLOAT16, "bias, activation and scale");
  g.split_k = 4;
  uint64_t bytes = 0;
  NPU_ASSERT_OK(npuOpsGemmGetWorkspaceBytes(&g, &bytes));
  g.workspace = alloc(bytes);
  expect_rounded(g, NPU_BFLOAT16, "parts of k");
  g = product(4, 48, 64);
  g.b_form = NPU_OPS_TRANSPOSED, g.order = NPU_OPS_ORDER_TREE;
  expect_rounded(g, NPU_BFLOAT16, "a tree");
  g = product(4, 48, 64);
  g.type = NPU_BFLOAT16;
  g.a = put(NPU_BFLOAT16, numbers(4 * 64, 8)), g.b = put(NPU_BFLOAT16, numbers(48 * 64, 9));
  expect_rounded(g, NPU_BFLOAT16, "bf16");
  g.c = floats(numbers(4 * 48, 10)), g.beta = 0.5f;
  expect_rounded(g, NPU_FLOAT8_E5M2, "bf16 with C");
}

// Into blocks: as a conversion of the fp32 result rounds.
TEST_F(StochasticGemm, BlocksAreThoseOfAConversion) {
  npuOpsGemmInfo g = product(70, 300, 40);
  const std::vector<float> sums = wide(g);
  for (npuDataType type : {NPU_MXFP8_E4M3, NPU_MXFP6_E3M2, NPU_MXFP4, NPU_MXINT8, NPU_MX6}) {
    auto e = conversion(floats(sums), type, {70, 300});
    const bool rules = type <= NPU_MXINT8;
    e.scale_rule = rules ? NPU_OPS_SCALE_EVEN : NPU_OPS_SCALE_FLOOR;
    const std::vector<uint8_t> want = run(e);
    g.out_type = type, g.scale_rule = e.scale_rule, g.rounding = e.rounding;
    g.batch_stride_d = 0, g.d = alloc(want.size());
    NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
    ASSERT_EQ(get_bytes(g.d, want.size()), want) << format_of(type).name;
  }
}

// Each record has the numbers of a matrix of the largest shape.
TEST_F(StochasticGemm, RecordsOfAGroupHaveNumbersOfTheirOwn) {
  constexpr uint32_t kM = 40, kN = 24, kK = 16;
  constexpr Shape kShapes[] = {{40, 24}, {7, 24}, {33, 5}};
  auto g = blank<npuOpsGemmInfo>();
  g.m = kM, g.n = kN, g.k = kK, g.alpha = 1, g.group_count = 3;
  g.a = floats(numbers(kM * kK, 1)), g.b = floats(numbers(kN * kK, 2));
  g.d = alloc(3 * kM * kN * 4);
  std::vector<npuOpsGemmGroup> records(3);
  for (size_t z = 0; z < 3; ++z) {
    records[z].m = kShapes[z].rows, records[z].n = kShapes[z].cols, records[z].k = kK;
    records[z].d_bytes = z * kM * kN * 4;
  }
  std::vector<uint8_t> bytes(sizeof(npuOpsGemmGroup) * 3);
  std::memcpy(bytes.data(), records.data(), bytes.size());
  g.groups = put_bytes(bytes);
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
  const std::vector<float> sums = read(g.d, 3 * kM * kN);
  g.out_type = NPU_BFLOAT16, g.rounding = {NPU_OPS_ROUND_STOCHASTIC, 0, kSeed, 0};
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
  for (uint64_t z = 0; z < 3; ++z) {
    const Shape s = kShapes[z];
    const std::vector<float> got =
        get(NPU_BFLOAT16, g.d + records[z].d_bytes, uint64_t{s.rows} * s.cols);
    for (uint32_t e = 0; e < got.size(); ++e) {
      const uint64_t number = (z * kM + e / s.cols) * kN + e % s.cols;
      ASSERT_EQ(got[e], rounded(grid_of(NPU_BFLOAT16), sums[z * kM * kN + e], word(kSeed, number)))
          << "record " << z << " element " << e;
    }
  }
}

class StochasticAdamW : public Stochastic {
 protected:
  npuOpsAdamWInfo step_info(npuDataType type, const std::vector<float>& p) {
    auto a = blank<npuOpsAdamWInfo>();
    const auto count = static_cast<uint32_t>(p.size());
    a.count = count, a.type = type, a.p = put(type, p);
    a.g = floats(std::vector<float>(count)), a.m = floats(std::vector<float>(count));
    a.v = floats(std::vector<float>(count));
    a.step = 1, a.beta1 = 0.9f, a.beta2 = 0.99f, a.eps = 1e-8f;
    return a;
  }
  void submit(const npuOpsAdamWInfo& a) {
    NPU_ASSERT_OK(npuOpsSubmit(ops_, queue_, NPU_OPS_ADAMW, &a, nullptr));
  }

  // Descends |steps| steps along (p - target)^2 / 2, and returns the parameters.
  std::vector<float> learn(npuDataType type, npuOpsRoundingMode mode, const std::vector<float>& p,
                           const std::vector<float>& target, uint64_t steps) {
    npuOpsAdamWInfo a = step_info(type, p);
    a.lr = 1e-3f, a.rounding.mode = mode;
    auto widen = blank<npuOpsElementwiseInfo>();
    widen.type = NPU_BFLOAT16, widen.rows = 1, widen.cols = a.count, widen.x = a.p, widen.y = a.g;
    auto minus = blank<npuOpsElementwiseInfo>();
    minus.function = NPU_OPS_SUB, minus.rows = 1, minus.cols = a.count;
    minus.x = type == NPU_FLOAT32 ? a.p : a.g, minus.b = floats(target), minus.y = a.g;
    for (; a.step <= steps; ++a.step) {
      if (mode == NPU_OPS_ROUND_STOCHASTIC)
        a.rounding.seed = kSeed, a.rounding.first = a.step * a.count;
      if (type == NPU_BFLOAT16) {
        NPU_EXPECT_OK(npuOpsConvert(ops_, queue_, &widen, nullptr));
      }
      NPU_EXPECT_OK(npuOpsBinary(ops_, queue_, &minus, nullptr));
      submit(a);
    }
    return get(type, a.p, a.count);
  }
};

TEST_F(StochasticAdamW, ParametersAndCopiesAreTheReferenceBitForBit) {
  constexpr uint32_t kCount = 20011;
  const std::vector<float> p = numbers(kCount, 1, NPU_BFLOAT16), g = numbers(kCount, 2);
  npuOpsAdamWInfo wide = step_info(NPU_FLOAT32, p), narrow = step_info(NPU_BFLOAT16, p);
  wide.copy = alloc(kCount * 2);
  for (npuOpsAdamWInfo* a : {&wide, &narrow}) {
    a->g = floats(g), a->lr = 0.01f, a->weight_decay = 0.1f;
    a->rounding = {NPU_OPS_ROUND_STOCHASTIC, 0, kSeed, 77};
    submit(*a);
  }
  const std::vector<float> exact = read(wide.p, kCount);
  const std::vector<float> copy = get(NPU_BFLOAT16, wide.copy, kCount);
  const std::vector<float> got = get(NPU_BFLOAT16, narrow.p, kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(got[i], rounded(grid_of(NPU_BFLOAT16), exact[i], word(kSeed, 77 + i))) << i;
    ASSERT_EQ(copy[i], got[i]) << i;
  }
}

// A step is 2^-10, less than a third of the half unit that would move a bf16 number of 1 or more.
TEST_F(StochasticAdamW, LearnsWhereRoundingToNearestStandsStill) {
  constexpr uint32_t kCount = 512;
  constexpr uint64_t kSteps = 300;
  const std::vector<float> start(kCount, 1.0f), target(kCount, 1.5f);
  EXPECT_EQ(learn(NPU_BFLOAT16, NPU_OPS_ROUND_NEAREST, start, target, kSteps), start);
  const std::vector<float> wide = learn(NPU_FLOAT32, NPU_OPS_ROUND_NEAREST, start, target, kSteps);
  const std::vector<float> got =
      learn(NPU_BFLOAT16, NPU_OPS_ROUND_STOCHASTIC, start, target, kSteps);
  double mean = 0;
  for (float v : got) mean += v / kCount;
  // The steps of all parameters are those of fp32 but for their rounding, which has no bias; 5 deviations of the mean of 512 walks.
  const double deviation = std::sqrt(kSteps * 0.001 * 0x1p-7 / kCount);
  EXPECT_GT(wide[0], 1.25f);
  EXPECT_NEAR(mean, wide[0], 5 * deviation) << "seed " << kSeed;
  EXPECT_EQ(learn(NPU_BFLOAT16, NPU_OPS_ROUND_STOCHASTIC, start, target, kSteps), got)
      << "the same run again";
}

TEST(StochasticCheck, WhatIsNotRoundedAtRandomIsRefused) {
  auto e = blank<npuOpsElementwiseInfo>();
  e.rows = 2, e.cols = 64, e.x = e.y = 64, e.out_type = NPU_BFLOAT16;
  e.rounding = {NPU_OPS_ROUND_STOCHASTIC, 0, 1, 2};
  const auto convert = [&](npuDataType type) {
    e.out_type = type;
    return npuOpsCheck(NPU_OPS_CONVERT, &e);
  };
  for (const Grid& grid : kGrids) EXPECT_EQ(convert(grid.type), NPU_OK) << npuOpsGetErrorText();
  for (npuDataType type : {NPU_INT8, NPU_Q8_0, NPU_Q4_0})
    EXPECT_EQ(convert(type), NPU_ERROR_NOT_SUPPORTED) << type;
  e.type = NPU_BFLOAT16;
  EXPECT_EQ(convert(NPU_FLOAT32), NPU_ERROR_NOT_SUPPORTED);
  e.type = NPU_FLOAT32, e.rounding.mode = 2;
  EXPECT_EQ(convert(NPU_BFLOAT16), NPU_ERROR_INVALID_ARGUMENT);
  e.rounding = {NPU_OPS_ROUND_NEAREST, 0, 1, 0};
  EXPECT_EQ(convert(NPU_BFLOAT16), NPU_ERROR_INVALID_ARGUMENT);
  e.rounding = {NPU_OPS_ROUND_NEAREST, 0, 0, 1};
  EXPECT_EQ(convert(NPU_BFLOAT16), NPU_ERROR_INVALID_ARGUMENT);
  e.rounding = {NPU_OPS_ROUND_STOCHASTIC, 1, 0, 0};
  EXPECT_EQ(convert(NPU_BFLOAT16), NPU_ERROR_RESERVED_NOT_ZERO);
  e.rounding.reserved = 0, e.out_type = e.type = NPU_BFLOAT16;
  EXPECT_EQ(npuOpsCheck(NPU_OPS_UNARY, &e), NPU_ERROR_INVALID_ARGUMENT);
}

TEST(StochasticCheck, ProductsAreCheckedAsConversionsAre) {
  auto g = blank<npuOpsGemmInfo>();
  g.m = g.n = g.k = 32, g.a = g.b = g.d = 64, g.alpha = 1;
  g.rounding.mode = NPU_OPS_ROUND_STOCHASTIC;
  const auto result = [&] { return npuOpsCheck(NPU_OPS_GEMM, &g); };
  EXPECT_EQ(result(), NPU_ERROR_NOT_SUPPORTED) << "fp32";
  g.out_type = NPU_BFLOAT16;
  EXPECT_EQ(result(), NPU_OK) << npuOpsGetErrorText();
  g.rounding.mode = -1;
  EXPECT_EQ(result(), NPU_ERROR_INVALID_ARGUMENT);
  g.rounding = {NPU_OPS_ROUND_NEAREST, 0, 5, 0};
  EXPECT_EQ(result(), NPU_ERROR_INVALID_ARGUMENT);
  g.rounding = {NPU_OPS_ROUND_STOCHASTIC, 0, 5, 0};
  g.type = NPU_INT8, g.out_type = NPU_INT32;
  EXPECT_EQ(result(), NPU_ERROR_NOT_SUPPORTED);
}

}  // namespace
}  // namespace npu::test
