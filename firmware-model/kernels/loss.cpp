// SPDX-License-Identifier: Apache-2.0
// Cross-entropy with its gradient, and the gradient of softmax. A work-group takes block_rows whole rows; arithmetic is fp32, rounded once at the end.
#include <limits>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

class CrossEntropy {
 public:
  explicit CrossEntropy(DType type) : type_(type), k_("cross_entropy_" + type_name(type)) {}
  Program build();

 private:
  void place();
  // Calls |counts| in rows that have a target, with its column, else |ignored|.
  void for_rows(const std::function<void(const Reg& row, const Reg& target)>& counts,
                const std::function<void(const Reg& row)>& ignored);
  void softmax(const Tile& x, const Tile& work);
  void store_results();

  DType type_;
  Kernel k_;
  Arg x_ = k_.arg_dva("x"), targets_ = k_.arg_dva("targets"), loss_ = k_.arg_dva("loss"),
      dx_ = k_.arg_dva("dx");
  Arg rows_arg_ = k_.arg_u32("rows"), cols_arg_ = k_.arg_u32("cols");
  Arg ldx_ = k_.arg_u32("ldx"), lddx_ = k_.arg_u32("lddx"), block_rows_ = k_.arg_u32("block_rows");
  Arg grad_scale_ = k_.arg_f32("grad_scale");
  Buf work_buf_ = k_.l1(kSoftmaxElements * 4);
  Buf raw_buf_ = type_ == DType::F32 ? work_buf_ : k_.l1(kSoftmaxElements * dtype_bytes(type_));
  Buf state_buf_ = k_.l1(kRowsMax * 8), factor_buf_ = k_.l1(kRowsMax * 4);
  Buf loss_buf_ = k_.l1(kRowsMax * 4);  // first the logits of the targets
  Reg first_, rows_, cols_;
};

void CrossEntropy::place() {
  Reg block = block_rows_;
  first_ = k_.group_x() * block;
  rows_ = min(Val(rows_arg_ - first_), block);
  cols_ = Reg(cols_arg_);
  k_.chain(true);
}

void CrossEntropy::for_rows(const std::function<void(const Reg&, const Reg&)>& counts,
                            const std::function<void(const Reg&)>& ignored) {
  Reg at = first_ * 4;
  at += targets_;
  k_.for_range(rows_, [&](const Reg& row) {
    Reg target = k_.load_i32(at);
    k_.if_(
        target >= 0, [&] { counts(row, target); }, [&] { ignored(row); });
    at += 4;
  });
}

// work = softmax of x; the place of the targets' logits becomes the loss.
void CrossEntropy::softmax(const Tile& x, const Tile& work) {
  Tile state = k_.tile_l1(DType::F32, state_buf_, rows_, 2);
  Tile largest = k_.tile_l1(DType::F32, state_buf_, rows_, 1, 2);
  Tile sum = k_.tile_l1(DType::F32, state_buf_.offset_bytes + 4, rows_, 1, 2);
  Tile factor = k_.tile_l1(DType::F32, factor_buf_, rows_, 1);
  Tile loss = k_.tile_l1(DType::F32, loss_buf_, rows_, 1);
  k_.vfill(largest, -std::numeric_limits<float>::infinity());
  k_.vfill(sum, 0.0f);
  k_.smstep(work, x, state, factor);
  k_.vdiv(work, work, col(sum));
  // The largest logit first: it cancels against that of the target where the two are one.
  k_.vsub(loss, largest, loss);
  k_.log(factor, sum);
  k_.vadd(loss, loss, factor);
}

