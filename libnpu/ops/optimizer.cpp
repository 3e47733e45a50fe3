// SPDX-License-Identifier: Apache-2.0
// Plans of AdamW and of sums of squares.
#include <cmath>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

static_assert(NPU_OPS_SUM_SQUARES_PART == kSumSquaresElements);

npuResult check_numbers(const npuOpsAdamWInfo& a) {
  if (a.step == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "step is 0: the first one is 1");
  for (auto [name, beta] : {std::pair{"beta1", a.beta1}, {"beta2", a.beta2}}) {
    if (!(beta >= 0 && beta < 1))
      return fail(NPU_ERROR_INVALID_ARGUMENT, "%s is %g: it must be from 0 to below 1", name,
                  static_cast<double>(beta));
  }
  if (!(a.eps >= 0) || !std::isfinite(a.eps) || !std::isfinite(a.lr) ||
      !std::isfinite(a.weight_decay)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "lr %g, weight_decay %g and eps %g must be finite, eps 0 or more",
                static_cast<double>(a.lr), static_cast<double>(a.weight_decay),
                static_cast<double>(a.eps));
  }
  return NPU_OK;
}

// What is narrower than fp32: P, or its copy.
npuResult check_narrow(const npuOpsAdamWInfo& a) {
  NPU_OPS_TRY(check_type("type", a.type));
  const bool narrow = a.type == NPU_BFLOAT16;
  if (narrow && a.copy != 0)
    return fail(NPU_ERROR_INVALID_ARGUMENT, "copy is not 0, but p is of bf16 itself");
  return check_rounding(a.rounding, narrow ? "type" : "type without copy",
                        a.copy != 0 ? NPU_BFLOAT16 : a.type);
}

}  // namespace

npuResult plan_adamw(const void* info, Plan* plan) {
  npuOpsAdamWInfo a;
  NPU_OPS_TRY(read_info(info, &a));
  NPU_OPS_TRY(check_count("count", a.count));
  NPU_OPS_TRY(check_numbers(a));
  NPU_OPS_TRY(check_narrow(a));
  Extent p{"p", a.p, type_bytes(a.type), 1, a.count, 0}, g{"g", a.g, 4, 1, a.count, 0};
  Extent m{"m", a.m, 4, 1, a.count, 0}, v{"v", a.v, 4, 1, a.count, 0};
  Extent copy{"copy", a.copy, 2, a.copy != 0 ? 1u : 0u, a.count, 0};
  Extent grad_scale{"grad_scale", a.grad_scale, 4, a.grad_scale != 0 ? 1u : 0u, 1, 0};
  for (Extent* e : {&p, &g, &m, &v, &copy, &grad_scale}) NPU_OPS_TRY(check_extent(e));
  if (a.count == 0) return NPU_OK;
  const double beta1 = a.beta1, beta2 = a.beta2, lr = a.lr;
  const auto step = static_cast<double>(a.step);
  const uint32_t shared = round_up(ceil_div(a.count, kGroupsWanted), 16);
  const uint32_t block = std::clamp(shared, kGroupElementsWanted, kElementwiseElements);
  plan->program = kProgramAdamW + type_index(a.type);
  plan->grid[0] = ceil_div(a.count, block);
  plan->add64(a.p).add64(a.g).add64(a.m).add64(a.v).add64(a.copy).add64(a.grad_scale);
  plan->add64(a.rounding.seed).add64(a.rounding.first);
  plan->add32(static_cast<uint32_t>(a.rounding.mode));
  plan->add32(a.count).add32(block).add_f32(a.beta1).add_f32(a.beta2);
  plan->add_f32(static_cast<float>(1 - beta1)).add_f32(static_cast<float>(1 - beta2));
  plan->add_f32(static_cast<float>(1 - lr * static_cast<double>(a.weight_decay)));
  plan->add_f32(static_cast<float>(-lr / (1 - std::pow(beta1, step))));
  plan->add_f32(static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step)))).add_f32(a.eps);
  return NPU_OK;
}

npuResult plan_sum_squares(const void* info, Plan* plan) {
  npuOpsSumSquaresInfo s;
  NPU_OPS_TRY(read_info(info, &s));
  NPU_OPS_TRY(check_type("type", s.type));
  NPU_OPS_TRY(check_reserved(s.reserved));
  NPU_OPS_TRY(check_count("count", s.count));
  const uint32_t parts = ceil_div(s.count, kSumSquaresElements);
  Extent x{"x", s.x, type_bytes(s.type), 1, s.count, 0};
  Extent y{"y", s.y, 4, 1, parts, 0};
  for (Extent* e : {&x, &y}) NPU_OPS_TRY(check_extent(e));
  if (s.count == 0) return NPU_OK;
  plan->program = kProgramSumSquares + type_index(s.type);
  plan->grid[0] = parts;
  plan->add64(s.x).add64(s.y).add32(s.count);
  return NPU_OK;
}

}  // namespace npu::ops
