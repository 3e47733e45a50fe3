// SPDX-License-Identifier: Apache-2.0
// fp32 GEMM from the call of the API to the result on the host's side of the fence, against OpenBLAS with as many threads as the model uses.
#include <dlfcn.h>
#include <npu/npu_ops.h>
#include <stdlib.h>

#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

constexpr int kRowMajor = 101;  // of CBLAS
constexpr int kNoTrans = 111;

using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int,
                       float, float*, int);

Sgemm find_sgemm(int threads) {
  // Its pool spins for 2^26 cycles after each call and would take the cores from the model, whose turn is next: sleep at once.
  if (setenv("OPENBLAS_THREAD_TIMEOUT", "4", 0) != 0) return nullptr;
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  const auto set_threads =
      reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  if (set_threads != nullptr) set_threads(threads);
  return reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
}

std::vector<float> random_matrix(uint32_t seed, size_t count) {
  std::vector<float> out(count);
  for (float& x : out)
    x = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1.0f;
  return out;
}

npuDevPtr to_device(const Session& session, const std::vector<float>& host) {
  npuDevPtr ptr = 0;
  check(npuMemAlloc(session.context, NPU_MEM_DEVICE, host.size() * 4, &ptr));
  check(npuMemCopyToDevice(session.context, ptr, host.data(), host.size() * 4));
  return ptr;
}

bool bench_size(const Session& session, npuOps ops, Sgemm sgemm, int n, const std::string& folder) {
  const size_t count = static_cast<size_t>(n) * static_cast<size_t>(n);
  const std::vector<float> a = random_matrix(1, count), b = random_matrix(2, count);
  std::vector<float> c(count);
  npuOpsGemmInfo info{};
  info.struct_size = sizeof info;
  info.m = info.n = info.k = static_cast<uint32_t>(n);
  info.alpha = 1;
  info.a = to_device(session, a);
  info.b = to_device(session, b);
  info.d = to_device(session, c);
  const double flop = 2.0 * n * n * n;
  const int repeat = n <= 256 ? 10 : n <= 512 ? 4 : 2;
  const Body ours = [&] {
    return seconds_per(repeat, [&] {
      uint64_t done = 0;
      check(npuOpsGemm(ops, session.queue, &info, &done));
      check(npuQueueWait(session.queue, done, NPU_TIMEOUT_INFINITE));
    });
  };
  const Body theirs = [&] {
    return seconds_per(repeat, [&] {
      sgemm(kRowMajor, kNoTrans, kNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
    });
  };
  const Paired paired = measure_paired(9, ours, sgemm != nullptr ? theirs : Body());
  Measurement m{.name = "gemm_f32_" + std::to_string(n),
                .value = flop / paired.ours_s * 1e-9,
                .unit = "GFLOP/s"};
  m.smaller_is_better = false;
  m.peer = "OpenBLAS sgemm";
  if (paired.peer_s) m.peer_value = flop / *paired.peer_s * 1e-9;
  m.goal = 0.95;
  for (const npuDevPtr ptr : {info.a, info.b, info.d}) check(npuMemFree(session.context, ptr));
  return publish(m, folder);
}

}  // namespace

bool bench_gemm(const std::string& folder) {
  const Session session(default_road());
  npuOps ops = nullptr;
  check(npuOpsCreate(session.context, nullptr, &ops));
  const Sgemm sgemm =
      find_sgemm(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  bool good = true;
  for (const int n : {256, 512, 1024}) good &= bench_size(session, ops, sgemm, n, folder);
  check(npuOpsDestroy(ops));
  return good;
}

}  // namespace npu::bench
