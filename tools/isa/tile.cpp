// SPDX-License-Identifier: Apache-2.0
// Tiles of the kernel builder: the descriptor allocator and the instructions that make descriptors.
#include "tools/isa/tile.h"

#include <bit>
#include <utility>

#include "tools/isa/builder.h"

namespace npu::isa {

Tile::Tile(Tile&& other) noexcept
    : kernel_(std::exchange(other.kernel_, nullptr)),
      number_(other.number_),
      space_(other.space_),
      dtype_(other.dtype_),
      layout_(other.layout_) {}

Tile& Tile::operator=(Tile&& value) {
  if (&value != this) value.kernel_->write(*this, std::move(value));
  return *this;
}

Tile& Tile::operator=(const Tile& value) {
  if (&value == this) return *this;
  space_ = value.space_;
  dtype_ = value.dtype_;
  layout_ = value.layout_;
  kernel_->copy_tile(*this, value, 0, Loc::current());
  return *this;
}

void Tile::advance(const Val& bytes, Loc loc) { kernel_->copy_tile(*this, *this, bytes, loc); }

Tile Tile::moved(const Val& bytes, Loc loc) const {
  Tile result = kernel_->new_tile(space_, dtype_, layout_, loc);
  kernel_->copy_tile(result, *this, bytes, loc);
  return result;
}

Tile Tile::view(const Val& row, const Val& col, const Val& rows, const Val& cols, Loc loc) const {
  return kernel_->view_tile(*this, row, col, rows, cols, loc);
}

void Tile::set(const Val& base, const Val& rows, const Val& cols, const Val& stride, Loc loc) {
  kernel_->set_tile(*this, base, rows, cols, stride, loc);
}

void Tile::free() {
  if (kernel_ != nullptr) kernel_->free_tile(number_);
  kernel_ = nullptr;
}

// --- Kernel: descriptors --------------------------------------------------------------------------------------------

Tile Kernel::new_tile(Space space, DType dtype, Layout layout, const Loc& loc) {
  const auto number = static_cast<uint8_t>(std::countr_one(tiles_used_));
  if (number >= NPU_TILE_DESCS) fail(loc, "all 64 tile descriptors are in use");
  tiles_used_ |= uint64_t{1} << number;
  return Tile(this, number, space, dtype, layout);
}

void Kernel::copy_tile(const Tile& d, const Tile& a, const Val& move, const Loc& loc) {
  Reg temp;
  npu_insn insn{};
  insn.op = NPU_OP_TADD;
  insn.dst = d.number();
  insn.a = a.number();
  insn.r[0] = use(move, temp);
  emit(insn, loc);
}

void Kernel::set_tile(const Tile& d, const Val& base, const Val& rows, const Val& cols,
                      const Val& stride, const Loc& loc) {
  const bool dense = stride.is_imm() && stride.imm() == 0;
  const Val* values[] = {&base, &rows, &cols, &stride};
  Reg temps[4];
  npu_insn insn{};
  insn.op = NPU_OP_TSET;
  insn.dst = d.number();
  for (int i = 0; i < 4; ++i) {
    if (i == 3 && dense) {
      insn.r[3] = d.layout() == Layout::Row ? insn.r[2] : insn.r[1];
      break;
    }
    int same = i;  // equal constants share a register
    for (int j = 0; j < i && same == i; ++j) {
      if (values[i]->is_imm() && values[j]->is_imm() && values[i]->imm() == values[j]->imm())
        same = j;
    }
    insn.r[i] = same == i ? use(*values[i], temps[i]) : insn.r[same];
  }
  insn.imm = NPU_TDESC(static_cast<uint32_t>(d.space()), static_cast<uint32_t>(d.dtype()),
                       static_cast<uint32_t>(d.layout()));
  emit(insn, loc);
}

Tile Kernel::view_tile(const Tile& a, const Val& row, const Val& col, const Val& rows,
                       const Val& cols, const Loc& loc) {
  Reg temps[4];
  npu_insn insn{};
  insn.op = NPU_OP_TVIEW;
  insn.a = a.number();
  insn.r[0] = use(row, temps[0]);
  insn.r[1] = use(col, temps[1]);
  insn.r[2] = use(rows, temps[2]);
  insn.r[3] = use(cols, temps[3]);
  Tile result = new_tile(a.space(), a.dtype(), a.layout(), loc);
  insn.dst = result.number();
  emit(insn, loc);
  return result;
}

void Kernel::write(Tile& tile, Tile&& value) {
  tile.space_ = value.space_;
  tile.dtype_ = value.dtype_;
  tile.layout_ = value.layout_;
  if (tile.kernel_ == nullptr) {
    tile.kernel_ = std::exchange(value.kernel_, nullptr);
    tile.number_ = value.number_;
    return;
  }
  if (last_writes(true, value.number())) {
    slots_.back().insn.dst = tile.number();
  } else {
    copy_tile(tile, value, 0, slots_.back().loc);
  }
  value.free();
}

Tile Kernel::tile(Space space, DType dtype, const Val& base, const Val& rows, const Val& cols,
                  const Val& stride, Layout layout, Loc loc) {
  if (space == Space::Acc &&
      ((dtype != DType::F32 && dtype != DType::I32) || layout != Layout::Row))
    fail(loc, "a tile in the accumulator is fp32 or i32, and ROW");
  Tile result = new_tile(space, dtype, layout, loc);
  set_tile(result, base, rows, cols, stride, loc);
  return result;
}

Tile Kernel::tile_hbm(DType dtype, const Val& base_dva, const Val& rows, const Val& cols,
                      const Val& stride, Loc loc) {
  return tile(Space::Hbm, dtype, base_dva, rows, cols, stride, Layout::Row, loc);
}
Tile Kernel::tile_l1(DType dtype, const Val& base, const Val& rows, const Val& cols,
                     const Val& stride, Loc loc) {
  return tile(Space::L1, dtype, base, rows, cols, stride, Layout::Row, loc);
}
Tile Kernel::panel_l1(DType dtype, const Val& base, const Val& rows, const Val& cols,
                      const Val& stride, Loc loc) {
  return tile(Space::L1, dtype, base, rows, cols, stride, Layout::Panel, loc);
}
Tile Kernel::tile_l2(DType dtype, const Val& base, const Val& rows, const Val& cols,
                     const Val& stride, Loc loc) {
  return tile(Space::L2, dtype, base, rows, cols, stride, Layout::Row, loc);
}
Tile Kernel::tile_acc(const Val& base, const Val& rows, const Val& cols, const Val& stride,
                      Loc loc) {
  return tile(Space::Acc, DType::F32, base, rows, cols, stride, Layout::Row, loc);
}

}  // namespace npu::isa
