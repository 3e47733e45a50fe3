// SPDX-License-Identifier: Apache-2.0
// Plans of cross-entropy and of the gradient of softmax.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {

npuResult plan_cross_entropy(const void* info, Plan* plan) {
  npuOpsCrossEntropyInfo c;
  NPU_OPS_TRY(read_info(info, &c));
  NPU_OPS_TRY(check_type("type", c.type));
  NPU_OPS_TRY(check_reserved(c.reserved));
  NPU_OPS_TRY(check_limit("cols", c.cols, kSoftmaxCols));
  const uint32_t elem = type_bytes(c.type);
  if (c.rows != 0 && c.cols == 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "rows without columns have no class");
  Extent x{"x", c.x, elem, c.rows, c.cols, c.ldx};
  Extent targets{"targets", c.targets, 4, 1, c.rows, 0};
  Extent loss{"loss", c.loss, 4, c.loss != 0 ? 1u : 0u, c.rows, 0};
  Extent dx{"dx", c.dx, elem, c.dx != 0 ? c.rows : 0u, c.cols, c.lddx};
  for (Extent* e : {&x, &targets, &loss, &dx}) NPU_OPS_TRY(check_extent(e));
  if (c.rows == 0) return NPU_OK;
  const uint32_t block = choose_rows(c.rows, c.cols, kSoftmaxElements);
  plan->program = kProgramCrossEntropy + type_index(c.type);
  plan->grid[0] = ceil_div(c.rows, block);
  plan->add64(c.x).add64(c.targets).add64(c.loss).add64(c.dx);
  plan->add32(c.rows).add32(c.cols).add32(x.ld).add32(dx.ld).add32(block).add_f32(c.grad_scale);
  return NPU_OK;
}

npuResult plan_softmax_backward(const void* info, Plan* plan) {
  npuOpsSoftmaxBackwardInfo s;
  NPU_OPS_TRY(read_info(info, &s));
  NPU_OPS_TRY(check_type("type", s.type));
  NPU_OPS_TRY(check_reserved(s.reserved));
  NPU_OPS_TRY(check_limit("cols", s.cols, kNormElements));
  const uint32_t elem = type_bytes(s.type);
  Extent y{"y", s.y, elem, s.rows, s.cols, s.ldy};
  Extent dy{"dy", s.dy, elem, s.rows, s.cols, s.lddy};
  Extent dx{"dx", s.dx, elem, s.rows, s.cols, s.lddx};
  for (Extent* e : {&y, &dy, &dx}) NPU_OPS_TRY(check_extent(e));
  if (s.rows == 0 || s.cols == 0) return NPU_OK;
  const uint32_t block = choose_rows(s.rows, s.cols, kNormElements);
  plan->program = kProgramSoftmaxBackward + type_index(s.type);
  plan->grid[0] = ceil_div(s.rows, block);
  plan->add64(s.y).add64(s.dy).add64(s.dx).add32(s.rows).add32(s.cols);
  plan->add32(y.ld).add32(dy.ld).add32(dx.ld).add32(block).add_f32(s.scale);
  return NPU_OK;
}

}  // namespace npu::ops
