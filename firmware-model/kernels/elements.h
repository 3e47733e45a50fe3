// SPDX-License-Identifier: Apache-2.0
// What programs of training that work element by element have in common: operands [rows, cols] with strides, of which a work-group takes block_cols columns (x) of block_rows rows (y).
// Thread safety: one kernel belongs to one thread.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_ELEMENTS_H_
#define NPU_FIRMWARE_MODEL_KERNELS_ELEMENTS_H_

#include <initializer_list>
#include <string>
#include <vector>

#include "firmware-model/kernels/limits.h"
#include "tools/isa/builder.h"

namespace npu::kernels {

// The argument block begins with the operands' addresses, rows, cols, the operands' distances of rows and the sizes of a block; the program's own arguments follow.
class Elements {
 public:
  Elements(const std::string& name, std::initializer_list<const char*> operands) : k(name) {
    for (const char* operand : operands) at_.push_back(k.arg_dva(operand));
    rows_arg_.push_back(k.arg_u32("rows"));
    cols_arg_.push_back(k.arg_u32("cols"));
    for (const char* operand : operands) ld_.push_back(k.arg_u32("ld" + std::string(operand)));
    block_rows_.push_back(k.arg_u32("block_rows"));
    block_cols_.push_back(k.arg_u32("block_cols"));
  }

  // After all arguments. One operation is after the other from here on.
  void place() {
    isa::Reg block_r = block_rows_[0];
    isa::Reg block_c = block_cols_[0];
    row0 = k.group_y() * block_r;
    col0 = k.group_x() * block_c;
    rows = isa::min(isa::Val(rows_arg_[0] - row0), block_r);
    cols = isa::min(isa::Val(cols_arg_[0] - col0), block_c);
    k.chain(true);
  }
  const isa::Arg& all_cols() const { return cols_arg_[0]; }
  isa::Tile inner(isa::DType type, const isa::Buf& buf) { return k.tile_l1(type, buf, rows, cols); }
  isa::Buf block() { return k.l1(kElementwiseElements * 4); }
  isa::Tile load(size_t operand, isa::DType type, const isa::Buf& buf) {
    isa::Tile tile = inner(type, buf);
    k.ld(tile, outer(operand, type));
    return tile;
  }
  void store(size_t operand, const isa::Tile& tile) { k.st(outer(operand, tile.dtype()), tile); }

  isa::Kernel k;
  isa::Reg row0, col0, rows, cols;

 private:
  isa::Tile outer(size_t operand, isa::DType type) {
    isa::Reg stride = ld_[operand];
    isa::Reg at = row0 * stride;
    at += col0;
    at *= isa::dtype_bytes(type);
    at += at_[operand];
    return k.tile_hbm(type, at, rows, cols, stride);
  }

  std::vector<isa::Arg> at_, ld_;
  std::vector<isa::Arg> rows_arg_, cols_arg_, block_rows_, block_cols_;  // one each
};

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_ELEMENTS_H_
