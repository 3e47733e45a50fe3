// SPDX-License-Identifier: Apache-2.0
// Plan of attention on tensors.
#include <bit>
#include <cinttypes>
#include <cmath>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor.h"
#include "libnpu/ops/walk.h"

namespace npu::ops {
namespace {

using Info = npuOpsTensorAttentionInfo;

// As the program counts them: floats, then blocks.
uint32_t type_number(npuDataType type) {
  return type >= NPU_Q8_0 ? kFloatCount + static_cast<uint32_t>(type - NPU_Q8_0)
                          : float_index(type);
}

npuResult check_size(const char* what, uint64_t got, uint64_t wanted) {
  if (got == wanted) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is %" PRIu64 ", it has to be %" PRIu64, what, got,
              wanted);
}

npuResult check_divides(const char* what, uint64_t part, uint64_t whole) {
  if (part != 0 && whole % part == 0) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT, "%s: %" PRIu64 " does not divide %" PRIu64, what, part,
              whole);
}

// Elements side by side in rows whose distance a tile can have.
npuResult check_rows(const char* name, const npuOpsTensor& t, uint32_t row_dim, uint64_t* row) {
  const TypeLayout l = layout_of(t.type);
  *row = t.sizes[0];
  if (t.sizes[0] > l.block_elements && t.strides[0] != l.block_bytes)
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s: the elements of a row do not lie side by side", name);
  if (t.sizes[row_dim] <= 1) return NPU_OK;
  *row = t.strides[row_dim] / l.block_bytes * l.block_elements;
  if (t.strides[row_dim] % l.block_bytes == 0 && *row >= t.sizes[0] && *row <= kCountMax)
    return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%s: strides[%" PRIu32 "] is %" PRIu64 ", a distance that rows of a tile cannot have",
              name, row_dim, t.strides[row_dim]);
}

npuResult check_shapes(const Info& g) {
  const uint64_t tokens = g.q.sizes[1], heads = g.q.sizes[2], batches = g.q.sizes[3];
  NPU_OPS_TRY(check_size("k.sizes[0]", g.k.sizes[0], g.q.sizes[0]));
  NPU_OPS_TRY(check_size("v.sizes[1]", g.v.sizes[1], g.k.sizes[1]));
  NPU_OPS_TRY(check_size("y.sizes[0]", g.y.sizes[0], g.v.sizes[0]));
  NPU_OPS_TRY(check_size("y.sizes[1]", g.y.sizes[1], heads));
  NPU_OPS_TRY(check_size("y.sizes[2]", g.y.sizes[2], tokens));
  NPU_OPS_TRY(check_size("y.sizes[3]", g.y.sizes[3], batches));
  if (is_empty(g.y)) return NPU_OK;
  NPU_OPS_TRY(check_divides("k.sizes[2], heads", g.k.sizes[2], heads));
  NPU_OPS_TRY(check_divides("v.sizes[2], heads", g.v.sizes[2], heads));
  NPU_OPS_TRY(check_divides("k.sizes[3], q.sizes[3]", g.k.sizes[3], batches));
  NPU_OPS_TRY(check_divides("v.sizes[3], q.sizes[3]", g.v.sizes[3], batches));
  if (!is_absent(g.sinks)) {
    NPU_OPS_TRY(check_size("sinks.sizes[0]", g.sinks.sizes[0], heads));
    if (heads > 1) NPU_OPS_TRY(check_size("sinks.strides[0]", g.sinks.strides[0], 4));
  }
  if (is_absent(g.mask)) return NPU_OK;
  NPU_OPS_TRY(check_size("mask.sizes[0]", g.mask.sizes[0], g.k.sizes[1]));
  NPU_OPS_TRY(check_divides("mask.sizes[2], heads", g.mask.sizes[2], heads));
  NPU_OPS_TRY(check_divides("mask.sizes[3], q.sizes[3]", g.mask.sizes[3], batches));
  if (g.mask.sizes[1] >= tokens) return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT,
              "mask.sizes[1] is %" PRIu64 ", there are %" PRIu64 " tokens", g.mask.sizes[1],
              tokens);
}

npuResult check_operands(const Info& g) {
  NPU_OPS_TRY(check_tensor("q", g.q, kFloats));
  NPU_OPS_TRY(check_tensor("k", g.k, kFloats | kBlocks));
  NPU_OPS_TRY(check_tensor("v", g.v, kFloats | kBlocks));
  NPU_OPS_TRY(check_tensor("y", g.y, kF32));
  if (!is_absent(g.mask)) NPU_OPS_TRY(check_tensor("mask", g.mask, kFloats));
  if (!is_absent(g.sinks)) NPU_OPS_TRY(check_tensor("sinks", g.sinks, kF32));
  NPU_OPS_TRY(check_shapes(g));
  if (!(g.max_bias >= 0) || !std::isfinite(g.max_bias) || !(g.softcap >= 0))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "max_bias and softcap are positive, or 0");
  return is_empty(g.y) ? NPU_OK : check_result("y", g.y);
}

// Rows and keys of a block; the heads of one token that share their keys are rows together.
struct Cut {
  bool grouped;
  uint32_t rows, block_rows, block_keys;
};

