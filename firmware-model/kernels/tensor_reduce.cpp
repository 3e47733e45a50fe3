// SPDX-License-Identifier: Apache-2.0
// One number for each row of a tensor (sum, column of the largest element), and the order of a row's elements. fp32.
//
// There is no instruction that sorts: an element's place is the number of elements before it, and those are counted. With d = x[i] - x[j],
// which is 0 only where the two are equal, d 2^127 + t has the sign of d, or of t where d is 0: |t| is less than the smallest subnormal
// number times 2^127. t is positive where column j comes first. The sign times |t| is summed over j; n terms of either sign give the place.
#include <limits>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"
#include "firmware-model/kernels/tensor_rows.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr float kHuge = 0x1p127f;
constexpr float kTie = 0x1p-24f;
constexpr float kLargest = std::numeric_limits<float>::max();

Program sum() {
  RowProgram p("tensor_sum");
  Arg factor = p.k.arg_f32("factor");
  Buf x_buf = p.k.l1(kTensorReduceElements * 4);
  Buf value_buf = p.k.l1(kRowsMax * 4);
  p.place();
  Tile x = p.block(x_buf);
  Tile value = p.column(value_buf);
  p.load(x);
  p.k.rsum(value, x);
  p.k.vmul(value, value, factor);
  p.store(value, 1);
  return p.k.finish();
}

Program argmax() {
  RowProgram p("tensor_argmax");
  Buf x_buf = p.k.l1(kTensorReduceElements * 4);
  Buf index_buf = p.k.l1(kRowsMax * 4);
  p.place();
  Tile x = p.block(x_buf);
  Tile index = p.k.tile_l1(DType::I32, index_buf, p.rows, 1);
  p.load(x);
  p.k.rargmax(index, x);
  p.store(index, 1);
  return p.k.finish();
}

// Turns x around where the order is descending; infinities become the largest numbers, so that differences are numbers.
void prepare(Kernel& k, const Tile& x, const Arg& sign) {
  k.vmul(x, x, sign);
  k.vmax(x, x, -kLargest);
  k.vmin(x, x, kLargest);
}

// |z| = d becomes the sign that is counted.
void keep_sign(Kernel& k, const Tile& z, const BOperand& tie) {
  k.vfma(z, z, kHuge, tie);
  k.vmax(z, z, -kTie);
  k.vmin(z, z, kTie);
}

// Part of one row: group x is part_cols columns of one row of the walk.
class SortRow {
 public:
  Program build();

 private:
  void place();
  void rank(const Tile& line, const Reg& column, const Reg& count);

  RowProgram p_{"tensor_sort_row"};
  Kernel& k_ = p_.k;
  Arg sign_ = k_.arg_f32("sign"), half_ = k_.arg_f32("half_cols");
  Arg parts_ = k_.arg_u32("parts"), part_cols_ = k_.arg_u32("part_cols");
  Arg block_cols_ = k_.arg_u32("block_cols"), column_ld_ = k_.arg_u32("column_ld");
  Buf x_buf_ = k_.l1(kTensorSortCols * 4);
  Buf minus_buf_ = k_.l1(kTensorSortPairs * 4), plus_buf_ = k_.l1(kTensorSortPairs * 4);
  Buf tie_buf_ = k_.l1(kTensorSortPairs * 4), pair_buf_ = k_.l1(kTensorSortPairs * 4);
  Buf place_buf_ = k_.l1(kTensorSortCols * 4), index_buf_ = k_.l1(kTensorSortCols * 4);
  Buf column_buf_ = k_.l1(kTensorSortCols * 4);
  Reg part_;
};

void SortRow::place() {
  Reg group = k_.group_x();
  Reg parts = parts_;
  p_.first = group / parts;
  part_ = group % parts;
  p_.rows = k_.reg(1);
  p_.cols = Reg(p_.cols_arg);
  k_.chain(true);
}

// The places of |count| columns from |column| on, and these columns to their places.
void SortRow::rank(const Tile& line, const Reg& column, const Reg& count) {
  auto pairs = [&](const Buf& buf) { return k_.tile_l1(DType::F32, buf, count, p_.cols); };
  Tile pair = pairs(pair_buf_);
  Tile tie = pairs(tie_buf_);
  Tile place = k_.tile_l1(DType::F32, place_buf_, count, 1);
  Tile index = k_.tile_l1(DType::I32, index_buf_, count, 1);
  Tile columns = k_.tile_l1(DType::I32, column_buf_, count, 1);
  Reg at = column * 4;
  at += x_buf_;
  k_.vfma(pair, pairs(minus_buf_), row(line), col(k_.tile_l1(DType::F32, at, count, 1)));
  Reg before = column - 1;
  k_.mask(tie, pairs(plus_buf_), before, 0, -kTie).causal();
  keep_sign(k_, pair, tie);
  k_.rsum(place, pair);
  k_.vfma(place, place, 0.5f / kTie, half_);
  k_.cvt(index, place);
  k_.iota(columns, column, 1, 0);
  k_.scatter(k_.tile_hbm(DType::I32, p_.place_of_y(), p_.cols, 1, column_ld_), columns, index);
}

