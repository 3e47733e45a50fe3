// SPDX-License-Identifier: Apache-2.0
// Attention backward. Weights are made anew from the log-sum-exp of each query, block by block: P = e^(scale Q K^T - lse), dS = P (dO V^T - delta).
//
// Two programs of one form. A work-group owns block_own rows of two tensors and walks the rows of two others, `other`, so that every sum has one order and nothing is added by two groups:
//   attention_backward_q   (x: queries, y: head, z: batch)      own Q, dO; other K, V:  dQ = scale dS K; writes delta
//   attention_backward_kv  (x: keys, y: K/V head, z: batch)     own K, V; other Q, dO of all heads that share it, with transposed scores:  dK = scale dS^T Q, dV = P^T dO
#include <limits>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr uint32_t kOwn = kAttentionBackwardOwn;
constexpr uint32_t kOther = kAttentionBackwardOther;

class AttentionBackward {
 public:
  AttentionBackward(DType type, bool keys)
      : type_(type),
        keys_(keys),
        k_((keys ? "attention_backward_kv_" : "attention_backward_q_") + type_name(type)) {}
  Program build();

 private:
  // A tensor [batch, head, token]: strides of batch and head in bytes, of tokens in elements.
  struct Operand {
    Arg at, batch, head, token;
  };
  Operand operand(const std::string& name) {
    return {k_.arg_dva(name), k_.arg_u64(name + "_batch_stride"), k_.arg_u64(name + "_head_stride"),
            k_.arg_u32(name + "_token_stride")};
  }
  Tile outer(const Operand& o, const Reg& head, const Reg& first, const Reg& rows);
  Tile statistics(const Arg& base, const Reg& head, const Reg& first, const Reg& rows, bool as_row);
  Tile inner(const Buf& buf, const Reg& rows) { return k_.tile_l1(type_, buf, rows, dim_); }
  void begin();
  void make_delta(const Operand& o);
  void load_statistics(const Reg& head, const Reg& first, const Reg& rows);
  void mask(const Tile& scores);
  void attend(const Reg& head);
  void walk(const Reg& head);  // of the others
  void store(const Operand& to, const Buf& acc, bool scaled);

  DType type_;
  bool keys_;
  Kernel k_;
  Operand own_a_ = operand(keys_ ? "k" : "q"), own_b_ = operand(keys_ ? "v" : "do");
  Operand other_a_ = operand(keys_ ? "q" : "k"), other_b_ = operand(keys_ ? "do" : "v");
  Operand grad_a_ = operand(keys_ ? "dk" : "dq");
  Operand last_ = operand(keys_ ? "dv" : "o");  // a second result; or an operand for delta
  Arg lse_ = k_.arg_dva("lse"), delta_ = k_.arg_dva("delta");
  Arg q_len_ = k_.arg_u32("q_len"), kv_len_ = k_.arg_u32("kv_len");
  Arg head_dim_ = k_.arg_u32("head_dim"), group_ = k_.arg_u32("heads_per_kv");
  Arg causal_ = k_.arg_u32("causal"), window_ = k_.arg_u32("window"), scale_ = k_.arg_f32("scale");
  Arg block_own_ = k_.arg_u32("block_own"), block_other_ = k_.arg_u32("block_other");

  uint32_t elem_ = dtype_bytes(type_);
  Buf own_a_buf_ = k_.l1(kOwn * kAttentionHead * elem_),
      own_b_buf_ = k_.l1(kOwn * kAttentionHead * elem_);
  Buf other_a_buf_ = k_.l1(kOther * kAttentionHead * elem_);
  Buf other_b_buf_ = k_.l1(kOther * kAttentionHead * elem_);
  Buf product_buf_ = k_.l1(kOwn * kOther * elem_);  // P or dS as an operand of a product
  Buf lse_buf_ = k_.l1(kOther * 4), delta_buf_ = k_.l1(kOther * 4);
  Buf slopes_acc_ = k_.acc(kOwn * kOther * 4), weights_acc_ = k_.acc(kOwn * kOther * 4);
  Buf grad_a_acc_ = k_.acc(kOwn * kAttentionHead * 4),
      grad_b_acc_ = k_.acc(kOwn * kAttentionHead * 4);
  Reg dim_;
  Reg own0_, own_rows_;      // tokens of this group
  Reg other0_, other_rows_;  // tokens of the block under way
};

