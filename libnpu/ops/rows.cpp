// SPDX-License-Identifier: Apache-2.0
// Plans of gather, scatter and argmax.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

npuResult plan_move(const void* info, bool scatter, Plan* plan) {
  npuOpsRowsInfo r;
  NPU_OPS_TRY(read_info(info, &r));
  NPU_OPS_TRY(check_type("type", r.type));
  NPU_OPS_TRY(check_type("out_type", r.out_type));
  Extent x{"x", r.x, type_bytes(r.type), scatter ? r.count : r.table_rows, r.cols, r.ldx};
  Extent y{"y", r.y, type_bytes(r.out_type), scatter ? r.table_rows : r.count, r.cols, r.ldy};
  Extent indices{"indices", r.indices, 4, 1, r.count, 0};
  for (Extent* e : {&x, &y, &indices}) NPU_OPS_TRY(check_extent(e));
  if (r.count == 0 || r.cols == 0) return NPU_OK;
  const uint32_t cols = std::min(r.cols, kElementwiseElements);
  const uint32_t rows = choose_rows(r.count, cols, kElementwiseElements);
  plan->program = (scatter ? kProgramScatter : kProgramGather) + type_index(r.type) * 2 +
                  type_index(r.out_type);
  plan->grid[0] = ceil_div(r.cols, cols);
  plan->grid[1] = ceil_div(r.count, rows);
  plan->add64(r.x).add64(r.y).add64(r.indices).add32(r.count).add32(r.cols).add32(r.table_rows);
  plan->add32(x.ld).add32(y.ld).add32(rows).add32(cols);
  return NPU_OK;
}

}  // namespace

npuResult plan_gather(const void* info, Plan* plan) { return plan_move(info, false, plan); }
npuResult plan_scatter_rows(const void* info, Plan* plan) { return plan_move(info, true, plan); }

npuResult plan_argmax(const void* info, Plan* plan) {
  npuOpsArgmaxInfo a;
  NPU_OPS_TRY(read_info(info, &a));
  NPU_OPS_TRY(check_type("type", a.type));
  if (a.cols > kArgmaxElements)
    return fail(NPU_ERROR_NOT_SUPPORTED, "cols is %u; the limit is %u", a.cols, kArgmaxElements);
  if (a.rows != 0 && a.cols == 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "rows without columns have no largest element");
  Extent x{"x", a.x, type_bytes(a.type), a.rows, a.cols, a.ldx};
  Extent y{"y", a.y, 4, 1, a.rows, 0};
  for (Extent* e : {&x, &y}) NPU_OPS_TRY(check_extent(e));
  if (a.rows == 0) return NPU_OK;
  const uint32_t block = choose_rows(a.rows, a.cols, kArgmaxElements);
  plan->program = kProgramArgmax + type_index(a.type);
  plan->grid[0] = ceil_div(a.rows, block);
  plan->add64(a.x).add64(a.y).add32(a.rows).add32(a.cols).add32(x.ld).add32(block);
  return NPU_OK;
}

}  // namespace npu::ops
