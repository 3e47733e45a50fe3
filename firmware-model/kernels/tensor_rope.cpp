// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding of a tensor [head_dim, heads, tokens, batch]; angles are made here, once for each work-group.
//
// Three programs. `tensor_rope_heads` turns block_rows heads (y) of one token (x), for decoding; `tensor_rope_tokens` all heads of block_rows
// tokens (x), one head after the other, for prompts; `tensor_rope_axes` does so with four positions a token. z is the batch. Pair i turns
// by position * exp(i log_step) / factors[i], and where |bent| by that times mix_base + mix_slope * clamp(i ramp_scale + ramp_begin, 0, 1):
// scaled frequencies, YaRN, the way back.
#include <functional>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr int kAxes = 4;

class TensorRope {
 public:
  enum class Form { kHeads, kTokens, kAxes };
  TensorRope(DType type, Form form, bool half)
      : type_(type),
        form_(form),
        half_(half),
        k_(std::string("tensor_rope_") + (type == DType::F32 ? "f32" : "f16") +
           (form == Form::kHeads    ? "_heads"
            : form == Form::kTokens ? "_tokens"
                                    : "_axes") +
           (half ? "_half" : "_pair")) {}
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

  // The pairs of one axis in a run of |run| pairs: |count| of them, |stride| apart.
  struct Section {
    Section(Kernel& k, const std::string& name)
        : begin(k.arg_u32(name + "_begin")), count(k.arg_u32(name + "_count")) {}
    Arg begin, count;
  };

  bool by_tokens() const { return form_ != Form::kHeads; }
  void place();
  void for_each_section(int axes, const std::function<void(int, const Reg&, const Reg&)>& use);
  void count_pairs(const Tile& frequency);
  void make_frequencies(const Tile& frequency);
  void make_products(const Tile& frequency, const Tile& angles);
  void make_axis_products(const Tile& frequency, const Tile& angles);
  void scale(const Tile& cosine, const Tile& sine);
  void make_angles(const Tile& cosine, const Tile& sine);
  Tile outer(const Side& side, const Arg& ld, const Reg& rows);
  void turn(const Tile& x, const Tile& cosine, const Tile& sine);
  void turn_second();

  DType type_;
  Form form_;
  bool half_;
  Kernel k_;
  Side x_{k_, "x"}, y_{k_, "y"};
  Arg positions_ = k_.arg_dva("positions"),
      factors_ = k_.arg_dva("factors");              // factors: 0 for none
  Arg position_step_ = k_.arg_u64("position_step");  // bytes
  Arg ldx_ = k_.arg_u32("ldx"), ldy_ = k_.arg_u32("ldy");
  Arg rows_arg_ = k_.arg_u32("rows"), block_rows_ = k_.arg_u32("block_rows");
  Arg heads_ = k_.arg_u32("heads"), dim_arg_ = k_.arg_u32("head_dim");
  Arg pairs_arg_ = k_.arg_u32("pairs"), position_ld_ = k_.arg_u32("position_ld");
  Arg offset_ = k_.arg_u32("offset");
  Arg log_step_ = k_.arg_f32("log_step");
  Arg bent_ = k_.arg_u32("bent"), scaled_ = k_.arg_u32("scaled");
  Arg ramp_scale_ = k_.arg_f32("ramp_scale"), ramp_begin_ = k_.arg_f32("ramp_begin");
  Arg mix_slope_ = k_.arg_f32("mix_slope"), mix_base_ = k_.arg_f32("mix_base");
  Arg amplitude_ = k_.arg_f32("amplitude");  // of cosine and sine, where |scaled|
  // Of `tensor_rope_axes`.
  Arg restarted_ = k_.arg_u32("restarted");
  Arg run_ = k_.arg_u32("run"), stride_ = k_.arg_u32("stride");
  Section sections_[kAxes] = {{k_, "axis0"}, {k_, "axis1"}, {k_, "axis2"}, {k_, "axis3"}};
  // Of `tensor_rope_heads`: a second tensor, at most as many heads of the same tokens.
  Side x2_{k_, "x2"}, y2_{k_, "y2"};
  Arg ldx2_ = k_.arg_u32("ldx2"), ldy2_ = k_.arg_u32("ldy2"), rows2_ = k_.arg_u32("rows2");
  Buf x_buf_ = k_.l1(kRopeElements * dtype_bytes(type_));
  Buf cos_buf_ = k_.l1(kRopeElements * 2), sin_buf_ = k_.l1(kRopeElements * 2);
  Buf frequency_buf_ = k_.l1(kRopeHead * 2), row_buf_ = k_.l1(kRopeHead * 2);
  uint32_t axes_ = form_ == Form::kAxes ? kAxes : 1;
  Buf index_buf_ = k_.l1(kRopeRows * 4 * axes_), position_buf_ = k_.l1(kRopeRows * 4 * axes_);
  Buf axis_buf_ = k_.l1(form_ == Form::kAxes ? kRopeHead * 2 * kAxes : 0);
  Reg first_;  // row
  Reg token_;  // of the first row
  Reg rows_, dim_, pairs_;
};

