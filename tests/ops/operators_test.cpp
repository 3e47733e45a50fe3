// SPDX-License-Identifier: Apache-2.0
// Each operator once or twice through the public API against double precision; tests/unit/kernels has the many shapes.
#include <array>
#include <cmath>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

using Operators = Session;

constexpr npuDataType kTypes[] = {NPU_FLOAT32, NPU_BFLOAT16};

struct GemmShape {
  uint32_t m, n, k;
};

TEST_F(Operators, GemmWithEveryFormOfBMatchesTheReference) {
  for (npuDataType type : kTypes) {
    for (npuOpsForm form : {NPU_OPS_PLAIN, NPU_OPS_TRANSPOSED, NPU_OPS_PACKED}) {
      for (auto [m, n, k] : {GemmShape{1, 300, 129}, {70, 33, 65}}) {
        std::vector<float> a = numbers(uint64_t{m} * k, 1, type),
                           b = numbers(uint64_t{n} * k, 2, type);
        std::vector<float> bias = numbers(n, 3);
        auto g = blank<npuOpsGemmInfo>();
        g.type = g.out_type = type;
        g.m = m, g.n = n, g.k = k;
        g.a = put(type, a), g.b = put(type, b), g.d = alloc(uint64_t{m} * n * 4);
        g.bias = put(NPU_FLOAT32, bias);
        g.alpha = 0.5f;
        g.activation = NPU_OPS_ACT_RELU;
        g.b_form = form;
        if (form == NPU_OPS_PACKED) {
          auto p = blank<npuOpsGemmPackInfo>();
          p.type = type, p.n = n, p.k = k, p.b = g.b;
          uint64_t bytes = 0;
          NPU_ASSERT_OK(npuOpsGemmGetPackedBytes(&p, &bytes));
          p.packed = g.b = alloc(bytes);
          NPU_ASSERT_OK(npuOpsGemmPackB(ops_, queue_, &p, nullptr));
        }
        NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, nullptr));
        std::vector<float> got = get(type, g.d, uint64_t{m} * n);
        for (uint32_t i = 0; i < m; ++i) {
          for (uint32_t j = 0; j < n; ++j) {
            double sum = 0;
            for (uint32_t d = 0; d < k; ++d) {
              sum +=
                  double{a[i * k + d]} * (form == NPU_OPS_TRANSPOSED ? b[j * k + d] : b[d * n + j]);
            }
            double want = std::max(0.0, sum / 2 + bias[j]);
            ASSERT_NEAR(got[i * n + j], want, 1.1 * k * k * 0x1p-24 + want * rounding(type));
          }
        }
      }
    }
  }
}

TEST_F(Operators, AttentionOfAPromptAndOfOneTokenAgree) {
  constexpr uint32_t kHeads = 4, kKvHeads = 2, kTokens = 70, kDim = 32;
  for (npuDataType type : kTypes) {
    auto t = blank<npuOpsAttentionInfo>();
    t.type = type;
    t.batch = 1, t.heads = kHeads, t.kv_heads = kKvHeads, t.q_len = t.kv_len = kTokens,
    t.head_dim = kDim;
    t.causal = 1;
    t.scale = 1 / std::sqrt(float{kDim});
    std::vector<float> q = numbers(kTokens * kHeads * kDim, 4, type);
    t.q = put(type, q);
    t.k = put(type, numbers(kTokens * kKvHeads * kDim, 5, type));
    t.v = put(type, numbers(kTokens * kKvHeads * kDim, 6, type));
    t.o = alloc(q.size() * 4);
    t.q_strides = t.o_strides = {0, kDim, kHeads * kDim};
    t.k_strides = t.v_strides = {0, kDim, kKvHeads * kDim};
    NPU_ASSERT_OK(npuOpsAttention(ops_, queue_, &t, nullptr));
    std::vector<float> all = get(type, t.o, q.size());
    // The last token alone, as in decoding with a KV cache.
    t.q += (kTokens - 1) * kHeads * kDim * type_bytes(type);
    t.q_len = 1;
    NPU_ASSERT_OK(npuOpsAttention(ops_, queue_, &t, nullptr));
    std::vector<float> last = get(type, t.o, kHeads * kDim);
    for (uint32_t i = 0; i < kHeads * kDim; ++i) {
      ASSERT_NEAR(last[i], all[(kTokens - 1) * kHeads * kDim + i], 1e-5 + 3 * rounding(type));
    }
  }
}

