// SPDX-License-Identifier: Apache-2.0
// Attention forward, O = softmax(scale Q K^T) V, with the online softmax: the matrix of scores never leaves the tile.
//
// Two programs. `attention` takes a block of queries of one head (x: block, y: head, z: batch). `attention_decode` takes one query
// position of all heads that share a head of K and V (x: position, y: K/V head, z: batch), and reads K by rows as it lies in the cache.
// Query i stands at position kv_len - q_len + i; causal: it sees the keys up to its own position, the last `window` of them. A query that sees no key gives 0.
// `attention` leaves the logarithm of the sum of e^score of each query where lse is not 0: -inf where no key is seen.
#include <limits>
#include <optional>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"
#include "tools/isa/pipe.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

class Attention {
 public:
  Attention(DType type, bool decode)
      : type_(type),
        decode_(decode),
        k_((decode ? "attention_decode_" : "attention_") + type_name(type)) {
    if (decode) return;
    window_.emplace(k_.arg_u32("window"));
    lse_.emplace(k_.arg_dva("lse"));
  }
  Program build();

 private:
  uint32_t keys_max() const { return decode_ ? kDecodeKeys : kAttentionKeys; }
  uint32_t rows_max() const { return decode_ ? kDecodeHeads : kAttentionQueries; }
  void place_queries();
  void begin_rows(const Tile& out);
  void load_keys(Pipe<2>& pipe, const Tile& from_k, const Tile& from_v);
  void attend(Pipe<2>& pipe, const Tile& out);
  void softmax(const Tile& scores, const Tile& weights, const Tile& out);
  void begin_window(const Reg& block);
  void walk_keys(const Tile& out);
  void store_rows(const Tile& out);
  void store_lse();
  Reg head_base(const Arg& base, const Arg& batch_stride, const Arg& head_stride, const Reg& head);

  DType type_;
  bool decode_;
  Kernel k_;
  uint32_t elem_ = dtype_bytes(type_);
  Arg q_ = k_.arg_dva("q"), key_ = k_.arg_dva("k"), v_ = k_.arg_dva("v"), o_ = k_.arg_dva("o");
  // Strides: batch and head in bytes, rows in elements.
  Arg q_batch_ = k_.arg_u64("q_batch_stride"), q_head_ = k_.arg_u64("q_head_stride");
  Arg k_batch_ = k_.arg_u64("k_batch_stride"), k_head_ = k_.arg_u64("k_head_stride");
  Arg v_batch_ = k_.arg_u64("v_batch_stride"), v_head_ = k_.arg_u64("v_head_stride");
  Arg o_batch_ = k_.arg_u64("o_batch_stride"), o_head_ = k_.arg_u64("o_head_stride");
  Arg q_row_ = k_.arg_u32("q_row_stride"), k_row_ = k_.arg_u32("k_row_stride"),
      v_row_ = k_.arg_u32("v_row_stride"), o_row_ = k_.arg_u32("o_row_stride");
  Arg q_len_ = k_.arg_u32("q_len"), kv_len_ = k_.arg_u32("kv_len");
  Arg head_dim_ = k_.arg_u32("head_dim"), group_ = k_.arg_u32("heads_per_kv");
  Arg causal_ = k_.arg_u32("causal"), scale_arg_ = k_.arg_f32("scale");
  Arg block_q_ = k_.arg_u32("block_q"), block_k_ = k_.arg_u32("block_k");

  std::optional<Arg> window_, lse_;  // not where |decode_|

  Buf l1_q_ = k_.l1(rows_max() * kAttentionHead * elem_);  // in the end: the output
  Buf l1_p_ = k_.l1(rows_max() * keys_max() * elem_);
  Buf l1_state_ = k_.l1(rows_max() * 8);
  Buf l1_factor_ = k_.l1(rows_max() * 4);
  Buf acc_s_ = k_.acc(rows_max() * keys_max() * 4);
  Buf acc_o_ = k_.acc(rows_max() * kAttentionHead * 4);
  Sem scored_ = k_.sem();    // MM to VE: scores are there
  Sem weighted_ = k_.sem();  // VE to MM: weights are there, and the output is scaled
  Sem loaded_ = k_.sem();    // LD to MM: queries are there
  Reg head_, kv_head_;       // of the first row
  Reg rows_, dim_;
  Reg position_;     // of the first row; decode: of all rows
  Reg keys_end_;     // keys that any row sees
  Reg key0_, keys_;  // of the block under way
};

