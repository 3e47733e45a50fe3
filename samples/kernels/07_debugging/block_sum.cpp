// SPDX-License-Identifier: Apache-2.0
// sums[g] = x[256 g] + ... + x[256 g + 255] for work-group g, which says what it found.
#include <npu_kernel.h>

using namespace npu::isa;

namespace {

constexpr uint32_t kBlock = 256;

Program block_sum() {
  Kernel k("block_sum");
  Arg x = k.arg_dva("x"), sums = k.arg_dva("sums"), n = k.arg_u32("n");
  Buf l1_x = k.l1(kBlock * 4), l1_sum = k.l1(4);
  Reg group = k.group_x();
  Reg end = (group + 1) * kBlock;
  k.check(end <= n, "work-group %d ends at %u, but n = %u", {group, end, n});

  k.chain(true);
  Tile block = k.tile_l1(DType::F32, l1_x, 1, kBlock);
  Tile sum = k.tile_l1(DType::F32, l1_sum, 1, 1);
  Reg to = sums + group * 4;
  k.ld(block, k.tile_hbm(DType::F32, x + group * (kBlock * 4), 1, kBlock));
  k.rsum(sum, block);
  k.st(k.tile_hbm(DType::F32, to, 1, 1), sum);
  k.fence();  // the sum is in memory
  k.print("work-group %d: sum %.2f", {group, k.load_u32(to)});
  return k.finish();
}

}  // namespace

std::vector<Program> npu_kernels() { return {block_sum()}; }
