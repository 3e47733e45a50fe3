// SPDX-License-Identifier: Apache-2.0
// Placement, loads and stores of programs over rows of tensors.
#include "firmware-model/kernels/tensor_rows.h"

#include <utility>

namespace npu::kernels {

using namespace npu::isa;

RepeatArgs::RepeatArgs(Kernel& k, const std::string& name)
    : at(k.arg_dva(name)),
      row(k.arg_u64(name + "_row")),
      step_y(k.arg_u64(name + "_step_y")),
      step_z(k.arg_u64(name + "_step_z")),
      kind(k.arg_u32(name + "_kind")),
      ld(k.arg_u32(name + "_ld")),
      rows(k.arg_u32(name + "_rows")),
      count_y(k.arg_u32(name + "_count_y")),
      count_z(k.arg_u32(name + "_count_z")) {}

void RowProgram::place() {
  Reg block = block_rows;
  first = k.group_x() * block;
  rows = min(Val(rows_arg - first), block);
  cols = Reg(cols_arg);
  k.chain(true);
}

void RowProgram::outer(const Arg& base, const Side& side, DType type, const Val& width,
                       const std::function<void(const Tile&, bool)>& move) {
  Reg at = first * side.row;
  at += base;
  k.if_(
      Reg(apart),
      [&] {
        Reg skip = k.group_y() * side.step_y;
        at += skip;
        skip = k.group_z() * side.step_z;
        at += skip;
        k.if_(
            Reg(side.upright), [&] { move(k.tile_hbm(type, at, width, rows, side.ld), true); },
            [&] { move(k.tile_hbm(type, at, rows, width, side.ld), false); });
      },
      [&] { move(k.tile_hbm(type, at, rows, width, side.ld), false); });
}

void RowProgram::load(const Tile& to, bool transposed) {
  outer(x, {x_row, x_step_y, x_step_z, ldx, x_upright}, DType::F32, cols,
        [&](const Tile& from, bool on_side) { k.ld(to, from).trans(on_side != transposed); });
}

void RowProgram::store(const Tile& from, const Val& y_cols) {
  outer(y, {y_row, y_step_y, y_step_z, ldy, y_upright}, from.dtype(), y_cols,
        [&](const Tile& to, bool on_side) { k.st(to, from).trans(on_side); });
}

Reg RowProgram::place_of_y() {
  Reg at = first * y_row;
  at += y;
  Reg skip = k.group_y() * y_step_y;
  at += skip;
  skip = k.group_z() * y_step_z;
  at += skip;
  return at;
}

Reg RowProgram::begin_of(const RepeatArgs& operand) {
  Reg at = operand.at;
  k.if_(Reg(apart), [&] {
    Reg skip = k.group_y() % operand.count_y;
    skip *= operand.step_y;
    at += skip;
    skip = k.group_z() % operand.count_z;
    skip *= operand.step_z;
    at += skip;
  });
  return at;
}

Reg RowProgram::first_row_of(const RepeatArgs& operand) {
  Reg row = first % operand.rows;
  row *= operand.row;
  return row;
}

void RowProgram::with(const RepeatArgs& operand, DType type, const Buf& buf,
                      const std::function<void(const BOperand&)>& use) {
  Reg kind = operand.kind;
  k.if_(kind, [&] {
    Reg at = begin_of(operand);
    Reg by_rows = kind - 1;
    k.if_(
        std::move(by_rows),
        [&] {
          at += first_row_of(operand);
          Tile full = k.tile_l1(type, buf, rows, cols);
          k.ld(full, k.tile_hbm(type, at, rows, cols, operand.ld));
          use(full);
        },
        [&] {
          Tile line = k.tile_l1(type, buf, 1, cols);
          k.ld(line, k.tile_hbm(type, at, 1, cols));
          use(row(line));
        });
  });
}

}  // namespace npu::kernels