Reg Attention::head_base(const Arg& base, const Arg& batch_stride, const Arg& head_stride,
                         const Reg& head) {
  Reg at = k_.group_z() * batch_stride;
  Reg skip = head * head_stride;
  at += skip;
  at += base;
  return at;
}

// Which rows and keys belong to this group.
void Attention::place_queries() {
  Reg q_len = q_len_;
  Reg kv_len = kv_len_;
  position_ = kv_len - q_len;
  Reg causal = causal_;
  if (decode_) {
    kv_head_ = k_.group_y();
    rows_ = Reg(group_);
    head_ = kv_head_ * rows_;
    position_ += k_.group_x();
    Reg end = position_ + 1;
    end = max(end, 0);
    keys_end_ = select(causal, end, kv_len);
    return;
  }
  head_ = k_.group_y();
  kv_head_ = head_ / group_;
  Reg block = block_q_;
  Reg first = k_.group_x() * block;
  rows_ = min(Val(q_len - first), block);
  position_ += first;
  Reg end = position_ + rows_;
  end = max(end, 0);
  keys_end_ = select(causal, end, kv_len);
}

void Attention::begin_rows(const Tile& out) {
  Reg at = head_base(q_, q_batch_, q_head_, head_);
  Reg stride = q_row_;
  Reg skip = k_.group_x() * stride;
  if (decode_) {
    stride = Reg(q_head_) / elem_;
  } else {
    skip *= block_q_;
  }
  skip *= elem_;
  at += skip;
  k_.ld(k_.tile_l1(type_, l1_q_, rows_, dim_), k_.tile_hbm(type_, at, rows_, dim_, stride))
      .signal(loaded_);
  k_.vfill(k_.tile_l1(DType::F32, l1_state_, rows_, 1, 2), -std::numeric_limits<float>::infinity());
  k_.vfill(k_.tile_l1(DType::F32, l1_state_.offset_bytes + 4, rows_, 1, 2), 0.0f);
  k_.vfill(out, 0.0f);
}

void Attention::load_keys(Pipe<2>& pipe, const Tile& from_k, const Tile& from_v) {
  pipe.produce([&](const Reg& at) {
    Tile part_k = from_k.view(0, 0, keys_, dim_);
    Tile part_v = from_v.view(0, 0, keys_, dim_);
    Reg at_v = at + kAttentionBlockBytes;
    if (decode_) {
      k_.ld(k_.tile_l1(type_, at, keys_, dim_), part_k);
      k_.ld(k_.tile_l1(type_, at_v, keys_, dim_), part_v);
    } else {
      k_.ld(k_.panel_l1(type_, at, dim_, keys_), part_k).trans();
      k_.ld(k_.panel_l1(type_, at_v, keys_, dim_), part_v);
    }
  });
}

void Attention::softmax(const Tile& scores, const Tile& weights, const Tile& out) {
  Tile state = k_.tile_l1(DType::F32, l1_state_, rows_, 2);
  Tile factor = k_.tile_l1(DType::F32, l1_factor_, rows_, 1);
  auto step = [&] { k_.smstep(weights, scores, state, factor).scale(scale_arg_); };
  if (decode_) {
    k_.smstep(weights, scores, state, factor).scale(scale_arg_).consume(scored_);
  } else {
    Reg last = key0_ + keys_;
    last -= 1;
    Reg hidden = Val(last) > position_;
    Reg causal = causal_;
    Reg before = position_ + rows_;
    before -= *window_;
    before = Val(key0_) < before;
    hidden = hidden | before;
    before.free();
    hidden = hidden & causal;
    k_.if_(
        hidden,
        [&] {
          k_.mask(scores, scores, position_, key0_).causal().window(*window_).consume(scored_);
          step();
        },
        [&] { k_.smstep(weights, scores, state, factor).scale(scale_arg_).consume(scored_); });
  }
  k_.vmul(out, out, col(factor)).signal(weighted_);
}

void Attention::attend(Pipe<2>& pipe, const Tile& out) {
  pipe.consume([&](const Reg& at) {
    Tile q = k_.tile_l1(type_, l1_q_, rows_, dim_);
    Tile scores = k_.tile_acc(acc_s_, rows_, keys_);
    Tile weights = k_.tile_l1(type_, l1_p_, rows_, keys_);
    Reg at_v = at + kAttentionBlockBytes;
    if (decode_) {
      k_.mmd(scores, q, k_.tile_l1(type_, at, keys_, dim_)).signal(scored_);
    } else {
      k_.mm(scores, q, k_.panel_l1(type_, at, dim_, keys_)).signal(scored_);
    }
    softmax(scores, weights, out);
    const Tile v =
        decode_ ? k_.tile_l1(type_, at_v, keys_, dim_) : k_.panel_l1(type_, at_v, keys_, dim_);
    k_.mm(out, weights, v).acc().consume(weighted_);
  });
}

