// SPDX-License-Identifier: Apache-2.0
// C = A B for matrices of any size: A [m, k] and B [k, n] in bf16, C [m, n] in fp32. Work-group (x, y) makes the block of C in
// block row y and block column x; while it multiplies one pair of blocks of A and B, the next pair is on its way.
#include <npu_kernel.h>

using namespace npu::isa;

namespace {

constexpr uint32_t kSide = 256;  // rows and columns of a block of C
constexpr uint32_t kDepth = 64;  // columns of A and rows of B in one step
constexpr uint32_t kBlockBytes = kSide * kDepth * 2;

Program gemm() {
  Kernel k("gemm");
  Arg a = k.arg_dva("a"), b = k.arg_dva("b"), c = k.arg_dva("c");
  Arg m_arg = k.arg_u32("m"), n_arg = k.arg_u32("n"), k_arg = k.arg_u32("k");
  Pipe<2> pipe(k, 2 * kBlockBytes);  // a buffer holds a block of A and one of B
  Buf l1_c = k.l1(kSide * kSide * 4);
  Buf acc_c = k.acc(kSide * kSide * 4);
  Sem done = k.sem();

  Reg row = k.group_y() * kSide, col = k.group_x() * kSide;
  Reg n = n_arg, left = k_arg;
  Reg rows = min(m_arg - row, kSide), cols = min(n - col, kSide);
  Reg base_a = a + row * left * 2, base_b = b + col * 2;
  Tile from_a = k.tile_hbm(DType::BF16, base_a, rows, left, left);
  Tile from_b = k.tile_hbm(DType::BF16, base_b, left, cols, n);
  Tile acc = k.tile_acc(acc_c, rows, cols);

  Reg at_k = k.reg(0);
  auto step = [&](bool first) {
    Reg depth = min(left, kDepth);
    pipe.produce([&](const Reg& at) {
      k.ld(k.tile_l1(DType::BF16, at, rows, depth), from_a.view(0, at_k, rows, depth));
      k.ld(k.panel_l1(DType::BF16, at + kBlockBytes, depth, cols),
           from_b.view(at_k, 0, depth, cols));
    });
    pipe.consume([&](const Reg& at) {
      k.mm(acc, k.tile_l1(DType::BF16, at, rows, depth),
           k.panel_l1(DType::BF16, at + kBlockBytes, depth, cols))
          .acc(!first);  // adds to what the accumulator holds
    });
    at_k += depth;
    left -= depth;
  };
  step(true);
  k.for_range(ceil_div(left, kDepth), [&](const Reg&) { step(false); });

  Tile result = k.tile_l1(DType::F32, l1_c, rows, cols);
  k.accst(result, acc).signal(done);
  Reg base_c = c + (row * n + col) * 4;
  k.st(k.tile_hbm(DType::F32, base_c, rows, cols, n), result).consume(done);
  return k.finish();
}

}  // namespace

std::vector<Program> npu_kernels() { return {gemm()}; }
