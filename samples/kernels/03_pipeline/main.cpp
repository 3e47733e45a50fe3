// SPDX-License-Identifier: Apache-2.0
// Step 3: two kernels that do the same, one of them with all engines at work. The device's clock tells the difference.
#include <cmath>

#include "../host.h"

namespace {

constexpr uint64_t kCount = 300001;

// As relu_add.cpp declares them.
struct Args {
  npuDevPtr a, b, y;
  uint64_t n;
};

// One work-group, so that the device's other tiles do not share the memory; its numbers come back in |y|.
double run(Npu &npu, const npu::Module &module, const char *name, const std::vector<float> &a,
           const std::vector<float> &b, std::vector<float> *y) {
  npu::Memory<float> dev_a(npu.context, a), dev_b(npu.context, b), dev_y(npu.context, kCount);
  const double us =
      npu.run(module.kernel(name), {.x = 1}, Args{dev_a.get(), dev_b.get(), dev_y.get(), kCount});
  *y = dev_y.read();
  return us;
}

bool compare(const char *blob) {
  const std::vector<float> a = numbers(1, kCount), b = numbers(2, kCount);
  std::vector<float> slow, fast;
  Npu npu;
  npu::Module module(npu.context, blob);
  const double slow_us = run(npu, module, "relu_add_serial", a, b, &slow);
  const double fast_us = run(npu, module, "relu_add_pipelined", a, b, &fast);
  std::printf("one after the other %.1f us, pipelined %.1f us: %.2f times as fast\n", slow_us,
              fast_us, slow_us / fast_us);

  for (uint64_t i = 0; i < kCount; ++i) {
    if (fast[i] != std::fmax(a[i] + b[i], 0.0f)) return false;
  }
  return slow == fast && fast_us < (npu.is_tiny() ? 0.75 : 1.0) * slow_us;
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] { return compare(argc > 1 ? argv[1] : KERNEL_BLOB); });
}
