// SPDX-License-Identifier: Apache-2.0
// STC: the DMA engine's way out that converts, also into blocks.
#include "firmware-model/tile/blocks.h"
#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model {
namespace {

constexpr uint32_t kWrittenBlocks = kBlocks & ~(1u << NPU_DTYPE_Q4_K) & ~(1u << NPU_DTYPE_Q6_K);

// Row |i| of |a| as fp32: in place, or widened into staging buffer 1.
const float* wide_row(Exec& exec, const Operand& a, uint64_t i) {
  if (a.dtype == NPU_DTYPE_F32) return reinterpret_cast<const float*>(a.row(i));
  widen(exec.numerics(), a.dtype, staging_f32(exec, 1), a.row(i), a.cols);
  return staging_f32(exec, 1);
}

// Row |i| of d at |to|.
void convert_row(Exec& exec, const Operand& d, const Operand& a, const Rounding& rounding,
                 uint64_t i, std::byte* to) {
  const float* wide = wide_row(exec, a, i);
  if (npu_dtype_in_blocks(d.dtype) != 0) {
    encode(exec.numerics(), d.dtype, to, wide, d.cols, rounding, i);
  } else {
    rounding.narrow_row(exec.numerics(), d.dtype, to, wide, d.cols, i);
  }
}

// Rows are made in a staging buffer, whose bytes nobody else can change meanwhile, and go out one by one: a fault leaves those before it written.
bool store_rows(Exec& exec, const Operand& d, const Operand& a, const Rounding& rounding) {
  exec.group.memory.begin_access();
  std::byte* staged = exec.group.staging[0].data();
  for (uint64_t i = 0; i < d.rows; ++i) {
    convert_row(exec, d, a, rounding, i, staged);
    uint64_t fault_dva = 0;
    if (!exec.group.memory.write(d.base + i * d.stride_bytes(), staged, d.row_bytes(),
                                 &fault_dva)) {
      return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_WRITE);
    }
  }
  return true;
}

}  // namespace

bool stc(Exec& exec) {
  Operand d, a;
  Rounding rounding;
  if (!exec.resolve(kA, {kInL1, kFloat}, &a) ||
      !exec.resolve(kDst, {kInHbm, kAnyType | kWrittenBlocks}, &d) ||
      !resolve_rounding(exec, d, a, &rounding)) {
    return false;
  }
  if (!d.same_shape(a)) return exec.mismatch();
  if (!d.empty() && !store_rows(exec, d, a, rounding)) return false;
  exec.group.result->stats.hbm_write_bytes += d.data_bytes();
  exec.latency_ps = exec.group.outer_dma_ps(a.data_bytes(), d.data_bytes());
  return true;
}

}  // namespace npu::model
