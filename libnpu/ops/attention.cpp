// SPDX-License-Identifier: Apache-2.0
// Plan of attention.
#include "libnpu/ops/attention.h"

#include <cinttypes>

#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {

// The last element is found as that of three nested extents.
npuResult check_attention_tensor(const char* name, npuDevPtr at, const AttentionShape& t,
                                 uint32_t heads, uint32_t tokens, const npuOpsStrides& s) {
  if (t.batch == 0 || heads == 0 || tokens == 0 || t.head_dim == 0) return NPU_OK;
  if (s.token > kCountMax || s.head > uint64_t{kCountMax} * kCountMax ||
      s.batch > uint64_t{kCountMax} * kCountMax) {
    return fail(NPU_ERROR_OVERFLOW,
                "%s: strides of %" PRIu64 ", %" PRIu64 " and %" PRIu64
                " elements (batch, head, token) are too large",
                name, s.batch, s.head, s.token);
  }
  if ((tokens > 1 && s.token < t.head_dim) || (heads > 1 && s.head == 0) ||
      (t.batch > 1 && s.batch == 0)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: strides of %" PRIu64 ", %" PRIu64 " and %" PRIu64
                " elements (batch, head, token) for vectors of %" PRIu32 ": vectors would overlap",
                name, s.batch, s.head, s.token, t.head_dim);
  }
  uint64_t skip;
  if (__builtin_mul_overflow(heads - 1, s.head, &skip) || skip > UINT64_MAX / 16) {
    return fail(NPU_ERROR_OVERFLOW, "%s would end beyond the address space", name);
  }
  const uint32_t elem = type_bytes(t.type);
  Extent e{name, at, elem, tokens, t.head_dim, s.token, t.batch, s.batch};
  NPU_OPS_TRY(check_extent(&e));
  e.at = at + skip * elem;
  if (e.at < at) return fail(NPU_ERROR_OVERFLOW, "%s would end beyond the address space", name);
  return check_extent(&e);
}

npuResult check_attention(const AttentionShape& t) {
  NPU_OPS_TRY(check_type("type", t.type));
  for (auto [name, count] : {std::pair{"batch", t.batch},
                             {"heads", t.heads},
                             {"kv_heads", t.kv_heads},
                             {"q_len", t.q_len},
                             {"kv_len", t.kv_len},
                             {"window", t.window}}) {
    NPU_OPS_TRY(check_count(name, count));
  }
  NPU_OPS_TRY(check_enum("causal", t.causal, 2));
  if (t.window != 0 && t.causal == 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "window is %u: it needs causal", t.window);
  if (t.heads != 0 && (t.kv_heads == 0 || t.heads % t.kv_heads != 0)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "heads is %u, no multiple of kv_heads, which is %u",
                t.heads, t.kv_heads);
  }
  if (t.head_dim > kAttentionHead) {
    return fail(NPU_ERROR_NOT_SUPPORTED, "head_dim is %u; the limit is %u", t.head_dim,
                kAttentionHead);
  }
  return NPU_OK;
}

npuResult check_attention_statistics(const char* name, npuDevPtr at, const AttentionShape& t) {
  Extent e{name, at, 4, t.heads, t.q_len, 0, t.batch, uint64_t{t.heads} * t.q_len};
  return check_extent(&e);
}

npuResult plan_attention(const void* info, Plan* plan) {
  npuOpsAttentionInfo t;
  NPU_OPS_TRY(read_info(info, &t));
  NPU_OPS_TRY(check_reserved(t.reserved));
  const AttentionShape shape{t.type,   t.batch,    t.heads,  t.kv_heads, t.q_len,
                             t.kv_len, t.head_dim, t.causal, t.window};
  NPU_OPS_TRY(check_attention(shape));
  const uint32_t elem = type_bytes(t.type);
  NPU_OPS_TRY(check_attention_tensor("q", t.q, shape, t.heads, t.q_len, t.q_strides));
  NPU_OPS_TRY(check_attention_tensor("k", t.k, shape, t.kv_heads, t.kv_len, t.k_strides));
  NPU_OPS_TRY(check_attention_tensor("v", t.v, shape, t.kv_heads, t.kv_len, t.v_strides));
  NPU_OPS_TRY(check_attention_tensor("o", t.o, shape, t.heads, t.q_len, t.o_strides));
  if (t.lse != 0) NPU_OPS_TRY(check_attention_statistics("lse", t.lse, shape));
  if (t.batch == 0 || t.heads == 0 || t.q_len == 0 || t.head_dim == 0) return NPU_OK;
  const uint32_t shared = t.heads / t.kv_heads;
  const uint64_t least_head = shared > 1 ? t.head_dim : 0;
  const bool decode = t.q_len == 1 && t.lse == 0 && shared <= kDecodeHeads &&
                      t.q_strides.head >= least_head && t.o_strides.head >= least_head &&
                      t.q_strides.head <= kCountMax && t.o_strides.head <= kCountMax;
  if (decode && t.window != 0 && t.window < t.kv_len) {
    // The one query is the last position: it sees the last keys.
    const uint64_t skip = t.kv_len - t.window;
    t.k += skip * t.k_strides.token * elem;
    t.v += skip * t.v_strides.token * elem;
    t.kv_len = t.window;
  }
  // The decode program takes the distance of heads as that of rows, also when there is one.
  npuOpsStrides qs = t.q_strides, os = t.o_strides;
  if (t.heads == 1 || (decode && shared == 1)) {
    qs.head = std::max<uint64_t>(qs.head, t.head_dim);
    os.head = std::max<uint64_t>(os.head, t.head_dim);
  }
  auto row = [&](const npuOpsStrides& s) { return std::max<uint64_t>(s.token, t.head_dim); };
  const uint32_t fit = kAttentionBlockBytes / (t.head_dim * elem) / 16 * 16;
  const uint32_t keys = std::min(fit, decode ? kDecodeKeys : kAttentionKeys);
  const uint32_t queries = std::min(t.q_len, kAttentionQueries);
  plan->program = kProgramAttention + type_index(t.type) * 2 + (decode ? 1 : 0);
  plan->grid[0] = decode ? t.q_len : ceil_div(t.q_len, queries);
  plan->grid[1] = decode ? t.kv_heads : t.heads;
  plan->grid[2] = t.batch;
  plan->add64(t.q).add64(t.k).add64(t.v).add64(t.o);
  for (const npuOpsStrides& s : {qs, t.k_strides, t.v_strides, os})
    plan->add64(s.batch * elem).add64(s.head * elem);
  plan->add32(row(qs)).add32(row(t.k_strides)).add32(row(t.v_strides)).add32(row(os));
  plan->add32(t.q_len)
      .add32(t.kv_len)
      .add32(t.head_dim)
      .add32(shared)
      .add32(t.causal)
      .add_f32(t.scale);
  plan->add32(queries).add32(keys);
  if (!decode) plan->add32(attention_window(shape)).add64(t.lse);
  return NPU_OK;
}

}  // namespace npu::ops
