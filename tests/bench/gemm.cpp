// SPDX-License-Identifier: Apache-2.0
// GEMM from the call of the API to its end: fp32 against OpenBLAS with as many threads as the model uses, bf16 against PyTorch, narrow types against our own fp32.
#include <dlfcn.h>
#include <npu/npu_ops.h>
#include <stdlib.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"
#include "tests/bench/torch_peer.h"

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

// C = A B of size n, in one type; the result is fp32, of bf16 bf16 as PyTorch gives it.
class Product {
 public:
  Product(const Session& session, npuOps ops, npuDataType type, int n)
      : session_(session), ops_(ops), n_(n) {
    const size_t count = static_cast<size_t>(n) * static_cast<size_t>(n);
    a_ = random_floats(1, count);
    b_ = random_floats(2, count);
    info_.struct_size = sizeof info_;
    info_.m = info_.n = info_.k = static_cast<uint32_t>(n);
    info_.alpha = 1;
    info_.type = type;
    info_.out_type = type == NPU_BFLOAT16 ? type : NPU_FLOAT32;
    // Blocks lie along k.
    if (type >= NPU_Q8_0) info_.b_form = NPU_OPS_TRANSPOSED;
    info_.a = to_device(a_);
    info_.b = to_device(b_);
    check(npuMemAlloc(session.context, NPU_MEM_DEVICE, count * 4, &info_.d));
  }
  ~Product() {
    for (const npuDevPtr ptr : {info_.a, info_.b, info_.d})
      check(npuMemFree(session_.context, ptr));
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  void run() const {
    uint64_t done = 0;
    check(npuOpsGemm(ops_, session_.queue, &info_, &done));
    check(npuQueueWait(session_.queue, done, NPU_TIMEOUT_INFINITE));
  }
  Body body(int repeat) const {
    return [this, repeat] { return seconds_per(repeat, [this] { run(); }); };
  }
  double flop() const { return 2.0 * n_ * n_ * n_; }
  const float* a() const { return a_.data(); }
  const float* b() const { return b_.data(); }

 private:
  // The matrix in the product's type; a type of blocks takes no more than fp32.
  npuDevPtr to_device(const std::vector<float>& host) const {
    npuDevPtr wide = 0, narrow = 0;
    check(npuMemAlloc(session_.context, NPU_MEM_DEVICE, host.size() * 4, &wide));
    check(npuMemCopyToDevice(session_.context, wide, host.data(), host.size() * 4));
    if (info_.type == NPU_FLOAT32) return wide;
    check(npuMemAlloc(session_.context, NPU_MEM_DEVICE, host.size() * 4, &narrow));
    npuOpsElementwiseInfo convert{};
    convert.struct_size = sizeof convert;
    convert.out_type = info_.type;
    convert.rows = convert.cols = info_.n;
    convert.x = wide;
    convert.y = narrow;
    convert.scale = info_.type == NPU_INT8 ? 100 : 0;
    uint64_t done = 0;
    check(npuOpsConvert(ops_, session_.queue, &convert, &done));
    check(npuQueueWait(session_.queue, done, NPU_TIMEOUT_INFINITE));
    check(npuMemFree(session_.context, wide));
    return narrow;
  }

  const Session& session_;
  const npuOps ops_;
  const int n_;
  std::vector<float> a_, b_;
  npuOpsGemmInfo info_{};
};

bool publish_rate(const std::string& name, const Product& product, const Paired& paired,
                  const std::string& peer, double goal, const std::string& folder) {
  Measurement m{
      .name = "gemm_" + name, .value = product.flop() / paired.ours_s * 1e-9, .unit = "GFLOP/s"};
  m.smaller_is_better = false;
  m.peer = peer;
  if (paired.peer_s) m.peer_value = product.flop() / *paired.peer_s * 1e-9;
  m.goal = goal;
  return publish(m, folder);
}

bool bench_fp32(const Session& session, npuOps ops, Sgemm sgemm, int n, const std::string& folder) {
  const Product product(session, ops, NPU_FLOAT32, n);
  const int repeat = n <= 256 ? 10 : n <= 512 ? 4 : n <= 1024 ? 2 : 1;
  std::vector<float> c(static_cast<size_t>(n) * static_cast<size_t>(n));
  const Body theirs = [&] {
    return seconds_per(repeat, [&] {
      sgemm(kRowMajor, kNoTrans, kNoTrans, n, n, n, 1, product.a(), n, product.b(), n, 0, c.data(),
            n);
    });
  };
  const Paired paired = measure_paired(9, product.body(repeat), sgemm != nullptr ? theirs : Body());
  return publish_rate("f32_" + std::to_string(n), product, paired, "OpenBLAS sgemm", 0.95, folder);
}

bool bench_bf16(const Session& session, npuOps ops, const std::string& folder) {
  constexpr int kSize = 1024;
  const std::unique_ptr<TorchPeer> torch = TorchPeer::find();
  const Product product(session, ops, NPU_BFLOAT16, kSize);
  const std::string peer = torch ? torch->name() : "PyTorch";
  // One product of the peer takes seconds where the CPU has no instructions for bf16, or they are not used.
  const auto against = [&](const std::string& request) {
    const Body theirs = [&] { return torch->seconds(request + " bf16 1024 1"); };
    return measure_paired(3, product.body(4), torch ? theirs : Body());
  };
  return publish_rate("bf16_1024", product, against("gemm"), peer, 50, folder) &
         publish_rate("bf16_1024_portable", product, against("gemm_portable"),
                      peer + " without oneDNN", 50, folder);
}

// Narrow operands are as fast as the host widens them.
bool bench_narrow(const Session& session, npuOps ops, const std::string& folder) {
  constexpr struct {
    const char* name;
    npuDataType type;
  } kTypes[] = {{"e4m3", NPU_FLOAT8_E4M3},
                {"e5m2", NPU_FLOAT8_E5M2},
                {"i8", NPU_INT8},
                {"mxfp8_e4m3", NPU_MXFP8_E4M3},
                {"mxfp8_e5m2", NPU_MXFP8_E5M2},
                {"mxfp6_e2m3", NPU_MXFP6_E2M3},
                {"mxfp6_e3m2", NPU_MXFP6_E3M2},
                {"mxfp4", NPU_MXFP4},
                {"mxint8", NPU_MXINT8}};
  constexpr int kSize = 1024;
  const Product fp32(session, ops, NPU_FLOAT32, kSize);
  bool good = true;
  for (const auto& row : kTypes) {
    const Product product(session, ops, row.type, kSize);
    const Paired paired = measure_paired(5, product.body(2), fp32.body(2));
    good &=
        publish_rate(std::string(row.name) + "_1024", product, paired, "our own fp32", 0.8, folder);
  }
  return good;
}

}  // namespace

bool bench_gemm(const std::string& folder) {
  const Session session(default_road());
  npuOps ops = nullptr;
  check(npuOpsCreate(session.context, nullptr, &ops));
  const Sgemm sgemm =
      find_sgemm(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  bool good = true;
  for (const int n : {256, 512, 1024, 2048}) good &= bench_fp32(session, ops, sgemm, n, folder);
  good &= bench_bf16(session, ops, folder);
  good &= bench_narrow(session, ops, folder);
  check(npuOpsDestroy(ops));
  return good;
}

}  // namespace npu::bench
