// SPDX-License-Identifier: Apache-2.0
// Structs of npu_tensor.h. Sizes are small, or so large that they must be refused.
#include <algorithm>

#include "tests/api_fuzz/structs.h"

namespace npu::fuzz {
namespace {

uint32_t reserved(Fuzzer& f) { return !f.valid_only && f.rng.percent(3) ? 1 : 0; }

float real(Fuzzer& f) {
  const auto bits = static_cast<uint32_t>(f.rng.next());
  float any;
  __builtin_memcpy(&any, &bits, sizeof any);
  return f.rng.of<float>({0.0f, 1.0f, -1.0f, 0.125f, any});
}

// A dense tensor, or a permuted or strange one.
npuOpsTensor tensor(Fuzzer& f, npuDataType type, uint64_t elem_bytes) {
  npuOpsTensor t{};
  t.data = f.address();
  t.type = !f.valid_only && f.rng.percent(8) ? static_cast<int32_t>(f.rng.below(22)) - 1 : type;
  t.tiled = reserved(f);
  uint64_t stride = elem_bytes;
  for (int dim = 0; dim < 4; ++dim) {
    t.sizes[dim] = f.rng.of<uint64_t>({1, 2, 3, 16, f.rng.below(20)});
    if (!f.valid_only && f.rng.percent(2))
      t.sizes[dim] = f.rng.of<uint64_t>({0x80000000, ~0ull, uint64_t{1} << 62});
    t.strides[dim] = stride;
    stride *= std::clamp<uint64_t>(t.sizes[dim], 1, 64);
    if (!f.valid_only && f.rng.percent(3))
      t.strides[dim] = f.rng.of<uint64_t>({0, 1, 6, uint64_t{1} << 40, ~0ull});
  }
  if (f.rng.percent(15)) {
    std::swap(t.sizes[0], t.sizes[1]);
    std::swap(t.strides[0], t.strides[1]);
  }
  return t;
}

npuOpsTensor floats(Fuzzer& f) { return tensor(f, NPU_FLOAT32, 4); }
npuOpsTensor integers(Fuzzer& f) { return tensor(f, NPU_INT32, 4); }
// Of types in blocks they are often such that tiles are taken.
npuOpsTensor weights(Fuzzer& f) {
  if (f.rng.percent(75)) return floats(f);
  const bool q8 = f.rng.percent(50);
  npuOpsTensor t = tensor(f, q8 ? NPU_Q8_0 : NPU_Q4_0, q8 ? 34 : 18);
  t.sizes[0] = 32 * f.rng.below(4);
  t.sizes[1] = f.rng.percent(90) ? 16 * f.rng.below(4) : t.sizes[1];
  t.strides[1] = t.sizes[0] / 32 * t.strides[0];
  t.strides[2] = t.sizes[1] * t.strides[1];
  t.strides[3] = t.sizes[2] * t.strides[2];
  t.tiled = f.rng.percent(50) ? 1 : 0;
  return t;
}
npuOpsTensor maybe(Fuzzer& f, npuOpsTensor t) { return f.rng.percent(50) ? npuOpsTensor{} : t; }

// Two operands agree more often than chance lets them.
npuOpsTensor like(Fuzzer& f, const npuOpsTensor& t) {
  npuOpsTensor out = t;
  if (f.rng.percent(10)) return floats(f);
  out.data = f.rng.percent(20) ? t.data : f.address();
  return out;
}

int32_t function(Fuzzer& f, int32_t first, int32_t end) {
  if (!f.valid_only && f.rng.percent(5)) return f.rng.of<int32_t>({-1, end, INT32_MAX, INT32_MIN});
  return first + static_cast<int32_t>(f.rng.below(static_cast<uint64_t>(end - first)));
}

}  // namespace

template <>
void fill(Fuzzer& f, npuOpsMapInfo& out) {
  out.function = f.rng.percent(50) ? function(f, NPU_OPS_NEG, NPU_OPS_COS + 1)
                                   : function(f, NPU_OPS_MAP_COPY, NPU_OPS_MAP_END);
  out.a = real(f);
  out.b = real(f);
  out.x = floats(f);
  out.y = like(f, out.x);
}

template <>
void fill(Fuzzer& f, npuOpsCombineInfo& out) {
  out.function = function(f, NPU_OPS_ADD, NPU_OPS_MIN + 1);
  out.x = floats(f);
  out.b = like(f, out.x);
  out.y = like(f, out.x);
}

template <>
void fill(Fuzzer& f, npuOpsGateInfo& out) {
  out.function = f.rng.of<int32_t>({NPU_OPS_RELU, NPU_OPS_GELU, NPU_OPS_SILU, function(f, 0, 80)});
  out.x = floats(f);
  out.b = like(f, out.x);
  out.y = like(f, out.x);
}

template <>
void fill(Fuzzer& f, npuOpsReduceInfo& out) {
  out.function = function(f, NPU_OPS_REDUCE_SUM, NPU_OPS_REDUCE_ARGMAX + 1);
  out.x = floats(f);
  out.y = like(f, out.x);
  if (f.rng.percent(80)) out.y.sizes[0] = 1;
  if (out.function == NPU_OPS_REDUCE_ARGMAX && f.rng.percent(90)) out.y.type = NPU_INT32;
}

template <>
void fill(Fuzzer& f, npuOpsSortInfo& out) {
  out.descending = static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3));
  out.x = floats(f);
  out.y = like(f, out.x);
  if (f.rng.percent(90)) out.y.type = NPU_INT32;
}

