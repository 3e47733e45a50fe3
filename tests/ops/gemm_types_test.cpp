// SPDX-License-Identifier: Apache-2.0
// npuOpsGemm with all types, forms, epilogues, parts and groups against double precision. Bound: k + 3 roundings of fp32 on sums of |a b|; integers are exact. What D of another type holds is what
// npuOpsConvert makes of the fp32 result.
#include <npu/npu_prof.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/ops/formats.h"
#include "tests/ops/session.h"

namespace npu::test {
namespace {

struct Shape {
  uint32_t m, n, k;
};

// One operand: bytes on the device and its values, rows of k elements ("by rows") unless transposed.
struct Operand {
  npuDevPtr at = 0;
  std::vector<float> values;  // [rows, k]
};

class GemmTypes : public Session {
 protected:
  // |rows| rows of |k| elements, as A or as a transposed B.
  Operand operand(const Format& f, uint32_t rows, uint32_t k) {
    Operand out;
    const std::vector<uint8_t> bytes = random_bytes(f, rows, k, engine_);
    out.at = put_bytes(bytes);
    if (f.type != NPU_Q4_K && f.type != NPU_Q6_K) {
      out.values = values_of(f, bytes, rows, k);
      return out;
    }
    auto e = blank<npuOpsElementwiseInfo>();
    e.type = f.type, e.rows = rows, e.cols = k, e.x = out.at, e.y = alloc(uint64_t{rows} * k * 4);
    NPU_EXPECT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
    out.values = get(NPU_FLOAT32, e.y, uint64_t{rows} * k);
    return out;
  }

  npuOpsGemmInfo info(const Format& a, const Operand& x, const Format& b, const Operand& y,
                      Shape s) {
    auto g = blank<npuOpsGemmInfo>();
    g.type = a.type, g.b_type = b.type, g.mixed = 1;
    g.b_form = NPU_OPS_TRANSPOSED;
    g.m = s.m, g.n = s.n, g.k = s.k;
    g.a = x.at, g.b = y.at, g.d = alloc(uint64_t{s.m} * s.n * 4);
    g.alpha = 1;
    return g;
  }

  std::vector<float> run(const npuOpsGemmInfo& g) {
    NPU_EXPECT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
    const uint64_t count = uint64_t{std::max(g.batch, 1u)} * g.m * g.n;
    return get(NPU_FLOAT32, g.d, count);
  }