Tile AttentionBackward::outer(const Operand& o, const Reg& head, const Reg& first,
                              const Reg& rows) {
  Reg stride = o.token;
  Reg at = first * stride;
  at *= elem_;
  at += head * o.head;
  at += k_.group_z() * o.batch;
  at += o.at;
  return k_.tile_hbm(type_, at, rows, dim_, stride);
}

// lse or delta of |rows| queries: fp32 [batch, heads, q_len]
Tile AttentionBackward::statistics(const Arg& base, const Reg& head, const Reg& first,
                                   const Reg& rows, bool as_row) {
  Reg heads = k_.sreg(NPU_SREG_GRID_Y);
  if (keys_) heads *= group_;
  Reg at = k_.group_z() * heads;
  at += head;
  at *= q_len_;
  at += first;
  at *= 4;
  at += base;
  return as_row ? k_.tile_hbm(DType::F32, at, 1, rows) : k_.tile_hbm(DType::F32, at, rows, 1);
}

void AttentionBackward::begin() {
  Reg block = block_own_;
  own0_ = k_.group_x() * block;
  own_rows_ = min(Val((keys_ ? kv_len_ : q_len_) - own0_), block);
  dim_ = Reg(head_dim_);
  k_.chain(true);
  Reg head = k_.group_y();
  k_.ld(inner(own_a_buf_, own_rows_), outer(own_a_, head, own0_, own_rows_));
  k_.ld(inner(own_b_buf_, own_rows_), outer(own_b_, head, own0_, own_rows_));
  if (!keys_) {
    make_delta(last_);
    load_statistics(head, own0_, own_rows_);
  }
  k_.vfill(k_.tile_acc(grad_a_acc_, own_rows_, dim_), 0.0f);
  if (keys_) k_.vfill(k_.tile_acc(grad_b_acc_, own_rows_, dim_), 0.0f);
}

// delta = sum of dO O; a program that writes it needs it, too.
void AttentionBackward::make_delta(const Operand& o) {
  Reg head = k_.group_y();
  Tile result = inner(other_a_buf_, own_rows_);
  Tile product = k_.tile_acc(grad_a_acc_, own_rows_, dim_);
  Tile delta = k_.tile_l1(DType::F32, delta_buf_, own_rows_, 1);
  k_.ld(result, outer(o, head, own0_, own_rows_));
  k_.vmul(product, result, inner(own_b_buf_, own_rows_));
  k_.rsum(delta, product);
  k_.st(statistics(delta_, head, own0_, own_rows_, false), delta);
}

void AttentionBackward::load_statistics(const Reg& head, const Reg& first, const Reg& rows) {
  Tile lse =
      keys_ ? k_.tile_l1(DType::F32, lse_buf_, 1, rows) : k_.tile_l1(DType::F32, lse_buf_, rows, 1);
  k_.ld(lse, statistics(lse_, head, first, rows, keys_));
  // A query that sees no key has -inf, and all its scores are -inf: a number makes the weights 0.
  k_.vmax(lse, lse, -std::numeric_limits<float>::max());
  if (!keys_) return;
  k_.ld(k_.tile_l1(DType::F32, delta_buf_, 1, rows), statistics(delta_, head, first, rows, true));
}

// Key j is seen from position p where p - window < j <= p. With keys as rows the same says j <= p < j + window.
void AttentionBackward::mask(const Tile& scores) {
  Reg causal = causal_;
  k_.if_(std::move(causal), [&] {
    Reg shift = kv_len_ - q_len_;
    Reg window = window_;
    if (keys_) {
      Reg row = own0_ + window;
      row -= 1;
      shift += other0_;
      k_.mask(scores, scores, row, shift).causal().window(window);
    } else {
      shift += own0_;
      k_.mask(scores, scores, shift, other0_).causal().window(window);
    }
  });
}

