// SPDX-License-Identifier: Apache-2.0
// Plans of sums over rows: the column sum, and the gradient of a gather.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {

// Columns are all there is to share: each sum is one chain.
ColumnBlock choose_columns(uint32_t rows, uint32_t cols) {
  constexpr uint32_t kLeast = 16;  // a cache line of fp32
  const uint32_t shared = round_up(ceil_div(cols, kGroupsWanted), kLeast);
  const uint32_t width = std::min({shared, cols, kColumnSumCols});
  const uint32_t height = std::min({rows, kColumnSumRows, kColumnSumElements / width});
  return {std::max(height, 1u), width};
}

npuResult plan_column_sum(const void* info, Plan* plan) {
  npuOpsColumnSumInfo c;
  NPU_OPS_TRY(read_info(info, &c));
  NPU_OPS_TRY(check_type("type", c.type));
  NPU_OPS_TRY(check_reserved(c.reserved));
  NPU_OPS_TRY(check_enum("accumulate", c.accumulate, 2));
  Extent x{"x", c.x, type_bytes(c.type), c.rows, c.cols, c.ldx};
  Extent y{"y", c.y, 4, 1, c.cols, 0};
  for (Extent* e : {&x, &y}) NPU_OPS_TRY(check_extent(e));
  if (c.cols == 0) return NPU_OK;
  const ColumnBlock block = choose_columns(c.rows, c.cols);
  plan->program = kProgramColumnSum + type_index(c.type);
  plan->grid[0] = ceil_div(c.cols, block.cols);
  plan->add32(c.rows).add32(c.cols).add32(block.rows).add32(block.cols).add32(c.accumulate);
  plan->add64(c.x).add64(c.y).add32(x.ld);
  return NPU_OK;
}

npuResult plan_gather_backward(const void* info, Plan* plan) {
  npuOpsGatherBackwardInfo g;
  NPU_OPS_TRY(read_info(info, &g));
  NPU_OPS_TRY(check_type("type", g.type));
  NPU_OPS_TRY(check_reserved(g.reserved));
  Extent dy{"dy", g.dy, type_bytes(g.type), g.count, g.cols, g.lddy};
  Extent dx{"dx", g.dx, 4, g.table_rows, g.cols, g.lddx};
  Extent indices{"indices", g.indices, 4, 1, g.count, 0};
  for (Extent* e : {&dy, &dx, &indices}) NPU_OPS_TRY(check_extent(e));
  if (g.count == 0 || g.cols == 0) return NPU_OK;
  const ColumnBlock block = choose_columns(g.count, g.cols);
  plan->program = kProgramGatherBackward + type_index(g.type);
  plan->grid[0] = ceil_div(g.cols, block.cols);
  plan->add64(g.dy).add64(g.dx).add64(g.indices);
  plan->add32(g.count).add32(g.cols).add32(g.table_rows).add32(dy.ld).add32(dx.ld);
  plan->add32(block.rows).add32(block.cols);
  return NPU_OK;
}

}  // namespace npu::ops
