// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding of a tensor [head_dim, heads, tokens, batch]; angles are made here, once for each work-group.
//
// Two programs. `tensor_rope_heads` turns block_rows heads (y) of one token (x), for decoding; `tensor_rope_tokens` all heads of block_rows
// tokens (x), one head after the other, for prompts. z is the batch. Pair i turns by position * exp(i log_step) / factors[i], and where
// |bent| by that times mix_base + mix_slope * clamp(i ramp_scale + ramp_begin, 0, 1): scaled frequencies, YaRN, the way back.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

class TensorRope {
 public:
  TensorRope(DType type, bool tokens, bool half)
      : type_(type),
        tokens_(tokens),
        half_(half),
        k_(std::string("tensor_rope_") + (type == DType::F32 ? "f32" : "f16") +
           (tokens ? "_tokens" : "_heads") + (half ? "_half" : "_pair")) {}
  Program build();

 private:
  // Distances in bytes from index to index; ld: elements between the rows of a block.
  struct Side {
    Side(Kernel& k, const std::string& name)
        : at(k.arg_dva(name)),
          head(k.arg_u64(name + "_head")),
          token(k.arg_u64(name + "_token")),
          batch(k.arg_u64(name + "_batch")) {}
    Arg at, head, token, batch;
  };

  void place();
  void make_frequencies(const Tile& frequency);
  void scale(const Tile& cosine, const Tile& sine);
  void make_angles(const Tile& cosine, const Tile& sine);
  Tile outer(const Side& side, const Arg& ld);
  void turn(const Tile& x, const Tile& cosine, const Tile& sine);

  DType type_;
  bool tokens_, half_;
  Kernel k_;
  Side x_{k_, "x"}, y_{k_, "y"};
  Arg positions_ = k_.arg_dva("positions"),
      factors_ = k_.arg_dva("factors");              // factors: 0 for none
  Arg position_step_ = k_.arg_u64("position_step");  // bytes
  Arg ldx_ = k_.arg_u32("ldx"), ldy_ = k_.arg_u32("ldy");
  Arg rows_arg_ = k_.arg_u32("rows"), block_rows_ = k_.arg_u32("block_rows");
  Arg heads_ = k_.arg_u32("heads"), dim_arg_ = k_.arg_u32("head_dim");
  Arg pairs_arg_ = k_.arg_u32("pairs"), position_ld_ = k_.arg_u32("position_ld");
  Arg log_step_ = k_.arg_f32("log_step");
  Arg bent_ = k_.arg_u32("bent"), scaled_ = k_.arg_u32("scaled");
  Arg ramp_scale_ = k_.arg_f32("ramp_scale"), ramp_begin_ = k_.arg_f32("ramp_begin");
  Arg mix_slope_ = k_.arg_f32("mix_slope"), mix_base_ = k_.arg_f32("mix_base");
  Arg amplitude_ = k_.arg_f32("amplitude");  // of cosine and sine, where |scaled|
  Buf x_buf_ = k_.l1(kRopeElements * dtype_bytes(type_));
  Buf cos_buf_ = k_.l1(kRopeElements * 2), sin_buf_ = k_.l1(kRopeElements * 2);
  Buf frequency_buf_ = k_.l1(kRopeHead * 2), row_buf_ = k_.l1(kRopeHead * 2);
  Buf index_buf_ = k_.l1(kRopeRows * 4), position_buf_ = k_.l1(kRopeRows * 4);
  Reg first_;  // row
  Reg token_;  // of the first row
  Reg rows_, dim_, pairs_;
};

void TensorRope::place() {
  Reg block = block_rows_;
  first_ = (tokens_ ? k_.group_x() : k_.group_y()) * block;
  rows_ = min(Val(rows_arg_ - first_), block);
  token_ = tokens_ ? first_ + 0 : k_.group_x();
  dim_ = Reg(dim_arg_);
  pairs_ = Reg(pairs_arg_);
}

