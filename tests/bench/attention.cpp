// SPDX-License-Identifier: Apache-2.0
// Attention forward, causal, 8 heads of 1,024 tokens and 64 elements, from the call of the API to its end, against PyTorch's scaled_dot_product_attention on the CPU.
#include <npu/npu_ops.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"
#include "tests/bench/torch_peer.h"

namespace npu::bench {
namespace {

constexpr uint32_t kHeads = 8, kLength = 1024, kDim = 64;
constexpr size_t kElements = size_t{kHeads} * kLength * kDim;

// |kElements| numbers in [-1, 1) in |type|, or memory for as many.
npuDevPtr tensor(const Session& session, npuDataType type, uint32_t seed) {
  npuDevPtr ptr = 0;
  const std::vector<float> wide = random_floats(seed, kElements);
  std::vector<uint16_t> narrow(kElements);
  for (size_t i = 0; i < kElements; i++) {
    uint32_t bits;
    std::memcpy(&bits, &wide[i], sizeof bits);
    narrow[i] = static_cast<uint16_t>(bits >> 16);
  }
  const bool fp32 = type == NPU_FLOAT32;
  const void* from = fp32 ? static_cast<const void*>(wide.data()) : narrow.data();
  const size_t bytes = kElements * (fp32 ? 4 : 2);
  check(npuMemAlloc(session.context, NPU_MEM_DEVICE, bytes, &ptr));
  check(npuMemCopyToDevice(session.context, ptr, from, bytes));
  return ptr;
}

bool bench_type(const Session& session, npuOps ops, TorchPeer* torch, const std::string& kind,
                npuDataType type, double goal, const std::string& folder) {
  npuOpsAttentionInfo info{};
  info.struct_size = sizeof info;
  info.type = type;
  info.batch = 1;
  info.heads = info.kv_heads = kHeads;
  info.q_len = info.kv_len = kLength;
  info.head_dim = kDim;
  info.causal = 1;
  info.scale = 1 / std::sqrt(static_cast<float>(kDim));
  info.q = tensor(session, type, 1);
  info.k = tensor(session, type, 2);
  info.v = tensor(session, type, 3);
  info.o = tensor(session, type, 4);
  info.q_strides = info.k_strides = info.v_strides =
      info.o_strides = {kElements, kLength * kDim, kDim};
  const Body ours = [&] {
    return seconds_per(4, [&] {
      uint64_t done = 0;
      check(npuOpsAttention(ops, session.queue, &info, &done));
      check(npuQueueWait(session.queue, done, NPU_TIMEOUT_INFINITE));
    });
  };
  const std::string request = "attention " + kind + " " + std::to_string(kHeads) + " " +
                              std::to_string(kLength) + " " + std::to_string(kDim) +
                              (type == NPU_FLOAT32 ? " 4" : " 1");
  const Body theirs = [&] { return torch->seconds(request); };
  const Paired paired = measure_paired(7, ours, torch != nullptr ? theirs : Body());
  Measurement m{.name = "attention_" + kind, .value = paired.ours_s * 1e3, .unit = "ms"};
  m.peer = torch != nullptr ? torch->name() : "PyTorch";
  if (paired.peer_s) m.peer_value = *paired.peer_s * 1e3;
  m.goal = goal;
  for (const npuDevPtr ptr : {info.q, info.k, info.v, info.o})
    check(npuMemFree(session.context, ptr));
  return publish(m, folder);
}

}  // namespace

bool bench_attention(const std::string& folder) {
  const Session session(default_road());
  npuOps ops = nullptr;
  check(npuOpsCreate(session.context, nullptr, &ops));
  const std::unique_ptr<TorchPeer> torch = TorchPeer::find();
  const bool good = bench_type(session, ops, torch.get(), "fp32", NPU_FLOAT32, 1, folder) &
                    bench_type(session, ops, torch.get(), "bf16", NPU_BFLOAT16, 10, folder);
  check(npuOpsDestroy(ops));
  return good;
}

}  // namespace npu::bench
