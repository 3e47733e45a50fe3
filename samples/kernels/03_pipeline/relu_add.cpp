// SPDX-License-Identifier: Apache-2.0
// y = max(a + b, 0) for n fp32 numbers, twice: one step after the other, and with loads, arithmetic and stores at the same time.
// Each work-group takes every grid_x-th block, so the grid can be as small as the device.
#include <npu_kernel.h>

using namespace npu::isa;

namespace {

constexpr uint32_t kBlock = 8192;
constexpr uint32_t kBlockBytes = kBlock * 4;

// What both have in common: arguments, and the walk over the blocks of this group.
class ReluAdd {
 public:
  explicit ReluAdd(const char* name) : k(name) {}

  template <typename Body>
  void for_blocks(Body body) {
    Reg n = n_;
    Reg blocks = ceil_div(n, kBlock);
    k.for_range(k.group_x(), blocks, k.sreg(NPU_SREG_GRID_X), [&](const Reg& block) {
      first_ = block * kBlock;
      count_ = min(n - first_, kBlock);
      body();
    });
  }
  Tile hbm(const Arg& base) { return k.tile_hbm(DType::F32, base + first_ * 4, 1, count_); }
  Tile l1(const Val& at) { return k.tile_l1(DType::F32, at, 1, count_); }

  Kernel k;
  Arg a = k.arg_dva("a"), b = k.arg_dva("b"), y = k.arg_dva("y");

 private:
  Arg n_ = k.arg_u64("n");
  Reg first_, count_;
};

Program serial() {
  ReluAdd r("relu_add_serial");
  Kernel& k = r.k;
  Buf l1_a = k.l1(kBlockBytes), l1_b = k.l1(kBlockBytes);
  k.chain(true);  // each operation waits for the one before it
  r.for_blocks([&] {
    Tile x = r.l1(l1_a);
    k.ld(x, r.hbm(r.a));
    k.ld(r.l1(l1_b), r.hbm(r.b));
    k.vadd(x, x, r.l1(l1_b));
    k.relu(x, x);
    k.st(r.hbm(r.y), x);
  });
  return k.finish();
}

Program pipelined() {
  ReluAdd r("relu_add_pipelined");
  Kernel& k = r.k;
  Pipe<2> in(k, 2 * kBlockBytes);  // a buffer holds a block of a and one of b
  Pipe<2> out(k, kBlockBytes);
  r.for_blocks([&] {
    in.produce([&](const Reg& at) {
      k.ld(r.l1(at), r.hbm(r.a));
      k.ld(r.l1(at + kBlockBytes), r.hbm(r.b));
    });
    out.produce([&](const Reg& to) {
      Tile sum = r.l1(to);
      in.consume([&](const Reg& at) { k.vadd(sum, r.l1(at), r.l1(at + kBlockBytes)); });
      k.relu(sum, sum);
    });
    out.consume([&](const Reg& from) { k.st(r.hbm(r.y), r.l1(from)); });
  });
  return k.finish();
}

}  // namespace

std::vector<Program> npu_kernels() { return {serial(), pipelined()}; }
