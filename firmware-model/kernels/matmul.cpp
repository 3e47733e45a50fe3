// SPDX-License-Identifier: Apache-2.0
// Products of tensors, Y[m, n] = sum over k of A[k, m] B[k, n], where rows of A (weights) and of B (vectors) have k elements each. Everything is computed in fp32: LDC brings operands of
// any type; but matmul_vec and matmul_mat multiply Q8_0 and Q4_0 as integers where |integers| says so: 1, by rows, 2, in tiles.
//
// matmul_vec     a few vectors: they stay in L1, rows of weights are streamed once from where they lie (MMS). x: rows of weights, y and z: dimensions 2 and 3.
//                With |ids| y and z are the places of ids, each of which names the weights of one vector.
// matmul_mat     many vectors: blocks as those of gemm (x: rows of weights, y: vectors, z: dimensions 2 and 3 in one), and whatever lies in memory in an unusual way. As integers, weights are
//                streamed past blocks of vectors.
// matmul_expert  with |ids|: rows of one expert's weights (x: rows, y: expert) stay in L1, and all vectors that chose it pass by.
//
// How rows lie ("mode"): 0 elements side by side; 1 rows side by side; 2 neither. Of B, 3 times its type is added: 0 fp32, 1 bf16, 2 fp16.
#include "firmware-model/kernels/kernels.h"
#include "firmware-model/kernels/limits.h"
#include "tools/isa/pipe.h"

namespace npu::kernels {
namespace {

using namespace npu::isa;

constexpr DType kVectorTypes[] = {DType::F32, DType::BF16, DType::F16};

// One operand: rows of k elements.
struct Rows {
  Arg at, row_bytes, step_bytes, dim2_bytes, dim3_bytes;  // step: from one block of k to the next
  Arg row, col, mode;                                     // strides in elements
};

class Matmul {
 protected:
  Matmul(size_t type, const char* name)
      : type_(kWeightTypes[type]), k_(std::string(name) + "_" + kWeightNames[type]) {}

  bool in_blocks() const { return block_shape(type_).elements != 1; }
  bool has_integers() const { return type_ == DType::Q8_0 || type_ == DType::Q4_0; }
  void load_by_mode(DType type, uint32_t mode, const Reg& to, const Reg& rows, const Reg& cols,
                    const Rows& from, const Reg& at);
  void load_weights(const Reg& to, const Reg& rows, const Reg& cols, const Reg& at);
  void load_vectors(const Reg& to, const Reg& rows, const Reg& cols, const Reg& at);
  void add_batch(Reg& at, const Rows& rows, const Reg& dim2, const Reg& dim3);
  void add_ids(const Reg& slot, const Reg& token);
  Rows rows_args(const char* name);

