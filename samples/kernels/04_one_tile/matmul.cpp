// SPDX-License-Identifier: Apache-2.0
// C = A B in fp32 on one tile: A is [m, k], B [k, n], no side longer than 128, so that all of it fits into the scratchpad at once.
#include <npu_kernel.h>

using namespace npu::isa;

namespace {

constexpr uint32_t kSide = 128;
constexpr uint32_t kMatrixBytes = kSide * kSide * 4;

Program matmul() {
  Kernel k("matmul");
  Arg a = k.arg_dva("a"), b = k.arg_dva("b"), c = k.arg_dva("c");
  Reg m = k.arg_u32("m"), n = k.arg_u32("n"), depth = k.arg_u32("k");
  Buf l1_a = k.l1(kMatrixBytes), l1_b = k.l1(kMatrixBytes), l1_c = k.l1(kMatrixBytes);
  Sem loaded = k.sem(), stored = k.sem();

  Tile x = k.tile_l1(DType::F32, l1_a, m, depth);
  Tile y = k.panel_l1(DType::F32, l1_b, depth,
                      n);  // panels: the order in which the tensor unit reads its second operand
  Tile product = k.tile_acc(k.acc(kMatrixBytes), m, n);
  Tile result = k.tile_l1(DType::F32, l1_c, m, n);

  k.ld(x, k.tile_hbm(DType::F32, a, m, depth));
  k.ld(y, k.tile_hbm(DType::F32, b, depth, n)).signal(loaded);
  k.mm(product, x, y).consume(loaded);
  k.accst(result, product).signal(stored);  // same engine as mm, so it needs no semaphore
  k.st(k.tile_hbm(DType::F32, c, m, n), result).consume(stored);
  return k.finish();
}

}  // namespace

std::vector<Program> npu_kernels() { return {matmul()}; }
