// SPDX-License-Identifier: Apache-2.0
// Structs of libnpuops.
#include <cstring>

#include "tests/api_fuzz/members_ops.h"

namespace npu::fuzz {
namespace {

int32_t choice(Fuzzer& f, int32_t count) {
  if (!f.valid_only && f.rng.percent(5))
    return f.rng.of<int32_t>({-1, count, INT32_MAX, INT32_MIN});
  return static_cast<int32_t>(f.rng.below(static_cast<uint64_t>(count)));
}

float real(Fuzzer& f) {
  const float any = any_float(f);
  return f.rng.of<float>({0.0f, 1.0f, -1.0f, 0.125f, any});
}

// Of products and conversions.
npuDataType any_type(Fuzzer& f) {
  if (f.valid_only) return static_cast<int32_t>(f.rng.below(3));
  return static_cast<int32_t>(f.rng.below(31)) - 1;
}

// What came to GEMM with 0.2: mostly nothing, so that the rest is reached too.
void fill_later(Fuzzer& f, npuOpsGemmInfo& out) {
  if (f.rng.percent(50)) return;
  out.type = any_type(f);
  out.out_type = any_type(f);
  out.mixed = f.rng.percent(50) ? 1 : 0;
  out.b_type = out.mixed != 0 ? any_type(f) : 0;
  out.out_scale = real(f);
  out.scale_a = maybe(f);
  out.scale_b = maybe(f);
  if (f.valid_only) return;
  out.order = choice(f, 2);
  out.split_k = f.rng.of<uint32_t>({0, 1, 2, 7, 1024, 1025, 0xffffffff});
  out.workspace = maybe(f);
  out.scale_rule = f.rng.percent(70) ? 0 : choice(f, 4);
  out.overflow = f.rng.percent(70) ? 0 : static_cast<uint32_t>(choice(f, 2));
  out.rounding = rounding(f);
  if (f.rng.percent(70)) return;
  out.group_count = extent(f);
  out.groups = maybe(f);
  out.lda = out.ldb = out.ldc = out.ldd = 0;
  out.batch_stride_a = out.batch_stride_b = out.batch_stride_c = out.batch_stride_d = 0;
}

npuOpsStrides strides(Fuzzer& f) {
  if (!f.valid_only && f.rng.percent(5)) return {distance(f), distance(f), distance(f)};
  return {4096, 1024, 64};
}

}  // namespace

template <>
void fill(Fuzzer& f, npuOpsGemmInfo& out) {
  out.type = type(f);
  out.out_type = type(f);
  out.a_form = choice(f, 2);
  out.b_form = choice(f, 3);
  out.activation = choice(f, 7);
  out.m = extent(f);
  out.n = extent(f);
  out.k = extent(f);
  out.batch = static_cast<uint32_t>(f.rng.below(3));
  for (npuDevPtr* ptr : {&out.a, &out.b, &out.c, &out.d}) *ptr = f.address();
  out.bias = maybe(f);
  for (uint64_t* ld : {&out.lda, &out.ldb, &out.ldc, &out.ldd}) *ld = distance(f);
  if (out.b_form == NPU_OPS_PACKED && f.valid_only) out.ldb = 0;
  out.batch_stride_a = out.batch_stride_b = f.rng.percent(50) ? 0 : 8192;
  out.batch_stride_c = out.batch_stride_d = f.rng.percent(10) ? distance(f) : 8192;
  out.alpha = real(f);
  out.beta = real(f);
  fill_later(f, out);
  if (f.valid_only && out.mixed != 0 && out.b_form == NPU_OPS_PACKED) out.b_form = NPU_OPS_PLAIN;
}

template <>
void fill(Fuzzer& f, npuOpsGemmPackInfo& out) {
  out.type = type(f);
  out.form = choice(f, 2);
  out.n = extent(f);
  out.k = extent(f);
  out.batch = static_cast<uint32_t>(f.rng.below(3));
  out.b = f.address();
  out.packed = f.address();
  out.ldb = distance(f);
  out.batch_stride_b = 8192;
  out.batch_stride_packed = f.rng.percent(80) ? 0 : distance(f);
}

template <>
void fill(Fuzzer& f, npuOpsAttentionInfo& out) {
  out.type = type(f);
  out.batch = static_cast<uint32_t>(f.rng.below(3));
  out.kv_heads = static_cast<uint32_t>(f.rng.below(3));
  out.heads = out.kv_heads * static_cast<uint32_t>(f.valid_only ? 1 : f.rng.below(3));
  out.q_len = extent(f);
  out.kv_len = extent(f);
  out.head_dim = f.rng.of<uint32_t>({16, 32, extent(f)});
  out.causal = static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3));
  out.scale = real(f);
  for (npuDevPtr* ptr : {&out.q, &out.k, &out.v, &out.o}) *ptr = f.address();
  for (npuOpsStrides* each : {&out.q_strides, &out.k_strides, &out.v_strides, &out.o_strides})
    *each = strides(f);
  if (out.causal == 1 && f.rng.percent(50)) out.window = extent(f);
  out.lse = maybe(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsSoftmaxInfo& out) {
  out.type = type(f);
  out.rows = extent(f);
  out.cols = extent(f);
  out.x = f.address();
  out.y = f.address();
  out.ldx = distance(f);
  out.ldy = distance(f);
  out.scale = real(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsNormInfo& out) {
  out.type = type(f);
  out.rows = extent(f);
  out.cols = extent(f);
  out.x = f.address();
  out.y = f.address();
  out.weight = maybe(f);
  out.bias = f.valid_only ? 0 : maybe(f);
  out.ldx = distance(f);
  out.ldy = distance(f);
  out.eps = real(f);
  out.reserved = reserved(f);
}

template <>
void fill(Fuzzer& f, npuOpsRopeInfo& out) {
  out.type = type(f);
  out.tokens = extent(f);
  out.heads = static_cast<uint32_t>(f.rng.below(4));
  out.head_dim = f.rng.of<uint32_t>({16, 32, extent(f)});
  out.width = f.rng.percent(60) ? 0 : extent(f);
  out.half = static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3));
  out.start = static_cast<uint32_t>(f.rng.below(4));
  out.x = f.address();
  out.y = f.address();
  out.x_token_stride = out.y_token_stride = f.valid_only ? 1024 : distance(f);
  out.x_head_stride = out.y_head_stride = f.valid_only ? 64 : distance(f);
  out.cos_table = f.address();
  out.sin_table = f.address();
  out.positions = maybe(f);
  out.table_rows = f.valid_only ? 64 : extent(f);
  out.backward = static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3));
}

