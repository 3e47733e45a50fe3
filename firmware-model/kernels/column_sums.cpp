// SPDX-License-Identifier: Apache-2.0
// Sums over rows: the walk, the column sum of a matrix, and the gradient of a gather, which adds rows to those of a table.
#include "firmware-model/kernels/column_sums.h"

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {

using namespace npu::isa;

Buf ColumnSums::block() { return k.l1(kColumnSumElements * 4); }

void ColumnSums::place(DType type) {
  type_ = type;
  ones_ = k.l1(kColumnSumRows * dtype_bytes(type));
  line_ = k.l1(kColumnSumCols * 4);
  Reg block = block_cols_;
  col0 = k.group_x() * block;
  cols = min(Val(cols_arg_ - col0), block);
  k.chain(true);
  k.vfill(k.tile_l1(type, ones_, 1, block_rows_), 1.0f);
}

Tile ColumnSums::part(const Reg& base) {
  Reg at = col0 * 4;
  at += base;
  return k.tile_hbm(DType::F32, at, 1, cols);
}

Tile ColumnSums::begin(const Buf& acc, const Arg& to) {
  Tile sum = k.tile_acc(acc, 1, cols);
  k.vfill(sum, 0.0f);
  Reg base = to;
  Reg reads = base != 0;
  reads = reads & accumulate_;
  k.if_(reads, [&] {
    Tile line = k.tile_l1(DType::F32, line_, 1, cols);
    k.ld(line, part(base));
    k.accld(sum, line);
  });
  return sum;
}

void ColumnSums::for_blocks(const std::function<void()>& body) {
  Reg all = rows_arg_;
  Reg block = block_rows_;
  row0 = k.reg(0);
  Reg blocks = ceil_div(all, block);
  k.for_range(std::move(blocks), [&](const Reg&) {
    rows = min(Val(all - row0), block);
    body();
    row0 += block;
  });
}

Tile ColumnSums::outer(DType type, const Arg& base, const Arg& ld) {
  Reg stride = ld;
  Reg at = row0 * stride;
  at += col0;
  at *= dtype_bytes(type);
  at += base;
  return k.tile_hbm(type, at, rows, cols, stride);
}

void ColumnSums::add(const Tile& sum, const Tile& block) {
  k.mm(sum, k.tile_l1(type_, ones_, 1, rows), block).acc();
}

void ColumnSums::end(const Tile& sum, const Arg& to) {
  Reg base = to;
  k.if_(base != 0, [&] {
    Tile line = k.tile_l1(DType::F32, line_, 1, cols);
    k.accst(line, sum);
    k.st(part(base), line);
  });
}

namespace {

Program column_sum(DType type) {
  ColumnSums c("column_sum_" + type_name(type));
  Kernel& k = c.k;
  Arg x = k.arg_dva("x"), y = k.arg_dva("y"), ldx = k.arg_u32("ldx");
  Buf x_buf = c.block(), acc = k.acc(kColumnSumCols * 4);
  c.place(type);
  Tile sum = c.begin(acc, y);
  c.for_blocks([&] {
    Tile block = k.tile_l1(type, x_buf, c.rows, c.cols);
    k.ld(block, c.outer(type, x, ldx));
    c.add(sum, block);
  });
  c.end(sum, y);
  return k.finish();
}

// dx[indices[i]] += dy[i], one row after the other: a row that comes again finds the sum so far in memory.
Program gather_backward(DType type) {
  Kernel k("gather_backward_" + type_name(type));
  Arg dy = k.arg_dva("dy"), dx = k.arg_dva("dx"), indices = k.arg_dva("indices");
  Arg count_arg = k.arg_u32("count"), cols_arg = k.arg_u32("cols"),
      table_rows = k.arg_u32("table_rows");
  Arg lddy = k.arg_u32("lddy"), lddx = k.arg_u32("lddx");
  Arg block_rows = k.arg_u32("block_rows"), block_cols = k.arg_u32("block_cols");
  Buf index_buf = k.l1(kColumnSumRows * 4), dy_buf = k.l1(kColumnSumElements * 4);
  Buf row_buf = k.l1(kColumnSumCols * 4);
  k.chain(true);
  Reg count = count_arg;
  Reg block = block_rows;
  Reg col0 = k.group_x() * block_cols;
  Reg cols = min(Val(cols_arg - col0), block_cols);
  Reg base = col0 * 4;
  base += dx;
  Tile table = k.tile_hbm(DType::F32, base, table_rows, cols, lddx);
  Tile row = k.tile_l1(DType::F32, row_buf, 1, cols);
  Reg row0 = k.reg(0);
  Reg blocks = ceil_div(count, block);
  k.for_range(std::move(blocks), [&](const Reg&) {
    Reg rows = min(Val(count - row0), block);
    Tile index = k.tile_l1(DType::I32, index_buf, rows, 1);
    Tile from = k.tile_l1(type, dy_buf, rows, cols);
    Reg at = row0 * 4;
    at += indices;
    k.ld(index, k.tile_hbm(DType::I32, at, rows, 1));
    Reg stride = lddy;
    at = row0 * stride;
    at += col0;
    at *= dtype_bytes(type);
    at += dy;
    k.ld(from, k.tile_hbm(type, at, rows, cols, stride));
    k.for_range(rows, [&](const Reg& i) {
      Tile one = index.view(i, 0, 1, 1);
      k.gather(row, table, one);
      k.vadd(row, row, from.view(i, 0, 1, cols));
      k.scatter(table, row, one);
    });
    row0 += block;
  });
  return k.finish();
}

}  // namespace

void add_column_sums(Programs& out) {
  for (DType type : kElementTypes) {
    out.push_back(column_sum(type));
    out.push_back(gather_backward(type));
  }
}

}  // namespace npu::kernels
