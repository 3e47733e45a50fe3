// SPDX-License-Identifier: Apache-2.0
// AdamW, and sums of squares for the norm of gradients: a work-group takes block elements of arrays that lie side by side.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// P is of |type|; what is narrower than fp32, P or its copy, is rounded as the arguments say.
class AdamW {
 public:
  explicit AdamW(DType type) : type_(type), k_("adamw_" + type_name(type)) {}
  Program build();

 private:
  Tile inner(const Buf& buf, DType type = DType::F32) { return k_.tile_l1(type, buf, 1, count_); }
  Tile outer(const Arg& base, DType type = DType::F32) {
    Reg at = first_ * dtype_bytes(type);
    at += base;
    return k_.tile_hbm(type, at, 1, count_);
  }
  Tile load(const Buf& buf, const Arg& base, DType type = DType::F32) {
    Tile tile = inner(buf, type);
    k_.ld(tile, outer(base, type));
    return tile;
  }
  bool narrow() const { return type_ != DType::F32; }
  void scale(const Tile& g);
  void store_narrow(const Arg& base, const Tile& p);
  void store_results(const Tile& m, const Tile& v, const Tile& p);

  DType type_;
  Kernel k_;
  Arg p_ = k_.arg_dva("p"), g_ = k_.arg_dva("g"), m_ = k_.arg_dva("m"), v_ = k_.arg_dva("v");
  Arg copy_ = k_.arg_dva("copy"), grad_scale_ = k_.arg_dva("grad_scale");
  Arg seed_ = k_.arg_u64("seed"), first_number_ = k_.arg_u64("first");
  Arg random_ = k_.arg_u32("random");  // npuOpsRoundingMode of the public header
  Arg count_arg_ = k_.arg_u32("count"), block_ = k_.arg_u32("block");
  Arg beta1_ = k_.arg_f32("beta1"), beta2_ = k_.arg_f32("beta2");
  Arg rest1_ = k_.arg_f32("rest1"), rest2_ = k_.arg_f32("rest2");  // 1 - beta
  Arg decay_ = k_.arg_f32("decay");                                // 1 - lr weight_decay
  Arg step_ = k_.arg_f32("step");                                  // -lr / (1 - beta1^step)
  Arg root_ = k_.arg_f32("root_scale");                            // 1 / sqrt(1 - beta2^step)
  Arg eps_ = k_.arg_f32("eps");
  static constexpr uint32_t kBytes = kElementwiseElements * 4;
  Buf p_buf_ = k_.l1(kBytes), g_buf_ = k_.l1(kBytes), m_buf_ = k_.l1(kBytes),
      v_buf_ = k_.l1(kBytes);
  Buf work_buf_ = k_.l1(kBytes), narrow_buf_ = k_.l1(kBytes / 2);
  Reg first_, count_;
};

void AdamW::scale(const Tile& g) {
  Reg at = grad_scale_;
  k_.if_(at != 0, [&] {
    Reg factor = k_.load_u32(at);
    k_.vmul(g, g, factor);
  });
}

void AdamW::store_narrow(const Arg& base, const Tile& p) {
  Tile to = inner(narrow_buf_, DType::BF16);
  Reg random = random_;
  k_.if_(
      std::move(random),
      [&] {
        Reg number = first_ + first_number_;
        k_.cvt(to, p).random(seed_, number, count_arg_);
      },
      [&] { k_.cvt(to, p); });
  k_.st(outer(base, DType::BF16), to);
}

void AdamW::store_results(const Tile& m, const Tile& v, const Tile& p) {
  k_.st(outer(m_), m);
  k_.st(outer(v_), v);
  if (narrow()) return store_narrow(p_, p);
  k_.st(outer(p_), p);
  Reg copy = copy_;
  k_.if_(std::move(copy), [&] { store_narrow(copy_, p); });
}

Program AdamW::build() {
  Reg block = block_;
  first_ = k_.group_x() * block;
  count_ = min(Val(count_arg_ - first_), block);
  k_.chain(true);
  Tile g = load(g_buf_, g_), m = load(m_buf_, m_), v = load(v_buf_, v_);
  Tile old = load(narrow() ? narrow_buf_ : p_buf_, p_, type_);
  Tile p = inner(p_buf_), work = inner(work_buf_);
  scale(g);
  k_.vmul(m, m, beta1_);
  k_.vfma(m, g, rest1_, m);
  k_.vmul(v, v, beta2_);
  k_.vmul(g, g, g);
  k_.vfma(v, g, rest2_, v);
  k_.sqrt(work, v);
  k_.vfma(work, work, root_, eps_);
  k_.vdiv(work, m, work);
  k_.vmul(p, old, decay_);
  k_.vfma(p, work, step_, p);
  store_results(m, v, p);
  return k_.finish();
}

Program sum_squares(DType type) {
  Kernel k("sum_squares_" + type_name(type));
  Arg x = k.arg_dva("x"), y = k.arg_dva("y"), count_arg = k.arg_u32("count");
  Buf x_buf = k.l1(kSumSquaresElements * dtype_bytes(type)), y_buf = k.l1(4);
  k.chain(true);
  Reg group = k.group_x();
  Reg first = group * kSumSquaresElements;
  Reg count = min(Val(count_arg - first), kSumSquaresElements);
  Tile block = k.tile_l1(type, x_buf, 1, count), sum = k.tile_l1(DType::F32, y_buf, 1, 1);
  Reg at = first * dtype_bytes(type);
  at += x;
  k.ld(block, k.tile_hbm(type, at, 1, count));
  k.rsumsq(sum, block);
  at = group * 4;
  at += y;
  k.st(k.tile_hbm(DType::F32, at, 1, 1), sum);
  return k.finish();
}

}  // namespace

void add_optimizer(Programs& out) {
  for (DType type : kElementTypes) {
    out.push_back(AdamW(type).build());
    out.push_back(sum_squares(type));
  }
}

}  // namespace npu::kernels
