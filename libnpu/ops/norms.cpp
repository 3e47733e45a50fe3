// SPDX-License-Identifier: Apache-2.0
// Plans of softmax, RMSnorm and layernorm.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

npuResult plan_norm(const void* info, bool layer, Plan* plan) {
  npuOpsNormInfo n;
  NPU_OPS_TRY(read_info(info, &n));
  NPU_OPS_TRY(check_type("type", n.type));
  NPU_OPS_TRY(check_reserved(n.reserved));
  if (!layer) NPU_OPS_TRY(check_zero("bias", n.bias));
  NPU_OPS_TRY(check_limit("cols", n.cols, kNormCols));
  const uint32_t elem = type_bytes(n.type);
  Extent x{"x", n.x, elem, n.rows, n.cols, n.ldx};
  Extent y{"y", n.y, elem, n.rows, n.cols, n.ldy};
  Extent weight{"weight", n.weight, elem, n.weight != 0 ? 1u : 0u, n.cols, 0};
  Extent bias{"bias", n.bias, elem, n.bias != 0 ? 1u : 0u, n.cols, 0};
  for (Extent* e : {&x, &y, &weight, &bias}) NPU_OPS_TRY(check_extent(e));
  if (n.rows == 0 || n.cols == 0) return NPU_OK;
  const uint32_t block = choose_rows(n.rows, n.cols, kNormElements);
  plan->program = (layer ? kProgramLayerNorm : kProgramRmsNorm) + type_index(n.type);
  plan->grid[0] = ceil_div(n.rows, block);
  plan->add64(n.x).add64(n.y).add32(n.rows).add32(n.cols).add32(x.ld).add32(y.ld).add32(block);
  plan->add64(n.weight);
  if (layer) plan->add64(n.bias);
  plan->add_f32(1.0f / static_cast<float>(n.cols)).add_f32(n.eps);
  return NPU_OK;
}

}  // namespace

npuResult plan_rms_norm(const void* info, Plan* plan) { return plan_norm(info, false, plan); }
npuResult plan_layer_norm(const void* info, Plan* plan) { return plan_norm(info, true, plan); }

npuResult plan_softmax(const void* info, Plan* plan) {
  npuOpsSoftmaxInfo s;
  NPU_OPS_TRY(read_info(info, &s));
  NPU_OPS_TRY(check_type("type", s.type));
  NPU_OPS_TRY(check_reserved(s.reserved));
  NPU_OPS_TRY(check_limit("cols", s.cols, kSoftmaxCols));
  const uint32_t elem = type_bytes(s.type);
  Extent x{"x", s.x, elem, s.rows, s.cols, s.ldx};
  Extent y{"y", s.y, elem, s.rows, s.cols, s.ldy};
  for (Extent* e : {&x, &y}) NPU_OPS_TRY(check_extent(e));
  if (s.rows == 0 || s.cols == 0) return NPU_OK;
  const uint32_t block = choose_rows(s.rows, s.cols, kSoftmaxElements);
  plan->program = kProgramSoftmax + type_index(s.type);
  plan->grid[0] = ceil_div(s.rows, block);
  plan->add64(s.x).add64(s.y).add32(s.rows).add32(s.cols).add32(x.ld).add32(y.ld).add32(block);
  plan->add_f32(s.scale);
  return NPU_OK;
}

}  // namespace npu::ops
