// SPDX-License-Identifier: Apache-2.0
// Re-tiles B of a GEMM to panels in HBM, once for weights that are used often: a work-group takes block_n columns (x) of block_k rows (y)
// of matrix z. Element (k, j) goes to ((j / 16) * depth * 16 + k * 16 + j % 16); the columns that fill the last panel are zero.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

Program pack(DType type, const std::string& name, bool transposed) {
  Kernel k("gemm_pack_" + name + (transposed ? "_t" : "_n"));
  const uint32_t elem = dtype_bytes(type);
  Arg b = k.arg_dva("b"), packed = k.arg_dva("packed");
  Arg batch_b = k.arg_u64("batch_stride_b"), batch_packed = k.arg_u64("batch_stride_packed");
  Arg n = k.arg_u32("n"), depth_arg = k.arg_u32("k"), ldb_arg = k.arg_u32("ldb");
  Arg block_n = k.arg_u32("block_n"), block_k = k.arg_u32("block_k");
  Buf l1 = k.l1(kGemmBlockBytes);
  k.chain(true);

  Reg col0 = k.group_x() * block_n;
  Reg row0 = k.group_y() * block_k;
  Reg depth = depth_arg;
  Reg cols = min(Val(n - col0), block_n);
  Reg rows = min(Val(depth - row0), block_k);
  Reg ldb = ldb_arg;
  Reg from = (transposed ? col0 : row0) * ldb;
  from += transposed ? row0 : col0;
  from *= elem;
  from += b;
  Reg skip = k.group_z() * batch_b;
  from += skip;
  Reg to = col0 * depth;
  Reg inside = row0 * NPU_PANEL_COLS;
  to += inside;
  to *= elem;
  to += packed;
  skip = k.group_z() * batch_packed;
  to += skip;

  Tile block = k.panel_l1(type, l1, rows, cols);
  if (transposed) {
    k.ld(block, k.tile_hbm(type, from, cols, rows, ldb)).trans();
  } else {
    k.ld(block, k.tile_hbm(type, from, rows, cols, ldb));
  }
  k.st(k.tile(Space::Hbm, type, to, rows, cols, depth, Layout::Panel), block);
  return k.finish();
}

}  // namespace

void add_gemm_pack(Programs& out) {
  for (bool transposed : {false, true}) {
    for (DType type : kElementTypes) out.push_back(pack(type, type_name(type), transposed));
    out.push_back(pack(DType::I8, "bytes", transposed));
  }
}

}  // namespace npu::kernels