// The block with the first key that any row sees.
void Attention::begin_window(const Reg& block) {
  key0_ = position_ + 1;
  key0_ -= *window_;
  key0_ = max(key0_, 0);
  key0_ = key0_ / block;
  key0_ *= block;
  key0_ = select(causal_, key0_, 0);
}

void Attention::walk_keys(const Tile& out) {
  Pipe<2> pipe(k_, 2 * kAttentionBlockBytes);
  Reg block = block_k_;
  Reg stride_k = k_row_;
  Reg stride_v = v_row_;
  Reg base = head_base(key_, k_batch_, k_head_, kv_head_);
  Tile from_k = k_.tile_hbm(type_, base, block, dim_, stride_k);
  base = head_base(v_, v_batch_, v_head_, kv_head_);
  Tile from_v = k_.tile_hbm(type_, base, block, dim_, stride_v);
  base.free();
  kv_head_.free();
  stride_k *= elem_;
  stride_v *= elem_;
  key0_ = k_.reg(0);
  if (!decode_) {
    begin_window(block);
    from_k.advance(key0_ * stride_k);
    from_v.advance(key0_ * stride_v);
  }
  stride_k *= block;
  stride_v *= block;
  Reg blocks = keys_end_ - key0_;
  blocks = ceil_div(blocks, block);
  k_.for_range(std::move(blocks), [&](const Reg&) {
    keys_ = min(Val(keys_end_ - key0_), block);
    load_keys(pipe, from_k, from_v);
    attend(pipe, out);
    from_k.advance(stride_k);
    from_v.advance(stride_v);
    key0_ += block;
  });
}

// largest + ln sum, behind the last step of the softmax.
void Attention::store_lse() {
  Reg at = *lse_;
  k_.if_(at != 0, [&] {
    Tile largest = k_.tile_l1(DType::F32, l1_state_, rows_, 1, 2);
    Tile sum = k_.tile_l1(DType::F32, l1_state_.offset_bytes + 4, rows_, 1, 2);
    Tile lse = k_.tile_l1(DType::F32, l1_factor_, rows_, 1);
    k_.log(lse, sum);
    k_.vadd(lse, lse, largest).signal(scored_);
    Reg row = k_.group_z() * k_.sreg(NPU_SREG_GRID_Y);
    row += head_;
    row *= q_len_;
    row += k_.group_x() * block_q_;
    row *= 4;
    at += row;
    k_.st(k_.tile_hbm(DType::F32, at, rows_, 1), lse).consume(scored_);
  });
}

void Attention::store_rows(const Tile& out) {
  Tile sum = k_.tile_l1(DType::F32, l1_state_.offset_bytes + 4, rows_, 1, 2);
  Tile result = k_.tile_l1(type_, l1_q_, rows_, dim_);
  // The largest weight of a row is 1, so a row that saw a key has a sum of at least 1.
  k_.vmax(sum, sum, 0x1p-126f);
  if (!decode_) store_lse();
  k_.vdiv(result, out, col(sum)).signal(scored_);
  Reg at = head_base(o_, o_batch_, o_head_, head_);
  Reg stride = o_row_;
  Reg skip = k_.group_x() * stride;
  if (decode_) {
    stride = Reg(o_head_) / elem_;
  } else {
    skip *= block_q_;
  }
  skip *= elem_;
  at += skip;
  k_.st(k_.tile_hbm(type_, at, rows_, dim_, stride), result).consume(scored_);
}

Program Attention::build() {
  place_queries();
  dim_ = Reg(head_dim_);
  Tile out = k_.tile_acc(acc_o_, rows_, dim_);
  begin_rows(out);
  k_.consume(loaded_);
  walk_keys(out);
  k_.fence();
  store_rows(out);
  return k_.finish();
}

}  // namespace

void add_attention(Programs& out) {
  for (DType type : kElementTypes) {
    for (bool decode : {false, true}) out.push_back(Attention(type, decode).build());
  }
}

}  // namespace npu::kernels