Program SortRow::build() {
  place();
  Tile line = p_.block(x_buf_);
  p_.load(line);
  prepare(k_, line, sign_);
  Reg block = block_cols_;
  k_.vfill(k_.tile_l1(DType::F32, minus_buf_, block, p_.cols), -1.0f);
  k_.vfill(k_.tile_l1(DType::F32, plus_buf_, block, p_.cols), kTie);
  Reg part = part_cols_;
  Reg begin = part_ * part;
  Reg end = begin + part;
  end = min(end, p_.cols);
  k_.for_range(begin, end, block, [&](const Reg& column) {
    Reg left = end - column;
    rank(line, column, min(left, block));
  });
  return k_.finish();
}

// Many rows at once, one below the other: column i of all rows is compared with all columns, for each i.
class SortRows {
 public:
  Program build();

 private:
  void count(const Tile& x, const Tile& places);
  void write(const Tile& places);
  Tile block(DType type, const Buf& buf) { return k_.tile_l1(type, buf, p_.cols, p_.rows); }

  RowProgram p_{"tensor_sort_rows"};
  Kernel& k_ = p_.k;
  Arg sign_ = k_.arg_f32("sign"), half_ = k_.arg_f32("half_cols");
  Buf x_buf_ = k_.l1(kTensorSortElements * 4);  // later: columns
  Buf pair_buf_ = k_.l1(kTensorSortElements * 4), place_buf_ = k_.l1(kTensorSortElements * 4);
  Buf tie_buf_ = k_.l1(kTensorSortCols * 8), row_buf_ = k_.l1(kRowsMax * 4);
};

// The ties of column i are the part of one list that begins i elements before its middle.
void SortRows::count(const Tile& x, const Tile& places) {
  Tile pair = block(DType::F32, pair_buf_);
  Reg below = p_.cols + 1;
  Reg middle = below * 4;
  middle += tie_buf_;
  k_.vfill(k_.tile_l1(DType::F32, tie_buf_, below, 1), -kTie);
  k_.vfill(k_.tile_l1(DType::F32, middle, p_.cols, 1), kTie);
  middle -= 4;
  Tile tie = k_.tile_l1(DType::F32, middle, p_.cols, 1);
  Tile line = k_.tile_l1(DType::F32, x_buf_, 1, p_.rows);
  Reg line_bytes = p_.rows * 4;
  k_.vfill(places, 0.0f);
  k_.for_range(p_.cols, [&](const Reg&) {
    k_.vsub(pair, x, row(line));
    keep_sign(k_, pair, col(tie));
    k_.vadd(places, places, pair);
    line.advance(line_bytes);
    tie.advance(-4);
  });
}

void SortRows::write(const Tile& places) {
  Reg ldy = p_.ldy;
  Tile begins = k_.tile_l1(DType::F32, row_buf_, 1, p_.rows);
  k_.vfma(places, places, 0.5f / kTie, half_);
  k_.iota(begins, 0, 0, ldy);
  k_.vadd(places, places, row(begins));
  k_.cvt(block(DType::I32, pair_buf_), places);
  k_.iota(block(DType::I32, x_buf_), 0, 1, 0);
  Reg elements = p_.rows * p_.cols;
  Reg table = p_.rows - 1;
  table *= ldy;
  table += p_.cols;
  k_.scatter(k_.tile_hbm(DType::I32, p_.place_of_y(), table, 1),
             k_.tile_l1(DType::I32, x_buf_, elements, 1),
             k_.tile_l1(DType::I32, pair_buf_, elements, 1));
}

Program SortRows::build() {
  p_.place();
  Tile x = block(DType::F32, x_buf_);
  Tile places = block(DType::F32, place_buf_);
  p_.load_columns(x);
  prepare(k_, x, sign_);
  count(x, places);
  write(places);
  return k_.finish();
}

}  // namespace

void add_tensor_reduce(Programs& out) {
  out.push_back(sum());
  out.push_back(argmax());
  out.push_back(SortRow().build());
  out.push_back(SortRows().build());
}

}  // namespace npu::kernels
