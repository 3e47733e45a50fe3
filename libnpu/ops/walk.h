// SPDX-License-Identifier: Apache-2.0
// The walk of an operator over its operands: dimensions of any strides brought into one canonical form, and cut into blocks of rows and columns.
//
// A block of an operand is one tile of a program: columns or rows lie side by side in memory, and the distance of the others is the tile's pitch. Dimensions around
// the block are walked by the program (firmware-model/kernels/tensor_walk.h), a range of them in each work-group. Pure functions.
#ifndef LIBNPU_OPS_WALK_H_
#define LIBNPU_OPS_WALK_H_

#include <initializer_list>

#include "libnpu/ops/plan.h"
#include "libnpu/ops/tensor.h"

namespace npu::ops {

inline constexpr uint32_t kWalkOperands = 3;

// One dimension: |size| steps of |bytes| in each operand; 0: the operand repeats.
struct WalkDim {
  uint64_t size;
  uint64_t bytes[kWalkOperands];
};

struct Walk {
  uint32_t operands = 0;
  uint32_t elem_bytes[kWalkOperands] = {};
  uint32_t count = 0;
  WalkDim dims[2 * kDims];

  // A dimension of size 1 is left out.
  void add(const WalkDim& dim);
  // In ascending order of the last operand, with the dimensions that are one in all operands joined.
  void merge();
  // One run of elements, side by side in all operands.
  bool is_flat() const;
  uint64_t elements() const;
};

// The walk over the sizes of the last tensor, the result; each other one has the same size in a dimension, or repeats. Merged.
Walk walk_of(std::initializer_list<const npuOpsTensor*> tensors);

// The dimensions of a result lie one inside the other: it does not overlap itself.
npuResult check_result(const char* name, const npuOpsTensor& y);

// How a block of an operand lies. The numbers are those that the programs read.
enum TileMode : uint32_t {
  kTileRows = 0,     // columns side by side
  kTileColumns = 1,  // rows side by side
  kTileColumn = 2,   // one column, which all columns of the block repeat
};
// What part of a block the operand has itself.
enum TileSpread : uint32_t { kSpreadNone = 0, kSpreadRow = 1, kSpreadCol = 2 };

struct TilePlace {
  uint64_t row_bytes, col_bytes;
  uint32_t pitch;  // elements
  uint32_t mode, spread;
};

// Rows and columns that blocks are cut from, and how operands lie in them.
struct Plane {
  uint32_t operands = 0;
  uint32_t rows = 1, cols = 1;
  TilePlace places[kWalkOperands] = {};
};

struct Blocks : Plane {
  uint32_t block_rows = 1, block_cols = 1;
  uint32_t outer = 1;            // blocks of each place: product of |around|
  uint32_t outer_per_group = 1;  // of which a work-group does so many, one after the other
  uint32_t around_count = 0;
  WalkDim around[2 * kDims];
};

// What an operand may do in a block.
enum Repeat : uint32_t {
  kRepeatNever = 0,   // where it repeats is walked around the block
  kRepeatColumn = 1,  // as kTileColumn
  kRepeatSpread = 2,  // as TileSpread
  kInBlocks = 3       // nowhere in a block, and its columns lie side by side
};

// Everything but the dimensions |rows| and |cols| of |walk| (nullptr: none) goes around the blocks.
npuResult walk_around(const Walk& walk, const WalkDim* rows, const WalkDim* cols, Blocks* out);

// The cheapest blocks, at most |kElementwiseElements| each. |repeat| is that of operand |repeating|; the others repeat in dimensions around the block only.
npuResult choose_blocks(const Walk& walk, uint32_t repeating, Repeat repeat, Blocks* out);

// Sets block sizes and share of the work-groups for rows, cols and |around|; |limit_rows| rows at most.
void share_blocks(uint32_t limit_rows, Blocks* blocks);

// Arguments of TensorWalk, and the grid.
npuResult add_blocks(const Blocks& blocks, std::initializer_list<uint64_t> bases, Plan* plan);

// Arguments of a program on one run of elements: grid, count and block.
void add_run(uint64_t elements, Plan* plan);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_WALK_H_
