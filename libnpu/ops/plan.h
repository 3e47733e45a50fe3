// SPDX-License-Identifier: Apache-2.0
// A plan: which program to launch, on what grid, with which argument block. Pure functions from checked info structs, one for each operator;
// submission and npuOpsCheck share them.
#ifndef LIBNPU_OPS_PLAN_H_
#define LIBNPU_OPS_PLAN_H_

#include <npu/npu_ops.h>
#include <npu/npu_ops_train.h>
#include <npu/npu_tensor.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "libnpu/ops/chip.h"
#include "libnpu/ops/program.h"

namespace npu::ops {

struct Plan {
  // In: the device; null: not known, the plan is for any.
  ChipSource* chips = nullptr;
  uint32_t program = kProgramNull;  // as long as it is null there is nothing to compute
  uint32_t grid[3] = {1, 1, 1};
  uint32_t args_bytes = 0;
  alignas(8) unsigned char args[NPU_OPS_ARGS_MAX_BYTES] = {};
  // What has to be launched behind it, from the same info; null: nothing.
  npuResult (*then)(const void* info, Plan* plan) = nullptr;

  // Arguments in the program's order; each is aligned to its size.
  Plan& add64(uint64_t value) { return add(&value, sizeof(value)); }
  Plan& add32(uint64_t value) {
    const auto low = static_cast<uint32_t>(value);
    return add(&low, sizeof(low));
  }
  Plan& add_f32(float value) { return add(&value, sizeof(value)); }
  // The block's size is a multiple of 8.
  uint32_t block_bytes() const { return (args_bytes + 7) / 8 * 8; }

 private:
  Plan& add(const void* value, uint32_t bytes) {
    args_bytes = (args_bytes + bytes - 1) / bytes * bytes;
    std::memcpy(args + args_bytes, value, bytes);
    args_bytes += bytes;
    return *this;
  }
};

inline uint32_t ceil_div(uint64_t a, uint64_t b) { return static_cast<uint32_t>((a + b - 1) / b); }
inline uint32_t round_up(uint64_t a, uint64_t b) {
  return static_cast<uint32_t>((a + b - 1) / b * b);
}

// Work-groups that an operator aims at, so that small devices and small problems are shared evenly, and elements under which a group
// does not pay for its start.
inline constexpr uint32_t kGroupsWanted = 8;
// Elements of weights in a product of a few vectors: less is not worth a work-group. Those that are multiplied as integers pass by six times as fast.
inline constexpr uint32_t kElementsWorthGroup = 64 << 10;
inline constexpr uint32_t kIntegersWorthGroup = 192 << 10;
inline constexpr uint32_t kGroupElementsWanted = 4096;

// Rows of one block, for work that is cut by rows only; at most |limit| elements.
uint32_t choose_rows(uint32_t rows, uint32_t cols, uint32_t limit);

// A block of work that is cut by columns only, with every row.
struct ColumnBlock {
  uint32_t rows, cols;
};
ColumnBlock choose_columns(uint32_t rows, uint32_t cols);

npuResult plan_gemm(const void* info, Plan* plan);
// What plan_gemm leaves to the programs for any type; |info| is not checked yet.
npuResult plan_gemm_any(const npuOpsGemmInfo& info, Plan* plan);
// Whether a product that gemm.cpp has programs for is better done by wide ones (gemm_wide.h), which are plan_gemm_any's; |info| is checked.
npuResult wants_wide(const npuOpsGemmInfo& info, ChipSource* chips, bool* out);
npuResult gemm_workspace_bytes(const npuOpsGemmInfo& info, uint64_t* out);
npuResult plan_gemm_pack(const void* info, Plan* plan);
npuResult check_pack(const npuOpsGemmPackInfo& info);  // form and counts
npuResult plan_attention(const void* info, Plan* plan);
npuResult plan_softmax(const void* info, Plan* plan);
npuResult plan_rms_norm(const void* info, Plan* plan);
npuResult plan_layer_norm(const void* info, Plan* plan);
npuResult plan_rope(const void* info, Plan* plan);
npuResult plan_unary(const void* info, Plan* plan);
npuResult plan_binary(const void* info, Plan* plan);
npuResult plan_silu_mul(const void* info, Plan* plan);
npuResult plan_convert(const void* info, Plan* plan);
// Between types that the programs of fp32 and bf16 do not have; the extents are not checked yet.
npuResult plan_convert_any(const npuOpsElementwiseInfo& info, Plan* plan);
npuResult plan_gather(const void* info, Plan* plan);
npuResult plan_scatter_rows(const void* info, Plan* plan);
npuResult plan_argmax(const void* info, Plan* plan);

// Kinds of npu_tensor.h.
npuResult plan_map(const void* info, Plan* plan);
npuResult plan_combine(const void* info, Plan* plan);
npuResult plan_gate(const void* info, Plan* plan);
npuResult plan_reduce(const void* info, Plan* plan);
npuResult plan_sort(const void* info, Plan* plan);
npuResult plan_tensor_norm(const void* info, Plan* plan);
npuResult plan_tensor_softmax(const void* info, Plan* plan);
npuResult plan_tensor_rope(const void* info, Plan* plan);
npuResult plan_tensor_gather(const void* info, Plan* plan);
npuResult plan_tensor_scatter(const void* info, Plan* plan);
npuResult plan_matmul(const void* info, Plan* plan);
npuResult plan_tensor_attention(const void* info, Plan* plan);
npuResult plan_products(const void* info, Plan* plan);
// The number under which programs know a function that gates.
npuResult find_gate(int32_t function, uint32_t* out);

// Kinds of npu_ops_train.h.
npuResult plan_column_sum(const void* info, Plan* plan);
npuResult plan_cross_entropy(const void* info, Plan* plan);
npuResult plan_softmax_backward(const void* info, Plan* plan);
npuResult plan_rms_norm_backward(const void* info, Plan* plan);
npuResult plan_layer_norm_backward(const void* info, Plan* plan);
npuResult plan_unary_backward(const void* info, Plan* plan);
npuResult plan_silu_mul_backward(const void* info, Plan* plan);
npuResult plan_gather_backward(const void* info, Plan* plan);
npuResult plan_adamw(const void* info, Plan* plan);
npuResult plan_attention_backward(const void* info, Plan* plan);
npuResult plan_dropout(const void* info, Plan* plan);
npuResult plan_sum_squares(const void* info, Plan* plan);

// By npuOpsKind.
npuResult plan_of(npuOpsKind kind, const void* info, Plan* plan);

// Elements of one packed matrix B.
inline uint64_t packed_elements(uint32_t n, uint32_t k) {
  return uint64_t{k} * ((uint64_t{n} + 15) / 16 * 16);
}

}  // namespace npu::ops

#endif  // LIBNPU_OPS_PLAN_H_
