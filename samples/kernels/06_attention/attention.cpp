// SPDX-License-Identifier: Apache-2.0
// O = softmax(scale Q K^T) V for one head of 64 columns, fp32. Work-group x takes 64 queries and walks over all keys, 64 at a time; the
// matrix of scores never leaves the tile.
#include <npu_kernel.h>
#include <limits>

using namespace npu::isa;

namespace {

constexpr uint32_t kBlock = 64, kDim = 64;
constexpr uint32_t kBlockBytes = kBlock * kDim * 4;

class Attention {
 public:
  Program build();

 private:
  void attend(const Tile& out);

  Kernel k{"attention"};
  Arg q_ = k.arg_dva("q"), keys_ = k.arg_dva("k"), v_ = k.arg_dva("v"), o_ = k.arg_dva("o");
  Arg q_len_ = k.arg_u32("q_len"), kv_len_ = k.arg_u32("kv_len"), scale_ = k.arg_f32("scale");
  Buf l1_q_ = k.l1(kBlockBytes), l1_weights_ = k.l1(kBlock * kBlock * 4);
  Buf l1_state_ = k.l1(kBlock * 8), l1_factor_ = k.l1(kBlock * 4);
  Buf acc_scores_ = k.acc(kBlock * kBlock * 4), acc_out_ = k.acc(kBlockBytes);
  Sem ready_ = k.sem(), scored_ = k.sem(), weighted_ = k.sem();
  Pipe<2> pipe_{k, 2 * kBlockBytes};  // a buffer holds a block of K, transposed, and one of V
  Reg rows_, key0_;
};

// One block of keys.
void Attention::attend(const Tile& out) {
  Reg count = min(kv_len_ - key0_, kBlock);
  Reg skip = key0_ * (kDim * 4);
  pipe_.produce([&](const Reg& at) {
    k.ld(k.panel_l1(DType::F32, at, kDim, count), k.tile_hbm(DType::F32, keys_ + skip, count, kDim))
        .trans();
    k.ld(k.panel_l1(DType::F32, at + kBlockBytes, count, kDim),
         k.tile_hbm(DType::F32, v_ + skip, count, kDim));
  });
  pipe_.consume([&](const Reg& at) {
    Tile queries = k.tile_l1(DType::F32, l1_q_, rows_, kDim);
    Tile scores = k.tile_acc(acc_scores_, rows_, count);
    Tile weights = k.tile_l1(DType::F32, l1_weights_, rows_, count);
    Tile state = k.tile_l1(DType::F32, l1_state_, rows_, 2);
    Tile factor = k.tile_l1(DType::F32, l1_factor_, rows_, 1);
    k.mm(scores, queries, k.panel_l1(DType::F32, at, kDim, count)).signal(scored_);
    k.smstep(weights, scores, state, factor).scale(scale_).consume(scored_);
    k.vmul(out, out, col(factor)).signal(weighted_);
    k.mm(out, weights, k.panel_l1(DType::F32, at + kBlockBytes, count, kDim))
        .acc()
        .consume(weighted_);
  });
  key0_ += kBlock;
}

Program Attention::build() {
  Reg first = k.group_x() * kBlock;
  rows_ = min(q_len_ - first, kBlock);
  Reg skip = first * (kDim * 4);
  Tile queries = k.tile_l1(DType::F32, l1_q_, rows_, kDim);
  Tile largest = k.tile_l1(DType::F32, l1_state_, rows_, 1, 2);
  Tile sum = k.tile_l1(DType::F32, l1_state_.offset_bytes + 4, rows_, 1, 2);
  Tile out = k.tile_acc(acc_out_, rows_, kDim);
  k.ld(queries, k.tile_hbm(DType::F32, q_ + skip, rows_, kDim)).signal(ready_);
  k.vfill(largest, -std::numeric_limits<float>::infinity());
  k.vfill(sum, 0.0f);
  k.vfill(out, 0.0f).signal(ready_);
  k.consume(ready_, 2);

  key0_ = k.reg(0);
  k.for_range(ceil_div(kv_len_, kBlock), [&](const Reg&) { attend(out); });

  k.fence();
  k.vdiv(queries, out, col(sum)).signal(ready_);
  k.st(k.tile_hbm(DType::F32, o_ + skip, rows_, kDim), queries).consume(ready_);
  return k.finish();
}

}  // namespace

std::vector<Program> npu_kernels() { return {Attention().build()}; }
