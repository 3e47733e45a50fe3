// SPDX-License-Identifier: Apache-2.0
// Plan of the softmax of rows of tensors.
#include <bit>
#include <cinttypes>
#include <numbers>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor_rows.h"

namespace npu::ops {
namespace {

npuResult check_mask(const npuOpsTensor& mask, const npuOpsTensor& x) {
  if (is_absent(mask)) return NPU_OK;
  NPU_OPS_TRY(check_tensor("mask", mask, kF32 | type_bit(NPU_FLOAT16)));
  if (mask.sizes[0] != x.sizes[0] || mask.sizes[1] < x.sizes[1])
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "mask has %" PRIu64 " rows of %" PRIu64 ", x has %" PRIu64 " rows of %" PRIu64,
                mask.sizes[1], mask.sizes[0], x.sizes[1], x.sizes[0]);
  return check_repeats("mask", mask, "x", x, 2);
}

npuResult check_sinks(const npuOpsTensor& sinks, const npuOpsTensor& x) {
  if (is_absent(sinks)) return NPU_OK;
  NPU_OPS_TRY(check_tensor("sinks", sinks, kF32));
  if (sinks.sizes[0] == x.sizes[2] && sinks.sizes[1] == 1 && sinks.sizes[2] == 1 &&
      sinks.sizes[3] == 1)
    return NPU_OK;
  return fail(NPU_ERROR_INVALID_ARGUMENT,
              "sinks must be a list of %" PRIu64 " elements, one for each head", x.sizes[2]);
}

// The sinks as a tensor of one column, whose dimension 2 is the heads.
npuOpsTensor by_heads(const npuOpsTensor& sinks) {
  npuOpsTensor t = sinks;
  if (is_absent(sinks)) return t;
  t.sizes[0] = 1;
  t.sizes[2] = sinks.sizes[0];
  t.strides[2] = sinks.strides[0];
  return t;
}

npuResult read_softmax(const void* info, npuOpsTensorSoftmaxInfo* s) {
  NPU_OPS_TRY(read_info(info, s));
  NPU_OPS_TRY(check_reserved(s->reserved));
  NPU_OPS_TRY(check_tensor("x", s->x, kF32));
  NPU_OPS_TRY(check_tensor("y", s->y, kF32));
  NPU_OPS_TRY(check_same_sizes("x", s->x, "y", s->y));
  NPU_OPS_TRY(check_mask(s->mask, s->x));
  NPU_OPS_TRY(check_sinks(s->sinks, s->x));
  if (!(s->max_bias >= 0))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "max_bias is %g, it must be at least 0",
                static_cast<double>(s->max_bias));
  if (s->x.sizes[0] <= kTensorSoftmaxElements) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED, "sizes[0] is %" PRIu64 "; the limit is %" PRIu32,
              s->x.sizes[0], kTensorSoftmaxElements);
}

}  // namespace

npuResult plan_tensor_softmax(const void* info, Plan* plan) {
  npuOpsTensorSoftmaxInfo s;
  NPU_OPS_TRY(read_softmax(info, &s));
  if (is_empty(s.x)) return NPU_OK;
  const bool masked = !is_absent(s.mask);
  const bool steep = masked && s.max_bias > 0;
  if (masked) s.mask.sizes[1] = s.x.sizes[1];
  RowWalk walk(s.x, s.y);
  walk.add_repeat(by_heads(s.sinks));
  walk.add_repeat(s.mask);
  // The slope is made for the y of a group.
  NPU_OPS_TRY(walk.arrange(steep ? RowWalk::Order::kFixed : RowWalk::Order::kFree));
  NPU_OPS_TRY(walk.cut(kTensorSoftmaxElements, kTensorSoftmaxElements));
  const uint32_t mask_rows = walk.is_one_row(1) ? 1 : walk.block_rows();
  const auto heads_log2 = std::bit_floor(static_cast<uint32_t>(s.x.sizes[2]));
  plan->program = kProgramTensorSoftmax;
  if (masked) plan->program += (s.mask.type == NPU_FLOAT32 ? 1 : 3) + (steep ? 1 : 0);
  walk.put(plan);
  walk.put_repeat(0, plan);
  walk.put_repeat(1, plan);
  plan->add_f32(s.scale).add32(heads_log2);
  plan->add_f32(-s.max_bias / 2 / static_cast<float>(heads_log2) * std::numbers::ln2_v<float>);
  plan->add32(kTensorSoftmaxMask / mask_rows);
  return NPU_OK;
}

std::string tensor_softmax_name(uint32_t variant) {
  constexpr const char* kNames[] = {"tensor_softmax", "tensor_softmax_f32",
                                    "tensor_softmax_f32_steep", "tensor_softmax_f16",
                                    "tensor_softmax_f16_steep"};
  return kNames[variant];
}

}  // namespace npu::ops
