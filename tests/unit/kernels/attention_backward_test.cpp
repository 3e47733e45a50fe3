// SPDX-License-Identifier: Apache-2.0
// Gradients of attention against double precision: masks, windows, shared heads, strides; the reference against finite differences of the loss sum(dO O).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "tests/unit/kernels/matrix.h"
#include "tests/unit/kernels/strided.h"

namespace npu::kernels {
namespace {

struct Case {
  uint32_t batch, heads, kv_heads, q_len, kv_len, dim;
  uint32_t causal = 1;
  uint32_t window = 0;
  DType type = DType::F32;
};

// A tensor [batch, token, head, dim] with a gap behind each token.
struct Tensor {
  Tensor(Rig& rig, Random& random, DType type, uint32_t batch, uint32_t tokens, uint32_t heads,
         uint32_t dim)
      : heads(heads),
        dim(dim),
        tokens(tokens),
        matrix(rig, random, type, batch * tokens, heads * dim, 3) {}
  npuOpsStrides strides() const { return {uint64_t{tokens} * matrix.ld(), dim, matrix.ld()}; }
  double at(uint32_t b, uint32_t h, uint32_t t, uint32_t d) const {
    return matrix.at(b * tokens + t, h * dim + d);
  }
  double got(uint32_t b, uint32_t h, uint32_t t, uint32_t d) const {
    return matrix.got(b * tokens + t, h * dim + d);
  }
  uint32_t heads, dim, tokens;
  Matrix matrix;
};

// One head of one batch in double precision.
struct HeadGradients {
  std::vector<double> o, lse, dq, dk, dv;
};

class BackwardJob {
 public:
  BackwardJob(const Case& c, uint32_t seed)
      : c(c),
        random(seed),
        q(rig, random, c.type, c.batch, c.q_len, c.heads, c.dim),
        k(rig, random, c.type, c.batch, c.kv_len, c.kv_heads, c.dim),
        v(rig, random, c.type, c.batch, c.kv_len, c.kv_heads, c.dim),
        o(rig, random, c.type, c.batch, c.q_len, c.heads, c.dim),
        d_o(rig, random, c.type, c.batch, c.q_len, c.heads, c.dim),
        dq(rig, random, c.type, c.batch, c.q_len, c.heads, c.dim),
        dk(rig, random, c.type, c.batch, c.kv_len, c.kv_heads, c.dim),
        dv(rig, random, c.type, c.batch, c.kv_len, c.kv_heads, c.dim) {}

  void run() {
    forward();
    auto info = blank<npuOpsAttentionBackwardInfo>();
    info.type = public_type(c.type);
    info.batch = c.batch, info.heads = c.heads, info.kv_heads = c.kv_heads;
    info.q_len = c.q_len, info.kv_len = c.kv_len, info.head_dim = c.dim;
    info.causal = c.causal, info.window = c.window, info.scale = scale();
    info.q = q.matrix.dva(), info.k = k.matrix.dva(), info.v = v.matrix.dva();
    info.o = o.matrix.dva(), info.d_o = d_o.matrix.dva();
    info.dq = dq.matrix.dva(), info.dk = dk.matrix.dva(), info.dv = dv.matrix.dva();
    info.lse = lse_at, info.delta = rig.put(DType::F32, std::vector<float>(queries(), 5.0f));
    info.q_strides = q.strides(), info.k_strides = k.strides(), info.v_strides = v.strides();
    info.o_strides = o.strides(), info.do_strides = d_o.strides();
    info.dq_strides = dq.strides(), info.dk_strides = dk.strides(), info.dv_strides = dv.strides();
    run_planned(rig, NPU_OPS_ATTENTION_BACKWARD, &info);
    for (Tensor* t : {&o, &dq, &dk, &dv}) t->matrix.fetch();
    lse = rig.get(DType::F32, lse_at, queries());
  }
  void check() const;
  HeadGradients head(uint32_t b, uint32_t h) const;
  float scale() const { return 1 / std::sqrt(static_cast<float>(c.dim)); }
  uint64_t queries() const { return uint64_t{c.batch} * c.heads * c.q_len; }
  bool sees(uint32_t query, uint32_t key) const {
    const int64_t p = int64_t{c.kv_len} - c.q_len + query;
    return c.causal == 0 || (key <= p && (c.window == 0 || key > p - c.window));
  }