void TensorRope::place() {
  Reg block = block_rows_;
  first_ = (by_tokens() ? k_.group_x() : k_.group_y()) * block;
  rows_ = min(Val(rows_arg_ - first_), block);
  token_ = by_tokens() ? first_ + 0 : k_.group_x();
  dim_ = Reg(dim_arg_);
  pairs_ = Reg(pairs_arg_);
}

// Calls |use| with each axis and section of it, as the first pair and a count, in all runs.
void TensorRope::for_each_section(int axes,
                                  const std::function<void(int, const Reg&, const Reg&)>& use) {
  Reg run = run_;
  k_.for_range(0, pairs_, run, [&](const Reg& begin) {
    for (int axis = 0; axis < axes; ++axis) {
      Reg first = begin + sections_[axis].begin;
      Reg left = pairs_ - first;
      left = max(left, 0);
      left = ceil_div(left, stride_);
      left = min(left, sections_[axis].count);
      use(axis, first, left);
    }
  });
}

// frequency[i] = i, or what i counts in its section.
void TensorRope::count_pairs(const Tile& frequency) {
  k_.iota(frequency, 0, 0, 1);
  if (form_ != Form::kAxes) return;
  k_.if_(Reg(restarted_), [&] {
    for_each_section(kAxes, [&](int, const Reg& first, const Reg& count) {
      Reg at = first * 4;
      at += frequency_buf_;
      k_.iota(k_.tile_l1(DType::F32, at, count, 1), 0, 1, 0);
    });
  });
}

