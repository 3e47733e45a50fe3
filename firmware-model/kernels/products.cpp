// SPDX-License-Identifier: Apache-2.0
// Products of a few vectors with up to three matrices of weights, with what a transformer does around them: a norm of the vectors before, a sum with something that is there already behind, a gate
// over two of the products. Each step is made as the program for it alone makes it, so the bits are the same.
//
// products_<type>  x: blocks of rows of weights; those of the second matrix follow those of the first. Every work-group makes the norm itself: it is short, and to wait for another group is not.
//                  Gated, a group takes the same rows of both matrices.
#include "firmware-model/kernels/gating.h"
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// One product; rows are elements from row to row.
struct Product {
  Arg a, a_row_bytes, c, y;
  Arg a_row, c_row, y_row, m, block;
};

class Products {
 public:
  explicit Products(size_t type)
      : type_(kWeightTypes[type]), k_(std::string("products_") + kWeightNames[type]) {}
  Program build();

 private:
  Product product_args(uint32_t i);
  void take(const Product& p, const Reg& group);
  void find_rows();
  void load_vectors();
  void multiply(const Tile& y);
  void store(const Tile& y);
  void gate();

  DType type_;
  Kernel k_;
  Arg x_ = k_.arg_dva("x"), weight_ = k_.arg_dva("norm_weight"), normed_ = k_.arg_dva("normed"),
      gated_ = k_.arg_dva("gated");
  Product products_[kProductsMost] = {product_args(0), product_args(1), product_args(2)};
  Arg first1_ = k_.arg_u32("first_group1"), first2_ = k_.arg_u32("first_group2");
  Arg n_ = k_.arg_u32("n"), depth_arg_ = k_.arg_u32("k");
  Arg x_row_ = k_.arg_u32("x_row"), normed_row_ = k_.arg_u32("normed_row"),
      gated_row_ = k_.arg_u32("gated_row");
  Arg function_ = k_.arg_u32("function"), integers_ = k_.arg_u32("integers");
  Arg inverse_depth_ = k_.arg_f32("inverse_k"), eps_ = k_.arg_f32("eps");

  Buf l1_v_ = k_.l1(kMatmulVectorElements * 4);
  Buf l1_weight_ = k_.l1(kTensorNormWeights * 4);
  Buf l1_value_ = k_.l1(kMatmulVectors * 4);
  Buf l1_y0_ = k_.l1(kMatmulResultElements * 4), l1_y1_ = k_.l1(kMatmulResultElements * 4);
  Buf l1_gate_ = k_.l1(kMatmulResultElements * 4), l1_work_ = k_.l1(kMatmulResultElements * 4);
  Reg vectors_, depth_;
  // The product under way: its rows of this group. first_: bytes from its first row to them; y_, c_: the operands' begins, 0 where there is none.
  Reg rows_, first_, a_at_, y_, c_, a_row_, y_row_, c_row_;
};

Product Products::product_args(uint32_t i) {
  const auto name = [i](const char* what) { return what + std::to_string(i); };
  return {k_.arg_dva(name("a")),     k_.arg_u64(name("a_row_bytes")), k_.arg_dva(name("c")),
          k_.arg_dva(name("y")),     k_.arg_u32(name("a_row")),       k_.arg_u32(name("c_row")),
          k_.arg_u32(name("y_row")), k_.arg_u32(name("m")),           k_.arg_u32(name("block"))};
}

// Rows of block |group| of a product.
void Products::take(const Product& p, const Reg& group) {
  first_ = group * p.block;
  rows_ = min(Val(p.m - first_), p.block);
  a_at_ = first_ * p.a_row_bytes;
  a_at_ += p.a;
  first_ = first_ << 2;
  c_ = p.c;
  y_ = p.y;
  a_row_ = p.a_row;
  c_row_ = p.c_row;
  y_row_ = p.y_row;
}

void Products::find_rows() {
  Reg group = k_.group_x();
  take(products_[0], group);
  k_.if_(Val(first1_) <= group, [&] {
    k_.if_(
        Val(first2_) <= group,
        [&] {
          group -= first2_;
          take(products_[2], group);
        },
        [&] {
          group -= first1_;
          take(products_[1], group);
        });
  });
}

