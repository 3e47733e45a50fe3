// SPDX-License-Identifier: Apache-2.0
// Plans of the functions of elements: unary, binary, SwiGLU gate, conversion.
#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

// What is common: x, y, and where the second operand is full, b.
struct Shape {
  npuOpsElementwiseInfo info;
  uint64_t ldx, ldy, ldb;
  uint64_t rows, cols;
};

// Whether a member is given that only the conversion between any types knows.
bool belongs_to_any(const npuOpsElementwiseInfo& e) {
  const npuOpsRounding& r = e.rounding;
  return e.scale != 0 || e.scale_rule != 0 || e.overflow != 0 || r.mode != 0 || r.reserved != 0 ||
         r.seed != 0 || r.first != 0;
}

npuResult read_shape(const void* info, bool same_type, bool has_b, Shape* s) {
  npuOpsElementwiseInfo& e = s->info;
  NPU_OPS_TRY(read_info(info, &e));
  NPU_OPS_TRY(check_type("type", e.type));
  NPU_OPS_TRY(check_type("out_type", e.out_type));
  NPU_OPS_TRY(check_reserved(e.reserved));
  if (belongs_to_any(e))
    return fail(
        NPU_ERROR_INVALID_ARGUMENT,
        "scale, scale_rule, overflow and rounding belong to conversions; they must be 0 here");
  if (same_type && e.type != e.out_type)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "out_type differs from type");
  Extent x{"x", e.x, type_bytes(e.type), e.rows, e.cols, e.ldx};
  Extent y{"y", e.y, type_bytes(e.out_type), e.rows, e.cols, e.ldy};
  NPU_OPS_TRY(check_extent(&x));
  NPU_OPS_TRY(check_extent(&y));
  s->ldx = x.ld;
  s->ldy = y.ld;
  s->ldb = 1;
  s->rows = e.rows;
  s->cols = e.cols;
  if (!has_b) {
    NPU_OPS_TRY(check_zero("b", e.b));
    return check_zero("ldb", e.ldb);
  }
  Extent b{"b", e.b, type_bytes(e.type), e.rows, e.cols, e.ldb};
  if (e.spread == NPU_OPS_ROW) b.rows = e.rows != 0 ? 1 : 0;
  if (e.spread == NPU_OPS_COL) b.cols = e.cols != 0 ? 1 : 0;
  NPU_OPS_TRY(check_extent(&b));
  s->ldb = b.ld;
  return NPU_OK;
}

// One row when all rows lie one behind the other; |joins|: no operand depends on the row.
void join_rows(Shape* s, bool full_b, bool joins) {
  const uint64_t elements = s->rows * s->cols;
  if (!joins || elements > kCountMax || s->rows <= 1) return;
  if (s->ldx != s->cols || s->ldy != s->cols || (full_b && s->ldb != s->cols)) return;
  s->rows = 1;
  s->cols = s->ldx = s->ldy = elements;
  if (full_b) s->ldb = elements;
}

void add_block(const Shape& s, Plan* plan) {
  uint32_t rows = 1;
  uint32_t cols = kElementwiseElements;
  if (s.rows == 1) {
    const uint32_t shared = round_up(ceil_div(s.cols, kGroupsWanted), 16);
    cols = std::clamp(shared, kGroupElementsWanted, kElementwiseElements);
  } else {
    cols = static_cast<uint32_t>(std::min<uint64_t>(s.cols, kElementwiseElements));
    rows = choose_rows(static_cast<uint32_t>(s.rows), cols, kElementwiseElements);
  }
  plan->grid[0] = ceil_div(s.cols, cols);
  plan->grid[1] = ceil_div(s.rows, rows);
  plan->add64(s.info.x).add64(s.info.y).add32(s.rows).add32(s.cols).add32(s.ldx).add32(s.ldy);
  plan->add32(rows).add32(cols);
}

bool empty(const Shape& s) { return s.rows == 0 || s.cols == 0; }

}  // namespace

npuResult plan_unary(const void* info, Plan* plan) {
  Shape s;
  NPU_OPS_TRY(read_shape(info, true, false, &s));
  NPU_OPS_TRY(check_enum("function", s.info.function, NPU_OPS_COS + 1));
  NPU_OPS_TRY(check_enum("spread", s.info.spread, 1));
  if (empty(s)) return NPU_OK;
  join_rows(&s, false, true);
  plan->program =
      kProgramUnary + type_index(s.info.type) * 16 + static_cast<uint32_t>(s.info.function);
  add_block(s, plan);
  return NPU_OK;
}

npuResult plan_binary(const void* info, Plan* plan) {
  npuOpsElementwiseInfo e;
  NPU_OPS_TRY(read_info(info, &e));
  NPU_OPS_TRY(check_enum("function", e.function, NPU_OPS_MIN + 1));
  NPU_OPS_TRY(check_enum("spread", e.spread, NPU_OPS_SCALAR + 1));
  Shape s;
  NPU_OPS_TRY(read_shape(info, true, e.spread != NPU_OPS_SCALAR, &s));
  if (empty(s)) return NPU_OK;
  join_rows(&s, e.spread == NPU_OPS_FULL, e.spread == NPU_OPS_FULL || e.spread == NPU_OPS_SCALAR);
  plan->program = kProgramBinary + type_index(e.type) * 24 + static_cast<uint32_t>(e.function) * 4 +
                  static_cast<uint32_t>(e.spread);
  add_block(s, plan);
  plan->add64(e.b).add32(s.ldb).add_f32(e.value);
  return NPU_OK;
}

npuResult plan_silu_mul(const void* info, Plan* plan) {
  Shape s;
  NPU_OPS_TRY(read_shape(info, true, true, &s));
  NPU_OPS_TRY(check_enum("function", s.info.function, 1));
  NPU_OPS_TRY(check_enum("spread", s.info.spread, 1));
  if (empty(s)) return NPU_OK;
  join_rows(&s, true, true);
  plan->program = kProgramSiluMul + type_index(s.info.type);
  add_block(s, plan);
  plan->add64(s.info.b).add32(s.ldb);
  return NPU_OK;
}

npuResult plan_convert(const void* info, Plan* plan) {
  npuOpsElementwiseInfo e;
  NPU_OPS_TRY(read_info(info, &e));
  NPU_OPS_TRY(check_enum("function", e.function, 1));
  NPU_OPS_TRY(check_enum("spread", e.spread, 1));
  auto basic = [](npuDataType type) { return type == NPU_FLOAT32 || type == NPU_BFLOAT16; };
  if (!basic(e.type) || !basic(e.out_type) || belongs_to_any(e)) return plan_convert_any(e, plan);
  Shape s;
  NPU_OPS_TRY(read_shape(info, false, false, &s));
  if (s.info.type == s.info.out_type)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "a conversion needs two types: use npuQueueCopy");
  if (empty(s)) return NPU_OK;
  join_rows(&s, false, true);
  plan->program = kProgramConvert + type_index(s.info.type);
  add_block(s, plan);
  return NPU_OK;
}

}  // namespace npu::ops