void CrossEntropy::store_results() {
  Reg to = dx_;
  k_.if_(to != 0, [&] {
    Tile raw = k_.tile_l1(type_, raw_buf_, rows_, cols_);
    k_.vmul(raw, k_.tile_l1(DType::F32, work_buf_, rows_, cols_), grad_scale_);
    Reg stride = lddx_;
    Reg skip = first_ * stride;
    skip *= dtype_bytes(type_);
    to += skip;
    k_.st(k_.tile_hbm(type_, to, rows_, cols_, stride), raw);
  });
  Reg loss = loss_;
  k_.if_(loss != 0, [&] {
    loss += first_ * 4;
    k_.st(k_.tile_hbm(DType::F32, loss, rows_, 1), k_.tile_l1(DType::F32, loss_buf_, rows_, 1));
  });
}

Program CrossEntropy::build() {
  place();
  Tile x = k_.tile_l1(type_, raw_buf_, rows_, cols_);
  Tile work = k_.tile_l1(DType::F32, work_buf_, rows_, cols_);
  Tile loss = k_.tile_l1(DType::F32, loss_buf_, rows_, 1);
  {
    Reg stride = ldx_;
    Reg at = first_ * stride;
    at *= dtype_bytes(type_);
    at += x_;
    k_.ld(x, k_.tile_hbm(type_, at, rows_, cols_, stride));
  }
  // A view that leaves the row ends the job: a target that is no column.
  for_rows([&](const Reg& row,
               const Reg& target) { k_.cvt(loss.view(row, 0, 1, 1), x.view(row, target, 1, 1)); },
           [&](const Reg& row) { k_.vfill(loss.view(row, 0, 1, 1), 0.0f); });
  softmax(x, work);
  for_rows(
      [&](const Reg& row, const Reg& target) {
        Tile hit = work.view(row, target, 1, 1);
        k_.vadd(hit, hit, -1.0f);
      },
      [&](const Reg& row) {
        k_.vfill(work.view(row, 0, 1, cols_), 0.0f);
        k_.vfill(loss.view(row, 0, 1, 1), 0.0f);
      });
  store_results();
  return k_.finish();
}

// dx = scale y (dy - sum of y dy)
Program softmax_backward(DType type) {
  Kernel k("softmax_backward_" + type_name(type));
  Arg y_arg = k.arg_dva("y"), dy_arg = k.arg_dva("dy"), dx_arg = k.arg_dva("dx");
  Arg rows_arg = k.arg_u32("rows"), cols_arg = k.arg_u32("cols");
  Arg ldy = k.arg_u32("ldy"), lddy = k.arg_u32("lddy"), lddx = k.arg_u32("lddx");
  Arg block_rows = k.arg_u32("block_rows");
  Arg scale = k.arg_f32("scale");
  Buf y_buf = k.l1(kNormElements * 4), dy_buf = k.l1(kNormElements * 4);
  Buf work_buf = k.l1(kNormElements * 4), sum_buf = k.l1(kRowsMax * 4);
  k.chain(true);
  Reg block = block_rows;
  Reg first = k.group_x() * block;
  Reg rows = min(Val(rows_arg - first), block);
  Reg cols = cols_arg;
  auto outer = [&](const Arg& base, const Arg& ld) {
    Reg stride = ld;
    Reg at = first * stride;
    at *= dtype_bytes(type);
    at += base;
    return k.tile_hbm(type, at, rows, cols, stride);
  };
  Tile y = k.tile_l1(type, y_buf, rows, cols), dy = k.tile_l1(type, dy_buf, rows, cols);
  Tile work = k.tile_l1(DType::F32, work_buf, rows, cols);
  Tile sum = k.tile_l1(DType::F32, sum_buf, rows, 1);
  k.ld(y, outer(y_arg, ldy));
  k.ld(dy, outer(dy_arg, lddy));
  k.vmul(work, y, dy);
  k.rsum(sum, work);
  k.vsub(work, dy, col(sum));
  k.vmul(work, work, y);
  k.vmul(y, work, scale);
  k.st(outer(dx_arg, lddx), y);
  return k.finish();
}

}  // namespace

void add_loss(Programs& out) {
  for (DType type : kElementTypes) {
    out.push_back(CrossEntropy(type).build());
    out.push_back(softmax_backward(type));
  }
}

}  // namespace npu::kernels
