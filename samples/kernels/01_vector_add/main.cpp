// SPDX-License-Identifier: Apache-2.0
// Step 1: c = a + b by a kernel in assembler, compared bit for bit.
#include "../host.h"

namespace {

constexpr uint32_t kBlock = 1024;
constexpr uint32_t kGroups = 50;

// The argument block, in the order of the .arg lines of vector_add.s.
struct Args {
  npuDevPtr a, b, c;
};

bool add(const char *blob) {
  const std::vector<float> a = numbers(1, kBlock * kGroups), b = numbers(2, kBlock * kGroups);
  Npu npu;
  npu::Module module(npu.context, blob);
  npu::Memory<float> dev_a(npu.context, a), dev_b(npu.context, b), dev_c(npu.context, a.size());
  const double us = npu.run(module.kernel("vector_add"), {.x = kGroups},
                            Args{dev_a.get(), dev_b.get(), dev_c.get()});
  std::printf("%zu sums in %u work-groups, %.2f us of device time\n", a.size(), kGroups, us);

  const std::vector<float> c = dev_c.read();
  for (size_t i = 0; i < c.size(); ++i) {
    if (c[i] != a[i] + b[i]) return false;  // one fp32 addition: the same bits on both sides
  }
  return true;
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] { return add(argc > 1 ? argv[1] : KERNEL_BLOB); });
}
