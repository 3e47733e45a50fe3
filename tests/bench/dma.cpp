// SPDX-License-Identifier: Apache-2.0
// Copies by host and device against memcpy of as many bytes. Of copies inside the device one by one, each with a wait, and many in a row with a wait for the last: the first also tells
// what a round trip takes, the second what a copy does.
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/bench/bench.h"
#include "tests/bench/measurement.h"
#include "tests/bench/session.h"

namespace npu::bench {
namespace {

// Host memory begins at a page, as device memory does: where one side lies across lines and the other does not, a copy in caches takes 8 % longer, also memcpy's.
constexpr size_t kPageBytes = 4096;

struct Free {
  void operator()(char* memory) const { std::free(memory); }
};
using HostMemory = std::unique_ptr<char, Free>;

HostMemory host_memory(size_t bytes, int value) {
  HostMemory memory(static_cast<char*>(std::aligned_alloc(kPageBytes, bytes)));
  if (memory == nullptr) check(NPU_ERROR_OUT_OF_HOST_MEMORY);
  std::memset(memory.get(), value, bytes);
  return memory;
}

struct Buffers {
  Buffers(const Session& session, size_t bytes)
      : from(host_memory(bytes, 1)), to(host_memory(bytes, 2)) {
    check(npuMemAlloc(session.context, NPU_MEM_DEVICE, bytes, &first));
    check(npuMemAlloc(session.context, NPU_MEM_DEVICE, bytes, &second));
    check(npuMemCopyToDevice(session.context, first, from.get(), bytes));
    check(npuMemCopyToDevice(session.context, second, to.get(), bytes));
  }
  HostMemory from, to;
  npuDevPtr first = 0, second = 0;
};

constexpr double kGoal = 0.9;

// What is copied: |repeat| times a round, by |copies|.
struct Kind {
  std::string name;
  int repeat;
  std::optional<double> goal;
  std::function<void(int count)> copies;
};

bool publish_copies(const Kind& kind, size_t bytes, const Buffers& buffers,
                    const std::string& folder) {
  const Body ours = [&] { return seconds_per(1, [&] { kind.copies(kind.repeat); }) / kind.repeat; };
  const Body theirs = [&] {
    return seconds_per(kind.repeat, [&] {
      std::memcpy(buffers.to.get(), buffers.from.get(), bytes);
      asm volatile("" : : "r"(buffers.to.get()) : "memory");  // the copy has a reader
    });
  };
  const Paired paired = measure_paired(9, ours, theirs);
  const double gigabytes = static_cast<double>(bytes) * 1e-9;
  Measurement m{.name = "dma_" + kind.name, .value = gigabytes / paired.ours_s, .unit = "GB/s"};
  m.smaller_is_better = false;
  m.peer = "memcpy";
  m.peer_value = gigabytes / *paired.peer_s;
  m.goal = kind.goal;
  return publish(m, folder);
}

std::function<void(int)> one_by_one(std::function<void()> copy) {
  return [copy = std::move(copy)](int count) {
    for (int i = 0; i < count; i++) copy();
  };
}

bool bench_bytes(const Session& session, const std::string& size, size_t bytes, int repeat,
                 int in_a_row, std::optional<double> goal_one_by_one, const std::string& folder) {
  Buffers b(session, bytes);
  uint64_t done = 0;
  const auto submit = [&] { check(npuQueueCopy(session.queue, b.second, b.first, bytes, &done)); };
  const auto wait = [&] { check(npuQueueWait(session.queue, done, NPU_TIMEOUT_INFINITE)); };
  const auto to_device = [&] {
    check(npuMemCopyToDevice(session.context, b.first, b.from.get(), bytes));
  };
  const auto to_host = [&] {
    check(npuMemCopyToHost(session.context, b.to.get(), b.first, bytes));
  };
  const auto and_wait = [&] { submit(), wait(); };
  const auto many = [&](int count) {
    for (int i = 0; i < count; i++) submit();
    wait();
  };
  const Kind kinds[] = {{"h2d_" + size, repeat, kGoal, one_by_one(to_device)},
                        {"d2h_" + size, repeat, kGoal, one_by_one(to_host)},
                        {"d2d_" + size, repeat, goal_one_by_one, one_by_one(and_wait)},
                        {"d2d_" + size + "_in_a_row", in_a_row, kGoal, many}};
  bool good = true;
  for (const Kind& kind : kinds) good &= publish_copies(kind, bytes, b, folder);
  check(npuMemFree(session.context, b.first));
  check(npuMemFree(session.context, b.second));
  return good;
}

}  // namespace

bool bench_dma(const std::string& folder) {
  const Session session(default_road());
  // One by one, a copy of 64 KiB is mostly compared with a round trip: no goal.
  return bench_bytes(session, "64KiB", 64 << 10, 200, 1000, {}, folder) &
         bench_bytes(session, "64MiB", 64 << 20, 2, 4, kGoal, folder);
}

}  // namespace npu::bench