// One block of the others.
void AttentionBackward::attend(const Reg& head) {
  Tile other_a = inner(other_a_buf_, other_rows_), other_b = inner(other_b_buf_, other_rows_);
  k_.ld(other_a, outer(other_a_, head, other0_, other_rows_));
  k_.ld(other_b, outer(other_b_, head, other0_, other_rows_));
  if (keys_) load_statistics(head, other0_, other_rows_);
  const Reg& count = keys_ ? other_rows_ : own_rows_;
  Reg one = k_.reg(1);
  Tile lse = k_.tile_l1(DType::F32, lse_buf_, keys_ ? one : count, keys_ ? count : one);
  Tile delta = k_.tile_l1(DType::F32, delta_buf_, keys_ ? one : count, keys_ ? count : one);
  one.free();
  const npu_bcast spread = keys_ ? NPU_BCAST_ROW : NPU_BCAST_COL;
  Tile weights = k_.tile_acc(weights_acc_, own_rows_, other_rows_);
  Tile slopes = k_.tile_acc(slopes_acc_, own_rows_, other_rows_);
  Tile product = k_.tile_l1(type_, product_buf_, own_rows_, other_rows_);
  k_.mm(weights, inner(own_a_buf_, own_rows_), other_a).tb();
  k_.vmul(weights, weights, scale_);
  mask(weights);
  k_.vsub(weights, weights, BOperand(lse, spread));
  k_.exp(weights, weights);
  if (keys_) {
    k_.cvt(product, weights);
    k_.mm(k_.tile_acc(grad_b_acc_, own_rows_, dim_), product, other_b).acc();
  }
  k_.mm(slopes, inner(own_b_buf_, own_rows_), other_b).tb();
  k_.vsub(slopes, slopes, BOperand(delta, spread));
  k_.vmul(product, slopes, weights);
  k_.mm(k_.tile_acc(grad_a_acc_, own_rows_, dim_), product, other_a).acc();
}

// The others that any of this group's rows meets.
void AttentionBackward::walk(const Reg& head) {
  Reg block = block_other_;
  Reg causal = causal_;
  Reg shift = kv_len_ - q_len_;
  Reg end;
  if (keys_) {
    other0_ = own0_ - shift;
    end = own0_ + own_rows_;
    end += window_;
    end -= 1;
    end -= shift;
    end = min(end, q_len_);
    end = select(causal, end, q_len_);
  } else {
    other0_ = own0_ + shift;
    end = other0_ + own_rows_;
    end = select(causal, end, kv_len_);
    other0_ += 1;
    other0_ -= window_;
  }
  shift.free();
  other0_ = max(other0_, 0);
  other0_ = other0_ / block;
  other0_ *= block;
  other0_ = select(causal, other0_, 0);
  causal.free();
  Reg blocks = end - other0_;
  blocks = max(blocks, 0);
  blocks = ceil_div(blocks, block);
  k_.for_range(std::move(blocks), [&](const Reg&) {
    other_rows_ = min(Val(end - other0_), block);
    attend(head);
    other0_ += block;
  });
}

void AttentionBackward::store(const Operand& to, const Buf& acc, bool scaled) {
  Tile result = inner(own_a_buf_, own_rows_);
  Tile sum = k_.tile_acc(acc, own_rows_, dim_);
  if (scaled) {
    k_.accst(result, sum).scale(scale_);
  } else {
    k_.accst(result, sum);
  }
  k_.st(outer(to, k_.group_y(), own0_, own_rows_), result);
}

Program AttentionBackward::build() {
  begin();
  if (keys_) {
    Reg shared = group_;
    Reg head = k_.group_y() * shared;
    k_.for_range(std::move(shared), [&](const Reg&) {
      walk(head);
      head += 1;
    });
    store(last_, grad_b_acc_, false);
  } else {
    Reg head = k_.group_y() / group_;
    walk(head);
  }
  store(grad_a_, grad_a_acc_, true);
  return k_.finish();
}

}  // namespace

void add_attention_backward(Programs& out) {
  for (DType type : kElementTypes) {
    for (bool keys : {false, true}) out.push_back(AttentionBackward(type, keys).build());
  }
}

}  // namespace npu::kernels
