// SPDX-License-Identifier: Apache-2.0
// Which function comes next, and the care for the objects.
#include "tests/api_fuzz/lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <iterator>

namespace npu::fuzz {
namespace {

constexpr uint32_t kTendEvery = 24;
constexpr size_t kMostOfKind = 12;
constexpr size_t kMostContexts = 4;
constexpr size_t kMostAddresses = 48;
constexpr uint32_t kMostNodes = 300;
constexpr int64_t kSecondNs = 1'000'000'000;

// Functions that cost much, or end much: one of so many calls is made.
struct Rare {
  const char* name;
  uint32_t one_in;
};
constexpr Rare kRare[] = {
    {"npuDeviceOpen", 30},     {"npuDeviceClose", 60},   {"npuContextCreate", 8},
    {"npuContextDestroy", 20}, {"npuOpsCreate", 16},     {"npuMlOpen", 40},
    {"npuModuleLoad", 4},      {"npuModuleLoadData", 4}, {"npuMemRegisterHost", 2},
    {"npuMlClose", 10},        {"npuModuleCheck", 6},    {"npuModuleCheckData", 6},
    {"npuProfStart", 4},       {"npuProfSubscribe", 4},  {"npuOpsDestroy", 8}};

uint32_t rarity(const char* name) {
  for (const Rare& rare : kRare) {
    if (std::strcmp(rare.name, name) == 0) return rare.one_in;
  }
  return 1;
}

struct End {
  const char* function;
  Kind kind;
  npuResult (*call)(uint64_t handle);
};
#define NPU_END(function, type)                                                  \
  {                                                                              \
#function, kKindOf < type>,                                                  \
        [](uint64_t handle) { return function(reinterpret_cast<type>(handle)); } \
  }
// What others end with comes last.
constexpr End kEnds[] = {NPU_END(npuPreparedLaunchDestroy, npuPreparedLaunch),
                         NPU_END(npuGraphExecDestroy, npuGraphExec),
                         NPU_END(npuGraphDestroy, npuGraph),
                         NPU_END(npuEventDestroy, npuEvent),
                         NPU_END(npuSemaphoreDestroy, npuSemaphore),
                         NPU_END(npuMemPoolDestroy, npuMemPool),
                         NPU_END(npuMemDestroy, npuMemHandle),
                         NPU_END(npuOpsDestroy, npuOps),
                         NPU_END(npuQueueDestroy, npuQueue),
                         NPU_END(npuModuleUnload, npuModule),
                         NPU_END(npuContextDestroy, npuContext),
                         NPU_END(npuDeviceClose, npuDevice),
                         NPU_END(npuProfUnsubscribe, npuProfSubscriber),
                         NPU_END(npuMlClose, npuMlDevice)};
#undef NPU_END

// Sealed memory that can be imported.
int shared_file() {
  const int fd = memfd_create("api_fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -1;
  if (ftruncate(fd, 1 << 20) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

void end_all(World& world, Rng& rng) {
  for (const End& end : kEnds) {
    std::vector<Entry> entries = world.all(end.kind);
    for (size_t i = entries.size(); i > 1; i--) std::swap(entries[i - 1], entries[rng.below(i)]);
    for (const Entry& entry : entries) {
      end.call(entry.handle);
      world.remove(end.kind, entry.handle);
    }
  }
}

npuResult Lane::call(size_t number) {
  const Function& function = kFunctions[number];
  fuzzer_.function = function.name;
  const int64_t start_ns = now_ns();
  since_.store(start_ns, std::memory_order_relaxed);
  const npuResult result = function.call(fuzzer_, function.parameters);
  since_.store(0, std::memory_order_relaxed);
  calls_.fetch_add(1, std::memory_order_relaxed);
  fuzzer_.judge(result);
  tallies_[number].time_ns += now_ns() - start_ns;
  tallies_[number].calls++;
  // No link is lost here, so that none was is all that a wait for events can say.
  const bool waited = result == NPU_TIMEOUT && std::strcmp(function.name, "npuMlWaitEvent") == 0;
  tallies_[number].successes += result == NPU_OK || waited;
  if (result != NPU_OK) return result;
  // It has no output that says where.
  if (std::strcmp(function.name, "npuMemMapAt") == 0) {
    fuzzer_.world.add_address({fuzzer_.context, fuzzer_.last_address, function.name});
  }
  for (const End& end : kEnds) {
    if (std::strcmp(end.function, function.name) == 0)
      fuzzer_.world.remove(end.kind, fuzzer_.first_handle);
  }
  return result;
}

void Lane::force(const char* name) {
  for (size_t i = 0; i < kFunctionCount; i++) {
    if (std::strcmp(kFunctions[i].name, name) != 0) continue;
    fuzzer_.begin(name);
    fuzzer_.valid_only = true;
    call(i);
    return;
  }
  fuzzer_.fail("there is no such function");
}

void Lane::run(uint64_t calls, bool tended) {
  for (uint64_t i = 0; i < calls; i++) {
    if (tended && i % kTendEvery == 0) tend();
    size_t number;
    do {
      number = fuzzer_.rng.below(kFunctionCount);
    } while (!fuzzer_.rng.one_in(rarity(kFunctions[number].name)));
    fuzzer_.begin(kFunctions[number].name);
    if (!tended) fuzzer_.valid_only = false;
    call(number);
  }
}

void Lane::tend() {
  World& world = fuzzer_.world;
  struct Wanted {
    Kind kind;
    size_t least;
    const char* function;
  };
  static constexpr Wanted kWanted[] = {{Kind::kDevice, 2, "npuDeviceOpen"},
                                       {Kind::kMlDevice, 1, "npuMlOpen"},
                                       {Kind::kContext, 2, "npuContextCreate"},
                                       {Kind::kQueue, 4, "npuQueueCreate"},
                                       {Kind::kModule, 2, "npuModuleLoad"},
                                       {Kind::kKernel, 5, "npuModuleGetKernel"},
                                       {Kind::kOps, 2, "npuOpsCreate"},
                                       {Kind::kPool, 2, "npuMemPoolCreate"},
                                       {Kind::kMemory, 2, "npuMemCreate"},
                                       {Kind::kGraph, 2, "npuGraphCreate"},
                                       {Kind::kExec, 1, "npuGraphInstantiate"},
                                       {Kind::kPrepared, 1, "npuLaunchPrepare"},
                                       {Kind::kSemaphore, 1, "npuSemaphoreCreate"},
                                       {Kind::kEvent, 1, "npuEventCreate"}};
  for (const Wanted& wanted : kWanted) {
    if (world.count(wanted.kind) < wanted.least) force(wanted.function);
  }
  force("npuMemAlloc");
  // Each makes what another function needs.
  static constexpr const char* kSteps[] = {"npuMemReserve",       "npuMemMapAt",
                                           "npuMemUnmapAt",       "npuMemAllocAsync",
                                           "npuGraphAddKernel",   "npuGraphAddKernel",
                                           "npuGraphAddKernel",   "npuGraphAddCopy",
                                           "npuGraphInstantiate", "npuGraphInstantiate",
                                           "npuGraphLaunch",      "npuContextEnablePeer",
                                           "npuQueueLaunch",      "npuGraphExecUpdateNode",
                                           "npuOpsConvert"};
  force(kSteps[fuzzer_.rng.below(std::size(kSteps))]);
  if (fuzzer_.rng.one_in(8)) world.add_fd(shared_file());
  for (const Entry& context : world.all(Kind::kContext)) {
    if (!fuzzer_.rng.percent(30)) continue;
    for (npuLimit limit = NPU_LIMIT_DEVICE_BYTES; limit <= NPU_LIMIT_QUEUES; limit++) {
      npuContextSetLimit(reinterpret_cast<npuContext>(context.handle), limit, NPU_LIMIT_NONE);
    }
  }
  tend_queue();
  trim();
}

// A queue that failed or waits for what nobody signals would be no use any more.
void Lane::tend_queue() {
  const auto queue =
      reinterpret_cast<npuQueue>(fuzzer_.world.pick(Kind::kQueue, fuzzer_.rng).handle);
  uint32_t capturing = 0;
  if (npuQueueIsCapturing(queue, &capturing) == NPU_OK && capturing != 0 &&
      fuzzer_.rng.percent(40)) {
    npuGraph graph = nullptr;
    if (npuQueueEndCapture(queue, &graph) == NPU_OK) npuGraphDestroy(graph);
  }
  if (npuQueueSync(queue, 0) != NPU_OK && fuzzer_.rng.percent(60)) npuQueueReset(queue, kSecondNs);
}

void Lane::trim() {
  World& world = fuzzer_.world;
  for (const End& end : kEnds) {
    const size_t most = end.kind == Kind::kContext ? kMostContexts : kMostOfKind;
    while (world.count(end.kind) > most) {
      const uint64_t handle = world.pick(end.kind, fuzzer_.rng).handle;
      world.remove(end.kind, handle);
      end.call(handle);
    }
  }
  const auto graph = reinterpret_cast<npuGraph>(world.pick(Kind::kGraph, fuzzer_.rng).handle);
  uint32_t nodes = 0;
  if (npuGraphGetNodeCount(graph, &nodes) == NPU_OK && nodes > kMostNodes) {
    world.remove(Kind::kGraph, reinterpret_cast<uintptr_t>(graph));
    npuGraphDestroy(graph);
  }
  Address address;
  while (world.take_address(kMostAddresses, &address)) {
    const auto context = reinterpret_cast<npuContext>(address.context);
    if (npuMemFree(context, address.ptr) == NPU_OK ||
        npuMemUnmapAt(context, address.ptr, NPU_MEM_GRANULE_BYTES) == NPU_OK) {
      continue;
    }
    npuMemReleaseReservation(context, address.ptr);
  }
}

}  // namespace npu::fuzz
