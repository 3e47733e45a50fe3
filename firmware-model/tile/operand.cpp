// SPDX-License-Identifier: Apache-2.0
// The checks that turn a tile descriptor into an operand.
#include "firmware-model/tile/operand.h"

#include <bit>

#include "firmware-model/tile/checker.h"

namespace npu::model {
namespace {

// Elements from (0, 0) to behind the last one. Rows, columns and stride are below 2^31, so the sum
// stays below 2^63.
uint64_t extent_elements(const npu_tdesc& d) {
  if (d.rows == 0 || d.cols == 0) return 0;
  if (d.layout == NPU_LAYOUT_ROW) return uint64_t{d.rows - 1} * d.stride + d.cols;
  uint64_t panels = (uint64_t{d.cols} + NPU_PANEL_COLS - 1) / NPU_PANEL_COLS;
  return ((panels - 1) * d.stride + d.rows) * NPU_PANEL_COLS;
}

bool fits(uint32_t mask, uint8_t number) { return number < 32 && (mask >> number & 1) != 0; }

bool ranges_meet(const Operand& x, const Operand& y) {
  return x.host < y.host + y.extent_bytes && y.host < x.host + x.extent_bytes;
}

// Two ROW tiles with one row pitch whose columns lie side by side never meet.
bool side_by_side(const Operand& x, const Operand& y) {
  uint64_t pitch = x.stride_bytes();
  if (pitch == 0 || pitch != y.stride_bytes()) return false;
  if (x.layout != NPU_LAYOUT_ROW || y.layout != NPU_LAYOUT_ROW) return false;
  const Operand& low = x.host <= y.host ? x : y;
  const Operand& high = x.host <= y.host ? y : x;
  uint64_t column = static_cast<uint64_t>(high.host - low.host) % pitch;
  return column >= uint64_t{low.cols} * low.elem_bytes &&
         column + uint64_t{high.cols} * high.elem_bytes <= pitch;
}

}  // namespace

bool may_overlap(const Operand& x, const Operand& y) {
  if (x.empty() || y.empty()) return false;
  return ranges_meet(x, y) && !side_by_side(x, y);
}

bool may_disturb(const Operand& write, const Operand& read) {
  if (!may_overlap(write, read)) return false;
  bool same_places = write.host == read.host && write.elem_bytes == read.elem_bytes &&
                     write.layout == read.layout && write.same_shape(read) &&
                     (write.stride == read.stride || write.rows <= 1);
  return !same_places;
}

float Exec::scalar_f32(int i) const {
  return std::bit_cast<float>(static_cast<uint32_t>(scalar[i]));
}

float Exec::imm_f32() const { return std::bit_cast<float>(insn.imm); }

bool Exec::resolve(OperandSlot slot, const Rules& rules, Operand* out) {
  const npu_tdesc& d = *desc[slot];
  if (!fits(rules.spaces, d.space) || !fits(rules.dtypes, d.dtype) ||
      !fits(rules.layouts, d.layout)) {
    return mismatch();
  }
  const bool whole_word = d.dtype == NPU_DTYPE_F32 || d.dtype == NPU_DTYPE_I32;
  if (d.space == NPU_SPACE_ACC && (!whole_word || d.layout != NPU_LAYOUT_ROW)) {
    return mismatch();
  }
  if (d.stride < (d.layout == NPU_LAYOUT_ROW ? d.cols : d.rows)) return mismatch();

  out->base = d.base;
  out->rows = d.rows;
  out->cols = d.cols;
  out->stride = d.stride;
  out->space = d.space;
  out->dtype = d.dtype;
  out->layout = d.layout;
  const Unit unit = unit_of(d.dtype);
  out->elem_bytes = unit.bytes;
  out->block_shift = unit.shift;
  if (((d.cols | d.stride) & ((1u << unit.shift) - 1)) != 0) return mismatch();
  uint64_t units = extent_elements(d) >> unit.shift;
  bool in_hbm = d.space == NPU_SPACE_HBM;
  if ((d.base & (unit.align_bytes - 1u)) != 0) {
    return fail(in_hbm ? NPU_ST_UNALIGNED_ACCESS : NPU_ST_KERNEL_OPERANDS, d.base);
  }
  uint64_t end = 0;
  if (__builtin_mul_overflow(units, uint64_t{unit.bytes}, &out->extent_bytes) ||
      __builtin_add_overflow(d.base, out->extent_bytes, &end)) {
    npu_fault_access access = slot == kDst ? NPU_ACCESS_WRITE : NPU_ACCESS_READ;
    return in_hbm ? fail(NPU_ST_VM_FAULT, d.base, access) : fail(NPU_ST_KERNEL_BOUNDS, d.base);
  }
  return in_hbm || place_in_scratchpad(slot, out);
}

bool Exec::place_in_scratchpad(OperandSlot slot, Operand* operand) {
  const Program& program = *group.launch->program;
  std::byte* memory = nullptr;
  uint64_t limit = 0;
  if (operand->space == NPU_SPACE_L1) {
    memory = tile.l1.data();
    limit = program.l1_bytes;
  } else if (operand->space == NPU_SPACE_ACC) {
    memory = tile.acc.data();
    limit = program.acc_bytes;
  } else {
    memory = group.l2.data();
    limit = program.l2_bytes;
  }
  operand->host = memory;
  if (operand->extent_bytes == 0) return true;
  if (operand->base + operand->extent_bytes > limit) {
    // The first byte that lies outside.
    return fail(NPU_ST_KERNEL_BOUNDS, operand->base < limit ? limit : operand->base);
  }
  operand->host = memory + operand->base;
  if (!tile.narrow.empty() && operand->space == NPU_SPACE_L1 &&
      (slot == kDst || insn.op == NPU_OP_SMSTEP)) {
    tile.narrow.forget(operand->base, operand->base + operand->extent_bytes);
  }
  return group.checker == nullptr || group.checker->use(*this, slot, *operand);
}

}  // namespace npu::model
