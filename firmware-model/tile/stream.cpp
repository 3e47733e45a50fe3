// SPDX-License-Identifier: Apache-2.0
// MMS: rows in HBM streamed through the tensor unit, as they lie there.
#include <algorithm>
#include <iterator>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/rows.h"

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

// What cannot be torn apart: a row, or those of a tile.
uint32_t rows_of_unit(const Exec& exec) {
  return (exec.insn.flags & NPU_F_TILED) != 0 ? NPU_TILED_ROWS : 1;
}

// Rows of b from |row| on that lie in one run of host memory; else one unit of them, through the staging buffer.
bool find_weights(Exec& exec, const Operand& b, uint64_t row, const std::byte** host,
                  uint64_t* rows) {
  DeviceMemory& memory = exec.group.memory;
  const uint64_t dva = b.base + row * b.stride_bytes();
  const uint64_t unit = rows_of_unit(exec), unit_bytes = unit * b.row_bytes();
  uint64_t run_bytes = 0;
  uint64_t fault_dva = 0;
  *host = memory.find(dva, NPU_ACCESS_READ, &run_bytes);
  if (*host != nullptr && run_bytes >= unit_bytes) {
    const uint64_t step_bytes = std::max<uint64_t>(unit * b.stride_bytes(), 1);
    *rows = std::min<uint64_t>(b.rows - row, ((run_bytes - unit_bytes) / step_bytes + 1) * unit);
    return true;
  }
  std::byte* to = exec.group.staging[0].data();
  if (!memory.read(dva, to, unit_bytes, &fault_dva))
    return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_READ);
  *host = to;
  *rows = unit;
  return true;
}

// Calls multiply(host, row, rows) for the rows of b, as many at a time as lie in one run.
template <typename Multiply>
bool for_weights(Exec& exec, const Operand& b, const Multiply& multiply) {
  exec.group.memory.begin_access();
  for (uint64_t row = 0, rows = 0; row < b.rows; row += rows) {
    const std::byte* host = nullptr;
    if (!find_weights(exec, b, row, &host, &rows)) return false;
    multiply(host, row, rows);
  }
  return true;
}

bool multiply_weights(Exec& exec, const Operand& d, const Operand& a, const Operand& b) {
  const Numerics& numerics = exec.numerics();
  const Weight weight = weight_of(b.dtype);
  const auto product = weight >= Weight::kMxE4m3 ? numerics.dot_stream_mx : numerics.dot_stream;
  return for_weights(exec, b, [&](const std::byte* host, uint64_t row, uint64_t rows) {
    product({d.rows, rows, b.cols, a.f32(), a.stride, weight, host, b.stride_bytes(), d.f32() + row,
             d.stride, (exec.insn.flags & NPU_F_ACC) != 0});
  });
}

// Rows of a as opened blocks of Q8_0, one behind the other, in staging buffer 1; buffer 2 holds those of a row meanwhile.
const RoundedBlock* round_vectors(Exec& exec, const Operand& a, uint64_t blocks) {
  std::byte* row = exec.group.staging[2].data();
  auto* to = reinterpret_cast<RoundedBlock*>(exec.group.staging[1].data());
  for (uint64_t i = 0; i < a.rows; ++i) {
    exec.numerics().encode_q8_0(row, a.f32() + i * a.stride, blocks);
    exec.numerics().open_q8_0(to + i * blocks, row, blocks);
  }
  return to;
}

bool multiply_integers(Exec& exec, const Operand& d, const Operand& a, const Operand& b) {
  const uint64_t blocks = a.cols / RoundedBlock::kElements;
  const RoundedBlock* vectors = round_vectors(exec, a, blocks);
  return for_weights(exec, b, [&](const std::byte* host, uint64_t row, uint64_t rows) {
    exec.numerics().dot_integer({d.rows, rows, b.cols, vectors, blocks, weight_of(b.dtype),
                                 (exec.insn.flags & NPU_F_TILED) != 0, host, b.stride_bytes(),
                                 d.f32() + row, d.stride, (exec.insn.flags & NPU_F_ACC) != 0});
  });
}

// Whether rows of b are tiles, where they are to be.
bool check_tiles(Exec& exec, bool integers, const Operand& b) {
  if ((exec.insn.flags & NPU_F_TILED) == 0) return true;
  if (!integers || b.rows % NPU_TILED_ROWS != 0) return exec.mismatch();
  return b.base % NPU_TILED_ALIGN_BYTES == 0 || exec.fail(NPU_ST_UNALIGNED_ACCESS, b.base);
}

bool resolve_streamed(Exec& exec, bool integers, Operand* d, Operand* a, Operand* b) {
  constexpr uint32_t kIntegers = 1u << NPU_DTYPE_Q8_0 | 1u << NPU_DTYPE_Q4_0;
  if (!exec.resolve(kDst, {kInAcc | kInL1, kF32}, d) || !exec.resolve(kA, {kInL1, kF32}, a) ||
      !exec.resolve(kB, {kInHbm, integers ? kIntegers : kFloat | kI8 | kBlocks}, b) ||
      !check_tiles(exec, integers, *b)) {
    return false;
  }
  if (d->rows != a->rows || d->cols != b->rows || a->cols != b->cols) return exec.mismatch();
  return !may_overlap(*d, *a) || exec.mismatch();
}

void account_streamed(Exec& exec, bool integers, const Operand& d, const Operand& b) {
  const uint64_t hbm_bytes = b.data_bytes();
  const uint8_t as = integers ? NPU_DTYPE_I8 : NPU_DTYPE_F32;
  exec.group.result->stats.hbm_read_bytes += hbm_bytes;
  exec.latency_ps = std::max(count_products(exec, mul_capped(d.elements(), b.cols), as, as),
                             exec.group.timing.dma_ps(hbm_bytes, hbm_bytes));
}

}  // namespace

bool mms(Exec& exec) {
  Operand d, a, b;
  const bool integers = (exec.insn.flags & NPU_F_INTEGER) != 0;
  const auto multiply = integers ? multiply_integers : multiply_weights;
  if (!resolve_streamed(exec, integers, &d, &a, &b)) return false;
  if (!d.empty() && !multiply(exec, d, a, b)) return false;
  account_streamed(exec, integers, d, b);
  return true;
}

}  // namespace npu::model