  DType type_;
  Kernel k_;
  Arg y_ = k_.arg_dva("y"), y_row_bytes_ = k_.arg_u64("y_row_bytes"),
      y_dim2_ = k_.arg_u64("y_dim2_bytes"), y_dim3_ = k_.arg_u64("y_dim3_bytes");
  Arg ids_ = k_.arg_dva("ids"), ids_slot_ = k_.arg_u64("ids_slot_bytes"),
      ids_token_ = k_.arg_u64("ids_token_bytes");
  Rows a_ = rows_args("a"), b_ = rows_args("b");
  Arg m_ = k_.arg_u32("m"), n_ = k_.arg_u32("n"), depth_ = k_.arg_u32("k");
  Arg y_row_ = k_.arg_u32("y_row");
  Arg block_m_ = k_.arg_u32("block_m"), block_n_ = k_.arg_u32("block_n"),
      block_k_ = k_.arg_u32("block_k");
  Arg batched_ = k_.arg_u32("batched"), dim2_ = k_.arg_u32("dim2"),
      shared2_ = k_.arg_u32("shared2"), shared3_ = k_.arg_u32("shared3");
  Arg experts_ = k_.arg_u32("experts"), b_slots_ = k_.arg_u32("b_slots"),
      tokens_ = k_.arg_u32("tokens"), integers_ = k_.arg_u32("integers");
  Reg a_at_, b_at_, y_at_;
};

Rows Matmul::rows_args(const char* name) {
  const std::string prefix = std::string(name) + "_";
  return {k_.arg_dva(name),
          k_.arg_u64(prefix + "row_bytes"),
          k_.arg_u64(prefix + "step_bytes"),
          k_.arg_u64(prefix + "dim2_bytes"),
          k_.arg_u64(prefix + "dim3_bytes"),
          k_.arg_u32(prefix + "row"),
          k_.arg_u32(prefix + "col"),
          k_.arg_u32(prefix + "mode")};
}

// rows x cols elements from |at| on to dense rows of fp32 at |to|.
void Matmul::load_by_mode(DType type, uint32_t mode, const Reg& to, const Reg& rows,
                          const Reg& cols, const Rows& from, const Reg& at) {
  if (mode == 0) {
    k_.ldc(k_.tile_l1(DType::F32, to, rows, cols), k_.tile_hbm(type, at, rows, cols, from.row));
    return;
  }
  if (mode == 1) {
    k_.ldc(k_.tile_l1(DType::F32, to, rows, cols), k_.tile_hbm(type, at, cols, rows, from.col))
        .trans();
    return;
  }
  Reg row_at = at + 0;
  Reg row_to = to + 0;
  Reg row_bytes = cols * 4;
  k_.for_range(rows, [&](const Reg&) {
    k_.ldc(k_.tile_l1(DType::F32, row_to, 1, cols), k_.tile_hbm(type, row_at, cols, 1, from.col))
        .trans();
    row_to += row_bytes;
    row_at += from.row_bytes;
  });
}

void Matmul::load_weights(const Reg& to, const Reg& rows, const Reg& cols, const Reg& at) {
  if (in_blocks()) return load_by_mode(type_, 0, to, rows, cols, a_, at);
  Reg mode = a_.mode;
  k_.if_(
      mode == 0, [&] { load_by_mode(type_, 0, to, rows, cols, a_, at); },
      [&] {
        k_.if_(
            mode == 1, [&] { load_by_mode(type_, 1, to, rows, cols, a_, at); },
            [&] { load_by_mode(type_, 2, to, rows, cols, a_, at); });
      });
}

void Matmul::load_vectors(const Reg& to, const Reg& rows, const Reg& cols, const Reg& at) {
  Reg mode = b_.mode;
  k_.if_(
      mode == 0, [&] { load_by_mode(DType::F32, 0, to, rows, cols, b_, at); },
      [&] {
        for (uint32_t m = 1; m < 3 * std::size(kVectorTypes); ++m) {
          k_.if_(mode == m,
                 [&] { load_by_mode(kVectorTypes[m / 3], m % 3, to, rows, cols, b_, at); });
        }
      });
}

void Matmul::add_batch(Reg& at, const Rows& rows, const Reg& dim2, const Reg& dim3) {
  at += dim2 * rows.dim2_bytes;
  at += dim3 * rows.dim3_bytes;
}

// Weights and vector of one place of ids. A number that names no weights leaves the view of their table.
void Matmul::add_ids(const Reg& slot, const Reg& token) {
  Reg at = slot * ids_slot_;
  at += token * ids_token_;
  at += ids_;
  Reg id = k_.load_u32(at);
  Tile all = k_.tile_l1(DType::F32, 0, experts_, 1);
  Tile chosen = all.view(id, 0, 1, 1);
  (void)chosen;
  a_at_ += id * a_.dim2_bytes;
  Reg shared = slot % b_slots_;
  add_batch(b_at_, b_, shared, token);
}

// --- a few vectors ----------------------------------------------------------------------------------------------------

class MatmulVec : Matmul {
 public:
  explicit MatmulVec(size_t type) : Matmul(type, "matmul_vec") {}
  Program build();

 private:
  void place();
  void multiply(const Tile& y, const Tile& vectors, const Tile& weights);