TEST_F(Operators, NormsAndSoftmaxMatchTheReference) {
  constexpr uint32_t kRows = 5, kCols = 70;
  std::vector<float> x = numbers(kRows * kCols, 7), weight = numbers(kCols, 8);
  auto n = blank<npuOpsNormInfo>();
  n.rows = kRows, n.cols = kCols, n.eps = 1e-5f;
  n.x = put(NPU_FLOAT32, x), n.y = alloc(x.size() * 4), n.weight = put(NPU_FLOAT32, weight);
  NPU_ASSERT_OK(npuOpsRmsNorm(ops_, queue_, &n, nullptr));
  std::vector<float> rms = get(NPU_FLOAT32, n.y, x.size());
  NPU_ASSERT_OK(npuOpsLayerNorm(ops_, queue_, &n, nullptr));
  std::vector<float> layer = get(NPU_FLOAT32, n.y, x.size());
  auto s = blank<npuOpsSoftmaxInfo>();
  s.rows = kRows, s.cols = kCols, s.x = n.x, s.y = n.y, s.scale = 3;
  NPU_ASSERT_OK(npuOpsSoftmax(ops_, queue_, &s, nullptr));
  std::vector<float> soft = get(NPU_FLOAT32, n.y, x.size());
  for (uint32_t i = 0; i < kRows; ++i) {
    const float* row = &x[i * kCols];
    double sum = 0, squares = 0, exps = 0;
    for (uint32_t j = 0; j < kCols; ++j) {
      sum += row[j];
      squares += double{row[j]} * row[j];
      exps += std::exp(3.0 * row[j]);
    }
    double mean = sum / kCols;
    double variance = squares / kCols - mean * mean;
    for (uint32_t j = 0; j < kCols; ++j) {
      uint32_t at = i * kCols + j;
      ASSERT_NEAR(rms[at], row[j] / std::sqrt(squares / kCols + 1e-5) * weight[j], 1e-5);
      ASSERT_NEAR(layer[at], (row[j] - mean) / std::sqrt(variance + 1e-5) * weight[j], 1e-5);
      ASSERT_NEAR(soft[at], std::exp(3.0 * row[j]) / exps, 1e-6);
    }
  }
}

TEST_F(Operators, RopeUsesItsTableForPromptsAndForOneToken) {
  constexpr uint32_t kTokens = 9, kHeads = 3, kDim = 16, kTable = 40, kStart = 11;
  std::vector<float> x = numbers(kTokens * kHeads * kDim, 9);
  std::vector<float> cosine(kTable * kDim / 2), sine(cosine.size());
  NPU_ASSERT_OK(npuOpsRopeTable(10000, kDim, kTable, cosine.data(), sine.data()));
  for (uint32_t tokens : {kTokens, 1u}) {
    auto r = blank<npuOpsRopeInfo>();
    r.tokens = tokens, r.heads = kHeads, r.head_dim = kDim, r.half = 1, r.start = kStart;
    r.x = r.y = put(NPU_FLOAT32, x);
    r.x_token_stride = r.y_token_stride = kHeads * kDim;
    r.x_head_stride = r.y_head_stride = kDim;
    r.cos_table = put(NPU_FLOAT32, cosine), r.sin_table = put(NPU_FLOAT32, sine);
    r.table_rows = kTable;
    NPU_ASSERT_OK(npuOpsRope(ops_, queue_, &r, nullptr));
    std::vector<float> got = get(NPU_FLOAT32, r.y, x.size());
    for (uint32_t i = 0; i < tokens * kHeads; ++i) {
      for (uint32_t p = 0; p < kDim / 2; ++p) {
        double angle = (kStart + i / kHeads) * std::pow(10000, -2.0 * p / kDim);
        double a = x[i * kDim + p], b = x[i * kDim + p + kDim / 2];
        ASSERT_NEAR(got[i * kDim + p], a * std::cos(angle) - b * std::sin(angle), 1e-6);
        ASSERT_NEAR(got[i * kDim + p + kDim / 2], a * std::sin(angle) + b * std::cos(angle), 1e-6);
      }
    }
  }
}

