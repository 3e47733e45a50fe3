// SPDX-License-Identifier: Apache-2.0
// Plan of conversions between any types.
#include <cinttypes>

#include "libnpu/ops/any_type.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

npuResult refuse(const char* name, npuDataType type, const char* why) {
  return fail(is_type(type) ? NPU_ERROR_NOT_SUPPORTED : NPU_ERROR_INVALID_ARGUMENT,
              "%s is %" PRId32 ", which is no type that is %s here", name, type, why);
}

// Distances become those of whole blocks.
npuResult check_rows(const char* name, npuDevPtr at, npuDataType type,
                     const npuOpsElementwiseInfo& e, uint64_t* ld) {
  const TypeLayout layout = layout_of(type);
  if (*ld % layout.block_elements != 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: a distance of %" PRIu64 " is no multiple of the block of %" PRIu32, name, *ld,
                layout.block_elements);
  Extent extent{name,
                at,
                layout.block_bytes,
                e.rows,
                (uint64_t{e.cols} + layout.block_elements - 1) / layout.block_elements,
                *ld / layout.block_elements,
                1,
                0,
                layout.align_bytes};
  NPU_OPS_TRY(check_extent(&extent));
  *ld = extent.ld * layout.block_elements;
  return check_count(name, *ld);
}

}  // namespace

npuResult check_read_type(const char* name, npuDataType type) {
  if (is_type(type) && type != NPU_INT32 && type != NPU_INT64) return NPU_OK;
  return refuse(name, type, "read");
}

npuResult check_written_type(const char* name, npuDataType type, npuOpsScaleRule rule,
                             uint32_t overflow, const npuOpsRounding& rounding) {
  NPU_OPS_TRY(check_enum("scale_rule", rule, NPU_OPS_SCALE_WIDE + 1));
  NPU_OPS_TRY(check_enum("overflow", overflow, 2));
  if (!is_type(type) || type == NPU_INT32 || type == NPU_INT64 || type == NPU_Q4_K ||
      type == NPU_Q6_K)
    return refuse(name, type, "written");
  if (rule != NPU_OPS_SCALE_FLOOR && !is_ocp_mx(type))
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "scale_rule is %" PRId32 ", but %s has no OCP MX blocks", rule, name);
  if (overflow != 0 && !is_fp8(type))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "overflow is 1, but %s is not FP8", name);
  return check_rounding(rounding, name, type);
}

npuResult plan_convert_any(const npuOpsElementwiseInfo& info, Plan* plan) {
  npuOpsElementwiseInfo e = info;
  NPU_OPS_TRY(check_read_type("type", e.type));
  NPU_OPS_TRY(check_written_type("out_type", e.out_type, e.scale_rule, e.overflow, e.rounding));
  NPU_OPS_TRY(check_reserved(e.reserved));
  NPU_OPS_TRY(check_zero("b", e.b));
  NPU_OPS_TRY(check_zero("ldb", e.ldb));
  const float scale = e.scale != 0 ? e.scale : 1.0f;
  if (e.type == e.out_type && scale == 1)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "a conversion needs two types: use npuQueueCopy");
  NPU_OPS_TRY(check_count("cols", uint64_t{e.cols} + 255));  // rounded up to blocks
  NPU_OPS_TRY(check_rows("x", e.x, e.type, e, &e.ldx));
  NPU_OPS_TRY(check_rows("y", e.y, e.out_type, e, &e.ldy));
  if (e.rows == 0 || e.cols == 0) return NPU_OK;
  const TypeLayout x = layout_of(e.type), y = layout_of(e.out_type);
  const uint32_t align = std::max(x.block_elements, y.block_elements);
  const uint32_t cols = std::min(round_up(e.cols, align), kElementwiseElements);
  const uint32_t rows = choose_rows(e.rows, cols, kElementwiseElements);
  plan->program = kProgramConvertAny;
  plan->grid[0] = ceil_div(e.cols, cols);
  plan->grid[1] = ceil_div(e.rows, rows);
  plan->add64(e.x).add64(e.y).add64(e.rounding.seed).add64(e.rounding.first);
  plan->add32(e.rows).add32(e.cols).add32(e.ldx).add32(e.ldy);
  plan->add32(rows).add32(cols).add32(device_type(e.type)).add32(device_type(e.out_type));
  plan->add32(static_cast<uint32_t>(e.scale_rule)).add32(e.overflow);
  plan->add32(static_cast<uint32_t>(e.rounding.mode));
  plan->add32(x.block_elements).add32(x.block_bytes).add32(y.block_elements).add32(y.block_bytes);
  plan->add32(align).add_f32(scale);
  return NPU_OK;
}

std::string convert_any_name(uint32_t) { return "convert_any"; }

}  // namespace npu::ops
