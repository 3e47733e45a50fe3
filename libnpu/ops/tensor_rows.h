// SPDX-License-Identifier: Apache-2.0
// How a program over rows walks dimensions 1 to 3 of its operands: dimensions are merged where the strides of all operands allow it, the
// largest one that is left becomes the rows, the others y and z of the grid. firmware-model/kernels/tensor_rows.h is the other side.
#ifndef LIBNPU_OPS_TENSOR_ROWS_H_
#define LIBNPU_OPS_TENSOR_ROWS_H_

#include <cstdint>

#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor.h"

namespace npu::ops {

class RowWalk {
 public:
  // The walk covers |x| and |y|, whose sizes are equal from dimension 1 on.
  RowWalk(const npuOpsTensor& x, const npuOpsTensor& y);
  // An operand whose rows repeat; |t| may be absent.
  void add_repeat(const npuOpsTensor& t);

  enum class Order {
    kFree,   // rows may be any dimensions
    kFixed,  // rows are dimension 1, y is dimension 2, z is dimension 3
  };
  npuResult arrange(Order order);

  // Blocks of rows of at most |elements| of x; where an operand that repeats does so by rows, at most |repeat_elements| of it.
  npuResult cut(uint32_t elements, uint32_t repeat_elements);

  // The arguments of RowProgram, and of RepeatArgs for operand |i| of add_repeat.
  void put(Plan* plan) const;
  void put_repeat(uint32_t i, Plan* plan) const;

  uint64_t rows() const { return sizes_[0]; }
  uint32_t block_rows() const { return block_; }
  // Whether a block may have more than one row.
  bool is_tiled() const { return tiled_; }
  bool y_is_upright() const { return sides_[1].upright; }
  uint64_t ldy() const { return sides_[1].ld; }
  // Whether operand |i| of add_repeat is one row for all.
  bool is_one_row(uint32_t i) const { return kind_of(sides_[2 + i]) == Kind::kOneRow; }

 private:
  static constexpr uint32_t kOuter = 3;  // dimensions that are walked
  static constexpr uint32_t kRepeats = 2;
  struct Side {
    npuDevPtr at = 0;
    uint64_t elem_bytes = 4;
    uint64_t cols = 1;
    uint64_t column_bytes = 4;  // from column to column
    uint64_t sizes[kOuter] = {1, 1, 1};
    uint64_t strides[kOuter] = {};  // bytes
    uint64_t ld = 1;                // elements, as the program's tile has it
    bool upright = false;
    bool absent = true;
  };
  enum class Kind : uint32_t { kAbsent, kOneRow, kByRows };

  static Side side_of(const npuOpsTensor& t);
  bool merges(const Side& side, uint32_t inner, uint32_t outer) const;
  bool try_merge(uint32_t inner, uint32_t outer);
  void swap_dims(uint32_t a, uint32_t b);
  bool is_tile(const Side& side, uint32_t dim) const;
  bool is_tile(uint32_t dim) const;
  npuResult set_tile(const char* name, Side* side);
  uint64_t largest_block(uint32_t elements, uint32_t repeat_elements) const;
  Kind kind_of(const Side& side) const;

  Side sides_[2 + kRepeats];  // x, y, operands that repeat
  uint32_t count_ = 2;
  uint64_t sizes_[kOuter];
  bool tiled_ = true;  // rows of all operands make a tile
  uint32_t block_ = 1;
};

}  // namespace npu::ops

#endif  // LIBNPU_OPS_TENSOR_ROWS_H_
