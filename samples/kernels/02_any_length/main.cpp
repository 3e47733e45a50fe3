// SPDX-License-Identifier: Apache-2.0
// Step 2: the same sum by a kernel in C++, for lengths that are no multiple of anything.
#include "../host.h"

namespace {

constexpr uint64_t kBlock = 16384;

// As vector_add.cpp declares them.
struct Args {
  npuDevPtr a, b, c;
  uint64_t n;
};

bool add(Npu &npu, const npu::Kernel &kernel, uint64_t n) {
  const std::vector<float> a = numbers(1, n), b = numbers(2, n);
  const float untouched = 12345.0f;
  npu::Memory<float> dev_a(npu.context, a), dev_b(npu.context, b);
  npu::Memory<float> dev_c(npu.context, std::vector<float>(n + 1, untouched));
  const auto groups = static_cast<uint32_t>((n + kBlock - 1) / kBlock);
  const double us = npu.run(kernel, {.x = groups}, Args{dev_a.get(), dev_b.get(), dev_c.get(), n});
  std::printf("%7llu sums in %2u work-groups, %6.2f us of device time\n",
              static_cast<unsigned long long>(n), groups, us);

  const std::vector<float> c = dev_c.read();
  for (uint64_t i = 0; i < n; ++i) {
    if (c[i] != a[i] + b[i]) return false;
  }
  return c[n] == untouched;  // and not a number more
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] {
    Npu npu;
    npu::Module module(npu.context, argc > 1 ? argv[1] : KERNEL_BLOB);
    const npu::Kernel kernel = module.kernel("vector_add");
    bool good = true;
    for (uint64_t n : {1, 1000, 16384, 16385, 1000003}) good = add(npu, kernel, n) && good;
    return good;
  });
}
