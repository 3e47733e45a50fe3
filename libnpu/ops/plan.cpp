// SPDX-License-Identifier: Apache-2.0
// The operators' plans by kind, and what they share.
#include "libnpu/ops/plan.h"

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"

namespace npu::ops {

uint32_t choose_rows(uint32_t rows, uint32_t cols, uint32_t limit) {
  const uint32_t most = std::clamp<uint32_t>(limit / std::max(cols, 1u), 1, kRowsMax);
  const uint32_t shared = ceil_div(rows, kGroupsWanted);
  const uint32_t worth = ceil_div(kGroupElementsWanted, std::max(cols, 1u));
  return std::clamp<uint32_t>(std::max(shared, worth), 1, most);
}

npuResult plan_of(npuOpsKind kind, const void* info, Plan* plan) {
  using Function = npuResult (*)(const void*, Plan*);
  static constexpr Function kPlans[] = {
      plan_gemm,       plan_gemm_pack, plan_attention,    plan_softmax, plan_rms_norm,
      plan_layer_norm, plan_rope,      plan_unary,        plan_binary,  plan_silu_mul,
      plan_convert,    plan_gather,    plan_scatter_rows, plan_argmax};
  static constexpr Function kTensorPlans[] = {
      plan_map,           plan_combine,        plan_gate,           plan_reduce,
      plan_sort,          plan_tensor_norm,    plan_tensor_softmax, plan_tensor_rope,
      plan_tensor_gather, plan_tensor_scatter, plan_matmul,         plan_tensor_attention,
      plan_products};
  static_assert(std::size(kTensorPlans) == NPU_OPS_TENSOR_KIND_END - NPU_OPS_TENSOR_MAP);
  static constexpr Function kTrainPlans[] = {plan_column_sum,
                                             plan_cross_entropy,
                                             plan_softmax_backward,
                                             plan_rms_norm_backward,
                                             plan_layer_norm_backward,
                                             plan_unary_backward,
                                             plan_silu_mul_backward,
                                             plan_gather_backward,
                                             plan_adamw,
                                             plan_attention_backward,
                                             plan_dropout,
                                             plan_sum_squares};
  static_assert(std::size(kTrainPlans) == NPU_OPS_TRAIN_KIND_END - NPU_OPS_COLUMN_SUM);
  if (kind >= NPU_OPS_COLUMN_SUM && kind < NPU_OPS_TRAIN_KIND_END)
    return kTrainPlans[kind - NPU_OPS_COLUMN_SUM](info, plan);
  if (kind >= NPU_OPS_TENSOR_MAP && kind < NPU_OPS_TENSOR_KIND_END)
    return kTensorPlans[kind - NPU_OPS_TENSOR_MAP](info, plan);
  NPU_OPS_TRY(check_enum("kind", kind, std::size(kPlans)));
  return kPlans[kind](info, plan);
}

}  // namespace npu::ops
