// SPDX-License-Identifier: Apache-2.0
// c = a + b for n fp32 numbers, any n. Work-group x takes up to 16384 of them, from x * 16384 on.
#include <npu_kernel.h>

using namespace npu::isa;

namespace {

constexpr uint32_t kBlock = 16384;

Program vector_add() {
  Kernel k("vector_add");
  Arg a = k.arg_dva("a"), b = k.arg_dva("b"), c = k.arg_dva("c");
  Arg n = k.arg_u64("n");
  Buf l1_a = k.l1(kBlock * 4), l1_b = k.l1(kBlock * 4);
  Sem loaded = k.sem(), added = k.sem();

  Reg first = k.group_x() * kBlock;
  Reg count = min(n - first, kBlock);  // the last group has what is left
  Reg skip = first * 4;
  Tile x = k.tile_l1(DType::F32, l1_a, 1, count);
  Tile y = k.tile_l1(DType::F32, l1_b, 1, count);

  k.ld(x, k.tile_hbm(DType::F32, a + skip, 1, count));
  k.ld(y, k.tile_hbm(DType::F32, b + skip, 1, count)).signal(loaded);
  k.vadd(x, x, y).consume(loaded).signal(added);
  k.st(k.tile_hbm(DType::F32, c + skip, 1, count), x).consume(added);
  return k.finish();
}

}  // namespace

std::vector<Program> npu_kernels() { return {vector_add()}; }
