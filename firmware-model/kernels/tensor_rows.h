// SPDX-License-Identifier: Apache-2.0
// What programs over rows of tensors share: the place of a work-group's block of rows, and the loads and stores with strides.
//
// A work-group takes block_rows rows (x) of one index of each of two further dimensions (y, z). Where |apart| is 0 there are no further
// dimensions and columns lie side by side: the short way. An operand that repeats is one row for all, or a block of rows that begins
// at the group's first row modulo the operand's rows; the host chooses block_rows so that no block crosses an end of the operand.
// Thread safety: one kernel belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_TENSOR_ROWS_H_
#define NPU_FIRMWARE_MODEL_KERNELS_TENSOR_ROWS_H_

#include <functional>
#include <string>

#include "tools/isa/builder.h"

namespace npu::kernels {

// An operand that repeats over the rows of the result. Arguments in the order of RowWalk::add_repeat on the host.
struct RepeatArgs {
  RepeatArgs(isa::Kernel& k, const std::string& name);

  isa::Arg at;                      // device address
  isa::Arg row, step_y, step_z;     // bytes from index to index
  isa::Arg kind;                    // 0: absent, 1: one row for all, 2: by rows
  isa::Arg ld;                      // elements
  isa::Arg rows, count_y, count_z;  // sizes; the group's index is taken modulo these
};

class RowProgram {
 public:
  explicit RowProgram(const std::string& name) : k(name) {}

  // After all arguments.
  void place();
  // |to| (L1, fp32, rows x cols) = the group's block of x; load_columns: its transpose (cols x rows).
  void load(const isa::Tile& to) { load(to, false); }
  void load_columns(const isa::Tile& to) { load(to, true); }
  // The group's block of y (rows x |y_cols|) = |from|.
  void store(const isa::Tile& from, const isa::Val& y_cols);
  // Where the group's block of y begins.
  isa::Reg place_of_y();
  // Where |operand| begins for the group's y and z, and the distance of its first row from there.
  isa::Reg begin_of(const RepeatArgs& operand);
  isa::Reg first_row_of(const RepeatArgs& operand);
  // If there is the operand: loads it into |buf|, then calls |use| with a second operand for a vector operation.
  void with(const RepeatArgs& operand, isa::DType type, const isa::Buf& buf,
            const std::function<void(const isa::BOperand&)>& use);

  isa::Tile block(const isa::Buf& buf) { return k.tile_l1(isa::DType::F32, buf, rows, cols); }
  isa::Tile column(const isa::Buf& buf) { return k.tile_l1(isa::DType::F32, buf, rows, 1); }

  isa::Kernel k;
  isa::Arg x = k.arg_dva("x"), y = k.arg_dva("y");
  struct Side {
    isa::Arg row, step_y, step_z;  // bytes from index to index
    isa::Arg ld;       // elements between rows of the block; upright: between its columns
    isa::Arg upright;  // 1: columns lie apart, rows side by side
  };
  isa::Arg x_row = k.arg_u64("x_row"), x_step_y = k.arg_u64("x_step_y"),
           x_step_z = k.arg_u64("x_step_z");
  isa::Arg y_row = k.arg_u64("y_row"), y_step_y = k.arg_u64("y_step_y"),
           y_step_z = k.arg_u64("y_step_z");
  isa::Arg rows_arg = k.arg_u32("rows"), cols_arg = k.arg_u32("cols");
  isa::Arg block_rows = k.arg_u32("block_rows"), apart = k.arg_u32("apart");
  isa::Arg ldx = k.arg_u32("ldx"), ldy = k.arg_u32("ldy");
  isa::Arg x_upright = k.arg_u32("x_upright"), y_upright = k.arg_u32("y_upright");
  isa::Reg first, rows, cols;

 private:
  void load(const isa::Tile& to, bool transposed);
  // The HBM tile of this group, and whether it lies on its side.
  void outer(const isa::Arg& base, const Side& side, isa::DType type, const isa::Val& width,
             const std::function<void(const isa::Tile&, bool)>& move);
};

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_TENSOR_ROWS_H_