// The same steps as tensor_norm_rms.
void Products::load_vectors() {
  Tile v = k_.tile_l1(DType::F32, l1_v_, vectors_, depth_);
  k_.ld(v, k_.tile_hbm(DType::F32, x_, vectors_, depth_, x_row_));
  k_.if_(Reg(weight_), [&] {
    Tile value = k_.tile_l1(DType::F32, l1_value_, vectors_, 1);
    k_.rsumsq(value, v);
    k_.vfma(value, value, inverse_depth_, eps_);
    k_.rsqrt(value, value);
    k_.vmul(v, v, col(value));
    Tile weight = k_.tile_l1(DType::F32, l1_weight_, 1, depth_);
    k_.ld(weight, k_.tile_hbm(DType::F32, weight_, 1, depth_));
    k_.vmul(v, v, row(weight));
    k_.if_(k_.group_x() == 0,
           [&] { k_.st(k_.tile_hbm(DType::F32, normed_, vectors_, depth_, normed_row_), v); });
  });
}

void Products::multiply(const Tile& y) {
  Tile v = k_.tile_l1(DType::F32, l1_v_, vectors_, depth_);
  Tile a = k_.tile_hbm(type_, a_at_, rows_, depth_, a_row_);
  const auto load_sum = [&](const Tile& to) {
    Reg at = c_ + first_;
    k_.ld(to, k_.tile_hbm(DType::F32, at, vectors_, rows_, c_row_));
  };
  const auto in_fp32 = [&] {
    k_.if_(
        c_,
        [&] {
          load_sum(y);
          k_.mms(y, v, a).acc();
        },
        [&] { k_.mms(y, v, a); });
  };
  if (type_ != DType::Q8_0 && type_ != DType::Q4_0) return in_fp32();
  // Chains of integers would begin at what is there already; the sum of the operators alone comes behind.
  const auto as_integers = [&] {
    k_.if_(
        Val(integers_) == 1, [&] { k_.mms(y, v, a).integer(); },
        [&] { k_.mms(y, v, a).integer().tiled(); });
    k_.if_(c_, [&] {
      Tile sum = k_.tile_l1(DType::F32, l1_work_, vectors_, rows_);
      load_sum(sum);
      k_.vadd(y, y, sum);
    });
  };
  k_.if_(Reg(integers_), as_integers, in_fp32);
}

void Products::store(const Tile& y) {
  Reg at = y_ + first_;
  k_.st(k_.tile_hbm(DType::F32, at, vectors_, rows_, y_row_), y);
}

// Both products of the rows are needed here; in memory only where somebody wants them.
void Products::gate() {
  Tile y0 = k_.tile_l1(DType::F32, l1_y0_, vectors_, rows_);
  k_.if_(y_, [&] { store(y0); });
  take(products_[1], k_.group_x());
  Tile y1 = k_.tile_l1(DType::F32, l1_y1_, vectors_, rows_);
  multiply(y1);
  k_.if_(y_, [&] { store(y1); });
  Tile gate = k_.tile_l1(DType::F32, l1_gate_, vectors_, rows_);
  Reg function = function_;
  choose_gate({k_, gate, y0, vectors_, rows_, l1_work_}, function);
  k_.vmul(gate, gate, y1);
  Reg at = first_ + gated_;
  k_.st(k_.tile_hbm(DType::F32, at, vectors_, rows_, gated_row_), gate);
}

Program Products::build() {
  k_.chain(true);
  vectors_ = Reg(n_);
  depth_ = Reg(depth_arg_);
  find_rows();
  load_vectors();
  Tile y = k_.tile_l1(DType::F32, l1_y0_, vectors_, rows_);
  multiply(y);
  k_.if_(
      Reg(gated_), [&] { gate(); }, [&] { store(y); });
  return k_.finish();
}

}  // namespace

void add_products(Programs& out) {
  for (size_t type = 0; type < std::size(kWeightTypes); ++type)
    out.push_back(Products(type).build());
}

}  // namespace npu::kernels
