// SPDX-License-Identifier: Apache-2.0
// Products in large blocks, for chips that need many multiplications for each byte of memory: a block of C fills the tile's scratchpads, its first rows the accumulator, the others L1, beside blocks
// of A and B as deep as what is left allows. There is one such program for each size of L1, in a blob of its own.
#include <algorithm>

#include "firmware-model/kernels/gemm_any.h"

namespace npu::kernels {

using namespace npu::isa;

// The sums that lie in the accumulator.
Tile GemmAny::high_sums(DType type) {
  return k_.tile(Space::Acc, type, 0, high_, cols_, sum_pitch_);
}

// The sums that lie in L1.
Tile GemmAny::low_sums(DType type, const Reg& low) {
  return k_.tile_l1(type, operand_bytes_ * 4, low, cols_, sum_pitch_);
}

void GemmAny::multiply_wide(DType a, DType b, bool adds, Sem free, Sem full) {
  Tile panel = k_.panel_l1(b, at_ + operand_bytes(), step_, cols_, pitch_);
  const DType sums = kind_ == Kind::kI8 ? DType::I32 : DType::F32;
  k_.mm(high_sums(sums), k_.tile_l1(a, at_, high_, step_, pitch_), panel).acc(adds).wait(full);
  Reg low = rows_ - high_;
  Reg skip = high_ * pitch_;
  skip *= dtype_bytes(a);
  skip += at_;
  k_.mm(low_sums(sums, low), k_.tile_l1(a, skip, low, step_, pitch_), panel)
      .acc(adds)
      .consume(full)
      .signal(free);
}

// Zeros as sums: of a part of K in which there is nothing.
void GemmAny::fill_wide() {
  Reg low = rows_ - high_;
  const DType sums = kind_ == Kind::kI8 ? DType::I32 : DType::F32;
  k_.vfill(high_sums(sums), 0.0f);
  k_.vfill(low_sums(sums, low), 0.0f);
  k_.fence();
}

// Sums of integers as they are, where D takes them so: then all lie in L1, from where they can be stored. Else those in L1 as fp32, in their places.
void GemmAny::take_integers() {
  Reg low = rows_ - high_;
  Tile sums = low_sums(DType::I32, low);
  k_.if_(takes_sums(), [&] {
    store_sums(sums);
    k_.halt();
  });
  k_.cvt(low_sums(DType::F32, low), sums);
  k_.fence();
}

// |left| rows from strip_at_ on, of which row0_ is the first: while one strip goes to memory, the next one is finished.
void GemmAny::finish_strips(Reg& left) {
  k_.while_([&] { return left > 0; },
            [&] {
              rows_ = min(left, kGemmWideStrip);
              finish(k_.tile_l1(DType::F32, strip_at_, rows_, cols_, sum_pitch_));
              left -= rows_;
              row0_ += rows_;
              Reg bytes = rows_ * sum_pitch_;
              strip_at_ += bytes * 4;
            });
  k_.fence();
}

// A wide block ends in its place: first the rows in L1, then those of the accumulator, for which there is room then.
void GemmAny::finish_wide() {
  if (kind_ == Kind::kI8) take_integers();
  finished_ = k_.sem(0);
  Reg first_row = row0_ + 0;
  Reg left = rows_ - high_;
  row0_ += high_;
  strip_at_ = operand_bytes_ * 4;
  k_.for_range(k_.reg(2), [&](const Reg& part) {
    k_.if_(part != 0, [&] {
      left = high_;
      row0_ = first_row;
      strip_at_ = k_.reg(kEndBytes);
      Tile to = k_.tile_l1(DType::F32, strip_at_, high_, cols_, sum_pitch_);
      kind_ == Kind::kI8 ? k_.cvt(to, high_sums(DType::I32)) : k_.accst(to, high_sums(DType::F32));
      k_.fence();
    });
    finish_strips(left);
  });
}

void GemmAny::build_wide() {
  k_.l1(wide_l1_ * kGemmWideL1Bytes);
  k_.acc(std::min(wide_l1_, kGemmWideAccMost) * kGemmWideAccBytes);
  operand_bytes_ = Reg(block_bytes_);
  high_ = min(rows_, acc_rows_);
  sum_pitch_ = ceil_div(cols_, d_unit_);
  sum_pitch_ *= d_unit_;
  multiply(k_.tile_acc(0, rows_, cols_));
  k_.fence();
  for (Reg* reg : {&a_at_, &b_at_, &a_step_, &b_step_, &lda_now_, &ldb_now_, &left_, &first_})
    reg->free();
  finish_wide();
}

void add_gemm_wide(Programs& out, uint32_t l1) {
  using Kind = GemmKind;
  for (Kind kind : {Kind::kAny, Kind::kF32, Kind::kBf16, Kind::kF16, Kind::kFp8, Kind::kI8})
    out.push_back(GemmAny(kind, GemmForm::kWide, l1).build());
}

}  // namespace npu::kernels