  Buf l1_b_ = k_.l1(kMatmulVectorElements * 4);
  Buf l1_y_ = k_.l1(kMatmulResultElements * 4);
  Reg rows_;
};

void MatmulVec::place() {
  a_at_ = Reg(a_.at);
  b_at_ = Reg(b_.at);
  y_at_ = Reg(y_);
  Reg first = k_.group_x() * block_m_;
  rows_ = min(Val(m_ - first), block_m_);
  a_at_ += first * a_.row_bytes;
  y_at_ += first * 4;
  first.free();
  Reg batched = batched_;
  k_.if_(std::move(batched), [&] {
    Reg dim2 = k_.group_y();
    Reg dim3 = k_.group_z();
    y_at_ += dim2 * y_dim2_;
    y_at_ += dim3 * y_dim3_;
    k_.if_(
        Reg(ids_), [&] { add_ids(dim2, dim3); },
        [&] {
          add_batch(b_at_, b_, dim2, dim3);
          Reg shared2 = dim2 / shared2_;
          Reg shared3 = dim3 / shared3_;
          add_batch(a_at_, a_, shared2, shared3);
        });
  });
}

void MatmulVec::multiply(const Tile& y, const Tile& vectors, const Tile& weights) {
  if (!has_integers()) {
    k_.mms(y, vectors, weights);
    return;
  }
  k_.if_(
      Reg(integers_),
      [&] {
        k_.if_(
            Val(integers_) == 1, [&] { k_.mms(y, vectors, weights).integer(); },
            [&] { k_.mms(y, vectors, weights).integer().tiled(); });
      },
      [&] { k_.mms(y, vectors, weights); });
}

Program MatmulVec::build() {
  place();
  Reg vectors = n_;
  Reg depth = depth_;
  {
    Reg to = k_.reg(l1_b_.offset_bytes);
    load_vectors(to, vectors, depth, b_at_);
  }
  k_.fence();
  Tile y = k_.tile_l1(DType::F32, l1_y_, vectors, rows_);
  multiply(y, k_.tile_l1(DType::F32, l1_b_, vectors, depth),
           k_.tile_hbm(type_, a_at_, rows_, depth, a_.row));
  k_.fence();
  k_.st(k_.tile_hbm(DType::F32, y_at_, vectors, rows_, y_row_), y);
  return k_.finish();
}

// --- many vectors -----------------------------------------------------------------------------------------------------

class MatmulMat : Matmul {
 public:
  explicit MatmulMat(size_t type) : Matmul(type, "matmul_mat") {}
  Program build();

 private:
  void place();
  template <typename Step>
  void in_steps(const Step& step);
  void load_step(Pipe<2>& pipe, const Tile& a, const Tile& b, bool by_columns, bool accumulate);
  void walk_plain(Pipe<2>& pipe, bool by_columns);
  void walk_any(const Buf& memory);
  void stream_step(Pipe<2>& pipe, bool tiled, bool accumulate);
  void stream(Pipe<2>& pipe, bool tiled);
  void stream_any(const Buf& memory);
  void multiply_integers(Pipe<2>& pipe);

