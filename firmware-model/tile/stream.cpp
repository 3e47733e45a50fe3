// SPDX-License-Identifier: Apache-2.0
// MMS: rows in HBM streamed through the tensor unit, as they lie there.
#include <algorithm>
#include <iterator>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model {
namespace {

constexpr Weight weight_of(uint8_t dtype) {
  constexpr Weight kElements[] = {Weight::kF32, Weight::kBf16, Weight::kF16, Weight::kF32};
  static_assert(NPU_DTYPE_Q8_0 == std::size(kElements) &&
                NPU_DTYPE_COUNT - NPU_DTYPE_Q8_0 ==
                    static_cast<int>(Weight::kCount) - static_cast<int>(Weight::kQ8_0));
  if (dtype < NPU_DTYPE_Q8_0) return kElements[dtype];
  return static_cast<Weight>(dtype - NPU_DTYPE_Q8_0 + static_cast<int>(Weight::kQ8_0));
}

// Rows of b from |row| on that lie in one run of host memory; else one of them, through the staging buffer.
bool find_weights(Exec& exec, const Operand& b, uint64_t row, const std::byte** host,
                  uint64_t* rows) {
  DeviceMemory& memory = exec.group.memory;
  const uint64_t dva = b.base + row * b.stride_bytes();
  uint64_t run_bytes = 0;
  uint64_t fault_dva = 0;
  *host = memory.find(dva, NPU_ACCESS_READ, &run_bytes);
  if (*host != nullptr && run_bytes >= b.row_bytes()) {
    const uint64_t step_bytes = std::max<uint64_t>(b.stride_bytes(), 1);
    *rows = std::min<uint64_t>(b.rows - row, (run_bytes - b.row_bytes()) / step_bytes + 1);
    return true;
  }
  std::byte* to = exec.group.staging[0].data();
  if (!memory.read(dva, to, b.row_bytes(), &fault_dva))
    return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_READ);
  *host = to;
  *rows = 1;
  return true;
}

bool multiply_weights(Exec& exec, const Operand& d, const Operand& a, const Operand& b) {
  const bool mx = weight_of(b.dtype) >= Weight::kMxE4m3;
  exec.group.memory.begin_access();
  for (uint64_t row = 0, rows = 0; row < b.rows; row += rows) {
    const std::byte* host = nullptr;
    if (!find_weights(exec, b, row, &host, &rows)) return false;
    const Numerics& numerics = exec.numerics();
    (mx ? numerics.dot_stream_mx : numerics.dot_stream)(
        {d.rows, rows, b.cols, a.f32(), a.stride, weight_of(b.dtype), host, b.stride_bytes(),
         d.f32() + row, d.stride, (exec.insn.flags & NPU_F_ACC) != 0});
  }
  return true;
}

bool resolve_streamed(Exec& exec, Operand* d, Operand* a, Operand* b) {
  if (!exec.resolve(kDst, {kInAcc | kInL1, kF32}, d) || !exec.resolve(kA, {kInL1, kF32}, a) ||
      !exec.resolve(kB, {kInHbm, kFloat | kI8 | kBlocks}, b)) {
    return false;
  }
  if (d->rows != a->rows || d->cols != b->rows || a->cols != b->cols) return exec.mismatch();
  return !may_overlap(*d, *a) || exec.mismatch();
}

void account_streamed(Exec& exec, const Operand& d, const Operand& b) {
  const uint64_t hbm_bytes = b.data_bytes();
  const uint64_t mac_ops = mul_capped(d.elements(), b.cols);
  exec.group.result->stats.hbm_read_bytes += hbm_bytes;
  exec.group.result->stats.mac_ops = add_capped(exec.group.result->stats.mac_ops, mac_ops);
  exec.latency_ps = std::max(exec.group.timing.mm_ps(mac_ops, NPU_DTYPE_F32),
                             exec.group.timing.dma_ps(hbm_bytes, hbm_bytes));
}

}  // namespace

bool mms(Exec& exec) {
  Operand d, a, b;
  if (!resolve_streamed(exec, &d, &a, &b)) return false;
  if (!d.empty() && !multiply_weights(exec, d, a, b)) return false;
  account_streamed(exec, d, b);
  return true;
}

}  // namespace npu::model