  std::mt19937 engine_{11};
};

struct Sum {
  double value = 0, magnitude = 0;
};

Sum dot(const Operand& a, uint32_t i, const Operand& b, uint32_t j, uint32_t k) {
  Sum s;
  for (uint32_t d = 0; d < k; ++d) {
    const double product = double{a.values[i * k + d]} * b.values[j * k + d];
    s.value += product;
    s.magnitude += std::fabs(product);
  }
  return s;
}

double bound(const Sum& s, uint32_t k) { return 1.2 * (k + 3) * 0x1p-24 * s.magnitude; }

void expect_product(const std::vector<float>& got, const Operand& a, const Operand& b, Shape s) {
  for (uint32_t i = 0; i < s.m; ++i) {
    for (uint32_t j = 0; j < s.n; ++j) {
      const Sum want = dot(a, i, b, j, s.k);
      ASSERT_NEAR(got[i * s.n + j], want.value, bound(want, s.k)) << i << ", " << j;
    }
  }
}

TEST_F(GemmTypes, EveryPairOfTypesMatchesTheReference) {
  constexpr Shape kShape{5, 19, 67};
  for (const Format& f : formats()) {
    const Operand a = operand(f, kShape.m, kShape.k);
    for (const Format& h : formats()) {
      SCOPED_TRACE(testing::Message() << f.name << " x " << h.name << ", seed 11");
      const Operand b = operand(h, kShape.n, kShape.k);
      const npuOpsGemmInfo g = info(f, a, h, b, kShape);
      expect_product(run(g), a, b, kShape);
      NPU_ASSERT_OK(npuMemFree(context_, b.at));
      NPU_ASSERT_OK(npuMemFree(context_, g.d));
    }
  }
}

// What npu-perf tells each kernel's peak by.
TEST_F(GemmTypes, AnActivityTellsTheTimeAtThePeakOfItsTypes) {
  struct Case {
    npuDataType a, b;
    const char* rate;
  };
  constexpr Case kCases[] = {{NPU_FLOAT32, NPU_FLOAT32, "f32"},
                             {NPU_BFLOAT16, NPU_BFLOAT16, "bf16"},
                             {NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, "fp8"},
                             {NPU_INT8, NPU_INT8, "i8"},
                             {NPU_BFLOAT16, NPU_FLOAT32, "f32"}};
  constexpr Shape kShape{64, 64, 128};
  for (const Case& c : kCases) {
    const Format &f = format_of(c.a), &h = format_of(c.b);
    SCOPED_TRACE(testing::Message() << f.name << " x " << h.name << ", seed 11");
    const Operand a = operand(f, kShape.m, kShape.k), b = operand(h, kShape.n, kShape.k);
    const npuOpsGemmInfo g = info(f, a, h, b, kShape);
    auto wanted = blank<npuProfInfo>();
    wanted.kinds = 1u << NPU_PROF_KERNEL;
    NPU_ASSERT_OK(npuProfStart(&wanted));
    NPU_EXPECT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
    NPU_EXPECT_OK(npuProfFlush(NPU_TIMEOUT_INFINITE));
    auto seen = blank<npuProfActivity>();
    uint32_t count = 1;
    NPU_EXPECT_OK(npuProfRead(&count, &seen, nullptr));
    NPU_EXPECT_OK(npuProfStop());
    ASSERT_EQ(count, 1u);
    auto rate = blank<npuProfCounter>();
    const std::string name = std::string("macs_") + c.rate + "_per_second_max";
    NPU_ASSERT_OK(npuProfGetCounter(device_, name.c_str(), &rate));
    const double peak_ps =
        static_cast<double>(seen.mac_ops) / static_cast<double>(rate.value) * 1e12;
    EXPECT_GT(seen.mac_ops, 0u);
    EXPECT_NEAR(static_cast<double>(seen.tensor_ps), peak_ps, 1 + 1e-3 * peak_ps);
    EXPECT_LE(seen.tensor_ps, seen.end_ps - seen.start_ps);
  }
}

TEST_F(GemmTypes, ShapesOfOneOfPrimesAndOfManyBlocks) {
  constexpr npuDataType kPairs[][2] = {{NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2},
                                       {NPU_FLOAT16, NPU_FLOAT16},
                                       {NPU_MXFP8_E4M3, NPU_MXFP4},
                                       {NPU_BFLOAT16, NPU_Q6_K},
                                       {NPU_MX6, NPU_FLOAT32}};
  for (auto& pair : kPairs) {
    for (Shape s : {Shape{1, 1, 1}, {1, 131, 300}, {13, 17, 31}, {67, 300, 521}, {300, 33, 257}}) {
      const Format &f = format_of(pair[0]), &h = format_of(pair[1]);
      SCOPED_TRACE(testing::Message() << f.name << " x " << h.name << " " << s.m << " " << s.n
                                      << " " << s.k << ", seed 11");
      const Operand a = operand(f, s.m, s.k), b = operand(h, s.n, s.k);
      expect_product(run(info(f, a, h, b, s)), a, b, s);
    }
  }
}

TEST_F(GemmTypes, Int8IsExactInInt32AndScaled) {
  for (Shape s : {Shape{1, 1, 1}, {5, 37, 1031}, {130, 70, 600}}) {
    const Format& f = format_of(NPU_INT8);
    const Operand a = operand(f, s.m, s.k), b = operand(f, s.n, s.k);
    auto g = info(f, a, f, b, s);
    g.out_type = NPU_INT32;
    NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
    const std::vector<int32_t> exact = get_i32(g.d, uint64_t{s.m} * s.n);
    g.out_type = NPU_FLOAT32;
    g.alpha = 0.25f;
    const std::vector<float> scale_a = numbers(s.m, 3), scale_b = numbers(s.n, 4);
    g.scale_a = put(NPU_FLOAT32, scale_a), g.scale_b = put(NPU_FLOAT32, scale_b);
    const std::vector<float> scaled = run(g);
    for (uint32_t i = 0; i < s.m; ++i) {
      for (uint32_t j = 0; j < s.n; ++j) {
        const double want = dot(a, i, b, j, s.k).value;
        ASSERT_EQ(exact[i * s.n + j], static_cast<int32_t>(want));
        const float once = static_cast<float>(want) * scale_a[i] * scale_b[j] * 0.25f;
        ASSERT_EQ(scaled[i * s.n + j], once);
      }
    }
  }
}

TEST_F(GemmTypes, FormsOfPlainTypesAgreeBitForBit) {
  constexpr Shape kShape{19, 45, 70};
  constexpr npuDataType kPairs[][2] = {
      {NPU_FLOAT32, NPU_FLOAT32},         {NPU_BFLOAT16, NPU_BFLOAT16}, {NPU_FLOAT16, NPU_FLOAT16},
      {NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2}, {NPU_INT8, NPU_INT8},         {NPU_BFLOAT16, NPU_INT8},
      {NPU_FLOAT8_E5M2, NPU_FLOAT16}};
  for (auto& pair : kPairs) {
    const Format &f = format_of(pair[0]), &h = format_of(pair[1]);
    SCOPED_TRACE(testing::Message() << f.name << " x " << h.name << ", seed 11");
    const std::vector<uint8_t> a = random_bytes(f, kShape.m, kShape.k, engine_);
    const std::vector<uint8_t> b = random_bytes(h, kShape.n, kShape.k, engine_);
    auto turned = [](const std::vector<uint8_t>& from, uint32_t rows, uint32_t cols,
                     uint32_t size) {
      std::vector<uint8_t> out(from.size());
      for (uint32_t i = 0; i < rows; ++i)
        for (uint32_t j = 0; j < cols; ++j)
          std::memcpy(&out[(j * rows + i) * size], &from[(i * cols + j) * size], size);
      return out;
    };
    auto g = info(f, {put_bytes(a), {}}, h, {put_bytes(b), {}}, kShape);
    g.out_scale = 2;  // the programs for any type, for fp32 and bf16 too
    const std::vector<float> want = run(g);
    g.a = put_bytes(turned(a, kShape.m, kShape.k, f.block_bytes));
    g.a_form = NPU_OPS_TRANSPOSED;
    ASSERT_EQ(run(g), want);
    if (f.type == h.type || f.block_bytes + h.block_bytes == 2) {
      auto p = blank<npuOpsGemmPackInfo>();
      p.type = h.type, p.form = NPU_OPS_TRANSPOSED, p.n = kShape.n, p.k = kShape.k, p.b = g.b;
      uint64_t bytes = 0;
      NPU_ASSERT_OK(npuOpsGemmGetPackedBytes(&p, &bytes));
      p.packed = alloc(bytes);
      NPU_ASSERT_OK(npuOpsGemmPackB(ops_, queue_, &p, nullptr));
      auto packed = g;
      packed.b = p.packed, packed.b_form = NPU_OPS_PACKED;
      ASSERT_EQ(run(packed), want);
    }
    g.b = put_bytes(turned(b, kShape.n, kShape.k, h.block_bytes));
    g.b_form = NPU_OPS_PLAIN;
    ASSERT_EQ(run(g), want);
  }
}

TEST_F(GemmTypes, NarrowOperandsGiveTheBitsOfTheirValuesInFp32) {
  constexpr Shape kShape{33, 50, 200};
  for (npuDataType type : {NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_FLOAT8_E5M2, NPU_MXFP8_E5M2,
                           NPU_MXFP6_E2M3, NPU_MXINT8, NPU_MX9}) {
    const Format& f = format_of(type);
    const Operand a = operand(f, kShape.m, kShape.k), b = operand(f, kShape.n, kShape.k);
    const std::vector<float> got = run(info(f, a, f, b, kShape));
    auto wide = blank<npuOpsGemmInfo>();
    wide.b_form = NPU_OPS_TRANSPOSED;
    wide.m = kShape.m, wide.n = kShape.n, wide.k = kShape.k, wide.alpha = 1;
    wide.a = put(NPU_FLOAT32, a.values), wide.b = put(NPU_FLOAT32, b.values);
    wide.d = alloc(kShape.m * kShape.n * 4);
    ASSERT_EQ(run(wide), got) << f.name << ", seed 11";
  }
}

double activate(npuOpsActivation act, double x) {
  switch (act) {
    case NPU_OPS_ACT_RELU:
      return std::max(x, 0.0);
    case NPU_OPS_ACT_GELU:
      return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case NPU_OPS_ACT_SILU:
      return x / (1 + std::exp(-x));
    case NPU_OPS_ACT_GELU_ERF:
      return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    case NPU_OPS_ACT_SIGMOID:
      return 1 / (1 + std::exp(-x));
    case NPU_OPS_ACT_TANH:
      return std::tanh(x);
    default:
      return x;
  }
}

TEST_F(GemmTypes, EpiloguesMatchTheReference) {
  constexpr Shape kShape{7, 45, 70};
  const Format &f = format_of(NPU_BFLOAT16), &h = format_of(NPU_MXFP4);
  const Operand a = operand(f, kShape.m, kShape.k), b = operand(h, kShape.n, kShape.k);
  const std::vector<float> bias = numbers(kShape.n, 5), c = numbers(kShape.m * kShape.n, 6);
  const std::vector<float> scale_a = numbers(kShape.m, 7), scale_b = numbers(kShape.n, 8);
  for (npuOpsActivation act = 0; act <= NPU_OPS_ACT_TANH; ++act) {
    auto g = info(f, a, h, b, kShape);
    g.activation = act;
    g.alpha = 0.125f, g.beta = -1.5f, g.out_scale = 3;
    g.bias = put(NPU_FLOAT32, bias), g.c = put(NPU_FLOAT32, c);
    g.scale_a = put(NPU_FLOAT32, scale_a), g.scale_b = put(NPU_FLOAT32, scale_b);
    const std::vector<float> got = run(g);
    for (uint32_t i = 0; i < kShape.m; ++i) {
      for (uint32_t j = 0; j < kShape.n; ++j) {
        const uint32_t e = i * kShape.n + j;
        const Sum s = dot(a, i, b, j, kShape.k);
        const double factor = double{scale_a[i]} * scale_b[j] * 0.125;
        const double x = s.value * factor - 1.5 * c[e] + bias[j];
        const double error =
            1.2 * 3 * (std::fabs(factor) * bound(s, kShape.k + 4) + 0x1p-21 * (std::fabs(x) + 3));
        ASSERT_NEAR(got[e], 3 * activate(act, x), error) << "activation " << act;
      }
    }
  }
}

TEST_F(GemmTypes, ResultsOfEveryTypeAreTheConversionOfTheFp32Result) {
  constexpr Shape kShape{9, 77, 40};
  const Format &f = format_of(NPU_FLOAT8_E4M3), &h = format_of(NPU_BFLOAT16);
  const Operand a = operand(f, kShape.m, kShape.k), b = operand(h, kShape.n, kShape.k);
  auto g = info(f, a, h, b, kShape);
  g.bias = put(NPU_FLOAT32, numbers(kShape.n, 9));
  g.activation = NPU_OPS_ACT_SILU;
  run(g);
  for (size_t t = 1; t < kWrittenFormats; ++t) {
    const Format& to = formats()[t];
    for (int32_t rounding = 0; rounding < 4; ++rounding) {
      const bool fp8 = to.type == NPU_FLOAT8_E4M3 || to.type == NPU_FLOAT8_E5M2;
      const bool mx = to.type >= NPU_MXFP8_E4M3 && to.type <= NPU_MXINT8;
      if (rounding > (mx ? 3 : fp8 ? 1 : 0)) continue;
      auto e = blank<npuOpsElementwiseInfo>();
      e.out_type = to.type, e.rows = kShape.m, e.cols = kShape.n, e.x = g.d;
      e.scale_rule = mx ? rounding : 0;
      e.overflow = fp8 && rounding == 1;
      const uint64_t bytes = kShape.m * row_bytes(to, kShape.n);
      e.y = alloc(bytes);
      auto narrow = g;
      narrow.out_type = to.type, narrow.d = alloc(bytes);
      narrow.scale_rule = e.scale_rule, narrow.overflow = e.overflow;
      NPU_ASSERT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
      NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &narrow, nullptr));
      ASSERT_EQ(get_bytes(narrow.d, bytes), get_bytes(e.y, bytes)) << to.name << " " << rounding;
    }
  }
}