  Buf l1_y_ = k_.l1(kGemmBlockRows * kGemmBlockCols * 4);
  Reg rows_, vectors_, step_, left_;
};

void MatmulMat::place() {
  a_at_ = Reg(a_.at);
  b_at_ = Reg(b_.at);
  y_at_ = Reg(y_);
  Reg batched = batched_;
  k_.if_(std::move(batched), [&] {
    Reg dim3 = k_.group_z() / dim2_;
    Reg dim2 = k_.group_z() - Val(dim3 * dim2_);
    y_at_ += dim2 * y_dim2_;
    y_at_ += dim3 * y_dim3_;
    add_batch(b_at_, b_, dim2, dim3);
    dim2 = dim2 / shared2_;
    dim3 = dim3 / shared3_;
    add_batch(a_at_, a_, dim2, dim3);
  });
  Reg first = k_.group_x() * block_m_;
  rows_ = min(Val(m_ - first), block_m_);
  a_at_ += first * a_.row_bytes;
  y_at_ += first * 4;
  first = k_.group_y() * block_n_;
  vectors_ = min(Val(n_ - first), block_n_);
  b_at_ += first * b_.row_bytes;
  y_at_ += first * y_row_bytes_;
}

// One block of k: Y is vectors by rows, so the vectors are the left operand and the weights panels of the right one.
void MatmulMat::load_step(Pipe<2>& pipe, const Tile& a, const Tile& b, bool by_columns,
                          bool accumulate) {
  pipe.produce([&](const Reg& at) {
    k_.ld(k_.tile_l1(DType::F32, at, vectors_, step_), b);
    Tile to = k_.panel_l1(DType::F32, at + kGemmBlockBytes, step_, rows_);
    Op op = type_ == DType::F32 ? k_.ld(to, a) : k_.ldc(to, a);
    op.trans(!by_columns);
  });
  pipe.consume([&](const Reg& at) {
    k_.mm(k_.tile_l1(DType::F32, l1_y_, vectors_, rows_),
          k_.tile_l1(DType::F32, at, vectors_, step_),
          k_.panel_l1(DType::F32, at + kGemmBlockBytes, step_, rows_))
        .acc(accumulate);
  });
}

void MatmulMat::walk_plain(Pipe<2>& pipe, bool by_columns) {
  auto weights = [&] {
    return by_columns ? k_.tile_hbm(type_, a_at_, step_, rows_, a_.col)
                      : k_.tile_hbm(type_, a_at_, rows_, step_, a_.row);
  };
  auto vectors = [&] { return k_.tile_hbm(DType::F32, b_at_, vectors_, step_, b_.row); };
  in_steps([&](bool accumulate) {
    Tile a = weights();
    Tile b = vectors();
    load_step(pipe, a, b, by_columns, accumulate);
  });
}

// One block of k after the other: the first one begins the sums, the others add to them.
template <typename Step>
void MatmulMat::in_steps(const Step& step) {
  step(false);
  left_ -= step_;
  Reg blocks = ceil_div(left_, block_k_);
  k_.for_range(std::move(blocks), [&](const Reg&) {
    a_at_ += a_.step_bytes;
    b_at_ += b_.step_bytes;
    step_ = min(left_, block_k_);
    step(true);
    left_ -= step_;
  });
}

// Everything that is not plain, one operation after the other.
void MatmulMat::walk_any(const Buf& memory) {
  Reg b_to = k_.reg(memory.offset_bytes);
  Reg a_to = k_.reg(memory.offset_bytes + kGemmBlockBytes);
  Tile y = k_.tile_l1(DType::F32, l1_y_, vectors_, rows_);
  k_.vfill(y, 0.0f);
  Reg blocks = ceil_div(left_, block_k_);
  k_.for_range(std::move(blocks), [&](const Reg&) {
    step_ = min(left_, block_k_);
    load_vectors(b_to, vectors_, step_, b_at_);
    load_weights(a_to, rows_, step_, a_at_);
    k_.fence();
    k_.mm(y, k_.tile_l1(DType::F32, b_to, vectors_, step_),
          k_.tile_l1(DType::F32, a_to, rows_, step_))
        .tb()
        .acc();
    k_.fence();
    a_at_ += a_.step_bytes;
    b_at_ += b_.step_bytes;
    left_ -= step_;
  });
}

// One block of k as integers: chains go on from step to step, so how k is cut changes no bit.
void MatmulMat::stream_step(Pipe<2>& pipe, bool tiled, bool accumulate) {
  Tile a = k_.tile_hbm(type_, a_at_, rows_, step_, a_.row);
  Tile b = k_.tile_hbm(DType::F32, b_at_, vectors_, step_, b_.row);
  pipe.produce([&](const Reg& at) { k_.ld(k_.tile_l1(DType::F32, at, vectors_, step_), b); });
  pipe.consume([&](const Reg& at) {
    k_.mms(k_.tile_l1(DType::F32, l1_y_, vectors_, rows_),
           k_.tile_l1(DType::F32, at, vectors_, step_), a)
        .integer()
        .tiled(tiled)
        .acc(accumulate);
  });
}

void MatmulMat::stream(Pipe<2>& pipe, bool tiled) {
  in_steps([&](bool accumulate) { stream_step(pipe, tiled, accumulate); });
}

// Vectors that are no plain rows of fp32, one operation after the other.
void MatmulMat::stream_any(const Buf& memory) {
  Reg to = k_.reg(memory.offset_bytes);
  Tile y = k_.tile_l1(DType::F32, l1_y_, vectors_, rows_);
  k_.vfill(y, 0.0f);
  Reg blocks = ceil_div(left_, block_k_);
  k_.for_range(std::move(blocks), [&](const Reg&) {
    step_ = min(left_, block_k_);
    load_vectors(to, vectors_, step_, b_at_);
    k_.fence();
    {
      Tile b = k_.tile_l1(DType::F32, to, vectors_, step_);
      Tile a = k_.tile_hbm(type_, a_at_, rows_, step_, a_.row);
      k_.if_(
          Val(integers_) == 1, [&] { k_.mms(y, b, a).integer().acc(); },
          [&] { k_.mms(y, b, a).integer().tiled().acc(); });
    }
    k_.fence();
    a_at_ += a_.step_bytes;
    b_at_ += b_.step_bytes;
    left_ -= step_;
  });
}

void MatmulMat::multiply_integers(Pipe<2>& pipe) {
  k_.if_(
      Reg(b_.mode), [&] { stream_any(pipe.memory()); },
      [&] {
        k_.if_(
            Val(integers_) == 1, [&] { stream(pipe, false); }, [&] { stream(pipe, true); });
      });
}

Program MatmulMat::build() {
  Pipe<2> pipe(k_, 2 * kGemmBlockBytes);
  place();
  left_ = Reg(depth_);
  step_ = min(left_, block_k_);
  Reg unusual = b_.mode;
  if (in_blocks()) {
    const auto in_fp32 = [&] {
      k_.if_(
          std::move(unusual), [&] { walk_any(pipe.memory()); }, [&] { walk_plain(pipe, false); });
    };
    if (has_integers())
      k_.if_(
          Reg(integers_), [&] { multiply_integers(pipe); }, in_fp32);
    else
      in_fp32();
  } else {
    Reg mode = a_.mode;
    Reg neither = mode >> 1;
    unusual = unusual | neither;
    neither.free();
    k_.if_(
        std::move(unusual), [&] { walk_any(pipe.memory()); },
        [&] {
          k_.if_(
              mode, [&] { walk_plain(pipe, true); }, [&] { walk_plain(pipe, false); });
        });
  }
  k_.fence();
  k_.st(k_.tile_hbm(DType::F32, y_at_, vectors_, rows_, y_row_),
        k_.tile_l1(DType::F32, l1_y_, vectors_, rows_));
  return k_.finish();
}

// --- experts ----------------------------------------------------------------------------------------------------------

class MatmulExpert : Matmul {
 public:
  explicit MatmulExpert(size_t type) : Matmul(type, "matmul_expert") {}
  Program build();