void TensorRope::make_frequencies(const Tile& frequency) {
  count_pairs(frequency);
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

// One position a token: angle = position * frequency.
void TensorRope::make_products(const Tile& frequency, const Tile& angles) {
  Reg at = token_ * position_step_;
  at += positions_;
  Tile index = k_.tile_l1(DType::I32, index_buf_, rows_, 1);
  Tile position = k_.tile_l1(DType::F32, position_buf_, rows_, 1);
  k_.ld(index, k_.tile_hbm(DType::I32, at, rows_, 1, position_ld_));
  k_.cvt(position, index);
  k_.mm(angles, position, frequency);
}

// Four positions a token: a product with a matrix whose row |axis| has the frequencies of the pairs that take this position, else zeros.
void TensorRope::make_axis_products(const Tile& frequency, const Tile& angles) {
  Tile matrix = k_.tile_l1(DType::F32, axis_buf_, kAxes, pairs_);
  Reg stride = stride_;
  Reg row_bytes = pairs_ * 4;
  k_.vfill(matrix, 0.0f);
  k_.cvt(matrix.view(kAxes - 1, 0, 1, pairs_), frequency);
  for_each_section(kAxes - 1, [&](int axis, const Reg& first, const Reg& count) {
    auto part = [&](const Buf& buf, int row) {
      Reg at = row_bytes * row;
      at += first << 2;
      at += buf;
      return k_.tile_l1(DType::F32, at, count, 1, stride);
    };
    k_.cvt(part(axis_buf_, axis), part(frequency_buf_, 0));
    k_.vfill(part(axis_buf_, kAxes - 1), 0.0f);
  });
  Reg at = token_ * 4;
  at += positions_;
  Tile index = k_.tile_l1(DType::I32, index_buf_, rows_, kAxes);
  Tile position = k_.tile_l1(DType::F32, position_buf_, rows_, kAxes);
  k_.ld(index, k_.tile_hbm(DType::I32, at, kAxes, rows_, rows_arg_)).trans();
  k_.cvt(position, index);
  k_.mm(angles, position, matrix);
}

// The angles of the block's rows: one row for all heads of a token, or one for each token.
void TensorRope::make_angles(const Tile& cosine, const Tile& sine) {
  Tile frequency = k_.tile_l1(DType::F32, frequency_buf_, 1, pairs_);
  make_frequencies(frequency);
  if (by_tokens()) {
    if (form_ == Form::kTokens) make_products(frequency, sine);
    if (form_ == Form::kAxes) make_axis_products(frequency, sine);
    k_.cos(cosine, sine);
    k_.sin(sine, sine);
    scale(cosine, sine);
    return;
  }
  Reg at = token_ * position_step_;
  at += positions_;
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

Tile TensorRope::outer(const Side& side, const Arg& ld, const Reg& rows) {
  Reg at = token_ * side.token;
  at += side.at;
  Reg skip = k_.group_z() * side.batch;
  at += skip;
  if (!by_tokens()) {
    skip = first_ * side.head;
    at += skip;
  }
  return k_.tile_hbm(type_, at, rows, dim_, ld);
}

void TensorRope::turn(const Tile& x, const Tile& cosine, const Tile& sine) {
  Tile from = outer(x_, ldx_, rows_);
  Tile to = outer(y_, ldy_, rows_);
  Reg width = pairs_ * 2;
  Tile turned = x.view(0, offset_, rows_, width);
  auto move = [&] {
    k_.ld(x, from);
    k_.rope(turned, turned, cosine, sine).half(half_);
    k_.st(to, x);
  };
  if (!by_tokens()) return move();
  k_.for_range(heads_, [&](const Reg&) {
    move();
    from.advance(x_.head);
    to.advance(y_.head);
  });
}

// By the same angles, of which each head has a row.
void TensorRope::turn_second() {
  Reg rows = rows2_;
  k_.if_(rows, [&] {
    Tile x = k_.tile_l1(type_, x_buf_, rows, dim_);
    Reg width = pairs_ * 2;
    Tile turned = x.view(0, offset_, rows, width);
    k_.ld(x, outer(x2_, ldx2_, rows));
    k_.rope(turned, turned, k_.tile_l1(DType::F32, cos_buf_, rows, pairs_),
            k_.tile_l1(DType::F32, sin_buf_, rows, pairs_))
        .half(half_);
    k_.st(outer(y2_, ldy2_, rows), x);
  });
}

Program TensorRope::build() {
  k_.chain(true);
  place();
  Tile cosine = k_.tile_l1(DType::F32, cos_buf_, rows_, pairs_);
  Tile sine = k_.tile_l1(DType::F32, sin_buf_, rows_, pairs_);
  make_angles(cosine, sine);
  turn(k_.tile_l1(type_, x_buf_, rows_, dim_), cosine, sine);
  if (!by_tokens()) turn_second();
  return k_.finish();
}

}  // namespace

void add_tensor_rope(Programs& out) {
  using Form = TensorRope::Form;
  for (DType type : {DType::F32, DType::F16}) {
    for (Form form : {Form::kHeads, Form::kTokens}) {
      for (bool half : {false, true}) out.push_back(TensorRope(type, form, half).build());
    }
    out.push_back(TensorRope(type, Form::kAxes, true).build());
  }
}

}  // namespace npu::kernels
