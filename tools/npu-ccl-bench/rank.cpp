// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-ccl-bench/rank.h"

#include <npu/npu.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>

#include "tools/npu-ccl-bench/operation.h"

namespace npu::ccl_bench {
namespace {

constexpr int64_t kWaitNs = 120'000'000'000;

// The first failure of a call ends the run.
struct Failed {
  std::string text;
};
void check(npuResult result, const char* what) {
  if (result == NPU_OK) return;
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  const std::string own = npuCclGetErrorText();
  throw Failed{std::string(what) + ": " + (own.empty() ? info.text : own)};
}

class Rank {
 public:
  Rank(const Options& options, const npuCclId& id, const Place& place)
      : options_(options), rank_(place.rank) {
    uint32_t devices = 0;
    check(npuInit(), "npuInit");
    check(npuDeviceGetCount(&devices), "npuDeviceGetCount");
    if (devices == 0)
      throw Failed{"there is no device; see npu-smi list, and the variable NPU_DEVICE"};
    check(npuDeviceOpen(std::to_string(place.local_rank % devices).c_str(), &device_),
          "npuDeviceOpen");
    check(npuContextCreate(device_, &context_), "npuContextCreate");
    check(npuQueueCreate(context_, nullptr, &queue_), "npuQueueCreate");
    npuCclCommInfo info{};
    info.struct_size = sizeof(info);
    info.chunk_bytes = options.chunk_bytes;
    check(npuCclCommCreate(&id, options.ranks, rank_, context_, &info, &comm_), "npuCclCommCreate");
    check(npuMemAlloc(context_, NPU_MEM_DEVICE, 256, &words_), "npuMemAlloc");
  }
  ~Rank() {
    if (comm_ != nullptr) npuCclCommDestroy(comm_);
    if (device_ != nullptr) npuDeviceClose(device_);
  }
  Rank(const Rank&) = delete;

  uint64_t run() {
    uint64_t all_wrong = 0;
    if (rank_ == 0) print_head();
    for (uint64_t bytes = options_.min_bytes; bytes <= options_.max_bytes;
         bytes *= options_.factor) {
      all_wrong += measure(Operation(options_, bytes));
      if (bytes == 0 || bytes > UINT64_MAX / options_.factor) break;
    }
    return all_wrong;
  }

