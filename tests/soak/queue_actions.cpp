// SPDX-License-Identifier: Apache-2.0
// Actions on queues: order, dependencies, graphs, failures and their end.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <iterator>
#include <vector>

#include "tests/soak/session.h"

namespace npu::soak {
namespace {

using Queue = Own<npuQueue, npuQueueDestroy>;
using Event = Own<npuEvent, npuEventDestroy>;
using Semaphore = Own<npuSemaphore, npuSemaphoreDestroy>;
using Graph = Own<npuGraph, npuGraphDestroy>;
using Exec = Own<npuGraphExec, npuGraphExecDestroy>;
using Prepared = Own<npuPreparedLaunch, npuPreparedLaunchDestroy>;
using Module = Own<npuModule, npuModuleUnload>;

constexpr uint32_t kColumns = 256;  // that one group of add_scalar works on
constexpr uint64_t kBytes = kColumns * sizeof(float);

uint32_t bits_of(float number) { return __builtin_bit_cast(uint32_t, number); }

// A place with |start| in each element.
bool prepare_numbers(Session& s, const Memory& at, float start) {
  if (!at) return false;
  s.must(fill(s.queue, at.at, bits_of(start), kBytes), "npuQueueFill");
  return true;
}

void launches(Session& s) {
  const Memory x(s, kBytes);
  if (!prepare_numbers(s, x, 1.0f)) return;
  const npuKernel kernel = kernel_of(s, s.module, "add_scalar");
  const AddArgs args{x.at, x.at, 2.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  const auto count = static_cast<uint32_t>(1 + s.rng.below(50));
  for (uint32_t i = 0; i < count; i++)
    s.must(npuQueueLaunch(s.queue, kernel, &info, nullptr), "npuQueueLaunch");
  s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
  expect_words(s, s.context, x.at, bits_of(1.0f + 2.0f * static_cast<float>(count)), kBytes,
               "each launch added once");
}

void prepared_launches(Session& s) {
  const Memory x(s, kBytes);
  if (!prepare_numbers(s, x, 0.0f)) return;
  AddArgs args{x.at, x.at, 1.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  Prepared prepared(s);
  if (!s.good(npuLaunchPrepare(kernel_of(s, s.module, "add_scalar"), &info, &prepared.handle),
              "npuLaunchPrepare"))
    return;
  s.must(npuQueueLaunchPrepared(s.queue, prepared.handle, nullptr), "npuQueueLaunchPrepared");
  const float four = 4.0f;
  s.must(npuPreparedLaunchSetArgs(prepared.handle, offsetof(AddArgs, s), &four, sizeof four),
         "npuPreparedLaunchSetArgs");
  s.must(npuQueueLaunchPrepared(s.queue, prepared.handle, nullptr), "npuQueueLaunchPrepared");
  s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
  expect_words(s, s.context, x.at, bits_of(5.0f), kBytes, "each submission has its own arguments");
}

void batch(Session& s) {
  const Memory x(s, kBytes);
  const Memory y(s, kBytes);
  if (!x || !y) return;
  const AddArgs args{x.at, y.at, 3.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  npuCommand commands[3] = {};
  commands[0].struct_size = sizeof commands[0];
  commands[0].kind = NPU_COMMAND_FILL;
  commands[0].as.fill = {x.at, bits_of(4.0f), kBytes, 4, 0};
  commands[1].kind = NPU_COMMAND_LAUNCH;
  commands[1].as.launch = {kernel_of(s, s.module, "add_scalar"), &info};
  commands[2].kind = NPU_COMMAND_COPY;
  commands[2].as.copy = {x.at, y.at, kBytes};
  uint64_t value = 0;
  s.must(npuSubmitBatch(s.queue, 3, commands, &value), "npuSubmitBatch");
  s.must(npuQueueWait(s.queue, value, kLongNs), "npuQueueWait");
  expect_words(s, s.context, x.at, bits_of(7.0f), kBytes, "a batch runs in order");
}

void graph(Session& s) {
  const Memory x(s, kBytes);
  if (!x) return;
  const AddArgs args{x.at, x.at, 1.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  Graph graph(s);
  Exec exec(s);
  s.must(npuQueueBeginCapture(s.queue), "npuQueueBeginCapture");
  s.must(fill(s.queue, x.at, bits_of(10.0f), kBytes), "npuQueueFill");
  for (int i = 0; i < 5; i++) {
    s.must(npuQueueLaunch(s.queue, kernel_of(s, s.module, "add_scalar"), &info, nullptr),
           "npuQueueLaunch");
  }
  s.must(npuQueueEndCapture(s.queue, &graph.handle), "npuQueueEndCapture");
  if (!s.good(npuGraphInstantiate(graph.handle, &exec.handle), "npuGraphInstantiate")) return;
  for (int i = 0; i < 3; i++)
    s.must(npuGraphLaunch(exec.handle, s.second, nullptr), "npuGraphLaunch");
  s.must(npuQueueSync(s.second, kLongNs), "npuQueueSync");
  expect_words(s, s.context, x.at, bits_of(15.0f), kBytes, "a graph does the same each time");
}

void events(Session& s) {
  const Memory x(s, kBytes);
  Event event(s);
  if (!prepare_numbers(s, x, 2.0f) ||
      !s.good(npuEventCreate(s.context, &event.handle), "npuEventCreate"))
    return;
  s.must(npuEventRecord(event.handle, s.queue), "npuEventRecord");
  s.must(npuQueueWaitEvent(s.second, event.handle), "npuQueueWaitEvent");
  const AddArgs args{x.at, x.at, 1.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  uint64_t value = 0;
  s.must(npuQueueLaunch(s.second, kernel_of(s, s.module, "add_scalar"), &info, &value),
         "npuQueueLaunch");
  const npuWaitItem item{s.second, value};
  s.must(npuWaitMany(1, &item, NPU_WAIT_ALL, kLongNs, nullptr), "npuWaitMany");
  s.must(npuEventQuery(event.handle), "npuEventQuery");
  expect_words(s, s.context, x.at, bits_of(3.0f), kBytes, "a queue waits for an event of another");
}

void semaphores(Session& s) {
  Semaphore semaphore(s);
  npuDevPtr address = 0;
  if (!s.good(npuSemaphoreCreate(s.context, 0, &semaphore.handle), "npuSemaphoreCreate")) return;
  s.must(npuSemaphoreGetAddress(semaphore.handle, &address), "npuSemaphoreGetAddress");
  uint64_t last = 0;
  for (uint64_t i = 1; i <= 10; i += 2) {
    s.must(npuQueueWaitSemaphore(s.queue, address, i, nullptr), "npuQueueWaitSemaphore");
    s.must(npuQueueSignal(s.queue, address, i + 1, &last), "npuQueueSignal");
    s.must(npuSemaphoreSignal(semaphore.handle, i), "npuSemaphoreSignal");
    // It sleeps for a notice, of which one process has only so many.
    if (!s.good(npuSemaphoreWait(semaphore.handle, i + 1, kLongNs), "npuSemaphoreWait")) {
      s.must(npuQueueWait(s.queue, last, kLongNs), "npuQueueWait");
    }
  }
  s.must(npuQueueWait(s.queue, last, kLongNs), "npuQueueWait");
}

struct Count {
  std::atomic<uint32_t> calls{0};
  std::atomic<uint32_t> cancelled{0};
  static void add(npuResult status, void* data) {
    auto* const count = static_cast<Count*>(data);
    if (status != NPU_OK) count->cancelled++;
    count->calls++;
  }
};

void host_functions(Session& s) {
  Count count;
  Queue queue(s);
  if (!s.good(npuQueueCreate(s.context, nullptr, &queue.handle), "npuQueueCreate")) return;
  uint32_t accepted = 0;
  const auto wanted = static_cast<uint32_t>(1 + s.rng.below(8));
  for (uint32_t i = 0; i < wanted; i++) {
    accepted +=
        s.good(npuQueueCallHost(queue.handle, Count::add, &count, nullptr), "npuQueueCallHost");
  }
  const bool reset = s.rng.percent(40);
  if (reset) s.must(npuQueueReset(queue.handle, kLongNs), "npuQueueReset");
  const npuResult synced = npuQueueSync(queue.handle, kLongNs);
  s.expect(synced == NPU_OK || (reset && synced == NPU_ERROR_CANCELED),
           "the queue gets to its end");
  const int64_t deadline = now_ns() + kLongNs;
  while (count.calls < accepted && now_ns() < deadline) usleep(200);
  s.expect(count.calls == accepted, "each host function is called once");
  s.expect(reset || count.cancelled == 0, "no host function is cancelled without a reset");
}

void descriptor(Session& s) {
  const Memory x(s, 1 << 16);
  if (!x) return;
  uint64_t value = 0;
  s.must(fill(s.queue, x.at, 1, 1 << 16, &value), "npuQueueFill");
  int fd = -1;
  if (!s.good(npuQueueGetFd(s.queue, value, &fd), "npuQueueGetFd")) return;
  pollfd ready{fd, POLLIN, 0};
  s.expect(poll(&ready, 1, static_cast<int>(kLongNs / 1'000'000)) == 1,
           "the descriptor becomes readable");
  close(fd);
  s.must(npuQueueWait(s.queue, value, 0), "npuQueueWait after the descriptor was readable");
}

void modules(Session& s) {
  Module module(s);
  if (!s.good(npuModuleLoad(s.context, s.worker.blob.c_str(), &module.handle), "npuModuleLoad"))
    return;
  const npuLaunchInfo info = launch_info(nullptr, 0);
  s.must(npuQueueLaunch(s.queue, kernel_of(s, module.handle, "null"), &info, nullptr),
         "npuQueueLaunch");
  if (s.rng.percent(50)) s.must(npuQueueSync(s.queue, kLongNs), "npuQueueSync");
}

// A queue that waits for what nobody will signal: it can be reset, or ended.
void blocked_queue(Session& s) {
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  info.ring_entries = 64;
  info.priority = s.rng.of<int32_t>({NPU_PRIORITY_LOW, NPU_PRIORITY_NORMAL});
  const Memory gate(s, 64);
  Queue queue(s);
  if (!gate || !s.good(npuQueueCreate(s.context, &info, &queue.handle), "npuQueueCreate")) return;
  uint64_t value = 0;
  s.must(npuQueueWaitSemaphore(queue.handle, gate.at, 1, nullptr), "npuQueueWaitSemaphore");
  s.must(fill(queue.handle, gate.at + 8, 1, 8, &value), "npuQueueFill");
  s.must_be(NPU_TIMEOUT,
            npuQueueWait(queue.handle, value, static_cast<int64_t>(s.rng.below(300'000))),
            "a wait for a blocked queue");
  if (s.rng.percent(50)) return;
  s.must(npuQueueReset(queue.handle, kLongNs), "npuQueueReset");
  s.must_be(NPU_ERROR_CANCELED, npuQueueWait(queue.handle, value, 0),
            "a wait for what a reset cancelled");
  s.must(fill(queue.handle, gate.at + 8, 1, 8, &value), "npuQueueFill after a reset");
  s.must(npuQueueWait(queue.handle, value, kLongNs), "npuQueueWait after a reset");
}

void faults(Session& s) {
  Queue queue(s);
  if (!s.good(npuQueueCreate(s.context, nullptr, &queue.handle), "npuQueueCreate")) return;
  struct {
    npuDevPtr at;
    float value;
    uint32_t pad;
  } args{8 * (1 + s.rng.below(4096)), 1.0f, 0};  // nothing is ever mapped there
  const bool trap = s.rng.percent(50);
  const npuLaunchInfo info = trap ? launch_info(nullptr, 0) : launch_info(&args, sizeof args);
  s.must(
      npuQueueLaunch(queue.handle, kernel_of(s, s.module, trap ? "trap" : "poke"), &info, nullptr),
      "npuQueueLaunch");
  const npuResult wanted = trap ? NPU_ERROR_KERNEL_TRAP : NPU_ERROR_VM_FAULT;
  s.must_be(wanted, npuQueueSync(queue.handle, kLongNs), "the wait for a kernel that fails");
  npuFault fault{};
  fault.struct_size = sizeof fault;
  uint32_t count = 1;
  s.must(npuQueueGetFaults(queue.handle, &count, &fault), "npuQueueGetFaults");
  s.expect(count == 1 && fault.code == wanted, "the fault is recorded");
  const npuLaunchInfo null = launch_info(nullptr, 0);
  const npuKernel nothing = kernel_of(s, s.module, "null");
  s.must_be(NPU_ERROR_QUEUE_DEAD, npuQueueLaunch(queue.handle, nothing, &null, nullptr),
            "a launch into a dead queue");
  s.must(npuQueueReset(queue.handle, kLongNs), "npuQueueReset");
  uint64_t value = 0;
  s.must(npuQueueLaunch(queue.handle, nothing, &null, &value), "npuQueueLaunch after a reset");
  s.must(npuQueueWait(queue.handle, value, kLongNs), "npuQueueWait after a reset");
}

// Many threads in one queue of one context: each sees its own values and its own data.
void common(Session& s) {
  npuDevPtr at = 0;
  if (!s.good(npuMemAlloc(s.worker.commons, NPU_MEM_DEVICE, kBytes, &at), "npuMemAlloc")) return;
  const AddArgs args{at, at, 5.0f, 0};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  uint64_t first = 0;
  uint64_t value = 0;
  s.must(fill(s.worker.common_queue, at, bits_of(1.0f), kBytes, &first), "npuQueueFill");
  s.must(npuQueueLaunch(s.worker.common_queue, kernel_of(s, s.worker.common_module, "add_scalar"),
                        &info, &value),
         "npuQueueLaunch");
  s.expect(value > first, "the values of a queue grow");
  s.must(npuQueueWait(s.worker.common_queue, value, kLongNs), "npuQueueWait");
  expect_words(s, s.worker.commons, at, bits_of(6.0f), kBytes,
               "other threads of the queue do not disturb");
  s.must(npuMemFree(s.worker.commons, at), "npuMemFree");
}

// The end of a context with work in it, and a device opened a second time.
void ends(Session& s) {
  npuDevice device = nullptr;
  npuContext context = nullptr;
  npuQueue queue = nullptr;
  npuDevPtr at = 0;
  if (!s.good(npuDeviceOpen(nullptr, &device), "npuDeviceOpen")) return;
  if (s.good(npuContextCreate(device, &context), "npuContextCreate") &&
      s.good(npuQueueCreate(context, nullptr, &queue), "npuQueueCreate") &&
      s.good(npuMemAlloc(context, NPU_MEM_DEVICE, 1 << 16, &at), "npuMemAlloc")) {
    s.must(npuQueueWaitSemaphore(queue, at, 1, nullptr), "npuQueueWaitSemaphore");
    s.must(fill(queue, at, 1, 1 << 16), "npuQueueFill");
    if (s.rng.percent(50)) s.must(npuContextDestroy(context), "npuContextDestroy");
  }
  s.must(npuDeviceClose(device), "npuDeviceClose");
  s.must_be(NPU_ERROR_INVALID_HANDLE, npuDeviceClose(device), "a device that was closed");
}

}  // namespace

const Action kQueueActions[] = {{"launches", launches, 8},
                                {"prepared_launches", prepared_launches, 4},
                                {"batch", batch, 5},
                                {"graph", graph, 3},
                                {"events", events, 4},
                                {"semaphores", semaphores, 2},
                                {"host_functions", host_functions, 2},
                                {"descriptor", descriptor, 3},
                                {"modules", modules, 1},
                                {"blocked_queue", blocked_queue, 3},
                                {"faults", faults, 3},
                                {"common", common, 5},
                                {"ends", ends, 1}};
const size_t kQueueActionCount = std::size(kQueueActions);

}  // namespace npu::soak
