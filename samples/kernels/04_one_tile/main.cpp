// SPDX-License-Identifier: Apache-2.0
// Step 4: matrix products that fit into one tile.
#include "../host.h"
#include "../matrix.h"

namespace {

// As matmul.cpp declares them; the block's size is a multiple of 8.
struct Args {
  npuDevPtr a, b, c;
  uint32_t m, n, k, pad;
};

bool multiply(Npu &npu, const npu::Kernel &kernel, uint32_t m, uint32_t n, uint32_t k) {
  const std::vector<float> a = numbers(1, size_t{m} * k), b = numbers(2, size_t{k} * n);
  npu::Memory<float> dev_a(npu.context, a), dev_b(npu.context, b);
  npu::Memory<float> dev_c(npu.context, size_t{m} * n);
  const double us =
      npu.run(kernel, {.x = 1}, Args{dev_a.get(), dev_b.get(), dev_c.get(), m, n, k, 0});
  std::printf("[%u x %u] x [%u x %u]: %.2f us of device time\n", m, k, k, n, us);
  return count_wrong(a, b, dev_c.read(), m, n, k) == 0;
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] {
    Npu npu;
    npu::Module module(npu.context, argc > 1 ? argv[1] : KERNEL_BLOB);
    const npu::Kernel kernel = module.kernel("matmul");
    return multiply(npu, kernel, 128, 128, 128) && multiply(npu, kernel, 5, 77, 33) &&
           multiply(npu, kernel, 1, 1, 1);
  });
}
