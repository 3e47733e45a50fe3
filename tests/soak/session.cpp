// SPDX-License-Identifier: Apache-2.0
// A session's life, and what it does with results.
#include "tests/soak/session.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace npu::soak {

int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

Session::Session(Worker& w, uint32_t number, Slot& slot)
    : worker(w), rng(w.seed * 1'000'003 + number), number_(number), slot_(slot) {}

void Session::fail(const char* what, const char* why) {
  npuErrorInfo info{};
  info.struct_size = sizeof info;
  npuErrorGetInfo(&info);
  std::fprintf(stderr,
               "soak: worker %u (seed %llu) thread %u, action %llu (%s): %s: %s\n  last error: %s "
               "in %s: %s\n",
               worker.number, static_cast<unsigned long long>(worker.seed), number_,
               static_cast<unsigned long long>(actions_.load()), name_.load(), what, why,
               npuResultGetName(info.code), info.function, info.text);
  _exit(1);
}

bool Session::good(npuResult result, const char* what, std::initializer_list<npuResult> also) {
  if (result == NPU_OK) return true;
  if (std::find(also.begin(), also.end(), result) != also.end()) return false;
  switch (result) {
    case NPU_ERROR_OUT_OF_HOST_MEMORY:
    case NPU_ERROR_OUT_OF_DEVICE_MEMORY:
    case NPU_ERROR_QUOTA:
    case NPU_ERROR_OUT_OF_QUEUES:
    case NPU_ERROR_OUT_OF_MODULES:
      return false;
    default:
      fail(what, npuResultGetName(result));
  }
}

void Session::must(npuResult result, const char* what) {
  if (result != NPU_OK) fail(what, npuResultGetName(result));
}

void Session::must_be(npuResult expected, npuResult result, const char* what) {
  if (result != expected) fail(what, npuResultGetName(result));
}

void Session::expect(bool condition, const char* what) {
  if (!condition) fail(what, "is not so");
}

bool Session::open() {
  return good(npuContextCreate(worker.device, &context), "npuContextCreate") &&
         good(npuQueueCreate(context, nullptr, &queue), "npuQueueCreate") &&
         good(npuQueueCreate(context, nullptr, &second), "npuQueueCreate") &&
         good(npuModuleLoad(context, worker.blob.c_str(), &module), "npuModuleLoad");
}

// What the actions made they have ended: nothing but pools of the library itself is left.
void Session::close() {
  must(npuModuleUnload(module), "npuModuleUnload");
  must(npuQueueDestroy(second), "npuQueueDestroy");
  must(npuQueueDestroy(queue), "npuQueueDestroy");
  if (context != nullptr) {
    npuMemStats stats{};
    stats.struct_size = sizeof stats;
    must(npuMemGetStats(context, &stats), "npuMemGetStats");
    for (const int use :
         {NPU_MEM_USE_POOLS, NPU_MEM_USE_HANDLES, NPU_MEM_USE_IMPORTS, NPU_MEM_USE_REGISTERED}) {
      expect(stats.device[use].objects == 0 && stats.host[use].objects == 0,
             "no object is left at the end of a context");
    }
    uint64_t queues = 0;
    uint64_t limit = 0;
    must(npuContextGetLimit(context, NPU_LIMIT_QUEUES, &limit, &queues), "npuContextGetLimit");
    expect(queues == 0, "no queue is left at the end of a context");
  }
  must(npuContextDestroy(context), "npuContextDestroy");
  module = nullptr;
  queue = second = nullptr;
  context = nullptr;
}

void Session::run(const std::atomic<bool>& stop) {
  std::vector<Action> bag;
  for (size_t i = 0; i < kMemoryActionCount; i++)
    bag.insert(bag.end(), kMemoryActions[i].weight, kMemoryActions[i]);
  for (size_t i = 0; i < kQueueActionCount; i++)
    bag.insert(bag.end(), kQueueActions[i].weight, kQueueActions[i]);
  slot_.enter(gettid());
  while (!stop) {
    name_ = "open";
    if (open()) {
      for (uint64_t left = 20 + rng.below(400); left > 0 && !stop; left--) {
        const Action& action = rng.any(bag);
        name_ = action.name;
        action.run(*this);
        actions_++;
        slot_.sign();
      }
    }
    name_ = "close";
    close();
    slot_.sign();
  }
  slot_.leave();
}

npuKernel kernel_of(Session& s, npuModule module, const char* name) {
  npuKernel kernel = nullptr;
  s.must(npuModuleGetKernel(module, name, &kernel), "npuModuleGetKernel");
  return kernel;
}

npuResult fill(npuQueue queue, npuDevPtr at, uint32_t word, uint64_t size_bytes,
               uint64_t* out_value) {
  return npuQueueFill(queue, at, word, 4, size_bytes, out_value);
}

void expect_words(Session& s, npuContext context, npuDevPtr at, uint32_t word, uint64_t size_bytes,
                  const char* what) {
  std::vector<uint32_t> words(size_bytes / 4);
  s.must(npuMemCopyToHost(context, words.data(), at, size_bytes), "npuMemCopyToHost");
  s.expect(std::all_of(words.begin(), words.end(), [&](uint32_t w) { return w == word; }), what);
}

}  // namespace npu::soak
