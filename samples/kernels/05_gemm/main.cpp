// SPDX-License-Identifier: Apache-2.0
// Step 5: a matrix product on all tiles, and which part of the tensor units' peak it reaches.
#include <cstring>

#include "../host.h"
#include "../matrix.h"

namespace {

constexpr uint32_t kSide = 256;  // as in gemm.cpp

struct Args {
  npuDevPtr a, b, c;
  uint32_t m, n, k, pad;
};

// Upper half of each fp32; |values| then hold what is left, so that the reference works with the same numbers.
std::vector<uint16_t> to_bf16(std::vector<float> &values) {
  std::vector<uint16_t> out;
  for (float &x : values) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    out.push_back(static_cast<uint16_t>(bits >> 16));
    bits &= 0xffff0000u;
    std::memcpy(&x, &bits, 4);
  }
  return out;
}

bool multiply(Npu &npu, const npu::Kernel &kernel, uint32_t m, uint32_t n, uint32_t k) {
  std::vector<float> a = numbers(1, size_t{m} * k), b = numbers(2, size_t{k} * n);
  npu::Memory<uint16_t> dev_a(npu.context, to_bf16(a)), dev_b(npu.context, to_bf16(b));
  npu::Memory<float> dev_c(npu.context, size_t{m} * n);
  const npu::Grid grid{.x = (n + kSide - 1) / kSide, .y = (m + kSide - 1) / kSide};
  npu.run(kernel, grid, Args{dev_a.get(), dev_b.get(), dev_c.get(), m, n, k, 0});
  return count_wrong(a, b, dev_c.read(), m, n, k) == 0;
}

// Of the last kernel that was profiled: multiply-adds in its time, against what all tensor units could have done.
double utilisation(Npu &npu) {
  npuProfActivity last{}, next{};
  npu::check(npuProfFlush(NPU_TIMEOUT_INFINITE));
  for (uint32_t count = 1;;) {  // there are more of them when a tool collects them too
    next.struct_size = sizeof next;
    npu::check(npuProfRead(&count, &next, nullptr));
    if (count == 0) break;
    if (next.kind == NPU_PROF_KERNEL) last = next;
  }
  if (last.end_ps == 0) return 0;
  npuProfCounter peak{};
  peak.struct_size = sizeof peak;
  npu::check(npuProfGetCounter(npu.device.get(), "macs_bf16_per_second_max", &peak));
  const double seconds = static_cast<double>(last.end_ps - last.start_ps) * 1e-12;
  const double share =
      static_cast<double>(last.mac_ops) / seconds / static_cast<double>(peak.value);
  std::printf("%s: %.1f million multiply-adds in %.1f us, %.0f %% of the peak\n", last.name,
              static_cast<double>(last.mac_ops) / 1e6, seconds * 1e6, 100 * share);
  return share;
}

}  // namespace

int main(int argc, char **argv) {
  return run_sample([&] {
    Npu npu;
    npu::Module module(npu.context, argc > 1 ? argv[1] : KERNEL_BLOB);
    const npu::Kernel kernel = module.kernel("gemm");
    if (!multiply(npu, kernel, 300, 259, 130)) return false;  // blocks that are not full

    npuProfInfo wanted{};
    wanted.struct_size = sizeof wanted;
    wanted.kinds = 1u << NPU_PROF_KERNEL;
    npu::check(npuProfStart(&wanted));
    if (!multiply(npu, kernel, 512, 512, 1024)) return false;
    return utilisation(npu) > (npu.is_tiny() ? 0.75 : 0.01);
  });
}