  Case c;
  Rig rig;
  Random random;
  Tensor q, k, v, o, d_o, dq, dk, dv;
  npuDevPtr lse_at = 0;
  std::vector<float> lse;

 private:
  void forward() {
    auto info = blank<npuOpsAttentionInfo>();
    info.type = public_type(c.type);
    info.batch = c.batch, info.heads = c.heads, info.kv_heads = c.kv_heads;
    info.q_len = c.q_len, info.kv_len = c.kv_len, info.head_dim = c.dim;
    info.causal = c.causal, info.window = c.window, info.scale = scale();
    info.q = q.matrix.dva(), info.k = k.matrix.dva(), info.v = v.matrix.dva();
    info.o = o.matrix.dva();
    info.q_strides = q.strides(), info.k_strides = k.strides(), info.v_strides = v.strides();
    info.o_strides = o.strides();
    info.lse = lse_at = rig.put(DType::F32, std::vector<float>(queries(), 5.0f));
    run_planned(rig, NPU_OPS_ATTENTION, &info);
  }
};

HeadGradients BackwardJob::head(uint32_t b, uint32_t h) const {
  const uint32_t n = c.q_len, m = c.kv_len, dim = c.dim, kv = h / (c.heads / c.kv_heads);
  HeadGradients out;
  out.o.resize(n * dim), out.lse.resize(n), out.dq.resize(n * dim);
  out.dk.resize(m * dim), out.dv.resize(m * dim);
  std::vector<double> p(m), slope(m);
  for (uint32_t i = 0; i < n; ++i) {
    double largest = -INFINITY, sum = 0, delta = 0;
    for (uint32_t j = 0; j < m; ++j) {
      p[j] = 0;
      for (uint32_t d = 0; d < dim; ++d) p[j] += q.at(b, h, i, d) * k.at(b, kv, j, d);
      p[j] = sees(i, j) ? p[j] * scale() : -INFINITY;
      largest = std::max(largest, p[j]);
    }
    for (uint32_t j = 0; j < m; ++j) sum += p[j] = sees(i, j) ? std::exp(p[j] - largest) : 0;
    out.lse[i] = largest + std::log(sum);
    for (uint32_t j = 0; j < m; ++j) {
      p[j] = sum > 0 ? p[j] / sum : 0;
      slope[j] = 0;
      for (uint32_t d = 0; d < dim; ++d) {
        out.o[i * dim + d] += p[j] * v.at(b, kv, j, d);
        slope[j] += d_o.at(b, h, i, d) * v.at(b, kv, j, d);
      }
      delta += p[j] * slope[j];
    }
    for (uint32_t j = 0; j < m; ++j) {
      const double ds = p[j] * (slope[j] - delta);
      for (uint32_t d = 0; d < dim; ++d) {
        out.dq[i * dim + d] += scale() * ds * k.at(b, kv, j, d);
        out.dk[j * dim + d] += scale() * ds * q.at(b, h, i, d);
        out.dv[j * dim + d] += p[j] * d_o.at(b, h, i, d);
      }
    }
  }
  return out;
}

// Errors of weights and slopes are relative to sums over dim and over keys; sums over queries add up as many of them.
void BackwardJob::check() const {
  const double unit = (c.type == DType::F32 ? 0x1p-24 : 0x1p-8);
  const double reach = std::sqrt(static_cast<double>(c.dim)) + 4;
  const double bound_q = 24 * unit * reach;
  const double bound_k = 24 * unit * reach * std::sqrt(c.q_len * (c.heads / c.kv_heads) + 1.0);
  for (uint32_t b = 0; b < c.batch; ++b) {
    for (uint32_t g = 0; g < c.kv_heads; ++g) {
      std::vector<double> dk_sum(c.kv_len * c.dim), dv_sum(c.kv_len * c.dim);
      for (uint32_t h = g * (c.heads / c.kv_heads); h < (g + 1) * (c.heads / c.kv_heads); ++h) {
        const HeadGradients want = head(b, h);
        for (size_t i = 0; i < dk_sum.size(); ++i) dk_sum[i] += want.dk[i], dv_sum[i] += want.dv[i];
        for (uint32_t i = 0; i < c.q_len; ++i) {
          const float got_lse = lse[(b * c.heads + h) * c.q_len + i];
          if (std::isinf(want.lse[i])) {
            ASSERT_EQ(got_lse, want.lse[i]) << i;
          } else {
            ASSERT_NEAR(got_lse, want.lse[i], 2e-6 * (4 + std::fabs(want.lse[i]))) << i;
          }
          for (uint32_t d = 0; d < c.dim; ++d) {
            ASSERT_NEAR(o.got(b, h, i, d), want.o[i * c.dim + d], bound_q) << i << ", " << d;
            ASSERT_NEAR(dq.got(b, h, i, d), want.dq[i * c.dim + d], bound_q) << i << ", " << d;
          }
        }
      }
      for (uint32_t j = 0; j < c.kv_len; ++j) {
        for (uint32_t d = 0; d < c.dim; ++d) {
          ASSERT_NEAR(dk.got(b, g, j, d), dk_sum[j * c.dim + d], bound_k) << j << ", " << d;
          ASSERT_NEAR(dv.got(b, g, j, d), dv_sum[j * c.dim + d], bound_k) << j << ", " << d;
        }
      }
    }
  }
}

TEST(AttentionBackward, MatchesTheReference) {
  const Case kCases[] = {
      {1, 1, 1, 1, 1, 1},        {2, 4, 2, 17, 33, 32},        {1, 2, 1, 70, 70, 64, 0},
      {1, 6, 2, 5, 5, 8},        {1, 1, 1, 200, 300, 16},      {1, 2, 2, 150, 150, 16, 1, 40},
      {1, 2, 1, 64, 128, 40, 0}, {1, 2, 1, 300, 300, 8, 1, 1}, {1, 1, 1, 129, 65, 16},
      {1, 1, 1, 65, 129, 256},   {1, 2, 1, 1, 90, 24, 1, 33}};
  uint32_t seed = 1;
  for (DType type : kElementTypes) {
    for (Case c : kCases) {
      c.type = type;
      SCOPED_TRACE(testing::Message() << "seed " << seed << " q_len " << c.q_len << " kv_len "
                                      << c.kv_len << " dim " << c.dim << " causal " << c.causal
                                      << " window " << c.window << " type " << type_name(type));
      BackwardJob run(c, seed++);
      run.run();
      ASSERT_NO_FATAL_FAILURE(run.check());
    }
  }
}

TEST(AttentionBackwardReference, AgreesWithFiniteDifferences) {
  BackwardJob run({1, 2, 1, 4, 6, 3, 1, 3}, 100);
  auto loss = [&] {
    double sum = 0;
    for (uint32_t h = 0; h < 2; ++h) {
      const HeadGradients at = run.head(0, h);
      for (uint32_t i = 0; i < 4; ++i)
        for (uint32_t d = 0; d < 3; ++d) sum += at.o[i * 3 + d] * run.d_o.at(0, h, i, d);
    }
    return sum;
  };
  auto slope = [&](Tensor& t, uint32_t row, uint32_t col) {
    const auto before = static_cast<float>(t.matrix.at(row, col));
    t.matrix.set(row, col, before + 0.0078125f);
    const double up = loss();
    t.matrix.set(row, col, before - 0.0078125f);
    const double down = loss();
    t.matrix.set(row, col, before);
    return (up - down) / (2 * 0.0078125);
  };
  const HeadGradients first = run.head(0, 0), second = run.head(0, 1);
  for (uint32_t d = 0; d < 3; ++d) {
    EXPECT_NEAR(slope(run.q, 1, d), first.dq[3 + d], 1e-4);
    EXPECT_NEAR(slope(run.k, 4, d), first.dk[12 + d] + second.dk[12 + d], 1e-4);
    EXPECT_NEAR(slope(run.v, 4, d), first.dv[12 + d] + second.dv[12 + d], 1e-4);
  }
}

// Two keys before the first query: queries see nothing, and the other way round.
TEST(AttentionBackward, WhatSeesNothingHasNoGradient) {
  BackwardJob queries({1, 1, 1, 6, 2, 8}, 110);
  queries.run();
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(queries.lse[i], -std::numeric_limits<float>::infinity());
    for (uint32_t d = 0; d < 8; ++d) EXPECT_EQ(queries.dq.got(0, 0, i, d), 0);
  }
  BackwardJob keys({1, 1, 1, 2, 300, 8, 1, 5}, 111);
  keys.run();
  for (uint32_t j = 0; j < 290; ++j) {
    for (uint32_t d = 0; d < 8; ++d) {
      EXPECT_EQ(keys.dk.got(0, 0, j, d), 0);
      EXPECT_EQ(keys.dv.got(0, 0, j, d), 0);
    }
  }
}

TEST(AttentionBackward, NanReachesTheQueryThatReadsIt) {
  BackwardJob run({1, 1, 1, 4, 4, 8}, 120);
  run.d_o.matrix.set(2, 3, std::numeric_limits<float>::quiet_NaN());
  run.run();
  EXPECT_TRUE(std::isnan(run.dq.got(0, 0, 2, 0)));
  EXPECT_FALSE(std::isnan(run.dq.got(0, 0, 1, 0)));
  EXPECT_TRUE(std::isnan(run.dk.got(0, 0, 1, 0)));
}

TEST(AttentionBackward, WithoutQueriesKeysGetZeros) {
  BackwardJob run({1, 2, 1, 0, 5, 8}, 130);
  run.run();
  for (uint32_t j = 0; j < 5; ++j)
    for (uint32_t d = 0; d < 8; ++d) EXPECT_EQ(run.dk.got(0, 0, j, d), 0);
}

TEST(AttentionBackwardPlan, RefusesWhatCannotBe) {
  ops::Plan plan;
  auto result = [&](auto change) {
    auto t = blank<npuOpsAttentionBackwardInfo>();
    t.batch = 1, t.heads = 4, t.kv_heads = 2, t.q_len = t.kv_len = 4, t.head_dim = 8, t.causal = 1;
    t.q = t.k = t.v = t.o = t.d_o = t.lse = t.delta = t.dq = t.dk = t.dv = kSomewhere;
    for (npuOpsStrides* s : {&t.q_strides, &t.k_strides, &t.v_strides, &t.o_strides, &t.do_strides,
                             &t.dq_strides, &t.dk_strides, &t.dv_strides})
      *s = {128, 32, 8};
    change(t);
    return ops::plan_of(NPU_OPS_ATTENTION_BACKWARD, &t, &plan);
  };
  EXPECT_EQ(result([](auto&) {}), NPU_OK);
  EXPECT_NE(plan.then, nullptr);
  EXPECT_EQ(result([](auto& t) { t.kv_heads = 3; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& t) { t.head_dim = ops::kAttentionHead + 1; }), NPU_ERROR_NOT_SUPPORTED);
  EXPECT_EQ(result([](auto& t) { t.causal = 0, t.window = 2; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& t) { t.window = 1u << 31; }), NPU_ERROR_OVERFLOW);
  EXPECT_EQ(result([](auto& t) { t.lse = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& t) { t.delta = 2; }), NPU_ERROR_UNALIGNED);
  EXPECT_EQ(result([](auto& t) { t.dv = 0; }), NPU_ERROR_INVALID_ADDRESS);
  EXPECT_EQ(result([](auto& t) { t.dk_strides.token = 4; }), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(result([](auto& t) { t.reserved = 1; }), NPU_ERROR_RESERVED_NOT_ZERO);
  EXPECT_EQ(result([](auto& t) { t.batch = 0, t.q = 0; }), NPU_OK);
}

}  // namespace
}  // namespace npu::kernels