TEST_F(GemmTypes, BatchesAndDistancesOfBlocks) {
  constexpr uint32_t kBatch = 3, kM = 4, kN = 21, kK = 50;
  const Format &f = format_of(NPU_MXFP6_E3M2), &h = format_of(NPU_MX4);
  const Operand a = operand(f, kBatch * kM, kK), b = operand(h, kN, kK);
  auto g = info(f, a, h, b, {kM, kN, kK});
  g.batch = kBatch;
  g.batch_stride_a = kM * row_elements(f, kK);
  g.ldd = kN + 3, g.batch_stride_d = kM * g.ldd;
  g.d = put(NPU_FLOAT32, std::vector<float>(kBatch * g.batch_stride_d, -7));
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
  const std::vector<float> got = get(NPU_FLOAT32, g.d, kBatch * g.batch_stride_d);
  for (uint32_t i = 0; i < kBatch * kM; ++i) {
    for (uint32_t j = 0; j < kN + 3; ++j) {
      if (j >= kN) {
        ASSERT_EQ(got[i * (kN + 3) + j], -7) << "padding was written";
        continue;
      }
      const Sum want = dot(a, i, b, j, kK);
      ASSERT_NEAR(got[i * (kN + 3) + j], want.value, bound(want, kK));
    }
  }
}