 private:
  void multiply(const Reg& slot, const Reg& token);

  Buf l1_a_ = k_.l1(kMatmulExpertElements * 4);
  Buf l1_b_ = k_.l1(kMatmulExpertDepth * 4);
  Buf l1_y_ = k_.l1(kMatmulResultElements * 4);
  Reg rows_, one_;
};

// One vector that chose this expert.
void MatmulExpert::multiply(const Reg& slot, const Reg& token) {
  Reg depth = depth_;
  Reg at = b_at_ + 0;
  {
    Reg shared = slot % b_slots_;
    add_batch(at, b_, shared, token);
  }
  Reg to = k_.reg(l1_b_.offset_bytes);
  load_vectors(to, one_, depth, at);
  k_.fence();
  Tile y = k_.tile_l1(DType::F32, l1_y_, one_, rows_);
  k_.mmd(y, k_.tile_l1(DType::F32, to, one_, depth), k_.tile_l1(DType::F32, l1_a_, rows_, depth));
  k_.fence();
  at = slot * y_dim2_;
  at += token * y_dim3_;
  at += y_at_;
  k_.st(k_.tile_hbm(DType::F32, at, one_, rows_), y);
}

Program MatmulExpert::build() {
  Reg first = k_.group_x() * block_m_;
  rows_ = min(Val(m_ - first), block_m_);
  one_ = k_.reg(1);
  Reg expert = k_.group_y();
  a_at_ = first * a_.row_bytes;
  a_at_ += expert * a_.dim2_bytes;
  a_at_ += a_.at;
  b_at_ = Reg(b_.at);
  y_at_ = first * 4;
  y_at_ += y_;
  first.free();
  {
    Reg depth = depth_;
    Reg to = k_.reg(l1_a_.offset_bytes);
    load_weights(to, rows_, depth, a_at_);
  }
  a_at_.free();
  // Numbers are checked as they pass by: one that names no expert leaves the view of all.
  Tile all = k_.tile_l1(DType::F32, 0, experts_, 1);
  Reg slots = n_;
  Reg tokens = tokens_;
  k_.for_range(tokens, [&](const Reg& token) {
    Reg at = token * ids_token_;
    at += ids_;
    k_.for_range(slots, [&](const Reg& slot) {
      Reg id = k_.load_u32(at);
      { Tile chosen = all.view(id, 0, one_, one_); }
      Reg mine = id == expert;
      k_.if_(std::move(mine), [&] { multiply(slot, token); });
      at += ids_slot_;
    });
  });
  return k_.finish();
}

}  // namespace

void add_matmul(Programs& out) {
  for (size_t type = 0; type < std::size(kWeightTypes); ++type) {
    out.push_back(MatmulVec(type).build());
    out.push_back(MatmulMat(type).build());
  }
  for (size_t type = 0; type < std::size(kWeightTypes); ++type)
    out.push_back(MatmulExpert(type).build());
}

}  // namespace npu::kernels