template <>
void fill(Fuzzer& f, npuOpsTensorNormInfo& out) {
  out.function = function(f, NPU_OPS_NORM_RMS, NPU_OPS_NORM_L2 + 1);
  out.eps = real(f);
  out.reserved = reserved(f);
  out.x = floats(f);
  out.y = like(f, out.x);
  out.weight = maybe(f, like(f, out.x));
  out.bias = maybe(f, like(f, out.x));
}

template <>
void fill(Fuzzer& f, npuOpsTensorSoftmaxInfo& out) {
  out.scale = real(f);
  out.max_bias = f.rng.percent(70) ? 0 : real(f);
  out.reserved = reserved(f);
  out.x = floats(f);
  out.y = like(f, out.x);
  out.mask = maybe(f, like(f, out.x));
  out.sinks = f.rng.percent(80) ? npuOpsTensor{} : floats(f);
}

template <>
void fill(Fuzzer& f, npuOpsTensorRopeInfo& out) {
  out.width = static_cast<uint32_t>(f.rng.below(f.valid_only ? 8 : 20)) * 2;
  out.half = static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3));
  out.backward = static_cast<uint32_t>(f.rng.below(f.valid_only ? 2 : 3));
  out.base = f.rng.of<float>({10000.0f, 1e6f, real(f)});
  out.freq_scale = f.rng.of<float>({1.0f, 0.5f, real(f)});
  for (float* each : {&out.ext_factor, &out.attn_factor, &out.beta_fast, &out.beta_slow})
    *each = real(f);
  out.context = static_cast<uint32_t>(f.rng.below(4096));
  out.reserved = reserved(f);
  out.x = floats(f);
  if (f.rng.percent(80)) out.x.sizes[0] = std::max<uint64_t>(out.width, 2);
  out.y = like(f, out.x);
  out.positions = integers(f);
  if (f.rng.percent(90)) out.positions.sizes[0] = out.x.sizes[2];
  out.factors = f.rng.percent(80) ? npuOpsTensor{} : floats(f);
  if (f.rng.percent(70)) return;
  out.x2 = floats(f);
  if (f.rng.percent(90)) {
    std::copy_n(out.x.sizes, 4, out.x2.sizes);
    out.x2.sizes[1] = 1;
  }
  out.y2 = like(f, out.x2);
}

