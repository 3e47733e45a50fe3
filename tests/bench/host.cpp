// SPDX-License-Identifier: Apache-2.0
// What this machine can do: fp32 multiply-adds in registers, and reading memory that no cache holds; with one thread and with all. The roofs that docs/performance.md holds other numbers against.
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"

// Highway compiles the loops for every instruction set and takes the best one here.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/bench/host.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace npu::bench {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int kChains = 12;  // two units of five cycles each, and some

// Multiply-adds done, counted as two operations each; *sink keeps them from being left out.
double multiply_add(int rounds, float* sink) {
  const hn::ScalableTag<float> d;
  using V = decltype(hn::Zero(d));
  const V factor = hn::Set(d, 0.999f), term = hn::Set(d, 0.001f);
  // Different, or the compiler might make one of them.
  V a0 = hn::Set(d, 0.00f), a1 = hn::Set(d, 0.01f), a2 = hn::Set(d, 0.02f), a3 = hn::Set(d, 0.03f);
  V a4 = hn::Set(d, 0.04f), a5 = hn::Set(d, 0.05f), a6 = hn::Set(d, 0.06f), a7 = hn::Set(d, 0.07f);
  V a8 = hn::Set(d, 0.08f), a9 = hn::Set(d, 0.09f), a10 = hn::Set(d, 0.1f), a11 = hn::Set(d, 0.11f);
  for (int i = 0; i < rounds; i++) {
    a0 = hn::MulAdd(a0, factor, term), a1 = hn::MulAdd(a1, factor, term);
    a2 = hn::MulAdd(a2, factor, term), a3 = hn::MulAdd(a3, factor, term);
    a4 = hn::MulAdd(a4, factor, term), a5 = hn::MulAdd(a5, factor, term);
    a6 = hn::MulAdd(a6, factor, term), a7 = hn::MulAdd(a7, factor, term);
    a8 = hn::MulAdd(a8, factor, term), a9 = hn::MulAdd(a9, factor, term);
    a10 = hn::MulAdd(a10, factor, term), a11 = hn::MulAdd(a11, factor, term);
  }
  const V half = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(a4, a5));
  const V rest = hn::Add(hn::Add(hn::Add(a6, a7), hn::Add(a8, a9)), hn::Add(a10, a11));
  *sink = hn::GetLane(hn::Add(half, rest));
  return 2.0 * rounds * kChains * static_cast<double>(hn::Lanes(d));
}

float sum(const float* from, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t n = hn::Lanes(d);
  auto a = hn::Zero(d), b = a, c = a, e = a;
  for (size_t i = 0; i + 4 * n <= count; i += 4 * n) {
    a = hn::Add(a, hn::LoadU(d, from + i));
    b = hn::Add(b, hn::LoadU(d, from + i + n));
    c = hn::Add(c, hn::LoadU(d, from + i + 2 * n));
    e = hn::Add(e, hn::LoadU(d, from + i + 3 * n));
  }
  return hn::GetLane(hn::Add(hn::Add(a, b), hn::Add(c, e)));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace npu::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::bench {

HWY_EXPORT(multiply_add);
HWY_EXPORT(sum);

namespace {

constexpr int kRounds = 7;
constexpr size_t kReadFloats = size_t{32} << 20;  // for each thread: 128 MiB

// Wall seconds of |body(thread)| on all threads, from the first start to the last end.
template <typename F>
double seconds_of_all(unsigned threads, F body) {
  return seconds_per(1, [&] {
    std::vector<std::thread> others;
    for (unsigned t = 1; t < threads; t++) others.emplace_back([&body, t] { body(t); });
    body(0u);
    for (std::thread& other : others) other.join();
  });
}

bool publish_host(const std::string& name, double value, const char* unit,
                  const std::string& folder) {
  Measurement m{.name = "host_" + name, .value = value, .unit = unit};
  m.smaller_is_better = false;
  return publish(m, folder);
}

bool bench_threads(unsigned threads, const std::string& folder) {
  const std::string suffix =
      "_" + std::to_string(threads) + (threads == 1 ? "_thread" : "_threads");
  std::vector<float> memory(kReadFloats * threads, 1.0f);
  std::atomic<float> kept{0};
  std::vector<double> flops, bytes;
  for (int round = 0; round < kRounds; round++) {
    std::vector<double> done(threads);
    const double fma_s = seconds_of_all(threads, [&](unsigned t) {
      float sink = 0;
      done[t] = HWY_DYNAMIC_DISPATCH(multiply_add)(2'000'000, &sink);
      kept.store(sink, std::memory_order_relaxed);
    });
    double all = 0;
    for (const double one : done) all += one;
    flops.push_back(all / fma_s);
    const double read_s = seconds_of_all(threads, [&](unsigned t) {
      kept.store(HWY_DYNAMIC_DISPATCH(sum)(memory.data() + t * kReadFloats, kReadFloats),
                 std::memory_order_relaxed);
    });
    bytes.push_back(static_cast<double>(memory.size()) * 4 / read_s);
  }
  return publish_host("fma" + suffix, median(flops) * 1e-9, "GFLOP/s", folder) &
         publish_host("read" + suffix, median(bytes) * 1e-9, "GB/s", folder);
}

}  // namespace

bool bench_host(const std::string& folder) {
  const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
  return bench_threads(1, folder) & (cpus == 1 || bench_threads(cpus, folder));
}

}  // namespace npu::bench
#endif  // HWY_ONCE