TEST_F(GemmTypes, DecodingWithTheOrderOfATreeMatchesTheReference) {
  constexpr npuDataType kPairs[][2] = {{NPU_FLOAT32, NPU_FLOAT32},       {NPU_BFLOAT16, NPU_MXFP4},
                                       {NPU_BFLOAT16, NPU_FLOAT8_E4M3},  {NPU_FLOAT16, NPU_Q4_K},
                                       {NPU_MXFP8_E4M3, NPU_MXFP8_E4M3}, {NPU_BFLOAT16, NPU_INT8}};
  for (auto& pair : kPairs) {
    const Format &f = format_of(pair[0]), &h = format_of(pair[1]);
    for (uint32_t m : {1u, 3u, 16u}) {
      const Shape s{m, 301, 512};
      const Operand a = operand(f, s.m, s.k), b = operand(h, s.n, s.k);
      auto g = info(f, a, h, b, s);
      g.order = NPU_OPS_ORDER_TREE;
      SCOPED_TRACE(testing::Message() << f.name << " x " << h.name << " m " << m << ", seed 11");
      expect_product(run(g), a, b, s);
    }
  }
}

TEST_F(GemmTypes, PartsOfKAreAddedInOrder) {
  for (auto [m, n, k] : {Shape{3, 40, 1000}, {20, 33, 130}}) {
    const Format &f = format_of(NPU_BFLOAT16), &h = format_of(NPU_MXFP8_E5M2);
    const Operand a = operand(f, m, k), b = operand(h, n, k);
    auto g = info(f, a, h, b, {m, n, k});
    g.bias = put(NPU_FLOAT32, numbers(n, 9));
    g.alpha = 0.5f, g.activation = NPU_OPS_ACT_RELU;
    for (uint32_t parts : {2u, 7u, 64u}) {
      g.split_k = parts;
      uint64_t bytes = 0;
      NPU_ASSERT_OK(npuOpsGemmGetWorkspaceBytes(&g, &bytes));
      ASSERT_EQ(bytes, uint64_t{4} * m * n * parts);
      g.workspace = alloc(bytes);
      const std::vector<float> got = run(g);
      // The same by hand: a product for each part, then their sum.
      const uint32_t part = (((k + parts - 1) / parts) + 31) / 32 * 32;
      std::vector<float> sums(m * n, 0.0f);
      for (uint32_t first = 0; first < k; first += part) {
        auto one = g;
        one.split_k = 0, one.bias = 0, one.alpha = 1, one.activation = 0;
        one.a += first * 2, one.lda = k, one.k = std::min(part, k - first);
        one.b += first / 32 * 33, one.ldb = row_elements(h, k);
        const std::vector<float> of_part = run(one);
        for (size_t i = 0; i < sums.size(); ++i)
          sums[i] = first == 0 ? of_part[i] : sums[i] + of_part[i];
      }
      const std::vector<float> bias = numbers(n, 9);
      for (uint32_t i = 0; i < m * n; ++i)
        ASSERT_EQ(got[i], std::max(0.0f, sums[i] * 0.5f + bias[i % n])) << parts << " parts, " << i;
    }
  }
}

