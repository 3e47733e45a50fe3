// SPDX-License-Identifier: Apache-2.0
// Softmax of the rows of a tensor: of scale x, or of scale x + slope mask, with a sink for each head. fp32, mask fp32 or fp16.
//
// A row is in L1 whole; its mask comes in pieces of mask_cols columns.
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"
#include "firmware-model/kernels/tensor_rows.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

class Softmax {
 public:
  Softmax(std::optional<DType> mask_type, bool steep);
  Program build();

 private:
  void begin_state(const Tile& largest, const Tile& sum);
  void make_slopes(const Tile& slope);
  void add_piece(const Tile& x, const Val& from, const Val& cols);
  void add_mask(const Tile& x);

  std::optional<DType> mask_type_;
  bool steep_;
  RowProgram p_;
  Kernel& k_ = p_.k;
  RepeatArgs sinks_{k_, "sinks"}, mask_{k_, "mask"};
  Arg scale_ = k_.arg_f32("scale");
  // Steep: head h (the group's y) takes its mask times exp(slope_log n), n = 2 h + 2 below heads_log2, 2 (h - heads_log2) + 1 from there
  // on.
  Arg heads_log2_ = k_.arg_u32("heads_log2");
  Arg slope_log_ = k_.arg_f32("slope_log"), mask_cols_ = k_.arg_u32("mask_cols");
  Buf x_buf_ = k_.l1(kTensorSoftmaxElements * 4);
  Buf state_buf_ = k_.l1(kRowsMax * 8), factor_buf_ = k_.l1(kRowsMax * 4);
  Buf mask_buf_, slope_buf_;
};

std::string name_of(std::optional<DType> mask_type, bool steep) {
  if (!mask_type) return "tensor_softmax";
  return std::string("tensor_softmax_") + (*mask_type == DType::F32 ? "f32" : "f16") +
         (steep ? "_steep" : "");
}

Softmax::Softmax(std::optional<DType> mask_type, bool steep)
    : mask_type_(mask_type), steep_(steep), p_(name_of(mask_type, steep)) {
  if (mask_type) mask_buf_ = k_.l1(kTensorSoftmaxMask * dtype_bytes(*mask_type));
  if (steep) slope_buf_ = k_.l1(kRowsMax * 4);
}

// A sink is an element that the row has seen already: the largest so far, of weight 1.
void Softmax::begin_state(const Tile& largest, const Tile& sum) {
  Reg kind = sinks_.kind;
  k_.if_(
      kind,
      [&] {
        Reg at = p_.begin_of(sinks_);
        Reg by_rows = kind - 1;
        k_.if_(
            std::move(by_rows),
            [&] {
              at += p_.first_row_of(sinks_);
              k_.ld(largest, k_.tile_hbm(DType::F32, at, p_.rows, 1, sinks_.ld));
            },
            [&] {
              Tile one = k_.tile_l1(DType::F32, factor_buf_, 1, 1);
              k_.ld(one, k_.tile_hbm(DType::F32, at, 1, 1));
              k_.vfill(largest, 0.0f);
              k_.vadd(largest, largest, row(one));
            });
        k_.vfill(sum, 1.0f);
      },
      [&] {
        k_.vfill(largest, -std::numeric_limits<float>::infinity());
        k_.vfill(sum, 0.0f);
      });
}

void Softmax::make_slopes(const Tile& slope) {
  Reg head = k_.group_y();
  Reg limit = heads_log2_;
  Reg low = head < limit;
  Reg n = head * 2;
  limit *= -2;
  limit += 1;
  n += select(low, 2, limit);
  k_.iota(slope, n, 0, 0);
  k_.vmul(slope, slope, slope_log_);
  k_.exp(slope, slope);
}

// x = scale x + slope mask for some columns, whose mask begins at |from|.
void Softmax::add_piece(const Tile& x, const Val& from, const Val& cols) {
  auto load = [&](const Val& rows) {
    Tile tile = k_.tile_l1(*mask_type_, mask_buf_, rows, cols);
    k_.ld(tile, k_.tile_hbm(*mask_type_, from, rows, cols, mask_.ld));
    return tile;
  };
  if (steep_) {
    Tile mask = load(p_.rows);
    k_.vmul(x, x, scale_);
    k_.vfma(x, mask, col(p_.column(slope_buf_)), x);
    return;
  }
  Reg by_rows = mask_.kind;
  by_rows -= 1;
  k_.if_(
      std::move(by_rows), [&] { k_.vfma(x, x, scale_, load(p_.rows)); },
      [&] { k_.vfma(x, x, scale_, row(load(1))); });
}

void Softmax::add_mask(const Tile& x) {
  Reg at = p_.begin_of(mask_);
  at += p_.first_row_of(mask_);
  if (steep_) make_slopes(p_.column(slope_buf_));
  Reg piece = mask_cols_;
  k_.if_(
      p_.cols > Val(piece),
      [&] {
        k_.for_range(0, p_.cols, piece, [&](const Reg& first) {
          Reg left = p_.cols - first;
          left = min(left, piece);
          Reg from = first * dtype_bytes(*mask_type_);
          from += at;
          add_piece(x.view(0, first, p_.rows, left), from, left);
        });
      },
      [&] { add_piece(x, at, p_.cols); });
}

Program Softmax::build() {
  p_.place();
  Tile x = p_.block(x_buf_);
  Tile largest = k_.tile_l1(DType::F32, state_buf_, p_.rows, 1, 2);
  Tile sum = k_.tile_l1(DType::F32, state_buf_.offset_bytes + 4, p_.rows, 1, 2);
  begin_state(largest, sum);
  p_.load(x);
  Tile state = k_.tile_l1(DType::F32, state_buf_, p_.rows, 2);
  Tile factor = p_.column(factor_buf_);
  if (mask_type_) {
    add_mask(x);
    k_.smstep(x, x, state, factor);
  } else {
    k_.smstep(x, x, state, factor).scale(scale_);
  }
  k_.rcp(sum, sum);
  k_.vmul(x, x, col(sum));
  p_.store(x, p_.cols);
  return k_.finish();
}

}  // namespace

void add_tensor_softmax(Programs& out) {
  out.push_back(Softmax(std::nullopt, false).build());
  for (DType mask_type : {DType::F32, DType::F16}) {
    for (bool steep : {false, true}) out.push_back(Softmax(mask_type, steep).build());
  }
}

}  // namespace npu::kernels