template <>
void fill(Fuzzer& f, npuOpsElementwiseInfo& out) {
  out.type = type(f);
  out.out_type = f.rng.percent(70) ? out.type : type(f);
  out.function = f.rng.percent(40) ? 0 : choice(f, f.valid_only ? 6 : 16);
  out.spread = f.rng.percent(60) ? 0 : choice(f, 4);
  out.rows = extent(f);
  out.cols = extent(f);
  out.value = real(f);
  out.x = f.address();
  out.b = maybe(f);
  out.y = f.address();
  if (f.valid_only && std::strcmp(f.function, "npuOpsBinary") != 0) {
    const bool unary = std::strcmp(f.function, "npuOpsUnary") == 0;
    out.function = unary ? out.function : 0;
    out.spread = 0;
    if (std::strcmp(f.function, "npuOpsSiluMul") != 0) out.b = 0;
    if (std::strcmp(f.function, "npuOpsConvert") != 0) out.out_type = out.type;
  }
  if (std::strcmp(f.function, "npuOpsConvert") == 0) {
    out.scale = f.rng.percent(50) ? 0 : real(f);
    if (f.rng.percent(50)) out.type = any_type(f);
    if (f.rng.percent(50)) out.out_type = any_type(f);
    if (!f.valid_only) {
      out.scale_rule = f.rng.percent(70) ? 0 : choice(f, 4);
      out.overflow = f.rng.percent(70) ? 0 : static_cast<uint32_t>(choice(f, 2));
      out.reserved = reserved(f);
      out.rounding = rounding(f);
    }
  }
  out.ldx = distance(f);
  out.ldb = out.b != 0 ? distance(f) : 0;
  out.ldy = distance(f);
}

template <>
void fill(Fuzzer& f, npuOpsRowsInfo& out) {
  out.type = type(f);
  out.out_type = type(f);
  out.count = extent(f);
  out.cols = extent(f);
  out.table_rows = f.valid_only ? 64 : extent(f);
  out.x = f.address();
  out.y = f.address();
  out.indices = f.address();
  out.ldx = distance(f);
  out.ldy = distance(f);
}

template <>
void fill(Fuzzer& f, npuOpsArgmaxInfo& out) {
  out.type = type(f);
  out.rows = extent(f);
  out.cols = extent(f);
  out.x = f.address();
  out.y = f.address();
  out.ldx = distance(f);
}

}  // namespace npu::fuzz