npuResult cut_work(const Info& g, Cut* cut) {
  const uint64_t widest = std::max(g.q.sizes[0], g.v.sizes[0]);
  if (widest > kTensorAttentionKeys / 16)
    return fail(NPU_ERROR_NOT_SUPPORTED, "heads of %" PRIu64 " elements: the limit is %" PRIu32,
                widest, kTensorAttentionKeys / 16);
  const uint64_t group = g.q.sizes[2] / g.k.sizes[2];
  const uint64_t most = std::min<uint64_t>(kTensorAttentionQueries,
                                           kTensorAttentionRows / std::max<uint64_t>(widest, 1));
  cut->grouped = g.q.sizes[1] == 1 && group > 1 && group <= most && g.max_bias == 0 &&
                 g.k.sizes[2] == g.v.sizes[2] && (is_absent(g.mask) || g.mask.sizes[2] == 1);
  cut->rows = static_cast<uint32_t>(cut->grouped ? group : g.q.sizes[1]);
  cut->block_rows = static_cast<uint32_t>(std::min<uint64_t>(cut->rows, most));
  uint64_t keys = kTensorAttentionKeys / std::max<uint64_t>(widest, 1);
  keys = std::min<uint64_t>(keys, kTensorAttentionScores / cut->block_rows);
  cut->block_keys =
      static_cast<uint32_t>(std::min<uint64_t>(keys / 8 * 8, std::max<uint64_t>(g.k.sizes[1], 1)));
  return NPU_OK;
}

void put_place(const npuOpsTensor& t, uint64_t head_bytes, uint64_t row, Plan* plan) {
  plan->add64(t.data).add64(head_bytes).add64(t.strides[3]).add32(row);
}

void put_slopes(const Info& g, Plan* plan) {
  const auto heads = static_cast<uint32_t>(g.q.sizes[2]);
  const uint32_t split = std::bit_floor(heads);
  const float per_head = -g.max_bias / static_cast<float>(split);
  constexpr float kLn2 = 0.693147181f;
  plan->add_f32(per_head * kLn2).add_f32(per_head / 2 * kLn2);
  plan->add32(g.max_bias > 0 ? 1 : 0).add32(split);
}

}  // namespace

npuResult plan_tensor_attention(const void* info, Plan* plan) {
  Info g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check_operands(g));
  if (is_empty(g.y)) return NPU_OK;
  Cut cut{};
  NPU_OPS_TRY(cut_work(g, &cut));
  const uint32_t row_dim = cut.grouped ? 2 : 1;
  uint64_t q_row, k_row, v_row, mask_row = g.k.sizes[1], y_row;
  npuOpsTensor y = g.y;  // tokens as dimension 1, as the others have them
  std::swap(y.sizes[1], y.sizes[2]);
  std::swap(y.strides[1], y.strides[2]);
  NPU_OPS_TRY(check_rows("q", g.q, row_dim, &q_row));
  NPU_OPS_TRY(check_rows("k", g.k, 1, &k_row));
  NPU_OPS_TRY(check_rows("v", g.v, 1, &v_row));
  NPU_OPS_TRY(check_rows("y", y, row_dim, &y_row));
  const bool masked = !is_absent(g.mask);
  if (masked) NPU_OPS_TRY(check_rows("mask", g.mask, 1, &mask_row));
  const uint64_t groups = cut.grouped ? g.k.sizes[2] : g.q.sizes[2];
  if (groups * g.q.sizes[3] * ceil_div(cut.rows, cut.block_rows) > kCountMax)
    return fail(NPU_ERROR_NOT_SUPPORTED, "the attention would take more than 2^31 work-groups");
  plan->program = kProgramTensorAttention;
  plan->grid[0] = ceil_div(cut.rows, cut.block_rows);
  plan->grid[1] = static_cast<uint32_t>(groups);
  plan->grid[2] = static_cast<uint32_t>(g.q.sizes[3]);
  put_place(g.q, g.q.strides[2], q_row, plan);
  put_place(g.k, g.k.strides[2], k_row, plan);
  put_place(g.v, g.v.strides[2], v_row, plan);
  put_place(g.mask, g.mask.strides[2], mask_row, plan);
  put_place(y, y.strides[2], y_row, plan);
  plan->add64(g.sinks.data);
  plan->add64(g.k.strides[1] * cut.block_keys).add64(g.v.strides[1] * cut.block_keys);
  plan->add64(uint64_t{layout_of(g.mask.type).block_bytes} * cut.block_keys);
  plan->add32(masked).add32(type_number(g.q.type)).add32(type_number(g.k.type));
  plan->add32(type_number(g.v.type)).add32(float_index(g.mask.type));
  plan->add32(cut.rows).add32(g.k.sizes[1]).add32(g.q.sizes[0]).add32(g.v.sizes[0]);
  plan->add32(g.q.sizes[2] / g.k.sizes[2]).add32(g.q.sizes[2] / g.v.sizes[2]);
  plan->add32(g.q.sizes[3] / g.k.sizes[3]).add32(g.q.sizes[3] / g.v.sizes[3]);
  plan->add32(masked ? g.mask.sizes[2] : 1).add32(masked ? g.mask.sizes[3] : 1);
  plan->add32(cut.grouped).add32(cut.block_rows).add32(cut.block_keys);
  // The cap is taken after the scale: c tanh(scale x / c).
  plan->add_f32(g.scale).add_f32(g.softcap);
  put_slopes(g, plan);
  return NPU_OK;
}

std::string tensor_attention_name(uint32_t) { return "tensor_attention"; }

}  // namespace npu::ops
