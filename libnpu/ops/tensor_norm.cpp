// SPDX-License-Identifier: Apache-2.0
// Plan of the norms of rows of tensors.
#include <cinttypes>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor_rows.h"

namespace npu::ops {
namespace {

// |t| is absent, or a tensor of rows like those of y that repeats.
npuResult check_affine(const char* name, const npuOpsTensor& t, const npuOpsTensor& y) {
  if (is_absent(t)) return NPU_OK;
  NPU_OPS_TRY(check_tensor(name, t, kF32));
  NPU_OPS_TRY(check_repeats(name, t, "y", y));
  if (t.sizes[0] != y.sizes[0])
    return fail(NPU_ERROR_NOT_SUPPORTED, "%s has %" PRIu64 " columns, y has %" PRIu64, name,
                t.sizes[0], y.sizes[0]);
  if (y.sizes[0] > kTensorNormWeights)
    return fail(NPU_ERROR_NOT_SUPPORTED, "sizes[0] is %" PRIu64 "; the limit with %s is %" PRIu32,
                y.sizes[0], name, kTensorNormWeights);
  return NPU_OK;
}

}  // namespace

npuResult plan_tensor_norm(const void* info, Plan* plan) {
  npuOpsTensorNormInfo n;
  NPU_OPS_TRY(read_info(info, &n));
  NPU_OPS_TRY(check_enum("function", n.function, NPU_OPS_NORM_L2 + 1));
  NPU_OPS_TRY(check_reserved(n.reserved));
  NPU_OPS_TRY(check_tensor("x", n.x, kF32));
  NPU_OPS_TRY(check_tensor("y", n.y, kF32));
  NPU_OPS_TRY(check_same_sizes("x", n.x, "y", n.y));
  NPU_OPS_TRY(check_affine("weight", n.weight, n.y));
  NPU_OPS_TRY(check_affine("bias", n.bias, n.y));
  if (n.x.sizes[0] > kTensorNormElements)
    return fail(NPU_ERROR_NOT_SUPPORTED, "sizes[0] is %" PRIu64 "; the limit is %" PRIu32,
                n.x.sizes[0], kTensorNormElements);
  if (is_empty(n.y)) return NPU_OK;
  RowWalk walk(n.x, n.y);
  walk.add_repeat(n.weight);
  walk.add_repeat(n.bias);
  NPU_OPS_TRY(walk.arrange(RowWalk::Order::kFree));
  NPU_OPS_TRY(walk.cut(kTensorNormElements, kTensorNormWeights));
  plan->program = kProgramTensorNorm + static_cast<uint32_t>(n.function);
  walk.put(plan);
  walk.put_repeat(0, plan);
  walk.put_repeat(1, plan);
  plan->add_f32(1.0f / static_cast<float>(n.x.sizes[0])).add_f32(n.eps);
  return NPU_OK;
}

std::string tensor_norm_name(uint32_t variant) {
  constexpr const char* kNames[] = {"tensor_norm_rms", "tensor_norm_layer", "tensor_norm_l2"};
  return kNames[variant];
}

}  // namespace npu::ops