void TensorRope::make_frequencies(const Tile& frequency) {
  k_.iota(frequency, 0, 0, 1);
  k_.vmul(frequency, frequency, log_step_);
  k_.exp(frequency, frequency);
  Tile line = k_.tile_l1(DType::F32, row_buf_, 1, pairs_);
  Reg factors = factors_;
  k_.if_(factors, [&] {
    k_.ld(line, k_.tile_hbm(DType::F32, factors, 1, pairs_));
    k_.vdiv(frequency, frequency, line);
  });
  k_.if_(Reg(bent_), [&] {
    k_.iota(line, 0, 0, 1);
    k_.vfma(line, line, ramp_scale_, ramp_begin_);
    k_.vmax(line, line, 0.0f);
    k_.vmin(line, line, 1.0f);
    k_.vfma(line, line, mix_slope_, mix_base_);
    k_.vmul(frequency, frequency, line);
  });
}

void TensorRope::scale(const Tile& cosine, const Tile& sine) {
  k_.if_(Reg(scaled_), [&] {
    k_.vmul(cosine, cosine, amplitude_);
    k_.vmul(sine, sine, amplitude_);
  });
}

// The angles of the block's rows: one row for all heads of a token, or one for each token.
void TensorRope::make_angles(const Tile& cosine, const Tile& sine) {
  Tile frequency = k_.tile_l1(DType::F32, frequency_buf_, 1, pairs_);
  make_frequencies(frequency);
  Reg at = token_ * position_step_;
  at += positions_;
  if (tokens_) {
    Tile index = k_.tile_l1(DType::I32, index_buf_, rows_, 1);
    Tile position = k_.tile_l1(DType::F32, position_buf_, rows_, 1);
    k_.ld(index, k_.tile_hbm(DType::I32, at, rows_, 1, position_ld_));
    k_.cvt(position, index);
    k_.mm(sine, position, frequency);
    k_.cos(cosine, sine);
    k_.sin(sine, sine);
    scale(cosine, sine);
    return;
  }
  Tile line = k_.tile_l1(DType::F32, row_buf_, 1, pairs_);
  k_.iota(line, k_.load_i32(at), 0, 0);
  k_.vmul(frequency, frequency, line);
  k_.cos(line, frequency);
  k_.sin(frequency, frequency);
  scale(line, frequency);
  k_.vfill(sine, 0.0f);
  k_.vadd(cosine, sine, row(line));
  k_.vadd(sine, sine, row(frequency));
}

Tile TensorRope::outer(const Side& side, const Arg& ld) {
  Reg at = token_ * side.token;
  at += side.at;
  Reg skip = k_.group_z() * side.batch;
  at += skip;
  if (!tokens_) {
    skip = first_ * side.head;
    at += skip;
  }
  return k_.tile_hbm(type_, at, rows_, dim_, ld);
}

void TensorRope::turn(const Tile& x, const Tile& cosine, const Tile& sine) {
  Tile from = outer(x_, ldx_);
  Tile to = outer(y_, ldy_);
  Reg width = pairs_ * 2;
  Tile turned = x.view(0, 0, rows_, width);
  auto move = [&] {
    k_.ld(x, from);
    k_.rope(turned, turned, cosine, sine).half(half_);
    k_.st(to, x);
  };
  if (!tokens_) return move();
  k_.for_range(heads_, [&](const Reg&) {
    move();
    from.advance(x_.head);
    to.advance(y_.head);
  });
}

Program TensorRope::build() {
  k_.chain(true);
  place();
  Tile cosine = k_.tile_l1(DType::F32, cos_buf_, rows_, pairs_);
  Tile sine = k_.tile_l1(DType::F32, sin_buf_, rows_, pairs_);
  make_angles(cosine, sine);
  turn(k_.tile_l1(type_, x_buf_, rows_, dim_), cosine, sine);
  return k_.finish();
}

}  // namespace

void add_tensor_rope(Programs& out) {
  for (DType type : {DType::F32, DType::F16}) {
    for (bool tokens : {false, true}) {
      for (bool half : {false, true}) out.push_back(TensorRope(type, tokens, half).build());
    }
  }
}

}  // namespace npu::kernels
