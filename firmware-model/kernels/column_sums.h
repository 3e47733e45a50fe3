// SPDX-License-Identifier: Apache-2.0
// What programs that add up the rows of a matrix have in common: a work-group takes block_cols columns (x) and walks all rows, so that each sum is one chain in ascending rows.
// Thread safety: one kernel belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_COLUMN_SUMS_H_
#define NPU_FIRMWARE_MODEL_KERNELS_COLUMN_SUMS_H_

#include <functional>
#include <string>

#include "tools/isa/builder.h"

namespace npu::kernels {

// The argument block begins with rows, cols, block_rows, block_cols and accumulate; the program's own arguments follow.
class ColumnSums {
 public:
  explicit ColumnSums(const std::string& name) : k(name) {}

  isa::Buf block();
  // After all arguments. |type|: of what is added. One operation is after the other from here on.
  void place(isa::DType type);
  // A sum in |acc|: zeros, or what the fp32 array at |to| holds where the sums accumulate; an absent array (0) is not read.
  isa::Tile begin(const isa::Buf& acc, const isa::Arg& to);
  // Runs |body| for each block: |rows| rows from |row0| on.
  void for_blocks(const std::function<void()>& body);
  // The block of an operand in device memory.
  isa::Tile outer(isa::DType type, const isa::Arg& base, const isa::Arg& ld);
  // The tensor unit adds: rows of ones times |block|.
  void add(const isa::Tile& sum, const isa::Tile& block);
  // Stores a sum where |to| is not 0.
  void end(const isa::Tile& sum, const isa::Arg& to);

  isa::Kernel k;
  isa::Reg col0, cols;  // of this group
  isa::Reg row0, rows;  // of the block under way

 private:
  // The group's part of an array.
  isa::Tile part(const isa::Reg& base);

  isa::Arg rows_arg_ = k.arg_u32("rows"), cols_arg_ = k.arg_u32("cols");
  isa::Arg block_rows_ = k.arg_u32("block_rows"), block_cols_ = k.arg_u32("block_cols");
  isa::Arg accumulate_ = k.arg_u32("accumulate");
  isa::Buf ones_, line_;
  isa::DType type_ = isa::DType::F32;
};

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_COLUMN_SUMS_H_
