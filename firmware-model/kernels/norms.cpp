// SPDX-License-Identifier: Apache-2.0
// Programs over whole rows: softmax, RMSnorm, layernorm. A work-group takes block_rows rows; arithmetic is fp32, rounded once at the end.
#include <limits>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// What the three have in common: x and y in HBM, a block of rows in L1 as it came and as fp32.
class RowProgram {
 public:
  RowProgram(const std::string& name, DType type, uint32_t elements)
      : k(name + "_" + type_name(type)), type(type) {
    work_buf = k.l1(elements * 4);
    raw_buf = type == DType::F32 ? work_buf : k.l1(elements * dtype_bytes(type));
    value_buf = k.l1(kRowsMax * 8);
    factor_buf = k.l1(kRowsMax * 4);
  }

  // After all arguments: the place of this group's rows, and its block of x.
  void load() {
    Reg block = block_rows;
    first = k.group_x() * block;
    rows = min(Val(rows_arg - first), block);
    cols = Reg(cols_arg);
    k.chain(true);
    k.ld(raw(), outer(x, ldx));
  }
  void store() { k.st(outer(y, ldy), raw()); }

  Tile raw() { return k.tile_l1(type, raw_buf, rows, cols); }
  Tile work() { return k.tile_l1(DType::F32, work_buf, rows, cols); }
  Tile value() { return k.tile_l1(DType::F32, value_buf, rows, 1); }
  // A row of weights: loaded from |from|, at L1 |buf|.
  Tile weights(const Buf& buf, const Val& from) {
    Tile row = k.tile_l1(type, buf, 1, cols);
    k.ld(row, k.tile_hbm(type, from, 1, cols));
    return row;
  }

  Kernel k;
  DType type;
  Arg x = k.arg_dva("x"), y = k.arg_dva("y");
  Arg rows_arg = k.arg_u32("rows"), cols_arg = k.arg_u32("cols");
  Arg ldx = k.arg_u32("ldx"), ldy = k.arg_u32("ldy"), block_rows = k.arg_u32("block_rows");
  Buf work_buf, raw_buf, value_buf, factor_buf;
  Reg first, rows, cols;

 private:
  Tile outer(const Arg& base, const Arg& ld) {
    Reg stride = ld;
    Reg at = first * stride;
    at *= dtype_bytes(type);
    at += base;
    return k.tile_hbm(type, at, rows, cols, stride);
  }
};

Program softmax(DType type) {
  RowProgram p("softmax", type, kSoftmaxElements);
  Kernel& k = p.k;
  Arg scale = k.arg_f32("scale");
  p.load();
  Tile state = k.tile_l1(DType::F32, p.value_buf, p.rows, 2);
  Tile largest = k.tile_l1(DType::F32, p.value_buf, p.rows, 1, 2);
  Tile sum = k.tile_l1(DType::F32, p.value_buf.offset_bytes + 4, p.rows, 1, 2);
  k.vfill(largest, -std::numeric_limits<float>::infinity());
  k.vfill(sum, 0.0f);
  Tile work = p.work();
  k.smstep(work, p.raw(), state, k.tile_l1(DType::F32, p.factor_buf, p.rows, 1)).scale(scale);
  k.vdiv(p.raw(), work, col(sum));
  p.store();
  return k.finish();
}

// value = 1 / sqrt(mean square + eps), where value holds the sum of squares.
void inverse_root(Kernel& k, const Tile& value, const Arg& inverse_cols, const Arg& eps) {
  k.vfma(value, value, inverse_cols, eps);
  k.rsqrt(value, value);
}

Program rms_norm(DType type) {
  RowProgram p("rms_norm", type, kNormElements);
  Kernel& k = p.k;
  Arg weight = k.arg_dva("weight"), inverse_cols = k.arg_f32("inverse_cols"),
      eps = k.arg_f32("eps");
  Buf weight_buf = k.l1(kNormCols * dtype_bytes(type));
  p.load();
  Tile value = p.value();
  k.rsumsq(value, p.raw());
  inverse_root(k, value, inverse_cols, eps);
  Reg has_weight = weight;
  k.if_(
      has_weight,
      [&] {
        Tile work = p.work();
        Tile row_tile = p.weights(weight_buf, has_weight);
        k.vmul(work, p.raw(), col(value));
        k.vmul(p.raw(), work, row(row_tile));
      },
      [&] { k.vmul(p.raw(), p.raw(), col(value)); });
  p.store();
  return k.finish();
}

Program layer_norm(DType type) {
  RowProgram p("layer_norm", type, kNormElements);
  Kernel& k = p.k;
  Arg weight = k.arg_dva("weight"), bias = k.arg_dva("bias");
  Arg inverse_cols = k.arg_f32("inverse_cols"), eps = k.arg_f32("eps");
  Buf weight_buf = k.l1(kNormCols * dtype_bytes(type));
  Buf bias_buf = k.l1(kNormCols * dtype_bytes(type));
  p.load();
  Tile value = p.value();
  Tile work = p.work();
  k.rsum(value, p.raw());
  k.vmul(value, value, inverse_cols);
  k.vsub(work, p.raw(), col(value));
  k.rsumsq(value, work);
  inverse_root(k, value, inverse_cols, eps);
  k.vmul(work, work, col(value));
  Reg has_weight = weight;
  k.if_(has_weight, [&] { k.vmul(work, work, row(p.weights(weight_buf, has_weight))); });
  Reg has_bias = bias;
  k.if_(has_bias, [&] { k.vadd(work, work, row(p.weights(bias_buf, has_bias))); });
  if (type != DType::F32) k.cvt(p.raw(), work);
  p.store();
  return k.finish();
}

}  // namespace

void add_norms(Programs& out) {
  for (DType type : kElementTypes) {
    out.push_back(softmax(type));
    out.push_back(rms_norm(type));
    out.push_back(layer_norm(type));
  }
}

}  // namespace npu::kernels
