// SPDX-License-Identifier: Apache-2.0
// Plans of the gradients of RMSnorm and layernorm: by rows, and where they are wanted by weight and bias.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

struct Task {
  npuOpsNormBackwardInfo info;
  uint64_t ldx, lddy, lddx;
  bool wants_weights() const { return info.dweight != 0 || info.dbias != 0; }
  bool empty() const { return info.rows == 0 || info.cols == 0; }
};

npuResult read_task(const void* info, Task* task) {
  npuOpsNormBackwardInfo& n = task->info;
  NPU_OPS_TRY(read_info(info, &n));
  NPU_OPS_TRY(check_type("type", n.type));
  NPU_OPS_TRY(check_enum("accumulate", n.accumulate, 2));
  NPU_OPS_TRY(check_limit("cols", n.cols, kNormCols));
  if (!task->wants_weights()) NPU_OPS_TRY(check_zero("stats", n.stats));
  const uint32_t elem = type_bytes(n.type);
  Extent x{"x", n.x, elem, n.rows, n.cols, n.ldx};
  Extent dy{"dy", n.dy, elem, n.rows, n.cols, n.lddy};
  Extent dx{"dx", n.dx, elem, n.rows, n.cols, n.lddx};
  Extent weight{"weight", n.weight, elem, n.weight != 0 ? 1u : 0u, n.cols, 0};
  Extent dweight{"dweight", n.dweight, 4, n.dweight != 0 ? 1u : 0u, n.cols, 0};
  Extent dbias{"dbias", n.dbias, 4, n.dbias != 0 ? 1u : 0u, n.cols, 0};
  Extent stats{"stats", n.stats, 4, task->wants_weights() ? n.rows : 0u, 2, 0};
  for (Extent* e : {&x, &dy, &dx, &weight, &dweight, &dbias, &stats}) NPU_OPS_TRY(check_extent(e));
  task->ldx = x.ld;
  task->lddy = dy.ld;
  task->lddx = dx.ld;
  return NPU_OK;
}

npuResult plan_weights(const void* info, Plan* plan) {
  Task task;
  NPU_OPS_TRY(read_task(info, &task));
  const npuOpsNormBackwardInfo& n = task.info;
  if (n.cols == 0) return NPU_OK;
  const ColumnBlock block = choose_columns(n.rows, n.cols);
  plan->program = kProgramNormWeightBackward + type_index(n.type);
  plan->grid[0] = ceil_div(n.cols, block.cols);
  plan->add32(n.rows).add32(n.cols).add32(block.rows).add32(block.cols).add32(n.accumulate);
  plan->add64(n.x).add64(n.dy).add64(n.stats).add64(n.dweight).add64(n.dbias);
  plan->add32(task.ldx).add32(task.lddy);
  return NPU_OK;
}

npuResult plan_norm_backward(const void* info, bool layer, Plan* plan) {
  Task task;
  NPU_OPS_TRY(read_task(info, &task));
  const npuOpsNormBackwardInfo& n = task.info;
  if (!layer) NPU_OPS_TRY(check_zero("dbias", n.dbias));
  if (task.wants_weights()) plan->then = plan_weights;
  if (task.empty()) return NPU_OK;
  const uint32_t block = choose_rows(n.rows, n.cols, kNormBackwardElements);
  plan->program = kProgramNormBackward + type_index(n.type) * 2 + (layer ? 1 : 0);
  plan->grid[0] = ceil_div(n.rows, block);
  plan->add64(n.x).add64(n.dy).add64(n.dx).add64(n.weight).add64(n.stats);
  plan->add32(n.rows).add32(n.cols).add32(task.ldx).add32(task.lddy).add32(task.lddx);
  plan->add32(block).add_f32(1.0f / static_cast<float>(n.cols)).add_f32(n.eps);
  return NPU_OK;
}

}  // namespace

npuResult plan_rms_norm_backward(const void* info, Plan* plan) {
  return plan_norm_backward(info, false, plan);
}
npuResult plan_layer_norm_backward(const void* info, Plan* plan) {
  return plan_norm_backward(info, true, plan);
}

}  // namespace npu::ops
