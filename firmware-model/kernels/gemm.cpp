// SPDX-License-Identifier: Apache-2.0
// GEMM: D = act(alpha op(A) op(B) + beta C + bias), one block of D a work-group: x over columns, y over rows, z over the batch.
//
// K is walked in blocks: while the tensor unit multiplies one pair of blocks, the DMA brings the next. A lies in L1 by rows, B in panels. Sums lie in L1 too, from where they
// can be stored: most products need nothing else at their end.
// Every element of D is one chain over ascending k, so the block sizes never change a bit of the result.
#include "firmware-model/kernels/epilogue.h"
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"
#include "tools/isa/pipe.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

// How B lies in memory: [k, n] by rows, [n, k] by rows, or re-tiled to panels by gemm_pack.
enum class FormB { kPlain, kTransposed, kPacked };

struct Variant {
  DType in;
  DType out;
  bool a_transposed;
  FormB b;

  std::string name() const {
    const char* b_letter = b == FormB::kPlain ? "n" : b == FormB::kTransposed ? "t" : "p";
    return "gemm_" + type_name(in) + "_" + type_name(out) + "_" + (a_transposed ? "t" : "n") +
           b_letter;
  }
};

class Gemm {
 public:
  explicit Gemm(const Variant& variant) : v_(variant), k_(variant.name()) {}
  Program build();

 private:
  Tile source_a();
  Tile source_b();
  void load_step(Tile& a, Tile& b, Pipe<2>& pipe, const Tile& sums, bool accumulate);
  void multiply(const Tile& sums);
  void add_c(const Tile& sums);
  void store_block(const Tile& sums);
  Tile block_out(const Arg& base, const Arg& ld, const Arg& batch_stride);

  Variant v_;
  Kernel k_;
  uint32_t elem_ = dtype_bytes(v_.in);
  Arg a_ = k_.arg_dva("a"), b_ = k_.arg_dva("b"), c_ = k_.arg_dva("c"), d_ = k_.arg_dva("d");
  Arg bias_ = k_.arg_dva("bias");
  Arg batch_a_ = k_.arg_u64("batch_stride_a"), batch_b_ = k_.arg_u64("batch_stride_b");
  Arg batch_c_ = k_.arg_u64("batch_stride_c"), batch_d_ = k_.arg_u64("batch_stride_d");
  Arg m_ = k_.arg_u32("m"), n_ = k_.arg_u32("n"), depth_ = k_.arg_u32("k");
  Arg lda_ = k_.arg_u32("lda"), ldb_ = k_.arg_u32("ldb"), ldc_ = k_.arg_u32("ldc"),
      ldd_ = k_.arg_u32("ldd");
  Arg block_m_ = k_.arg_u32("block_m"), block_n_ = k_.arg_u32("block_n"),
      block_k_ = k_.arg_u32("block_k"), first_k_ = k_.arg_u32("first_k");
  Arg alpha_ = k_.arg_f32("alpha"), beta_ = k_.arg_f32("beta"), act_ = k_.arg_u32("act");
  Buf l1_bias_ = k_.l1(kGemmBlockCols * 4);
  Buf l1_sums_ = k_.l1(kGemmBlockRows * kGemmBlockCols * 4);
  Buf l1_in_{0, 0};  // blocks of A and B
  Reg row0_, col0_, rows_, cols_, scale_, step_;
  Reg a_bytes_;  // of a block of A, behind which one of B lies
};

// The strip of A that this group reads: its first block of K.
Tile Gemm::source_a() {
  Reg lda = lda_;
  Reg base = k_.group_z() * batch_a_;
  base += a_;
  if (v_.a_transposed) {
    base += row0_ * elem_;
    return k_.tile_hbm(v_.in, base, step_, rows_, lda);
  }
  Reg skip = row0_ * lda;
  base += skip * elem_;
  return k_.tile_hbm(v_.in, base, rows_, step_, lda);
}

Tile Gemm::source_b() {
  Reg base = k_.group_z() * batch_b_;
  base += b_;
  if (v_.b == FormB::kPacked) {
    Reg depth = depth_;
    Reg skip = col0_ * depth;
    base += skip * elem_;
    return k_.tile(Space::Hbm, v_.in, base, step_, cols_, depth, Layout::Panel);
  }
  Reg ldb = ldb_;
  if (v_.b == FormB::kPlain) {
    base += col0_ * elem_;
    return k_.tile_hbm(v_.in, base, step_, cols_, ldb);
  }
  Reg skip = col0_ * ldb;
  base += skip * elem_;
  return k_.tile_hbm(v_.in, base, cols_, step_, ldb);
}

// One block of K: loads step_ columns of A and rows of B, and multiplies them.
void Gemm::load_step(Tile& a, Tile& b, Pipe<2>& pipe, const Tile& sums, bool accumulate) {
  pipe.produce([&](const Reg& at) {
    k_.ld(k_.tile_l1(v_.in, at, rows_, step_), a).trans(v_.a_transposed);
    k_.ld(k_.panel_l1(v_.in, at + a_bytes_, step_, cols_), b).trans(v_.b == FormB::kTransposed);
  });
  pipe.consume([&](const Reg& at) {
    k_.mm(sums, k_.tile_l1(v_.in, at, rows_, step_),
          k_.panel_l1(v_.in, at + a_bytes_, step_, cols_))
        .acc(accumulate);
  });
}

