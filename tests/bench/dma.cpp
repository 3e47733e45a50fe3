// SPDX-License-Identifier: Apache-2.0
// Copies by host and device against memcpy of as many bytes; also against a blocking copy of OpenCL where there is one.
#include <cstring>
#include <vector>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

struct Buffers {
  Buffers(const Session& session, size_t bytes) : from(bytes, 1), to(bytes, 2) {
    check(npuMemAlloc(session.context, NPU_MEM_DEVICE, bytes, &first));
    check(npuMemAlloc(session.context, NPU_MEM_DEVICE, bytes, &second));
    check(npuMemCopyToDevice(session.context, first, from.data(), bytes));
    check(npuMemCopyToDevice(session.context, second, to.data(), bytes));
  }
  std::vector<char> from, to;
  npuDevPtr first = 0, second = 0;
};

bool publish_copy(const char* kind, const char* size, size_t bytes, int repeat,
                  const Buffers& buffers, char* to, const std::string& folder,
                  const std::function<void()>& copy) {
  const Body ours = [&] { return seconds_per(repeat, copy); };
  const Body theirs = [&] {
    return seconds_per(repeat, [&] {
      std::memcpy(to, buffers.from.data(), bytes);
      asm volatile("" : : "r"(to) : "memory");  // the copy has a reader
    });
  };
  const Paired paired = measure_paired(9, ours, theirs);
  const double gigabytes = static_cast<double>(bytes) * 1e-9;
  Measurement m{.name = "dma_" + std::string(kind) + "_" + size,
                .value = gigabytes / paired.ours_s,
                .unit = "GB/s"};
  m.smaller_is_better = false;
  m.peer = "memcpy";
  m.peer_value = gigabytes / *paired.peer_s;
  if (bytes >= (64u << 20)) m.goal = 0.9;
  return publish(m, folder);
}

bool bench_bytes(const Session& session, const char* size, size_t bytes, int repeat,
                 const std::string& folder) {
  Buffers b(session, bytes);
  bool good = publish_copy("h2d", size, bytes, repeat, b, b.to.data(), folder, [&] {
    check(npuMemCopyToDevice(session.context, b.first, b.from.data(), bytes));
  });
  good &= publish_copy("d2h", size, bytes, repeat, b, b.to.data(), folder, [&] {
    check(npuMemCopyToHost(session.context, b.to.data(), b.first, bytes));
  });
  good &= publish_copy("d2d", size, bytes, repeat, b, b.to.data(), folder, [&] {
    uint64_t done = 0;
    check(npuQueueCopy(session.queue, b.second, b.first, bytes, &done));
    check(npuQueueWait(session.queue, done, NPU_TIMEOUT_INFINITE));
  });
  check(npuMemFree(session.context, b.first));
  check(npuMemFree(session.context, b.second));
  return good;
}

}  // namespace

bool bench_dma(const std::string& folder) {
  const Session session(default_road());
  return bench_bytes(session, "64KiB", 64 << 10, 200, folder) &
         bench_bytes(session, "64MiB", 64 << 20, 2, folder);
}

}  // namespace npu::bench
