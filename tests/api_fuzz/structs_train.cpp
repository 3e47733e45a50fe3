// SPDX-License-Identifier: Apache-2.0
// Structs of npu_ops_train.h.
#include "tests/api_fuzz/members_ops.h"

namespace npu::fuzz {
namespace {

uint32_t flag(Fuzzer& f) { return static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3)); }
float real(Fuzzer& f) {
  const float any = any_float(f);
  return f.valid_only ? 0.125f : f.rng.of<float>({0.0f, 1.0f, -1.0f, 0.125f, 0.5f, 0.9f, any});
}

// Operands [rows, cols] and their distances.
template <typename Info>
void fill_matrix(Fuzzer& f, Info& out) {
  out.type = type(f);
  out.rows = extent(f);
  out.cols = extent(f);
}

}  // namespace

template <>
void fill(Fuzzer& f, npuOpsColumnSumInfo& out) {
  fill_matrix(f, out);
  out.x = f.address();
  out.y = f.address();
  out.ldx = distance(f);
  out.accumulate = flag(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsCrossEntropyInfo& out) {
  fill_matrix(f, out);
  out.x = f.address();
  out.targets = f.address();
  out.loss = maybe(f);
  out.dx = maybe(f);
  out.ldx = distance(f);
  out.lddx = distance(f);
  out.grad_scale = real(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsSoftmaxBackwardInfo& out) {
  fill_matrix(f, out);
  for (npuDevPtr* ptr : {&out.y, &out.dy, &out.dx}) *ptr = f.address();
  for (uint64_t* ld : {&out.ldy, &out.lddy, &out.lddx}) *ld = distance(f);
  out.scale = real(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsNormBackwardInfo& out) {
  fill_matrix(f, out);
  for (npuDevPtr* ptr : {&out.x, &out.dy, &out.dx}) *ptr = f.address();
  out.weight = maybe(f);
  out.dweight = maybe(f);
  out.dbias = f.rng.percent(70) ? 0 : f.address();
  out.stats = out.dweight != 0 || out.dbias != 0 ? f.address() : 0;
  if (!f.valid_only && f.rng.percent(5)) out.stats = maybe(f);
  for (uint64_t* ld : {&out.ldx, &out.lddy, &out.lddx}) *ld = distance(f);
  out.eps = real(f);
  out.accumulate = flag(f);
}

template <>
void fill(Fuzzer& f, npuOpsUnaryBackwardInfo& out) {
  fill_matrix(f, out);
  out.function = f.rng.of<int32_t>(
      {NPU_OPS_RELU, NPU_OPS_TANH, NPU_OPS_SIGMOID, NPU_OPS_GELU, NPU_OPS_GELU_ERF, NPU_OPS_SILU});
  if (!f.valid_only && f.rng.percent(5))
    out.function = f.rng.of<int32_t>({-1, 0, 15, 16, INT32_MAX, INT32_MIN});
  for (npuDevPtr* ptr : {&out.x, &out.dy, &out.dx}) *ptr = f.address();
  for (uint64_t* ld : {&out.ldx, &out.lddy, &out.lddx}) *ld = distance(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsSiluMulBackwardInfo& out) {
  fill_matrix(f, out);
  for (npuDevPtr* ptr : {&out.x, &out.b, &out.dy, &out.dx, &out.db}) *ptr = f.address();
  for (uint64_t* ld : {&out.ldx, &out.ldb, &out.lddy, &out.lddx, &out.lddb}) *ld = distance(f);
}

template <>
void fill(Fuzzer& f, npuOpsGatherBackwardInfo& out) {
  out.type = type(f);
  out.count = extent(f);
  out.cols = extent(f);
  out.table_rows = f.valid_only ? 64 : extent(f);
  out.dy = f.address();
  out.dx = f.address();
  out.indices = f.address();
  out.lddy = distance(f);
  out.lddx = distance(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsAdamWInfo& out) {
  out.count = extent(f);
  for (npuDevPtr* ptr : {&out.p, &out.g, &out.m, &out.v}) *ptr = f.address();
  out.copy = maybe(f);
  out.grad_scale = maybe(f);
  out.step = f.valid_only ? 1 : f.rng.of<uint64_t>({0, 1, 2, 1000, ~0ull});
  for (float* each : {&out.lr, &out.beta1, &out.beta2, &out.eps, &out.weight_decay})
    *each = real(f);
  out.type = type(f);
  if (f.valid_only && out.type != NPU_FLOAT32) out.copy = 0;
  out.rounding = rounding(f);
}

template <>
void fill(Fuzzer& f, npuOpsAttentionBackwardInfo& out) {
  out.type = type(f);
  out.batch = static_cast<uint32_t>(f.rng.below(3));
  out.kv_heads = static_cast<uint32_t>(f.rng.below(3));
  out.heads = out.kv_heads * static_cast<uint32_t>(f.valid_only ? 1 : f.rng.below(3));
  out.q_len = extent(f);
  out.kv_len = extent(f);
  out.head_dim = f.rng.of<uint32_t>({16, 32, extent(f)});
  out.causal = flag(f);
  out.window = out.causal == 1 ? extent(f) : 0;
  out.scale = real(f);
  out.reserved = reserved(f);
  for (npuDevPtr* ptr :
       {&out.q, &out.k, &out.v, &out.o, &out.d_o, &out.lse, &out.delta, &out.dq, &out.dk, &out.dv})
    *ptr = f.address();
  for (npuOpsStrides* each : {&out.q_strides, &out.k_strides, &out.v_strides, &out.o_strides,
                              &out.do_strides, &out.dq_strides, &out.dk_strides, &out.dv_strides}) {
    *each = {4096, 1024, 64};
    if (!f.valid_only && f.rng.percent(3)) *each = {distance(f), distance(f), distance(f)};
  }
}

template <>
void fill(Fuzzer& f, npuOpsDropoutInfo& out) {
  fill_matrix(f, out);
  out.x = f.address();
  out.y = f.address();
  out.ldx = distance(f);
  out.ldy = distance(f);
  out.seed = f.rng.next();
  out.first = f.rng.next();
  out.p = real(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsSumSquaresInfo& out) {
  out.type = type(f);
  out.count = extent(f);
  out.x = f.address();
  out.y = f.address();
  out.reserved = reserved(f);
}

}  // namespace npu::fuzz
