// SPDX-License-Identifier: Apache-2.0
// Gradients of RMSnorm and layernorm. Two programs: by x and by y's rows (a work-group takes block_rows whole rows, and leaves mean and 1 / sqrt(...) of each), then by weight and
// bias, sums over rows (a work-group takes block_cols columns of all rows).
#include "firmware-model/kernels/column_sums.h"
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr uint32_t kBlockBytes = kNormBackwardElements * 4;

class NormBackward {
 public:
  NormBackward(DType type, bool layer)
      : type_(type),
        layer_(layer),
        k_((layer ? "layer_norm_backward_" : "rms_norm_backward_") + type_name(type)) {}
  Program build();

 private:
  Tile outer(const Arg& base, const Arg& ld);
  Tile inner(const Buf& buf) { return k_.tile_l1(DType::F32, buf, rows_, cols_); }
  Tile value(const Buf& buf) { return k_.tile_l1(DType::F32, buf, rows_, 1); }
  // to = the mean of each row of |of|
  void mean(const Tile& to, const Tile& of) {
    k_.rsum(to, of);
    k_.vmul(to, to, inverse_cols_);
  }
  void normalise(const Tile& x, const Tile& normal, const Tile& root);
  void weigh(const Tile& dy, const Tile& g);

  DType type_;
  bool layer_;
  Kernel k_;
  Arg x_ = k_.arg_dva("x"), dy_ = k_.arg_dva("dy"), dx_ = k_.arg_dva("dx");
  Arg weight_ = k_.arg_dva("weight"), stats_ = k_.arg_dva("stats");
  Arg rows_arg_ = k_.arg_u32("rows"), cols_arg_ = k_.arg_u32("cols");
  Arg ldx_ = k_.arg_u32("ldx"), lddy_ = k_.arg_u32("lddy"), lddx_ = k_.arg_u32("lddx");
  Arg block_rows_ = k_.arg_u32("block_rows");
  Arg inverse_cols_ = k_.arg_f32("inverse_cols"), eps_ = k_.arg_f32("eps");
  Buf raw_buf_ = k_.l1(kBlockBytes);  // x, dy and dx as they lie in memory, one after the other
  Buf normal_buf_ = k_.l1(kBlockBytes), g_buf_ = k_.l1(kBlockBytes), work_buf_ = k_.l1(kBlockBytes);
  Buf weight_buf_ = k_.l1(kNormCols * dtype_bytes(type_));
  Buf stats_buf_ = k_.l1(kRowsMax * 8), value_buf_ = k_.l1(kRowsMax * 4);
  Reg first_, rows_, cols_;
};

Tile NormBackward::outer(const Arg& base, const Arg& ld) {
  Reg stride = ld;
  Reg at = first_ * stride;
  at *= dtype_bytes(type_);
  at += base;
  return k_.tile_hbm(type_, at, rows_, cols_, stride);
}

// As the forward programs do it, to the bit.
void NormBackward::normalise(const Tile& x, const Tile& normal, const Tile& root) {
  Tile middle = k_.tile_l1(DType::F32, stats_buf_, rows_, 1, 2);
  k_.vfill(middle, 0.0f);
  const Tile* from = &x;
  if (layer_) {
    mean(middle, x);
    k_.vsub(normal, x, col(middle));
    from = &normal;
  }
  k_.rsumsq(root, *from);
  k_.vfma(root, root, inverse_cols_, eps_);
  k_.rsqrt(root, root);
  k_.vmul(normal, *from, col(root));
}

// g = dy weight
void NormBackward::weigh(const Tile& dy, const Tile& g) {
  Reg weight = weight_;
  k_.if_(
      weight,
      [&] {
        Tile weights = k_.tile_l1(type_, weight_buf_, 1, cols_);
        k_.ld(weights, k_.tile_hbm(type_, weight, 1, cols_));
        k_.vmul(g, dy, row(weights));
      },
      [&] { k_.cvt(g, dy); });
}

