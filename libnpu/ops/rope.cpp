// SPDX-License-Identifier: Apache-2.0
// Plan of the rotary position embedding, and its tables.
#include <cinttypes>
#include <cmath>

#include "libnpu/ops/check.h"
#include "libnpu/ops/limits.h"
#include "libnpu/ops/plan.h"

namespace npu::ops {
namespace {

// [token, head, dim]
npuResult check_tensor(const char* name, npuDevPtr at, const npuOpsRopeInfo& r, uint64_t token,
                       uint64_t head) {
  if (r.tokens == 0 || r.heads == 0 || r.head_dim == 0) return NPU_OK;
  if (token > kCountMax)
    return fail(NPU_ERROR_OVERFLOW, "%s: the distance of tokens is too large", name);
  if ((r.tokens > 1 && token < r.head_dim) || (r.heads > 1 && head < r.head_dim)) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "%s: strides of %" PRIu64 " and %" PRIu64
                " elements (token, head) are smaller than a head of %" PRIu32,
                name, token, head, r.head_dim);
  }
  Extent e{name, at, type_bytes(r.type), r.heads, r.head_dim, head, r.tokens, token};
  return check_extent(&e);
}

npuResult check_limits(const npuOpsRopeInfo& r) {
  NPU_OPS_TRY(check_type("type", r.type));
  NPU_OPS_TRY(check_enum("half", r.half, 2));
  NPU_OPS_TRY(check_enum("backward", r.backward, 2));
  NPU_OPS_TRY(check_count("tokens", r.tokens));
  NPU_OPS_TRY(check_count("start + tokens", uint64_t{r.start} + r.tokens));
  NPU_OPS_TRY(check_count("table_rows", r.table_rows));
  if (r.head_dim > kRopeHead || r.heads > kRopeRows ||
      uint64_t{r.heads} * r.head_dim > kRopeElements) {
    return fail(NPU_ERROR_NOT_SUPPORTED,
                "%u heads of %u are too many; the limits are %u, %u and %u together", r.heads,
                r.head_dim, kRopeRows, kRopeHead, kRopeElements);
  }
  if (r.width % 2 != 0 || r.width > r.head_dim) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "width is %u: it must be even and at most head_dim, which is %u", r.width,
                r.head_dim);
  }
  return NPU_OK;
}

}  // namespace

npuResult plan_rope(const void* info, Plan* plan) {
  npuOpsRopeInfo r;
  NPU_OPS_TRY(read_info(info, &r));
  if (r.width == 0) r.width = r.head_dim;
  NPU_OPS_TRY(check_limits(r));
  NPU_OPS_TRY(check_tensor("x", r.x, r, r.x_token_stride, r.x_head_stride));
  NPU_OPS_TRY(check_tensor("y", r.y, r, r.y_token_stride, r.y_head_stride));
  Extent cosine{"cos_table", r.cos_table, 4, r.table_rows, r.width / 2, 0};
  Extent sine{"sin_table", r.sin_table, 4, r.table_rows, r.width / 2, 0};
  Extent list{"positions", r.positions, 4, r.positions != 0 ? 1u : 0u, r.tokens, 0};
  for (Extent* e : {&cosine, &sine, &list}) NPU_OPS_TRY(check_extent(e));
  if (r.tokens == 0 || r.heads == 0 || r.head_dim == 0) return NPU_OK;
  const bool by_heads = r.tokens < r.heads;
  uint32_t block = choose_rows(r.tokens, r.head_dim, kRopeElements);
  block = std::min(block, kRopeRows);
  auto dense = [&](uint64_t stride) { return std::max<uint64_t>(stride, r.head_dim); };
  plan->program = kProgramRope + type_index(r.type) * 4 + (by_heads ? 2 : 0) + r.half;
  plan->grid[0] = by_heads ? r.tokens : ceil_div(r.tokens, block);
  plan->grid[1] = by_heads ? 1 : r.heads;
  plan->add64(r.x).add64(r.y).add64(r.cos_table).add64(r.sin_table).add64(r.positions);
  plan->add32(dense(r.x_token_stride))
      .add32(dense(r.x_head_stride))
      .add32(dense(r.y_token_stride))
      .add32(dense(r.y_head_stride));
  plan->add32(r.tokens)
      .add32(r.heads)
      .add32(r.head_dim)
      .add32(r.width)
      .add32(r.start)
      .add32(r.table_rows)
      .add32(block)
      .add32(r.backward);
  return NPU_OK;
}

}  // namespace npu::ops

extern "C" npuResult npuOpsRopeTable(double base, uint32_t width, uint32_t rows, float* cos_table,
                                     float* sin_table) {
  if (cos_table == nullptr || sin_table == nullptr || width % 2 != 0 || !(base > 0)) {
    return npu::ops::fail(NPU_ERROR_INVALID_ARGUMENT,
                          "the tables need two arrays, an even width and a base above 0");
  }
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint32_t i = 0; i < width / 2; ++i) {
      const double angle = static_cast<double>(row) * std::pow(base, -2.0 * i / width);
      cos_table[row * (width / 2) + i] = static_cast<float>(std::cos(angle));
      sin_table[row * (width / 2) + i] = static_cast<float>(std::sin(angle));
    }
  }
  return NPU_OK;
}
