// SPDX-License-Identifier: Apache-2.0
// Plans of the gradients of functions of elements, and of dropout.
#include <initializer_list>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

// The begin of the argument block, as elements.h of the programs has it. The null program stays where there are no elements.
npuResult start_plan(uint32_t program, uint32_t rows, uint32_t cols,
                     std::initializer_list<Extent> operands, Plan* plan) {
  uint64_t ld[8];
  size_t count = 0;
  for (Extent e : operands) {
    NPU_OPS_TRY(check_extent(&e));
    ld[count++] = e.ld;
  }
  if (rows == 0 || cols == 0) return NPU_OK;
  const uint32_t block_cols = std::min(cols, kElementwiseElements);
  const uint32_t block_rows = choose_rows(rows, block_cols, kElementwiseElements);
  plan->program = program;
  plan->grid[0] = ceil_div(cols, block_cols);
  plan->grid[1] = ceil_div(rows, block_rows);
  for (const Extent& e : operands) plan->add64(e.at);
  plan->add32(rows).add32(cols);
  for (size_t i = 0; i < count; ++i) plan->add32(ld[i]);
  plan->add32(block_rows).add32(block_cols);
  return NPU_OK;
}

}  // namespace

npuResult plan_unary_backward(const void* info, Plan* plan) {
  npuOpsUnaryBackwardInfo u;
  NPU_OPS_TRY(read_info(info, &u));
  NPU_OPS_TRY(check_type("type", u.type));
  NPU_OPS_TRY(check_reserved(u.reserved));
  NPU_OPS_TRY(check_enum("function", u.function, NPU_OPS_COS + 1));
  static constexpr int32_t kFunctions[] = {NPU_OPS_RELU, NPU_OPS_TANH,     NPU_OPS_SIGMOID,
                                           NPU_OPS_GELU, NPU_OPS_GELU_ERF, NPU_OPS_SILU};
  const auto* found = std::find(std::begin(kFunctions), std::end(kFunctions), u.function);
  if (found == std::end(kFunctions))
    return fail(NPU_ERROR_NOT_SUPPORTED, "function %d has no gradient here", u.function);
  const uint32_t elem = type_bytes(u.type);
  const auto program = static_cast<uint32_t>(found - kFunctions);
  return start_plan(kProgramUnaryBackward + type_index(u.type) * 6 + program, u.rows, u.cols,
                    {{"x", u.x, elem, u.rows, u.cols, u.ldx},
                     {"dy", u.dy, elem, u.rows, u.cols, u.lddy},
                     {"dx", u.dx, elem, u.rows, u.cols, u.lddx}},
                    plan);
}

npuResult plan_silu_mul_backward(const void* info, Plan* plan) {
  npuOpsSiluMulBackwardInfo s;
  NPU_OPS_TRY(read_info(info, &s));
  NPU_OPS_TRY(check_type("type", s.type));
  const uint32_t elem = type_bytes(s.type);
  return start_plan(kProgramSiluMulBackward + type_index(s.type), s.rows, s.cols,
                    {{"x", s.x, elem, s.rows, s.cols, s.ldx},
                     {"b", s.b, elem, s.rows, s.cols, s.ldb},
                     {"dy", s.dy, elem, s.rows, s.cols, s.lddy},
                     {"dx", s.dx, elem, s.rows, s.cols, s.lddx},
                     {"db", s.db, elem, s.rows, s.cols, s.lddb}},
                    plan);
}

npuResult plan_dropout(const void* info, Plan* plan) {
  npuOpsDropoutInfo d;
  NPU_OPS_TRY(read_info(info, &d));
  NPU_OPS_TRY(check_type("type", d.type));
  NPU_OPS_TRY(check_reserved(d.reserved));
  if (!(d.p >= 0 && d.p < 1))
    return fail(NPU_ERROR_INVALID_ARGUMENT, "p is %g: it must be from 0 to below 1",
                static_cast<double>(d.p));
  const uint32_t elem = type_bytes(d.type);
  NPU_OPS_TRY(start_plan(
      kProgramDropout + type_index(d.type), d.rows, d.cols,
      {{"x", d.x, elem, d.rows, d.cols, d.ldx}, {"y", d.y, elem, d.rows, d.cols, d.ldy}}, plan));
  if (plan->program == kProgramNull) return NPU_OK;
  // The program makes random fp16 numbers that are 0 or the smallest one, 2^-24.
  const double keep = 1.0 - static_cast<double>(d.p);
  plan->add64(d.seed).add64(d.first).add_f32(static_cast<float>(keep * 0x1p-24));
  plan->add_f32(static_cast<float>(0x1p24 / keep));
  return NPU_OK;
}

}  // namespace npu::ops
