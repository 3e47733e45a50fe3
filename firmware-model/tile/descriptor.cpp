// SPDX-License-Identifier: Apache-2.0
// Control instructions that write tile descriptors. Space, type and bounds of the memory are
// checked by the operation that uses the descriptor.
#include "firmware-model/tile/handlers.h"

namespace npu::model {
namespace {

constexpr uint64_t kMaxExtent = 0x7fffffff;

Step fault(Group& group, Tile& tile, const npu_insn& insn, npu_status status, uint64_t value) {
  group.fail(tile, insn, status, value);
  return Step::kFault;
}

// Bytes from element (0, 0) of |d| to (row, col); row and col are at most 2^31. False: more than 64
// bits.
bool offset_bytes(const npu_tdesc& d, uint64_t row, uint64_t col, uint64_t* bytes) {
  uint64_t elements = d.layout == NPU_LAYOUT_ROW
                          ? row * d.stride + col
                          : (col / NPU_PANEL_COLS * d.stride + row) * NPU_PANEL_COLS;
  const Unit unit = unit_of(d.dtype);
  return !__builtin_mul_overflow(elements >> unit.shift, uint64_t{unit.bytes}, bytes);
}

}  // namespace

Step tset(Group& group, Tile& tile, const npu_insn& insn) {
  if (npu_tdesc_word_fits(insn.imm) == 0) {
    return fault(group, tile, insn, NPU_ST_KERNEL_OPERANDS, insn.imm);
  }
  for (int i = 1; i < 4; ++i) {
    uint64_t value = tile.regs[insn.r[i]];
    if (value > kMaxExtent) return fault(group, tile, insn, NPU_ST_KERNEL_OPERANDS, value);
  }
  npu_tdesc& d = tile.write_desc(insn.dst);
  d.base = tile.regs[insn.r[0]];
  d.rows = static_cast<uint32_t>(tile.regs[insn.r[1]]);
  d.cols = static_cast<uint32_t>(tile.regs[insn.r[2]]);
  d.stride = static_cast<uint32_t>(tile.regs[insn.r[3]]);
  d.space = insn.imm & 0xff;
  d.dtype = insn.imm >> 8 & 0xff;
  d.layout = insn.imm >> 16 & 0xff;
  return Step::kNext;
}

Step tadd(Group&, Tile& tile, const npu_insn& insn) {
  npu_tdesc d = tile.desc[insn.a];
  d.base += tile.regs[insn.r[0]];
  tile.write_desc(insn.dst) = d;
  return Step::kNext;
}

Step tview(Group& group, Tile& tile, const npu_insn& insn) {
  npu_tdesc d = tile.desc[insn.a];
  uint64_t row = tile.regs[insn.r[0]];
  uint64_t col = tile.regs[insn.r[1]];
  uint64_t rows = tile.regs[insn.r[2]];
  uint64_t cols = tile.regs[insn.r[3]];
  if (row > d.rows || rows > d.rows - row) {
    return fault(group, tile, insn, NPU_ST_KERNEL_BOUNDS, row);
  }
  if (col > d.cols || cols > d.cols - col) {
    return fault(group, tile, insn, NPU_ST_KERNEL_BOUNDS, col);
  }
  if (d.layout == NPU_LAYOUT_PANEL && col % NPU_PANEL_COLS != 0) {
    return fault(group, tile, insn, NPU_ST_KERNEL_OPERANDS, col);
  }
  const uint64_t in_block = (1u << unit_of(d.dtype).shift) - 1;
  if (((col | d.stride) & in_block) != 0) {
    return fault(group, tile, insn, NPU_ST_KERNEL_OPERANDS, col);
  }
  uint64_t bytes = 0;
  if (!offset_bytes(d, row, col, &bytes) || __builtin_add_overflow(d.base, bytes, &d.base)) {
    return fault(group, tile, insn, NPU_ST_KERNEL_BOUNDS, row);
  }
  d.rows = static_cast<uint32_t>(rows);
  d.cols = static_cast<uint32_t>(cols);
  tile.write_desc(insn.dst) = d;
  return Step::kNext;
}

}  // namespace npu::model