TEST_F(GemmTypes, AGroupOfProductsOfDifferentShapes) {
  constexpr Shape kShapes[] = {{5, 40, 70}, {0, 9, 9}, {33, 1, 64}, {1, 77, 33}, {20, 20, 0}};
  for (bool tree : {false, true}) {
    const Format &f = format_of(NPU_BFLOAT16), &h = format_of(tree ? NPU_FLOAT8_E4M3 : NPU_MXFP4);
    std::vector<npuOpsGemmGroup> records;
    std::vector<Operand> as, bs;
    auto g = blank<npuOpsGemmInfo>();
    g.type = f.type, g.mixed = 1, g.b_type = h.type, g.b_form = NPU_OPS_TRANSPOSED, g.alpha = 1;
    g.order = tree ? NPU_OPS_ORDER_TREE : NPU_OPS_ORDER_CHAIN;
    const npuDevPtr base = alloc(64);
    g.a = g.b = g.d = base;
    for (Shape s : kShapes) {
      if (tree) s.m = std::min(s.m, 16u);
      as.push_back(operand(f, s.m, s.k));
      bs.push_back(operand(h, s.n, s.k));
      npuOpsGemmGroup record{};
      record.m = s.m, record.n = s.n, record.k = s.k;
      record.a_bytes = as.back().at - base, record.b_bytes = bs.back().at - base;
      record.d_bytes = alloc(s.m * s.n * 4) - base;
      records.push_back(record);
      g.m = std::max(g.m, s.m), g.n = std::max(g.n, s.n), g.k = std::max(g.k, s.k);
    }
    std::vector<uint8_t> bytes(records.size() * sizeof(records[0]));
    std::memcpy(bytes.data(), records.data(), bytes.size());
    g.groups = put_bytes(bytes), g.group_count = static_cast<uint32_t>(records.size());
    NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
    for (size_t i = 0; i < records.size(); ++i) {
      const npuOpsGemmGroup& r = records[i];
      SCOPED_TRACE(testing::Message() << "group " << i << " tree " << tree << ", seed 11");
      expect_product(get(NPU_FLOAT32, base + r.d_bytes, r.m * r.n), as[i], bs[i], {r.m, r.n, r.k});
    }
  }
}

