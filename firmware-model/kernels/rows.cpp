// SPDX-License-Identifier: Apache-2.0
// Programs that pick rows: gather (embedding look-up), scatter (append to a KV cache), argmax. An index outside the table ends the job.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr uint32_t kBlockBytes = kElementwiseElements * 4;

// Moves rows of |from| elements to rows of |to| elements: gather y[i] = x[index[i]], scatter y[index[i]] = x[i].
// A work-group takes block_cols columns (x) of block_rows indices (y).
Program move_rows(bool scatter, DType from, DType to) {
  Kernel k(std::string(scatter ? "scatter_" : "gather_") + type_name(from) + "_" + type_name(to));
  Arg x = k.arg_dva("x"), y = k.arg_dva("y"), indices = k.arg_dva("indices");
  Arg count = k.arg_u32("count"), cols_arg = k.arg_u32("cols"),
      table_rows = k.arg_u32("table_rows");
  Arg ldx = k.arg_u32("ldx"), ldy = k.arg_u32("ldy");
  Arg block_rows = k.arg_u32("block_rows"), block_cols = k.arg_u32("block_cols");
  Buf index_buf = k.l1(kRowsMax * 4);
  Buf from_buf = k.l1(kBlockBytes);
  Buf to_buf = from == to ? from_buf : k.l1(kBlockBytes);
  k.chain(true);

  Reg block_r = block_rows;
  Reg block_c = block_cols;
  Reg row0 = k.group_y() * block_r;
  Reg col0 = k.group_x() * block_c;
  Reg rows = min(Val(count - row0), block_r);
  Reg cols = min(Val(cols_arg - col0), block_c);
  Reg at = row0 * 4;
  at += indices;
  Tile index = k.tile_l1(DType::I32, index_buf, rows, 1);
  k.ld(index, k.tile_hbm(DType::I32, at, rows, 1));

  auto side = [&](DType type, const Arg& base, const Arg& ld, bool is_table) {
    Reg stride = ld;
    Reg height = is_table ? Reg(table_rows) : rows + 0;
    Reg place = col0 + 0;
    if (!is_table) place += row0 * stride;
    place *= dtype_bytes(type);
    place += base;
    return k.tile_hbm(type, place, height, cols, stride);
  };
  Tile source = k.tile_l1(from, from_buf, rows, cols);
  Tile result = k.tile_l1(to, to_buf, rows, cols);
  if (scatter) {
    k.ld(source, side(from, x, ldx, false));
  } else {
    k.gather(source, side(from, x, ldx, true), index);
  }
  if (from != to) k.cvt(result, source);
  if (scatter) {
    k.scatter(side(to, y, ldy, true), result, index);
  } else {
    k.st(side(to, y, ldy, false), result);
  }
  return k.finish();
}

Program argmax(DType type) {
  Kernel k("argmax_" + type_name(type));
  Arg x = k.arg_dva("x"), y = k.arg_dva("y");
  Arg rows_arg = k.arg_u32("rows"), cols_arg = k.arg_u32("cols"), ldx = k.arg_u32("ldx");
  Arg block_rows = k.arg_u32("block_rows");
  Buf x_buf = k.l1(kArgmaxElements * 4);
  Buf y_buf = k.l1(kRowsMax * 4);
  k.chain(true);
  Reg block = block_rows;
  Reg first = k.group_x() * block;
  Reg rows = min(Val(rows_arg - first), block);
  Reg cols = cols_arg;
  Reg stride = ldx;
  Reg at = first * stride;
  at *= dtype_bytes(type);
  at += x;
  Tile tile = k.tile_l1(type, x_buf, rows, cols);
  Tile result = k.tile_l1(DType::I32, y_buf, rows, 1);
  k.ld(tile, k.tile_hbm(type, at, rows, cols, stride));
  k.rargmax(result, tile);
  at = first * 4;
  at += y;
  k.st(k.tile_hbm(DType::I32, at, rows, 1), result);
  return k.finish();
}

}  // namespace

void add_rows(Programs& out) {
  for (DType from : kElementTypes) {
    for (DType to : kElementTypes) {
      out.push_back(move_rows(false, from, to));
      out.push_back(move_rows(true, from, to));
    }
    out.push_back(argmax(from));
  }
}

}  // namespace npu::kernels
