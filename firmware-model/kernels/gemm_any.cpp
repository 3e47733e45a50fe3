// SPDX-License-Identifier: Apache-2.0
// GEMM for operands of any type, with all that goes around it: D = out_scale act(alpha scale_a A B scale_b + beta C + bias). One block of D a work-group, as in gemm.cpp: x over columns, y over
// rows, z over the batch and the parts of K.
//
// gemm_any    each pair of types: LDC brings blocks of both operands as fp32
// gemm_f32    and gemm_bf16, gemm_f16, gemm_fp8 (both kinds of FP8), gemm_i8: operands of one type, which the tensor unit takes as they are
// gemm_tree   a few rows of A stay in L1, B is streamed from where it lies (MMS): another order of additions
// gemm_parts  adds the sums of the parts of K, which the others have left in memory
// ..._grouped z counts records in memory that tell shapes and places (npuOpsGemmGroup)
// ..._wide    larger blocks: gemm_wide.cpp
//
// A type in blocks lies along K; its last block of a row may be filled up with anything. So rows are loaded as whole blocks and only the elements below K are multiplied.
#include "firmware-model/kernels/gemm_any.h"

#include "firmware-model/kernels/epilogue.h"

namespace npu::kernels {

using namespace npu::isa;

namespace {

// Values of |a_form| and |b_form|: enum npuOpsForm of the public header.
constexpr int kTransposed = 1;
constexpr int kPacked = 2;

constexpr uint32_t kRecordBytes = 96;

}  // namespace

Reg GemmAny::address(const Place& p) {
  Reg at = p.arg;
  if (!grouped_) return at;
  Reg high = k_.load_u32(record_, p.offset_bytes + 4);
  at += high << 32;
  at += k_.load_u32(record_, p.offset_bytes);
  return at;
}

// Elements from row to row. A record says 0 for dense ones: |dense| elements, rounded up to whole units.
Reg GemmAny::distance(const Count& ld, const Count& dense, const Arg* unit) {
  Reg out = count(ld);
  if (!grouped_) return out;
  k_.if_(out == 0, [&] {
    out = count(dense);
    if (unit == nullptr) return;
    out = ceil_div(out, *unit);
    out *= *unit;
  });
  return out;
}

Reg GemmAny::bytes_of(const Val& elements, const Arg& unit, const Arg& unit_bytes) {
  Reg out = elements / unit;
  out *= unit_bytes;
  return out;
}

// Which block of D this group makes; a block that lies outside the group's own product is none.
void GemmAny::place_block() {
  if (grouped_) {
    record_ = k_.group_z() * kRecordBytes;
    record_ += groups_;
  }
  Reg m = count(m_);
  Reg n = count(n_);
  if (grouped_) {
    k_.assert_that(leu(m, m_.arg), 2);
    k_.assert_that(leu(n, n_.arg), 3);
    k_.assert_that(leu(count(depth_), depth_.arg), 4);
  }
  row0_ = k_.group_y() * block_m_;
  col0_ = k_.group_x() * block_n_;
  if (grouped_) {
    k_.if_(m <= row0_, [&] { k_.halt(); });
    k_.if_(n <= col0_, [&] { k_.halt(); });
  }
  rows_ = min(Val(m - row0_), block_m_);
  cols_ = min(Val(n - col0_), block_n_);
}

void GemmAny::place_a(const Reg& batch, const Reg& first_k) {
  a_at_ = address(a_);
  a_at_ += batch * batch_a_;
  Reg transposed = a_form_;
  k_.if_(
      std::move(transposed),
      [&] {
        lda_now_ = distance(lda_, m_, nullptr);
        Reg row_bytes = lda_now_ * a_unit_bytes_;
        a_at_ += row0_ * a_unit_bytes_;
        a_at_ += first_k * row_bytes;
        a_step_ = row_bytes * block_k_;
      },
      [&] {
        lda_now_ = distance(lda_, depth_, &a_unit_);
        Reg row_bytes = bytes_of(lda_now_, a_unit_, a_unit_bytes_);
        a_at_ += row0_ * row_bytes;
        a_at_ += bytes_of(first_k, a_unit_, a_unit_bytes_);
        a_step_ = bytes_of(block_k_, a_unit_, a_unit_bytes_);
      });
}

void GemmAny::place_b(const Reg& batch, const Reg& first_k) {
  b_at_ = address(b_);
  b_at_ += batch * batch_b_;
  Reg form = b_form_;
  auto packed = [&] {
    ldb_now_ = count(depth_);
    Reg skip = col0_ * ldb_now_;
    skip += first_k * NPU_PANEL_COLS;
    b_at_ += skip * b_unit_bytes_;
    b_step_ = block_k_ * NPU_PANEL_COLS;
    b_step_ *= b_unit_bytes_;
  };
  auto plain = [&] {
    ldb_now_ = distance(ldb_, n_, nullptr);
    Reg row_bytes = ldb_now_ * b_unit_bytes_;
    b_at_ += col0_ * b_unit_bytes_;
    b_at_ += first_k * row_bytes;
    b_step_ = row_bytes * block_k_;
  };
  auto transposed = [&] {
    ldb_now_ = distance(ldb_, depth_, &b_unit_);
    Reg row_bytes = bytes_of(ldb_now_, b_unit_, b_unit_bytes_);
    b_at_ += col0_ * row_bytes;
    b_at_ += bytes_of(first_k, b_unit_, b_unit_bytes_);
    b_step_ = bytes_of(block_k_, b_unit_, b_unit_bytes_);
  };
  k_.if_(form == kTransposed, transposed, [&] { k_.if_(form == kPacked, packed, plain); });
}

// A piece of L1; a wide program's, which all lie where operands do, are told by their places.
Buf GemmAny::in_l1(uint32_t bytes, uint32_t wide_offset_bytes) {
  return wide_ ? Buf{wide_offset_bytes, bytes} : k_.l1(bytes);
}

// The group's strips of A and B, from the begin of its part of K on.
void GemmAny::place_operands() {
  left_ = count(depth_);
  Reg batch = k_.reg(0);
  Reg first_k = k_.reg(0);
  if (!grouped_) {
    batch = k_.group_z() / parts_;
    first_k = k_.group_z() - Val(batch * parts_);
    first_k *= part_k_;
    left_ -= first_k;
    left_ = min(left_, part_k_);
    left_ = max(left_, 0);
  }
  a_step_ = k_.reg(0);
  b_step_ = k_.reg(0);
  lda_now_ = k_.reg(0);
  ldb_now_ = k_.reg(0);
  place_a(batch, first_k);
  place_b(batch, first_k);
}

void GemmAny::load_a_any(DType type, Sem free) {
  auto plain = [&] {
    Reg whole = whole_blocks(step_, type);
    k_.ldc(k_.tile_l1(DType::F32, at_, rows_, whole, pitch_),
           k_.tile_hbm(type, a_at_, rows_, whole, lda_now_))
        .consume(free);
  };
  if (isa::in_blocks(type)) return plain();
  Reg transposed = a_form_;
  k_.if_(
      std::move(transposed),
      [&] {
        k_.ldc(k_.tile_l1(DType::F32, at_, rows_, step_, pitch_),
               k_.tile_hbm(type, a_at_, step_, rows_, lda_now_))
            .trans()
            .consume(free);
      },
      plain);
}

void GemmAny::load_b_any(DType type, Sem full) {
  Reg to = at_ + operand_bytes();
  auto transposed = [&] {
    Reg whole = whole_blocks(step_, type);
    k_.ldc(k_.panel_l1(DType::F32, to, whole, cols_, pitch_),
           k_.tile_hbm(type, b_at_, cols_, whole, ldb_now_))
        .trans()
        .signal(full);
  };
  if (isa::in_blocks(type)) return transposed();
  Reg form = b_form_;
  k_.if_(form == kTransposed, transposed, [&] {
    k_.ldc(k_.panel_l1(DType::F32, to, step_, cols_, pitch_),
           k_.tile_hbm(type, b_at_, step_, cols_, ldb_now_))
        .signal(full);
  });
}

void GemmAny::load_any(Sem free, Sem full) {
  pitch_ = step_ + align_;
  pitch_ -= 1;
  pitch_ = pitch_ / align_;
  pitch_ *= align_;
  {
    Reg type = a_type_;
    pick(k_, type, read_types(), [&](DType t) { load_a_any(t, free); });
  }
  Reg type = b_type_;
  pick(k_, type, read_types(), [&](DType t) { load_b_any(t, full); });
}

void GemmAny::load_narrow(Sem free, Sem full) {
  pitch_ = step_;
  const DType type = narrow();
  Reg form = a_form_;
  k_.if_(
      form,
      [&] {
        k_.ld(k_.tile_l1(type, at_, rows_, step_), k_.tile_hbm(type, a_at_, step_, rows_, lda_now_))
            .trans()
            .consume(free);
      },
      [&] {
        k_.ld(k_.tile_l1(type, at_, rows_, step_), k_.tile_hbm(type, a_at_, rows_, step_, lda_now_))
            .consume(free);
      });
  form = Reg(b_form_);
  Tile to = k_.panel_l1(type, at_ + operand_bytes(), step_, cols_);
  k_.if_(
      form == kTransposed,
      [&] { k_.ld(to, k_.tile_hbm(type, b_at_, cols_, step_, ldb_now_)).trans().signal(full); },
      [&] {
        k_.if_(
            form == kPacked,
            [&] {
              k_.ld(to, k_.tile(Space::Hbm, type, b_at_, step_, cols_, ldb_now_, Layout::Panel))
                  .signal(full);
            },
            [&] { k_.ld(to, k_.tile_hbm(type, b_at_, step_, cols_, ldb_now_)).signal(full); });
      });
}

// |sum|: of a block that is not wide.
void GemmAny::multiply_pair(const Tile& sum, DType a, DType b, Sem free, Sem full) {
  if (wide_) {
    k_.if_(
        first_, [&] { multiply_wide(a, b, false, free, full); },
        [&] { multiply_wide(a, b, true, free, full); });
    return;
  }
  k_.mm(sum, k_.tile_l1(a, at_, rows_, step_, pitch_),
        k_.panel_l1(b, at_ + operand_bytes(), step_, cols_, pitch_))
      .acc()
      .consume(full)
      .signal(free);
}

// The block of K that was loaded last. FP8 has two types, the tensor unit takes each with each.
void GemmAny::multiply_step(const Tile& sum, Sem free, Sem full) {
  auto product = [&](DType a, DType b) { multiply_pair(sum, a, b, free, full); };
  if (kind_ == Kind::kAny) return product(DType::F32, DType::F32);
  if (kind_ != Kind::kFp8) return product(narrow(), narrow());
  static constexpr DType kFp8[] = {DType::E4M3, DType::E5M2};
  Reg type = a_type_;
  Reg other = b_type_;
  pick(k_, type, kFp8, [&](DType a) { pick(k_, other, kFp8, [&](DType b) { product(a, b); }); });
}

void GemmAny::multiply(const Tile& sum) {
  if (!wide_) {
    k_.vfill(sum, 0.0f);
    k_.fence();
  }
  place_operands();
  if (wide_) k_.if_(left_ == 0, [&] { fill_wide(); });
  const Sem full = k_.sem(0);
  const Sem free = k_.sem(2);
  at_ = k_.reg(l1_in_.offset_bytes);
  step_ = k_.reg(0);
  pitch_ = k_.reg(0);
  Reg both_wide;  // places of both buffers, added up
  if (wide_) {
    both_wide = operand_bytes_ * 2;
    first_ = k_.reg(1);
  }
  Reg blocks = ceil_div(left_, block_k_);
  k_.for_range(std::move(blocks), [&](const Reg&) {
    step_ = min(left_, block_k_);
    kind_ == Kind::kAny ? load_any(free, full) : load_narrow(free, full);
    multiply_step(sum, free, full);
    // The other one of two buffers.
    at_ = wide_ ? both_wide - at_ : Val(2 * l1_in_.offset_bytes + 2 * kGemmBlockBytes) - at_;
    a_at_ += a_step_;
    b_at_ += b_step_;
    left_ -= step_;
    if (wide_) first_ = k_.reg(0);
  });
  for (Reg* reg : {&step_, &pitch_, &at_}) reg->free();
}

void GemmAny::multiply_tree(const Tile& sum) {
  place_operands();
  {
    Reg type = a_type_;
    pick(k_, type, read_types(), [&](DType t) {
      Reg whole = whole_blocks(left_, t);
      k_.ldc(k_.tile_l1(DType::F32, l1_in_, rows_, whole),
             k_.tile_hbm(t, a_at_, rows_, whole, lda_now_));
    });
  }
  k_.fence();
  Reg pitch = left_ + 0;
  pitch = ceil_div(pitch, a_unit_);
  pitch *= a_unit_;
  Reg type = b_type_;
  pick(k_, type, read_types(), [&](DType t) {
    k_.mms(sum, k_.tile_l1(DType::F32, l1_in_, rows_, left_, pitch),
           k_.tile_hbm(t, b_at_, cols_, left_, ldb_now_));
  });
}

// |a| holds the sums of each part of K, one matrix behind the other.
void GemmAny::add_parts(const Tile& sum) {
  Reg n = n_.arg;
  Reg at = k_.group_z() * parts_;
  at *= m_.arg;
  at += row0_;
  at *= n;
  at += col0_;
  at *= 4;
  at += a_.arg;
  Reg step = n * m_.arg;
  step *= 4;
  Tile part = k_.tile_l1(DType::F32, l1_out_, rows_, cols_);
  k_.ld(part, k_.tile_hbm(DType::F32, at, rows_, cols_, n));
  k_.fence();
  k_.accld(sum, part);
  k_.fence();
  Reg more = parts_ - Val(1);
  k_.for_range(std::move(more), [&](const Reg&) {
    at += step;
    k_.ld(part, k_.tile_hbm(DType::F32, at, rows_, cols_, n));
    k_.fence();
    k_.vadd(sum, sum, part);
    k_.fence();
  });
}

// A B, or the sum of its parts, as fp32 in the accumulator. Integers that D takes as they are end here.
void GemmAny::make_sum(const Tile& acc) {
  if (kind_ == Kind::kTree) {
    multiply_tree(acc);
  } else if (kind_ == Kind::kParts) {
    add_parts(acc);
  } else if (kind_ == Kind::kI8) {
    Tile sums = k_.tile_l1(DType::I32, l1_out_, rows_, cols_);
    multiply(sums);
    k_.fence();
    k_.if_(takes_sums(), [&] {
      store_sums(sums);
      k_.halt();
    });
    k_.cvt(acc, sums);
  } else {
    multiply(acc);
  }
  k_.fence();
  for (Reg* reg : {&a_at_, &b_at_, &a_step_, &b_step_, &lda_now_, &ldb_now_, &left_}) reg->free();
}

Reg GemmAny::place_out(const Place& base, const Reg& row_bytes, const Val& col_bytes,
                       const Arg& batch_stride) {
  Reg at = row0_ * row_bytes;
  at += col_bytes;
  at += address(base);
  if (!grouped_) at += k_.group_z() * batch_stride;
  return at;
}

// Integers that D takes as they are.
void GemmAny::store_sums(const Tile& sums) {
  Reg ld = distance(ldd_, n_, &d_unit_);
  Reg row_bytes = ld * 4;
  Reg col_bytes = col0_ * 4;
  Reg at = place_out(d_, row_bytes, col_bytes, batch_d_);
  k_.st(k_.tile_hbm(DType::I32, at, rows_, cols_, ld), sums);
}

Reg GemmAny::takes_sums() { return rounding_.type == static_cast<int>(DType::I32); }

// Multiplies the rows or the columns of |acc| by the fp32 factors that |factors| leads to, if any.
void GemmAny::scale_by(const Tile& acc, const Place& factors, bool rows) {
  Reg given = factors.arg;
  k_.if_(std::move(given), [&] {
    Reg at = (rows ? row0_ : col0_) * 4;
    at += address(factors);
    Reg one = k_.reg(1);
    const Buf& buf = rows ? l1_col_ : l1_row_;
    Tile line =
        rows ? k_.tile_l1(DType::F32, buf, rows_, one) : k_.tile_l1(DType::F32, buf, one, cols_);
    k_.ld(line,
          rows ? k_.tile_hbm(DType::F32, at, rows_, one) : k_.tile_hbm(DType::F32, at, one, cols_));
    k_.fence();
    k_.vmul(acc, acc, rows ? col(line) : row(line));
    k_.fence();
  });
}

// acc = fma(C, beta, alpha acc); the scale that is left for the end is 1.
void GemmAny::add_c(const Tile& acc) {
  Reg given = c_.arg;
  k_.if_(std::move(given), [&] {
    Reg ld = distance(ldc_, n_, nullptr);
    Reg row_bytes = ld * c_bytes_;
    Reg col_bytes = col0_ * c_bytes_;
    Reg at = place_out(c_, row_bytes, col_bytes, batch_c_);
    Tile l1_c = k_.tile_l1(DType::F32, l1_out_, rows_, cols_);
    Reg type = c_type_;
    pick(k_, type, read_types().first(3),
         [&](DType t) { k_.ldc(l1_c, k_.tile_hbm(t, at, rows_, cols_, ld)); });
    k_.vmul(acc, acc, scale_);
    k_.fence();
    k_.vfma(acc, l1_c, beta_, acc);
    k_.fence();
    scale_ = k_.f32(1.0f);
  });
}

void GemmAny::load_bias(const Reg& bias) {
  k_.if_(bias, [&] {
    Reg at = col0_ * 4;
    at += address(bias_);
    k_.ld(k_.tile_l1(DType::F32, l1_row_, 1, cols_), k_.tile_hbm(DType::F32, at, 1, cols_));
    if (wide_) k_.fence();
  });
}

// Rows of D end with whole blocks: zeros fill the last one.
void GemmAny::fill_last_block(const Reg& whole) {
  if (!wide_) {
    k_.vfill(k_.tile_l1(DType::F32, l1_out_, rows_, whole), 0.0f);
    return;
  }
  Reg rest = whole - cols_;
  Reg at = cols_ * 4;
  at += strip_at_;
  k_.vfill(k_.tile_l1(DType::F32, at, rows_, rest, whole), 0.0f);
  k_.fence();
}

void GemmAny::finish_block(const Tile& acc) {
  Reg whole = ceil_div(cols_, d_unit_);
  whole *= d_unit_;
  const Val to = wide_ ? Val(strip_at_) : Val(l1_out_);
  Tile all = k_.tile_l1(DType::F32, to, rows_, whole);
  k_.if_(whole != cols_, [&] { fill_last_block(whole); });
  Reg bias = bias_.arg;
  load_bias(bias);
  if (!wide_) k_.fence();
  {
    Reg act = act_;
    store_accumulator(k_, k_.tile_l1(DType::F32, to, rows_, cols_, whole), acc,
                      {scale_, act, bias, l1_row_, cols_, finished_});
  }
  // Of a wide block the strip before may still be on its way to memory.
  wide_ ? k_.consume(*finished_) : k_.fence();
  {
    Reg factor = out_scale_;
    k_.if_(factor != F32::bits(1.0f), [&] {
      k_.vmul(all, all, factor);
      k_.fence();
    });
  }
  Reg ld = distance(ldd_, n_, &d_unit_);
  Reg row_bytes = bytes_of(ld, d_unit_, d_unit_bytes_);
  Reg col_bytes = bytes_of(col0_, d_unit_, d_unit_bytes_);
  Reg at = place_out(d_, row_bytes, col_bytes, batch_d_);
  // Of grouped products too the largest m and n count: each record has numbers of its own.
  auto number = [&] {
    Reg place = k_.group_z() * m_.arg;
    place += row0_;
    place *= n_.arg;
    place += col0_;
    return place;
  };
  store_as(
      k_, rounding_, {number, n_.arg},
      [&](DType type) { return k_.tile_hbm(type, at, rows_, whole, ld); }, all);
}

// From the sums to what lies in memory.
void GemmAny::finish(const Tile& acc) {
  scale_by(acc, scale_a_, true);
  scale_by(acc, scale_b_, false);
  scale_ = Reg(alpha_);
  add_c(acc);
  finish_block(acc);
}

Program GemmAny::build() {
  place_block();
  if (wide_) {
    build_wide();
    return k_.finish();
  }
  Tile acc = k_.tile_acc(k_.acc(kGemmBlockRows * kGemmBlockCols * 4), rows_, cols_);
  make_sum(acc);
  finish(acc);
  return k_.finish();
}

void add_gemm_any(Programs& out) {
  using Kind = GemmKind;
  using Form = GemmForm;
  for (Kind kind :
       {Kind::kAny, Kind::kF32, Kind::kBf16, Kind::kF16, Kind::kFp8, Kind::kI8, Kind::kTree}) {
    for (Form form : {Form::kPlain, Form::kGrouped}) out.push_back(GemmAny(kind, form).build());
  }
  out.push_back(GemmAny(Kind::kParts, Form::kPlain).build());
}

}  // namespace npu::kernels