TEST_F(GemmTypes, ARecordThatIsLargerThanTheInfoStopsTheQueue) {
  npuOpsGemmGroup record{};
  record.m = 5, record.n = 4, record.k = 4;
  std::vector<uint8_t> bytes(sizeof(record));
  std::memcpy(bytes.data(), &record, sizeof(record));
  auto g = blank<npuOpsGemmInfo>();
  g.m = g.n = g.k = 4, g.alpha = 1, g.group_count = 1;
  g.a = g.b = g.d = alloc(400), g.groups = put_bytes(bytes);
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
  EXPECT_EQ(npuQueueSync(queue_, 60'000'000'000), NPU_ERROR_KERNEL_ASSERT);
}

TEST_F(GemmTypes, NanAndInfinityGoThroughAndPaddingDoesNot) {
  constexpr Shape kShape{2, 3, 33};
  const Format& f = format_of(NPU_MXFP8_E5M2);
  std::vector<uint8_t> a(kShape.m * row_bytes(f, kShape.k), 0x3c);  // ones
  std::vector<uint8_t> b(kShape.n * row_bytes(f, kShape.k), 0x3c);
  for (size_t at = 0; at < a.size(); at += 33) a[at] = 127;
  for (size_t at = 0; at < b.size(); at += 33) b[at] = 127;
  for (size_t i = 2; i < 33; ++i) a[33 + i] = 0x7f, b[33 + i] = 0x7c;  // behind the end of row 0
  a[66 + 1] = 0x7c;       // row 1 has an infinity at k = 0
  b[2 * 66 + 33] = 0xff;  // the last block of column 2 is NaN
  b[66 + 1] = 0;          // column 1 has a zero at k = 0
  auto g = info(f, {put_bytes(a), {}}, f, {put_bytes(b), {}}, kShape);
  const std::vector<float> got = run(g);
  EXPECT_EQ(got[0], 33);
  EXPECT_EQ(got[1], 32);
  EXPECT_TRUE(std::isnan(got[2]));
  EXPECT_EQ(got[3], std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(got[4]));
  EXPECT_TRUE(std::isnan(got[5]));
}

TEST_F(GemmTypes, EmptySizesGiveNothingOrZeros) {
  const Format& f = format_of(NPU_MXFP4);
  const Operand a = operand(f, 4, 32), b = operand(f, 4, 32);
  for (Shape s : {Shape{0, 4, 32}, {4, 0, 32}, {0, 0, 0}}) {
    auto g = info(f, a, f, b, s);
    uint64_t value = 0;
    NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, &value));
    EXPECT_NE(value, 0u);
  }
  auto g = info(f, {}, f, {}, {4, 4, 0});
  g.bias = put(NPU_FLOAT32, {1, 2, 3, 4});
  g.split_k = 3;  // of nothing: no workspace
  const std::vector<float> got = run(g);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], static_cast<float>(i % 4 + 1));
}

}  // namespace
}  // namespace npu::test
