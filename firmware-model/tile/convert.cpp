// SPDX-License-Identifier: Apache-2.0
// LDC: the DMA engine's way in that converts: between the float types, from integers, from weights in blocks. MMS: the same rows streamed through the tensor unit.
//
// Bytes come from HBM in place where they lie in one run of host memory, else through staging
// buffer 0. Elements become fp32 in the destination itself where it takes fp32 by rows, else in
// staging buffer 1; rounding, transposition and re-layout go on from there.
#include <algorithm>
#include <cstring>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/rows.h"

namespace npu::model {
namespace {

#define NPU_CHECK_BLOCK(name, elements, bytes)                                 \
  static_assert(sizeof(Block##name) == (bytes) && alignof(Block##name) <= 2 && \
                Block##name::kElements == (elements));
NPU_BLOCK_TYPES(NPU_CHECK_BLOCK)
#undef NPU_CHECK_BLOCK

// The bytes of a tile in HBM as rows in host memory.
struct RawRows {
  const std::byte* host;
  uint64_t step_bytes;
  bool contiguous;
};

bool read_rows(Exec& exec, const Operand& a, RawRows* rows) {
  DeviceMemory& memory = exec.group.memory;
  memory.begin_access();
  *rows = {memory.find_whole(a.base, a.extent_bytes, NPU_ACCESS_READ), a.stride_bytes(),
           a.contiguous()};
  if (rows->host != nullptr) return true;
  std::byte* to = exec.group.staging[0].data();
  *rows = {to, a.row_bytes(), true};
  for (uint64_t i = 0; i < a.rows; ++i) {
    uint64_t fault_dva = 0;
    if (!memory.read(a.base + i * a.stride_bytes(), to + i * rows->step_bytes, rows->step_bytes,
                     &fault_dva)) {
      return exec.fail(NPU_ST_VM_FAULT, fault_dva, NPU_ACCESS_READ);
    }
  }
  return true;
}

// |n| elements of |dtype|, whole blocks of them, as fp32.
void to_f32(const Numerics& numerics, uint8_t dtype, float* to, const std::byte* from, uint64_t n) {
  switch (dtype) {
    case NPU_DTYPE_Q8_0:
      return numerics.decode_q8_0(to, from, n / BlockQ8_0::kElements);
    case NPU_DTYPE_Q4_0:
      return numerics.decode_q4_0(to, from, n / BlockQ4_0::kElements);
    case NPU_DTYPE_Q4_K:
      return numerics.decode_q4_k(to, from, n / BlockQ4_K::kElements);
    case NPU_DTYPE_Q6_K:
      return numerics.decode_q6_k(to, from, n / BlockQ6_K::kElements);
    default:
      return widen(numerics, dtype, to, from, n);
  }
}

template <typename Bits>
void gather_column(std::byte* to, const RawRows& from, uint64_t rows) {
  for (uint64_t i = 0; i < rows; ++i)
    std::memcpy(to + i * sizeof(Bits), from.host + i * from.step_bytes, sizeof(Bits));
}

// The tile |a| as fp32 at |to|, rows |stride| apart.
void rows_to_f32(Exec& exec, const Operand& a, const RawRows& from, float* to, uint64_t stride) {
  const Numerics& numerics = exec.numerics();
  if (from.contiguous && stride == a.cols) {
    to_f32(numerics, a.dtype, to, from.host, a.elements());
    return;
  }
  if (a.cols == 1 && stride == 1) {
    // One column: brought together first, so that the conversion takes many at once.
    std::byte* column = exec.group.staging[2].data();
    a.elem_bytes == sizeof(uint16_t) ? gather_column<uint16_t>(column, from, a.rows)
                                     : gather_column<uint32_t>(column, from, a.rows);
    to_f32(numerics, a.dtype, to, column, a.rows);
    return;
  }
  for (uint64_t i = 0; i < a.rows; ++i)
    to_f32(numerics, a.dtype, to + i * stride, from.host + i * from.step_bytes, a.cols);
}

// d = |wide| or its transpose, for all that is not fp32 by rows; |wide| is dense and has |cols| columns.
void place(Exec& exec, const Operand& d, const float* wide, uint64_t cols, bool transposed) {
  const Numerics& numerics = exec.numerics();
  const bool panel = d.layout == NPU_LAYOUT_PANEL;
  PackArgs pack{
      d.rows, d.cols, wide, Elem::kF32, cols, transposed, uint64_t{d.stride} * kPanelCols};
  if (d.dtype == NPU_DTYPE_F32) {
    if (panel) return numerics.pack_panel(d.f32(), pack);
    return numerics.transpose_u32(reinterpret_cast<uint32_t*>(d.host), d.stride,
                                  reinterpret_cast<const uint32_t*>(wide), cols, d.cols, d.rows);
  }
  if (!panel && !transposed) {
    for (uint64_t i = 0; i < d.rows; ++i)
      narrow(numerics, d.dtype, d.row(i), wide + i * d.cols, d.cols);
    return;
  }
  std::byte* narrowed = exec.group.staging[2].data();
  narrow(numerics, d.dtype, narrowed, wide, d.elements());
  pack.src = narrowed;
  auto* to = reinterpret_cast<uint16_t*>(d.host);
  if (panel) return numerics.pack_panel_u16(to, pack);
  numerics.transpose_u16(to, d.stride, reinterpret_cast<const uint16_t*>(narrowed), cols, d.cols,
                         d.rows);
}

void convert(Exec& exec, const Operand& d, const Operand& a, const RawRows& rows, bool transposed) {
  const bool direct = d.dtype == NPU_DTYPE_F32 && d.layout == NPU_LAYOUT_ROW && !transposed;
  float* wide = direct ? d.f32() : staging_f32(exec, 1);
  rows_to_f32(exec, a, rows, wide, direct ? d.stride : a.cols);
  if (!direct) place(exec, d, wide, a.cols, transposed);
}

bool is_float(const Operand& t) { return (kFloat >> t.dtype & 1) != 0; }

// Widening and re-layout in one: the panels of fp32 are what the tensor unit's products read.
void pack_floats(Exec& exec, const Operand& d, const Operand& a, const RawRows& rows,
                 bool transposed) {
  constexpr Elem kElems[] = {Elem::kF32, Elem::kBf16, Elem::kF16};
  exec.numerics().pack_panel(
      d.f32(), {d.rows, d.cols, rows.host, kElems[a.dtype], rows.step_bytes / a.elem_bytes,
                transposed, uint64_t{d.stride} * kPanelCols});
}

void account(Exec& exec, const Operand& d, const Operand& a) {
  const uint64_t hbm_bytes = a.data_bytes();
  exec.group.stats.hbm_read_bytes += hbm_bytes;
  exec.latency_ps = exec.group.timing.dma_ps(d.data_bytes(), hbm_bytes);
}

constexpr Weight weight_of(uint8_t dtype) {
  constexpr Weight kWeights[NPU_DTYPE_COUNT] = {Weight::kF32,  Weight::kBf16, Weight::kF16,
                                                Weight::kF32,  Weight::kQ8_0, Weight::kQ4_0,
                                                Weight::kQ4_K, Weight::kQ6_K};
  return kWeights[dtype];
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
  exec.group.memory.begin_access();
  for (uint64_t row = 0, rows = 0; row < b.rows; row += rows) {
    const std::byte* host = nullptr;
    if (!find_weights(exec, b, row, &host, &rows)) return false;
    exec.numerics().dot_stream({d.rows, rows, b.cols, a.f32(), a.stride, weight_of(b.dtype), host,
                                b.stride_bytes(), d.f32() + row, d.stride,
                                (exec.insn.flags & NPU_F_ACC) != 0});
  }
  return true;
}

bool resolve_streamed(Exec& exec, Operand* d, Operand* a, Operand* b) {
  if (!exec.resolve(kDst, {kInAcc | kInL1, kF32}, d) || !exec.resolve(kA, {kInL1, kF32}, a) ||
      !exec.resolve(kB, {kInHbm, kFloat | kBlocks}, b)) {
    return false;
  }
  if (d->rows != a->rows || d->cols != b->rows || a->cols != b->cols) return exec.mismatch();
  return !may_overlap(*d, *a) || exec.mismatch();
}

void account_streamed(Exec& exec, const Operand& d, const Operand& b) {
  const uint64_t hbm_bytes = b.data_bytes();
  const uint64_t mac_ops = mul_capped(d.elements(), b.cols);
  exec.group.stats.hbm_read_bytes += hbm_bytes;
  exec.group.stats.mac_ops = add_capped(exec.group.stats.mac_ops, mac_ops);
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

bool ldc(Exec& exec) {
  Operand d, a;
  const bool transposed = (exec.insn.flags & NPU_F_TRANS) != 0;
  if (!exec.resolve(kDst, {kInL1, kFloat, kRow | kPanel}, &d) ||
      !exec.resolve(kA, {kInHbm, kAnyType | kBlocks}, &a)) {
    return false;
  }
  if (transposed ? d.rows != a.cols || d.cols != a.rows : !d.same_shape(a)) return exec.mismatch();
  if (!d.empty()) {
    RawRows rows;
    if (!read_rows(exec, a, &rows)) return false;
    if (d.dtype == NPU_DTYPE_F32 && d.layout == NPU_LAYOUT_PANEL && is_float(a)) {
      pack_floats(exec, d, a, rows, transposed);
    } else {
      convert(exec, d, a, rows, transposed);
    }
  }
  account(exec, d, a);
  return true;
}

}  // namespace npu::model
