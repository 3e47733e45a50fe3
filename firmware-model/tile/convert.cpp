// SPDX-License-Identifier: Apache-2.0
// LDC: the DMA engine's way in that converts: between the float types, from integers, from blocks.
//
// Bytes come from HBM in place where they lie in one run of host memory, else through staging
// buffer 0. Elements become fp32 in the destination itself where it takes fp32 by rows, else in
// staging buffer 1; rounding, transposition and re-layout go on from there.
#include <cstring>

#include "firmware-model/tile/blocks.h"
#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "firmware-model/tile/rows.h"

namespace npu::model {
namespace {

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

template <typename Bits>
void gather_column(std::byte* to, const RawRows& from, uint64_t rows) {
  for (uint64_t i = 0; i < rows; ++i)
    std::memcpy(to + i * sizeof(Bits), from.host + i * from.step_bytes, sizeof(Bits));
}

// The tile |a| as fp32 at |to|, rows |stride| apart.
void rows_to_f32(Exec& exec, const Operand& a, const RawRows& from, float* to, uint64_t stride) {
  const Numerics& numerics = exec.numerics();
  if (from.contiguous && stride == a.cols) {
    decode(numerics, a.dtype, to, from.host, a.elements());
    return;
  }
  if (a.cols == 1 && stride == 1) {
    // One column: brought together first, so that the conversion takes many at once.
    std::byte* column = exec.group.staging[2].data();
    if (a.elem_bytes == 1) gather_column<uint8_t>(column, from, a.rows);
    if (a.elem_bytes == 2) gather_column<uint16_t>(column, from, a.rows);
    if (a.elem_bytes == 4) gather_column<uint32_t>(column, from, a.rows);
    decode(numerics, a.dtype, to, column, a.rows);
    return;
  }
  for (uint64_t i = 0; i < a.rows; ++i)
    decode(numerics, a.dtype, to + i * stride, from.host + i * from.step_bytes, a.cols);
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
  if (d.elem_bytes == 1) {
    auto* to = reinterpret_cast<uint8_t*>(d.host);
    if (panel) return numerics.pack_panel_u8(to, pack);
    return numerics.transpose_u8(to, d.stride, reinterpret_cast<const uint8_t*>(narrowed), cols,
                                 d.cols, d.rows);
  }
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
  exec.numerics().pack_panel(
      d.f32(), {d.rows, d.cols, rows.host, elem_of(a.dtype), rows.step_bytes / a.elem_bytes,
                transposed, uint64_t{d.stride} * kPanelCols});
}

// Whether a chip may keep |a| in L1 as it is, and show it as fp32 (decision 0037).
bool stays_narrow(const Operand& d, const Operand& a) {
  const bool takes =
      (((kFloat & ~kF32) | kI8) >> a.dtype & 1) != 0 || a.dtype >= NPU_DTYPE_MXFP8_E4M3;
  return d.dtype == NPU_DTYPE_F32 && takes;
}

void account(Exec& exec, const Operand& d, const Operand& a) {
  const uint64_t hbm_bytes = a.data_bytes();
  exec.group.result->stats.hbm_read_bytes += hbm_bytes;
  const bool narrow = stays_narrow(d, a);
  exec.latency_ps = exec.group.outer_dma_ps(narrow ? hbm_bytes : d.data_bytes(), hbm_bytes);
  if (narrow) exec.tile.narrow.add(d.base, d.base + d.extent_bytes, a.dtype);
}

}  // namespace

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
