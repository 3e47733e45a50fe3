// SPDX-License-Identifier: Apache-2.0
// Rows of tensors by index: gather from a table, scatter into one. An index outside the table ends the job.
#include "firmware-model/kernels/tensor_walk.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// The table is the operand that rows are chosen from: its block begins at column |col0| of row 0 of the place.
constexpr uint32_t kTable = 0, kIndices = 1, kRows = 2;

// An operand's columns lie side by side, its rows at |pitch|: what TensorWalk::load would find out at run time.
Tile rows_of(TensorWalk& walk, uint32_t operand, DType type, const Val& rows) {
  Reg pitch = walk.pitch(operand);
  return walk.k.tile_hbm(type, walk.at(operand), rows, walk.cols, pitch);
}

// Indices of this block as a column of int32 in L1.
Tile load_indices(TensorWalk& walk, const Buf& buf, const Val& words) {
  Reg pitch = walk.pitch(kIndices);
  Tile index = walk.k.tile_l1(DType::I32, buf, walk.rows, words);
  walk.k.ld(index, walk.k.tile_hbm(DType::I32, walk.at(kIndices), walk.rows, words, pitch));
  return walk.k.tile_l1(DType::I32, buf, walk.rows, 1, words);
}

// Rows of a table of floats.
Program tensor_gather(DType type) {
  TensorWalk walk("tensor_gather_" + tensor_type_name(type), {"x", "indices", "y"});
  Kernel& k = walk.k;
  Arg height_arg = k.arg_u32("table_rows");
  Buf index_buf = k.l1(kRowsMax * 4);
  Buf buf = k.l1(kBlockElements * 4);
  Buf wide_buf = type == DType::F32 ? buf : k.l1(kBlockElements * 4);
  walk.run([&] {
    Reg height = height_arg;
    Tile index = load_indices(walk, index_buf, k.reg(1));
    Tile narrow = walk.inner(type, buf);
    Tile wide = walk.inner(DType::F32, wide_buf);
    k.gather(narrow, rows_of(walk, kTable, type, height), index);
    if (type != DType::F32) k.cvt(wide, narrow);
    k.st(rows_of(walk, kRows, DType::F32, walk.rows), wide);
  });
  return k.finish();
}

// A table in blocks is not for GATHER and SCATTER: move(line, row) for each row of the walk's block, with its line of fp32 in |buf| and the row of the table that its
// index names. Leaving the table by TVIEW fails as GATHER does.
template <typename Move>
void each_row_of_blocks(TensorWalk& walk, DType type, const Arg& height, const Arg& width,
                        const Buf& buf, const Move& move) {
  Kernel& k = walk.k;
  Reg pitch = walk.pitch(kTable);
  Tile table = k.tile_hbm(type, walk.at(kTable), height, width, pitch);
  Tile line = k.tile_l1(DType::F32, buf, 1, walk.cols);
  Reg line_bytes = walk.cols * 4;
  Reg index_at = walk.at(kIndices) + 0;
  Reg index_bytes = walk.pitch(kIndices) * 4;
  k.for_range(walk.rows, [&](const Reg&) {
    Reg index = k.load_i32(index_at);
    move(line, table.view(index, walk.col0, 1, walk.cols));
    line.advance(line_bytes);
    index_at += index_bytes;
  });
}

// Rows of a table in blocks, decoded one by one while they are loaded.
Program tensor_gather_blocks(DType type, const char* name) {
  TensorWalk walk("tensor_gather_" + std::string(name), {"x", "indices", "y"});
  Kernel& k = walk.k;
  Arg height_arg = k.arg_u32("table_rows"), width_arg = k.arg_u32("table_cols");
  Buf buf = k.l1(kBlockElements * 4);
  walk.run([&] {
    each_row_of_blocks(walk, type, height_arg, width_arg, buf,
                       [&](const Tile& line, const Tile& row) { k.ldc(line, row); });
    k.st(rows_of(walk, kRows, DType::F32, walk.rows), walk.inner(DType::F32, buf));
  });
  return k.finish();
}

// An index of 64 bits is two words: the lower one counts, the upper one has to be 0. Loading row number "upper word" of a table of one row fails where it is not.
void check_upper_words(TensorWalk& walk, DType type, const Buf& index_buf, const Buf& scratch) {
  Kernel& k = walk.k;
  Tile upper = k.tile_l1(DType::I32, index_buf.offset_bytes + 4, walk.rows, 1, 2);
  k.gather(k.tile_l1(type, scratch, walk.rows, 1), k.tile_hbm(type, walk.at(kRows), 1, 1), upper);
}

Program tensor_scatter(DType from, DType to) {
  TensorWalk walk("tensor_scatter_" + tensor_type_name(from) + "_" + tensor_type_name(to),
                  {"y", "indices", "x"});
  Kernel& k = walk.k;
  Arg height_arg = k.arg_u32("table_rows"), words_arg = k.arg_u32("index_words");
  Buf index_buf = k.l1(kRowsMax * 8);
  Buf buf = k.l1(kBlockElements * 4);
  walk.run([&] {
    Reg height = height_arg, words = words_arg;
    Tile index = load_indices(walk, index_buf, words);
    k.if_(words == 2, [&] { check_upper_words(walk, from, index_buf, buf); });
    Tile rows = walk.inner(to, buf);
    move_in(k, rows, rows_of(walk, kRows, from, walk.rows));
    k.scatter(rows_of(walk, kTable, to, height), rows, index);
  });
  return k.finish();
}

// Rows of fp32 into a table in blocks, encoded one by one while they are stored.
Program tensor_scatter_blocks(DType from, DType to, const char* name) {
  TensorWalk walk("tensor_scatter_" + tensor_type_name(from) + "_" + name, {"y", "indices", "x"});
  Kernel& k = walk.k;
  Arg height_arg = k.arg_u32("table_rows"), width_arg = k.arg_u32("table_cols"),
      words_arg = k.arg_u32("index_words");
  Buf index_buf = k.l1(kRowsMax * 8);
  Buf buf = k.l1(kBlockElements * 4);
  walk.run([&] {
    Reg words = words_arg;
    k.if_(words == 2, [&] {
      load_indices(walk, index_buf, words);
      check_upper_words(walk, from, index_buf, buf);
    });
    move_in(k, walk.inner(DType::F32, buf), rows_of(walk, kRows, from, walk.rows));
    each_row_of_blocks(walk, to, height_arg, width_arg, buf,
                       [&](const Tile& line, const Tile& row) { k.stc(row, line); });
  });
  return k.finish();
}

}  // namespace

void add_tensor_rows(Programs& out) {
  for (DType type : kTensorTypes) {
    out.push_back(tensor_gather(type));
    for (DType to : kTensorTypes) out.push_back(tensor_scatter(type, to));
  }
  for (DType type : kTensorTypes) {
    out.push_back(tensor_scatter_blocks(type, DType::Q8_0, "q8_0"));
    out.push_back(tensor_scatter_blocks(type, DType::Q4_0, "q4_0"));
  }
  out.push_back(tensor_gather_blocks(DType::Q8_0, "q8_0"));
  out.push_back(tensor_gather_blocks(DType::Q4_0, "q4_0"));
  out.push_back(tensor_gather_blocks(DType::Q4_K, "q4_k"));
  out.push_back(tensor_gather_blocks(DType::Q6_K, "q6_k"));
}

}  // namespace npu::kernels