Program NormBackward::build() {
  first_ = k_.group_x() * block_rows_;
  rows_ = min(Val(rows_arg_ - first_), block_rows_);
  cols_ = Reg(cols_arg_);
  k_.chain(true);
  Tile raw = k_.tile_l1(type_, raw_buf_, rows_, cols_);
  Tile normal = inner(normal_buf_), g = inner(g_buf_), work = inner(work_buf_);
  Tile root = k_.tile_l1(DType::F32, stats_buf_.offset_bytes + 4, rows_, 1, 2);
  Tile average = value(value_buf_);
  k_.ld(raw, outer(x_, ldx_));
  normalise(raw, normal, root);
  k_.ld(raw, outer(dy_, lddy_));
  weigh(raw, g);
  k_.vmul(work, g, normal);
  mean(average, work);
  k_.vmul(work, normal, col(average));
  if (layer_) {
    mean(average, g);
    k_.vsub(g, g, col(average));
  }
  k_.vsub(g, g, work);
  k_.vmul(raw, g, col(root));
  k_.st(outer(dx_, lddx_), raw);
  Reg stats = stats_;
  k_.if_(stats != 0, [&] {
    stats += first_ * 8;
    k_.st(k_.tile_hbm(DType::F32, stats, rows_, 2), k_.tile_l1(DType::F32, stats_buf_, rows_, 2));
  });
  return k_.finish();
}

// dweight = column sums of dy (x - mean) root, dbias = those of dy
Program norm_weight_backward(DType type) {
  ColumnSums c("norm_weight_backward_" + type_name(type));
  Kernel& k = c.k;
  Arg x = k.arg_dva("x"), dy = k.arg_dva("dy"), stats = k.arg_dva("stats");
  Arg dweight = k.arg_dva("dweight"), dbias = k.arg_dva("dbias");
  Arg ldx = k.arg_u32("ldx"), lddy = k.arg_u32("lddy");
  Buf x_buf = c.block(), dy_buf = c.block(), wide_buf = c.block(), normal_buf = c.block();
  Buf stats_buf = k.l1(kColumnSumRows * 8);
  Buf weight_acc = k.acc(kColumnSumCols * 4), bias_acc = k.acc(kColumnSumCols * 4);
  c.place(DType::F32);
  Tile weight_sum = c.begin(weight_acc, dweight), bias_sum = c.begin(bias_acc, dbias);
  c.for_blocks([&] {
    Tile x_in = k.tile_l1(type, x_buf, c.rows, c.cols),
         dy_in = k.tile_l1(type, dy_buf, c.rows, c.cols);
    Tile wide = k.tile_l1(DType::F32, wide_buf, c.rows, c.cols);
    Tile normal = k.tile_l1(DType::F32, normal_buf, c.rows, c.cols);
    k.ld(x_in, c.outer(type, x, ldx));
    k.ld(dy_in, c.outer(type, dy, lddy));
    Reg at = c.row0 * 8;
    at += stats;
    k.ld(k.tile_l1(DType::F32, stats_buf, c.rows, 2), k.tile_hbm(DType::F32, at, c.rows, 2));
    k.vsub(normal, x_in, col(k.tile_l1(DType::F32, stats_buf, c.rows, 1, 2)));
    k.vmul(normal, normal, col(k.tile_l1(DType::F32, stats_buf.offset_bytes + 4, c.rows, 1, 2)));
    k.vmul(normal, normal, dy_in);
    k.cvt(wide, dy_in);
    c.add(weight_sum, normal);
    c.add(bias_sum, wide);
  });
  c.end(weight_sum, dweight);
  c.end(bias_sum, dbias);
  return k.finish();
}

}  // namespace

void add_norms_backward(Programs& out) {
  for (DType type : kElementTypes) {
    for (bool layer : {false, true}) out.push_back(NormBackward(type, layer).build());
    out.push_back(norm_weight_backward(type));
  }
}

}  // namespace npu::kernels