TEST_F(Operators, FunctionsOfElementsMatchTheReference) {
  constexpr uint32_t kRows = 3, kCols = 5000;
  std::vector<float> x = numbers(kRows * kCols, 10), b = numbers(kRows * kCols, 11);
  auto e = blank<npuOpsElementwiseInfo>();
  e.rows = kRows, e.cols = kCols;
  e.x = put(NPU_FLOAT32, x), e.y = alloc(x.size() * 4);
  e.function = NPU_OPS_TANH;
  NPU_ASSERT_OK(npuOpsUnary(ops_, queue_, &e, nullptr));
  std::vector<float> tanh = get(NPU_FLOAT32, e.y, x.size());
  e.function = 0;
  e.out_type = NPU_BFLOAT16;
  NPU_ASSERT_OK(npuOpsConvert(ops_, queue_, &e, nullptr));
  std::vector<float> narrow = get(NPU_BFLOAT16, e.y, x.size());
  e.out_type = NPU_FLOAT32;
  e.b = put(NPU_FLOAT32, b);
  NPU_ASSERT_OK(npuOpsSiluMul(ops_, queue_, &e, nullptr));
  std::vector<float> gate = get(NPU_FLOAT32, e.y, x.size());
  e.function = NPU_OPS_SUB;
  e.spread = NPU_OPS_ROW;
  NPU_ASSERT_OK(npuOpsBinary(ops_, queue_, &e, nullptr));
  std::vector<float> difference = get(NPU_FLOAT32, e.y, x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(tanh[i], std::tanh(x[i]), 1e-6);
    ASSERT_EQ(narrow[i], to_type(NPU_BFLOAT16, x[i]));
    ASSERT_NEAR(gate[i], x[i] / (1 + std::exp(-x[i])) * b[i], 1e-6);
    ASSERT_EQ(difference[i], x[i] - b[i % kCols]);
  }
}

TEST_F(Operators, RowsAreGatheredScatteredAndSearched) {
  constexpr uint32_t kTable = 9, kCols = 33;
  std::vector<float> table = numbers(kTable * kCols, 12);
  std::vector<int32_t> indices = {8, 0, 3, 3, 7};
  auto r = blank<npuOpsRowsInfo>();
  r.count = 5, r.cols = kCols, r.table_rows = kTable;
  r.x = put(NPU_FLOAT32, table), r.y = alloc(5 * kCols * 4), r.indices = put_i32(indices);
  NPU_ASSERT_OK(npuOpsGather(ops_, queue_, &r, nullptr));
  std::vector<float> rows = get(NPU_FLOAT32, r.y, 5 * kCols);
  auto s = r;
  s.x = r.y, s.y = alloc(kTable * kCols * 4), s.out_type = NPU_BFLOAT16;
  NPU_ASSERT_OK(npuOpsScatterRows(ops_, queue_, &s, nullptr));
  std::vector<float> back = get(NPU_BFLOAT16, s.y, kTable * kCols);
  auto a = blank<npuOpsArgmaxInfo>();
  a.rows = kTable, a.cols = kCols, a.x = r.x, a.y = alloc(kTable * 4);
  NPU_ASSERT_OK(npuOpsArgmax(ops_, queue_, &a, nullptr));
  std::vector<int32_t> largest = get_i32(a.y, kTable);
  for (uint32_t i = 0; i < 5; ++i) {
    auto from = static_cast<uint32_t>(indices[i]);
    for (uint32_t j = 0; j < kCols; ++j) {
      ASSERT_EQ(rows[i * kCols + j], table[from * kCols + j]);
      ASSERT_EQ(back[from * kCols + j], to_type(NPU_BFLOAT16, table[from * kCols + j]));
    }
  }
  for (uint32_t i = 0; i < kTable; ++i) {
    auto row = table.begin() + i * kCols;
    EXPECT_EQ(largest[i], std::max_element(row, row + kCols) - row);
  }
}

TEST_F(Operators, AResultWithoutElementsStillHasAValueOnTheTimeline) {
  auto g = blank<npuOpsGemmInfo>();
  uint64_t first = 0, second = 0;
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, &first));
  NPU_ASSERT_OK(npuOpsGemm(ops_, queue_, &g, &second));
  EXPECT_EQ(second, first + 1);
  finish();
}

}  // namespace
}  // namespace npu::test