template <>
void fill(Fuzzer& f, npuOpsTensorGatherInfo& out) {
  out.reserved = reserved(f);
  out.x = floats(f);
  out.indices = integers(f);
  out.y = like(f, out.x);
  if (f.rng.percent(90)) std::copy_n(out.indices.sizes, 3, out.y.sizes + 1);
}

template <>
void fill(Fuzzer& f, npuOpsTensorScatterInfo& out) {
  out.reserved = reserved(f);
  out.x = floats(f);
  out.indices = f.rng.percent(50) ? integers(f) : tensor(f, NPU_INT64, 8);
  if (f.rng.percent(90)) std::copy_n(out.x.sizes + 1, 3, out.indices.sizes);
  out.y = like(f, out.x);
}

template <>
void fill(Fuzzer& f, npuOpsMatmulInfo& out) {
  out.integers = f.rng.percent(50) ? 1 : reserved(f) * 2;
  out.a = weights(f);
  out.b = floats(f);
  out.y = floats(f);
  if (f.rng.percent(90)) {
    out.b.sizes[0] = out.a.sizes[0];
    out.y.sizes[0] = out.a.sizes[1];
    out.y.sizes[1] = out.b.sizes[1];
    for (int dim = 2; dim < 4; ++dim) out.a.sizes[dim] = out.b.sizes[dim] = out.y.sizes[dim];
  }
  out.ids = f.rng.percent(80) ? npuOpsTensor{} : integers(f);
}

template <>
void fill(Fuzzer& f, npuOpsTensorAttentionInfo& out) {
  out.scale = real(f);
  out.max_bias = f.rng.percent(70) ? 0 : real(f);
  out.softcap = f.rng.percent(70) ? 0 : real(f);
  out.q = floats(f);
  out.k = floats(f);
  if (f.rng.percent(90)) out.k.sizes[0] = out.q.sizes[0];
  out.v = like(f, out.k);
  out.mask = maybe(f, tensor(f, NPU_FLOAT16, 2));
  out.sinks = f.rng.percent(80) ? npuOpsTensor{} : floats(f);
  out.y = floats(f);
  if (f.rng.percent(90)) {
    out.y.sizes[0] = out.v.sizes[0];
    out.y.sizes[1] = out.q.sizes[2];
    out.y.sizes[2] = out.q.sizes[1];
    out.y.sizes[3] = out.q.sizes[3];
  }
}

template <>
void fill(Fuzzer& f, npuOpsProductsInfo& out) {
  const bool gated = f.rng.percent(40);
  out.integers = f.rng.percent(50) ? 1 : reserved(f) * 2;
  out.count = gated ? 2 : 1 + static_cast<uint32_t>(f.rng.below(NPU_OPS_PRODUCTS_MAX + 1));
  out.function = gated ? NPU_OPS_SILU : 0;
  out.eps = real(f);
  out.reserved = reserved(f);
  out.x = floats(f);
  if (f.rng.percent(50)) {
    out.norm_weight = floats(f);
    out.normed = like(f, out.x);
    if (f.rng.percent(90)) out.norm_weight.sizes[0] = out.x.sizes[0];
  }
  for (uint32_t i = 0; i < out.count && i < NPU_OPS_PRODUCTS_MAX; ++i) {
    out.a[i] = i == 0 || f.rng.percent(10) ? weights(f) : like(f, out.a[0]);
    out.y[i] = floats(f);
    if (f.rng.percent(90)) {
      if (out.a[i].type == NPU_FLOAT32) out.a[i].sizes[0] = out.x.sizes[0];
      out.x.sizes[0] = out.a[i].sizes[0];
      out.x.strides[1] = std::max(out.x.strides[1], 4 * out.x.sizes[0]);
      out.y[i].sizes[0] = out.a[i].sizes[1];
      out.y[i].sizes[1] = out.x.sizes[1];
    }
    if (f.rng.percent(40)) out.c[i] = f.rng.percent(50) ? out.y[i] : like(f, out.y[i]);
  }
  if (gated) out.gated = like(f, out.y[0]);
}

}  // namespace npu::fuzz