 private:
  void print_head() const {
    std::printf("# %s, %u ranks in %s%s%s\n", options_.operation.c_str(), options_.ranks,
                options_.processes ? "processes" : "threads",
                options_.network ? ", each as a host of its own" : "",
                options_.windows ? ", buffers in windows" : "");
    std::printf("%12s %12s %9s %6s %13s %10s %9s %9s %6s\n", "size", "count", "type", "redop",
                "algorithm", "time", "algbw", "busbw", "wrong");
    std::printf("%12s %12s %9s %6s %13s %10s %9s %9s %6s\n", "(B)", "(elements)", "", "", "",
                "(us)", "(GB/s)", "(GB/s)", "");
  }
  double time_one(const Operation& operation, npuDevPtr send, npuDevPtr recv) {
    check(npuCclBarrier(comm_, queue_, nullptr), "npuCclBarrier");
    check(npuQueueSync(queue_, kWaitNs), "npuQueueSync");
    const auto begin = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < options_.in_a_row; i++)
      check(operation.call(comm_, queue_, send, recv), options_.operation.c_str());
    check(npuQueueSync(queue_, kWaitNs), "npuQueueSync");
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - begin;
    return all.count() / options_.in_a_row;
  }
  // The reduction of one number of each rank.
  template <typename Number>
  Number agree(Number own, npuDataType type, npuCclRedOp op) {
    check(npuMemCopyToDevice(context_, words_, &own, sizeof(own)), "npuMemCopyToDevice");
    check(npuCclAllReduce(comm_, queue_, words_, words_, 1, type, op, nullptr), "npuCclAllReduce");
    check(npuQueueSync(queue_, kWaitNs), "npuQueueSync");
    check(npuMemCopyToHost(context_, &own, words_, sizeof(own)), "npuMemCopyToHost");
    return own;
  }
  uint64_t repeats_of(const Operation& operation) const {
    constexpr uint64_t kLeast = 3;
    if (options_.repeat_bytes == 0 || options_.repeats <= kLeast) return options_.repeats;
    const uint64_t each = std::max<uint64_t>(operation.bytes() * options_.in_a_row, 1);
    return std::clamp<uint64_t>(options_.repeat_bytes / each, kLeast, options_.repeats);
  }
  uint64_t measure(const Operation& operation) {
    // Both in one piece, which may be a window.
    constexpr uint64_t kAlign = 256;
    const uint64_t bytes = (operation.buffer_bytes() + kAlign - 1) / kAlign * kAlign;
    const npuMemKind kind = NPU_MEM_DEVICE | (options_.windows ? NPU_MEM_EXPORTABLE : 0);
    npuDevPtr send = 0;
    check(npuMemAlloc(context_, kind, 2 * bytes, &send), "npuMemAlloc");
    const npuDevPtr recv = send + bytes;
    npuCclWindow window = 0;
    if (options_.windows) {
      check(npuCclCommWindowRegister(comm_, send, 2 * bytes, 0, &window),
            "npuCclCommWindowRegister");
    }
    const std::vector<uint8_t> input = operation.input(rank_);
    check(npuMemCopyToDevice(context_, send, input.data(), input.size()), "npuMemCopyToDevice");
    std::vector<double> times;
    for (uint32_t i = 0; i < options_.warmups; i++) time_one(operation, send, recv);
    for (uint64_t i = 0; i < repeats_of(operation); i++)
      times.push_back(time_one(operation, send, recv));
    std::vector<uint8_t> output(operation.buffer_bytes());
    check(npuMemCopyToHost(context_, output.data(), recv, output.size()), "npuMemCopyToHost");
    const char* const algorithm = operation.algorithm(comm_, window);
    if (window != 0) {
      check(npuCclCommWindowDeregister(comm_, window), "npuCclCommWindowDeregister");
    }
    npuMemFree(context_, send);
    std::sort(times.begin(), times.end());
    const double own = options_.least ? times.front() : times[times.size() / 2];
    const float slowest = agree(static_cast<float>(own), NPU_FLOAT32, NPU_CCL_MAX);
    const int32_t wrong =
        agree(static_cast<int32_t>(std::min<uint64_t>(operation.wrong(rank_, output), 1 << 20)),
              NPU_INT32, NPU_CCL_SUM);
    if (rank_ == 0) print(operation, algorithm, static_cast<double>(slowest), wrong);
    return static_cast<uint64_t>(wrong);
  }
  void print(const Operation& operation, const char* algorithm, double seconds,
             int32_t wrong) const {
    const double bandwidth = static_cast<double>(operation.bytes()) / seconds / 1e9;
    std::printf("%12" PRIu64 " %12" PRIu64 " %9s %6s %13s %10.1f %9.3f %9.3f %6d\n",
                operation.bytes(), operation.count(), options_.type.c_str(),
                operation.has_reduction() ? options_.reduction.c_str() : "none", algorithm,
                seconds * 1e6, bandwidth, bandwidth * operation.bus_factor(), wrong);
    std::fflush(stdout);
  }

  const Options& options_;
  const uint32_t rank_;
  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuQueue queue_ = nullptr;
  npuCclComm comm_ = nullptr;
  npuDevPtr words_ = 0;
};

}  // namespace

std::string run_rank(const Options& options, const npuCclId& id, const Place& place) {
  try {
    const uint64_t wrong = Rank(options, id, place).run();
    return wrong == 0 ? "" : "there are wrong results";
  } catch (const Failed& failed) {
    return "rank " + std::to_string(place.rank) + ": " + failed.text;
  }
}

}  // namespace npu::ccl_bench
