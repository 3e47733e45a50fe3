// SPDX-License-Identifier: Apache-2.0
// Operators of training through the public API: every kind once, chained as a small network has them; tests/unit/kernels has shapes, types and masks.
#include <npu/npu_ops_train.h>

#include <cmath>

#include "tests/ops/session.h"

namespace npu::test {
namespace {

class Train : public Session {
 protected:
  template <typename Info>
  void submit(npuOpsKind kind, const Info& info) {
    NPU_ASSERT_OK(npuOpsCheck(kind, &info));
    NPU_ASSERT_OK(npuOpsSubmit(ops_, queue_, kind, &info, nullptr));
  }
  npuDevPtr floats(const std::vector<float>& values) { return put(NPU_FLOAT32, values); }
  npuDevPtr zeros(uint64_t count) { return floats(std::vector<float>(count)); }
  std::vector<float> read(npuDevPtr at, uint64_t count) { return get(NPU_FLOAT32, at, count); }
};

TEST_F(Train, LossAndSoftmaxBackwardAgreeOnTheGradient) {
  constexpr uint32_t kRows = 5, kCols = 37;
  const npuDevPtr x = floats(numbers(kRows * kCols, 1)), y = zeros(kRows * kCols);
  auto c = blank<npuOpsCrossEntropyInfo>();
  c.rows = kRows, c.cols = kCols, c.x = x, c.dx = zeros(kRows * kCols), c.loss = zeros(kRows);
  c.targets = put_i32({0, 36, 7, 8, 9}), c.grad_scale = 1;
  submit(NPU_OPS_CROSS_ENTROPY, c);
  auto s = blank<npuOpsSoftmaxInfo>();
  s.rows = kRows, s.cols = kCols, s.x = x, s.y = y, s.scale = 1;
  NPU_ASSERT_OK(npuOpsSoftmax(ops_, queue_, &s, nullptr));
  const std::vector<float> p = read(y, kRows * kCols), loss = read(c.loss, kRows);
  const int32_t targets[] = {0, 36, 7, 8, 9};
  // The loss is -ln p of the target, whose gradient by p is -1 / p there.
  std::vector<float> dp(kRows * kCols);
  for (uint32_t i = 0; i < kRows; ++i) {
    const auto at = i * kCols + static_cast<uint32_t>(targets[i]);
    dp[at] = -1 / p[at];
    EXPECT_NEAR(loss[i], -std::log(p[at]), 1e-5);
  }
  auto b = blank<npuOpsSoftmaxBackwardInfo>();
  b.rows = kRows, b.cols = kCols, b.y = y, b.dy = b.dx = floats(dp), b.scale = 1;
  submit(NPU_OPS_SOFTMAX_BACKWARD, b);
  const std::vector<float> fused = read(c.dx, kRows * kCols), chained = read(b.dx, kRows * kCols);
  for (size_t i = 0; i < fused.size(); ++i) EXPECT_NEAR(fused[i], chained[i], 2e-6) << i;
}

TEST_F(Train, NormBackwardTakesTwoLaunchesAndIsNoSingleCommand) {
  constexpr uint32_t kRows = 9, kCols = 20;
  auto n = blank<npuOpsNormBackwardInfo>();
  n.rows = kRows, n.cols = kCols, n.eps = 1e-5f;
  n.x = floats(numbers(kRows * kCols, 2)), n.dy = floats(std::vector<float>(kRows * kCols, 1.0f));
  n.dx = zeros(kRows * kCols);
  n.dweight = zeros(kCols), n.dbias = zeros(kCols), n.stats = zeros(2 * kRows);
  submit(NPU_OPS_LAYER_NORM_BACKWARD, n);
  for (float v : read(n.dbias, kCols)) EXPECT_EQ(v, kRows);
  // What is the same for a whole row moves only the mean, which the norm takes away.
  for (float v : read(n.dx, kRows * kCols)) EXPECT_NEAR(v, 0, 1e-5);
  auto command = blank<npuOpsCommand>();
  EXPECT_EQ(npuOpsGetCommand(ops_, NPU_OPS_LAYER_NORM_BACKWARD, &n, &command),
            NPU_ERROR_NOT_SUPPORTED);
  n.dbias = 0;
  submit(NPU_OPS_RMS_NORM_BACKWARD, n);
  n.dweight = n.stats = 0;
  NPU_EXPECT_OK(npuOpsGetCommand(ops_, NPU_OPS_RMS_NORM_BACKWARD, &n, &command));
  finish();
}

TEST_F(Train, EmbeddingAndColumnSumsAddTheSame) {
  constexpr uint32_t kRows = 40, kCols = 24;
  const std::vector<float> dy = numbers(kRows * kCols, 3);
  auto g = blank<npuOpsGatherBackwardInfo>();
  g.count = kRows, g.cols = kCols, g.table_rows = 3;
  g.dy = floats(dy), g.dx = zeros(3 * kCols), g.indices = put_i32(std::vector<int32_t>(kRows, 1));
  submit(NPU_OPS_GATHER_BACKWARD, g);
  auto c = blank<npuOpsColumnSumInfo>();
  c.rows = kRows, c.cols = kCols, c.x = g.dy, c.y = zeros(kCols);
  submit(NPU_OPS_COLUMN_SUM, c);
  const std::vector<float> table = read(g.dx, 3 * kCols), sum = read(c.y, kCols);
  for (uint32_t j = 0; j < kCols; ++j) {
    EXPECT_EQ(table[j], 0);
    EXPECT_EQ(table[kCols + j], sum[j]);
    EXPECT_EQ(table[2 * kCols + j], 0);
  }
}

TEST_F(Train, ActivationsAndDropoutGoBackTheWayTheyCame) {
  constexpr uint32_t kCount = 300;
  const std::vector<float> x = numbers(kCount, 4);
  auto u = blank<npuOpsUnaryBackwardInfo>();
  u.function = NPU_OPS_SILU, u.rows = 1, u.cols = kCount;
  u.x = floats(x), u.dy = floats(std::vector<float>(kCount, 1.0f)), u.dx = zeros(kCount);
  submit(NPU_OPS_UNARY_BACKWARD, u);
  auto s = blank<npuOpsSiluMulBackwardInfo>();
  s.rows = 1, s.cols = kCount, s.x = u.x, s.b = u.dy, s.dy = u.dy;
  s.dx = zeros(kCount), s.db = zeros(kCount);
  submit(NPU_OPS_SILU_MUL_BACKWARD, s);
  EXPECT_EQ(read(u.dx, kCount), read(s.dx, kCount));
  auto d = blank<npuOpsDropoutInfo>();
  d.rows = 1, d.cols = kCount, d.x = u.dy, d.y = zeros(kCount), d.seed = 5, d.p = 0.5f;
  submit(NPU_OPS_DROPOUT, d);
  const std::vector<float> mask = read(d.y, kCount);
  d.x = d.y = u.x;
  submit(NPU_OPS_DROPOUT, d);
  const std::vector<float> got = read(d.y, kCount);
  for (uint32_t i = 0; i < kCount; ++i) EXPECT_EQ(got[i], x[i] * mask[i]);
}

// RoPE turns back: what went forward and backward is where it was.
TEST_F(Train, RopeBackwardUndoesTheRotation) {
  constexpr uint32_t kTokens = 7, kDim = 16;
  const std::vector<float> x = numbers(kTokens * kDim, 6);
  std::vector<float> cosine(kTokens * kDim / 2), sine(cosine.size());
  NPU_ASSERT_OK(npuOpsRopeTable(1e4, kDim, kTokens, cosine.data(), sine.data()));
  auto r = blank<npuOpsRopeInfo>();
  r.tokens = r.table_rows = kTokens, r.heads = 1, r.head_dim = kDim, r.half = 1;
  r.x = r.y = floats(x), r.cos_table = floats(cosine), r.sin_table = floats(sine);
  r.x_token_stride = r.y_token_stride = kDim;
  NPU_ASSERT_OK(npuOpsRope(ops_, queue_, &r, nullptr));
  r.backward = 1;
  NPU_ASSERT_OK(npuOpsRope(ops_, queue_, &r, nullptr));
  const std::vector<float> got = read(r.y, x.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(got[i], x[i], 1e-6);
}

// With one key the weight is 1 whatever the scores are: dV is dO, and nothing else moves.
TEST_F(Train, AttentionBackwardOfASingleKey) {
  constexpr uint32_t kDim = 8;
  auto f = blank<npuOpsAttentionInfo>();
  f.batch = f.heads = f.kv_heads = f.q_len = f.kv_len = 1, f.head_dim = kDim;
  f.causal = 1, f.scale = 1;
  f.q = floats(numbers(kDim, 7)), f.k = floats(numbers(kDim, 8)), f.v = floats(numbers(kDim, 9));
  f.o = zeros(kDim), f.lse = zeros(1);
  f.q_strides = f.k_strides = f.v_strides = f.o_strides = {kDim, kDim, kDim};
  NPU_ASSERT_OK(npuOpsAttention(ops_, queue_, &f, nullptr));
  auto b = blank<npuOpsAttentionBackwardInfo>();
  b.batch = b.heads = b.kv_heads = b.q_len = b.kv_len = 1, b.head_dim = kDim;
  b.causal = 1, b.scale = 1, b.q = f.q, b.k = f.k, b.v = f.v, b.o = f.o, b.lse = f.lse;
  const std::vector<float> d_o = numbers(kDim, 10);
  b.d_o = floats(d_o), b.delta = zeros(1);
  b.dq = zeros(kDim), b.dk = zeros(kDim), b.dv = zeros(kDim);
  for (npuOpsStrides* s : {&b.q_strides, &b.k_strides, &b.v_strides, &b.o_strides, &b.do_strides,
                           &b.dq_strides, &b.dk_strides, &b.dv_strides})
    *s = {kDim, kDim, kDim};
  submit(NPU_OPS_ATTENTION_BACKWARD, b);
  const std::vector<float> dv = read(b.dv, kDim), dq = read(b.dq, kDim);
  for (uint32_t d = 0; d < kDim; ++d) {
    EXPECT_NEAR(dv[d], d_o[d], 1e-6);
    EXPECT_NEAR(dq[d], 0, 1e-6);
  }
}

// The norm of two gradients, the factor that clips it, and a step with that factor; nothing comes to the host in between.
TEST_F(Train, TheGlobalNormClipsAStepOnTheDevice) {
  constexpr uint32_t kCount = NPU_OPS_SUM_SQUARES_PART + 100;
  const npuDevPtr g = floats(std::vector<float>(kCount, 0.5f)), parts = zeros(3), factor = zeros(1);
  auto s = blank<npuOpsSumSquaresInfo>();
  s.count = kCount, s.x = g, s.y = parts;
  submit(NPU_OPS_SUM_SQUARES, s);
  s.count = 100, s.y = parts + 2 * 4;
  submit(NPU_OPS_SUM_SQUARES, s);
  auto r = blank<npuOpsReduceInfo>();
  r.function = NPU_OPS_REDUCE_SUM;
  r.x = {parts, NPU_FLOAT32, 0, {3, 1, 1, 1}, {4, 12, 12, 12}};
  r.y = {factor, NPU_FLOAT32, 0, {1, 1, 1, 1}, {4, 4, 4, 4}};
  submit(NPU_OPS_TENSOR_REDUCE, r);
  auto e = blank<npuOpsElementwiseInfo>();
  e.rows = e.cols = 1, e.x = e.y = factor, e.function = NPU_OPS_RSQRT;
  NPU_ASSERT_OK(npuOpsUnary(ops_, queue_, &e, nullptr));
  e.function = NPU_OPS_MUL, e.spread = NPU_OPS_SCALAR, e.value = 2;
  NPU_ASSERT_OK(npuOpsBinary(ops_, queue_, &e, nullptr));
  e.function = NPU_OPS_MIN, e.value = 1;
  NPU_ASSERT_OK(npuOpsBinary(ops_, queue_, &e, nullptr));
  const double want = 2 / std::sqrt((kCount + 100) * 0.25);
  EXPECT_NEAR(read(factor, 1)[0], want, want * 1e-6);
  auto a = blank<npuOpsAdamWInfo>();
  a.count = 100, a.p = zeros(100), a.g = g, a.m = zeros(100), a.v = zeros(100);
  a.grad_scale = factor, a.step = 1, a.lr = 1, a.beta1 = 0.5f, a.beta2 = 0.5f;
  submit(NPU_OPS_ADAMW, a);
  EXPECT_NEAR(read(a.m, 100)[99], 0.5 * 0.5 * want, want * 1e-6);
  EXPECT_NEAR(read(a.p, 100)[99], -1, 1e-5);
}

TEST_F(Train, ATargetOutsideTheClassesStopsTheQueue) {
  auto c = blank<npuOpsCrossEntropyInfo>();
  c.rows = 1, c.cols = 4, c.x = zeros(4), c.loss = zeros(1), c.targets = put_i32({4});
  submit(NPU_OPS_CROSS_ENTROPY, c);
  EXPECT_EQ(npuQueueSync(queue_, 60'000'000'000), NPU_ERROR_KERNEL_BOUNDS);
}

}  // namespace
}  // namespace npu::test