void Gemm::multiply(const Tile& sums) {
  Pipe<2> pipe(k_, kGemmPairBytes);
  l1_in_ = pipe.memory();
  a_bytes_ = block_m_ * block_k_;
  a_bytes_ *= elem_;
  Reg left = depth_;
  k_.if_(
      left == 0, [&] { k_.vfill(sums, 0.0f); },
      [&] {
        step_ = Reg(block_k_);
        Tile a = source_a();
        Tile b = source_b();
        const auto step = [&](bool accumulate) {
          Tile part_a = v_.a_transposed ? a.view(0, 0, step_, rows_) : a.view(0, 0, rows_, step_);
          Tile part_b =
              v_.b == FormB::kTransposed ? b.view(0, 0, cols_, step_) : b.view(0, 0, step_, cols_);
          load_step(part_a, part_b, pipe, sums, accumulate);
          left -= step_;
        };
        step_ = min(left, first_k_);
        step(false);
        Reg blocks = ceil_div(left, block_k_);
        k_.for_range(std::move(blocks), [&](const Reg&) {
          Reg next_a = step_ * elem_;
          Reg next_b = step_ * elem_;
          if (v_.a_transposed) next_a *= lda_;
          if (v_.b == FormB::kPlain) next_b *= ldb_;
          if (v_.b == FormB::kPacked) next_b *= NPU_PANEL_COLS;
          a.advance(next_a);
          b.advance(next_b);
          step_ = min(left, block_k_);
          step(true);
        });
      });
}

// This group's block of C or D in memory.
Tile Gemm::block_out(const Arg& base, const Arg& ld, const Arg& batch_stride) {
  Reg stride = ld;
  Reg at = row0_ * stride;
  at += col0_;
  at *= dtype_bytes(v_.out);
  at += base;
  Reg batch = k_.group_z() * batch_stride;
  at += batch;
  return k_.tile_hbm(v_.out, at, rows_, cols_, stride);
}

// sums = fma(C, beta, alpha sums); the scale that is left for the store is 1.
void Gemm::add_c(const Tile& sums) {
  Reg c = c_;
  k_.if_(c != 0, [&] {
    Tile l1_c = k_.tile_l1(v_.out, l1_in_, rows_, cols_);
    k_.ld(l1_c, block_out(c_, ldc_, batch_c_));
    k_.vmul(sums, sums, scale_);
    k_.fence();
    k_.vfma(sums, l1_c, beta_, sums);
    k_.fence();
    scale_ = k_.f32(1.0f);
  });
}

void Gemm::store_block(const Tile& sums) {
  // Ends in its place: a row is read before it is written, and no row of D is longer.
  Tile out = k_.tile_l1(v_.out, l1_sums_, rows_, cols_);
  Reg bias = bias_;
  Reg act = act_;
  const auto finish = [&] {
    store_accumulator(k_, out, sums, {scale_, act, bias, l1_bias_, cols_});
    k_.fence();
  };
  if (v_.out == DType::F32) {
    Reg changed = scale_ ^ k_.f32(1.0f);
    changed = changed | act;
    changed = changed | bias;
    k_.if_(std::move(changed), finish);
  } else {
    finish();
  }
  k_.st(block_out(d_, ldd_, batch_d_), out);
}

Program Gemm::build() {
  Reg block_m = block_m_;
  Reg block_n = block_n_;
  row0_ = k_.group_y() * block_m;
  col0_ = k_.group_x() * block_n;
  rows_ = min(Val(m_ - row0_), block_m);
  cols_ = min(Val(n_ - col0_), block_n);
  block_m.free();
  block_n.free();
  scale_ = Reg(alpha_);
  Reg bias = bias_;
  k_.if_(bias != 0, [&] {
    Reg at = col0_ * 4;
    at += bias;
    k_.ld(k_.tile_l1(DType::F32, l1_bias_, 1, cols_), k_.tile_hbm(DType::F32, at, 1, cols_));
  });
  bias.free();
  Tile sums = k_.tile_l1(DType::F32, l1_sums_, rows_, cols_);
  multiply(sums);
  step_.free();
  a_bytes_.free();
  k_.fence();
  add_c(sums);
  store_block(sums);
  return k_.finish();
}

}  // namespace

void add_gemm(Programs& out) {
  for (DType in : kElementTypes) {
    for (DType to : kElementTypes) {
      for (bool a_transposed : {false, true}) {
        for (FormB b : {FormB::kPlain, FormB::kTransposed, FormB::kPacked}) {
          out.push_back(Gemm({in, to, a_transposed, b}).build());
        }
      }
    }
  }
}

}  // namespace npu::kernels
