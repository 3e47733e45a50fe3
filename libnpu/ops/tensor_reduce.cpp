// SPDX-License-Identifier: Apache-2.0
// Plans of reductions of rows, and of the order of their elements.
#include <cinttypes>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor_rows.h"

namespace npu::ops {
namespace {

npuResult check_cols(const npuOpsTensor& x, uint32_t limit) {
  if (x.sizes[0] <= limit) return NPU_OK;
  return fail(NPU_ERROR_NOT_SUPPORTED, "sizes[0] is %" PRIu64 "; the limit is %" PRIu32, x.sizes[0],
              limit);
}

// fp32 can tell the places of fewer elements than that apart.
constexpr uint64_t kExactMax = 1 << 24;

// Many rows at once pay when there are not many more columns; the places must lie in one run of memory.
bool takes_many(const RowWalk& walk, uint64_t cols) {
  return walk.rows() >= 2 && walk.rows() >= cols / 4 && walk.is_tiled() && !walk.y_is_upright() &&
         cols <= kTensorSortElements / 8 && walk.ldy() * kRowsMax <= kExactMax;
}

void add_row_parts(const RowWalk& walk, const npuOpsSortInfo& s, Plan* plan) {
  const uint64_t cols = s.x.sizes[0];
  const auto block = static_cast<uint32_t>(std::min<uint64_t>(cols, kTensorSortPairs / cols));
  const uint64_t groups = uint64_t{plan->grid[0]} * plan->grid[1] * plan->grid[2];
  const uint32_t wanted = std::min(ceil_div(kGroupsWanted, groups), ceil_div(cols, block));
  const uint32_t part = round_up(ceil_div(cols, wanted), block);
  const uint32_t parts = ceil_div(cols, part);
  plan->grid[0] *= parts;
  plan->add32(parts).add32(part).add32(block).add32(walk.y_is_upright() ? walk.ldy() : 1);
}

}  // namespace

npuResult plan_reduce(const void* info, Plan* plan) {
  npuOpsReduceInfo r;
  NPU_OPS_TRY(read_info(info, &r));
  NPU_OPS_TRY(check_enum("function", r.function, NPU_OPS_REDUCE_ARGMAX + 1));
  const bool argmax = r.function == NPU_OPS_REDUCE_ARGMAX;
  NPU_OPS_TRY(check_tensor("x", r.x, kF32));
  NPU_OPS_TRY(check_tensor("y", r.y, argmax ? kI32 : kF32));
  npuOpsTensor rows = r.x;
  rows.sizes[0] = 1;
  NPU_OPS_TRY(check_same_sizes("y", r.y, "x's rows", rows));
  NPU_OPS_TRY(check_cols(r.x, kTensorReduceElements));
  if (is_empty(r.y)) return NPU_OK;
  if (r.x.sizes[0] == 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "rows without columns have nothing to reduce");
  RowWalk walk(r.x, r.y);
  NPU_OPS_TRY(walk.arrange(RowWalk::Order::kFree));
  NPU_OPS_TRY(walk.cut(kTensorReduceElements, 0));
  plan->program = kProgramTensorReduce + (argmax ? 1 : 0);
  walk.put(plan);
  const float mean = 1.0f / static_cast<float>(r.x.sizes[0]);
  if (!argmax) plan->add_f32(r.function == NPU_OPS_REDUCE_MEAN ? mean : 1.0f);
  return NPU_OK;
}

npuResult plan_sort(const void* info, Plan* plan) {
  npuOpsSortInfo s;
  NPU_OPS_TRY(read_info(info, &s));
  NPU_OPS_TRY(check_enum("descending", s.descending, 2));
  NPU_OPS_TRY(check_tensor("x", s.x, kF32));
  NPU_OPS_TRY(check_tensor("y", s.y, kI32));
  NPU_OPS_TRY(check_same_sizes("x", s.x, "y", s.y));
  NPU_OPS_TRY(check_cols(s.x, kTensorSortCols));
  if (is_empty(s.y)) return NPU_OK;
  const uint64_t cols = s.x.sizes[0];
  RowWalk walk(s.x, s.y);
  NPU_OPS_TRY(walk.arrange(RowWalk::Order::kFree));
  const bool many = takes_many(walk, cols);
  NPU_OPS_TRY(walk.cut(many ? kTensorSortElements : 0, 0));
  plan->program = kProgramTensorSort + (many ? 1 : 0);
  walk.put(plan);
  plan->add_f32(s.descending != 0 ? -1.0f : 1.0f).add_f32(static_cast<float>(cols) / 2);
  if (!many) add_row_parts(walk, s, plan);
  return NPU_OK;
}

std::string tensor_reduce_name(uint32_t variant) {
  return variant == 0 ? "tensor_sum" : "tensor_argmax";
}

std::string tensor_sort_name(uint32_t variant) {
  return variant == 0 ? "tensor_sort_row" : "tensor_sort_rows";
}

}  // namespace npu::ops
