// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding. Angles come as two tables, cos and sin, fp32 [positions, width / 2]; the table row of token t is positions[t], or
// start + t where there is no list. Columns of a head from `width` on are copied. `backward` turns the other way.
//
// Two programs: `rope_tokens` rotates block_tokens tokens (x) of one head (y), for prompts; `rope_heads` all heads of one token (x), for decoding.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

class Rope {
 public:
  Rope(DType type, bool heads, bool half)
      : type_(type),
        heads_(heads),
        half_(half),
        k_(std::string(heads ? "rope_heads_" : "rope_tokens_") + type_name(type) +
           (half ? "_half" : "_pair")) {}
  Program build();

 private:
  void find_rows();
  void load_angles(const Tile& cosine, const Tile& sine);
  Tile outer(const Arg& base, const Arg& token_stride, const Arg& head_stride, const Val& cols);

  DType type_;
  bool heads_, half_;
  Kernel k_;
  Arg x_ = k_.arg_dva("x"), y_ = k_.arg_dva("y"), cos_ = k_.arg_dva("cos"),
      sin_ = k_.arg_dva("sin");
  Arg positions_ = k_.arg_dva("positions");  // i32, one for each token; 0: start + t
  // Distances in elements.
  Arg x_token_ = k_.arg_u32("x_token_stride"), x_head_ = k_.arg_u32("x_head_stride");
  Arg y_token_ = k_.arg_u32("y_token_stride"), y_head_ = k_.arg_u32("y_head_stride");
  Arg tokens_ = k_.arg_u32("tokens"), head_count_ = k_.arg_u32("heads");
  Arg dim_arg_ = k_.arg_u32("head_dim"), width_arg_ = k_.arg_u32("width");
  Arg start_ = k_.arg_u32("start"), table_rows_ = k_.arg_u32("table_rows");
  Arg block_tokens_ = k_.arg_u32("block_tokens"), backward_ = k_.arg_u32("backward");
  Buf l1_x_ = k_.l1(kRopeElements * dtype_bytes(type_));
  Buf l1_cos_ = k_.l1(kRopeElements * 2), l1_sin_ = k_.l1(kRopeElements * 2);
  Buf l1_index_ = k_.l1(kRopeRows * 4);
  Reg token_, rows_, dim_, width_;
};

void Rope::find_rows() {
  if (heads_) {
    token_ = k_.group_x();
    rows_ = Reg(head_count_);
  } else {
    Reg block = block_tokens_;
    token_ = k_.group_x() * block;
    rows_ = min(Val(tokens_ - token_), block);
  }
}

// The angles of the block's rows: one table row for all heads of a token, or one for each token.
void Rope::load_angles(const Tile& cosine, const Tile& sine) {
  Reg pairs = width_ / 2;
  Tile index = k_.tile_l1(DType::I32, l1_index_, rows_, 1);
  Reg list = positions_;
  k_.if_(
      list,
      [&] {
        Reg at = token_ * 4;
        at += list;
        if (heads_) {
          k_.iota(index, k_.load_i32(at), 0, 0);
        } else {
          k_.ld(index, k_.tile_hbm(DType::I32, at, rows_, 1));
        }
      },
      [&] { k_.iota(index, start_ + token_, heads_ ? 0 : 1, 0); });
  Reg table_rows = table_rows_;
  k_.gather(cosine, k_.tile_hbm(DType::F32, cos_, table_rows, pairs), index);
  k_.gather(sine, k_.tile_hbm(DType::F32, sin_, table_rows, pairs), index);
  Reg backward = backward_;
  k_.if_(std::move(backward), [&] { k_.neg(sine, sine); });
}

Tile Rope::outer(const Arg& base, const Arg& token_stride, const Arg& head_stride,
                 const Val& cols) {
  Reg token = token_stride;
  Reg head = head_stride;
  Reg at = token_ * token;
  if (!heads_) {
    Reg skip = k_.group_y() * head;
    at += skip;
  }
  at *= dtype_bytes(type_);
  at += base;
  return k_.tile_hbm(type_, at, rows_, cols, heads_ ? head : token);
}

Program Rope::build() {
  k_.chain(true);
  find_rows();
  dim_ = Reg(dim_arg_);
  width_ = Reg(width_arg_);
  Reg pairs = width_ / 2;
  Tile cosine = k_.tile_l1(DType::F32, l1_cos_, rows_, pairs);
  Tile sine = k_.tile_l1(DType::F32, l1_sin_, rows_, pairs);
  pairs.free();
  load_angles(cosine, sine);
  Tile x = k_.tile_l1(type_, l1_x_, rows_, dim_);
  k_.ld(x, outer(x_, x_token_, x_head_, dim_));
  Tile turned = x.view(0, 0, rows_, width_);
  k_.rope(turned, turned, cosine, sine).half(half_);
  k_.st(outer(y_, y_token_, y_head_, dim_), x);
  return k_.finish();
}

}  // namespace

void add_rope(Programs& out) {
  for (DType type : kElementTypes) {
    for (bool heads : {false, true}) {
      for (bool half : {false, true}) out.push_back(Rope(type, heads, half).build());
    }
  }
}

}  // namespace npu::kernels
