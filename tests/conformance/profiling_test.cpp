// SPDX-License-Identifier: Apache-2.0
// npu_prof.h: activities, clocks, counters, callbacks, living objects.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

npuResult start(uint32_t kinds, uint32_t capacity = 0) {
  npuProfInfo info{};
  info.struct_size = sizeof info;
  info.kinds = kinds;
  info.capacity_records = capacity;
  return npuProfStart(&info);
}

// Everything that can be read now.
std::vector<npuProfActivity> read_all(uint64_t* out_dropped = nullptr) {
  std::vector<npuProfActivity> all;
  for (;;) {
    std::vector<npuProfActivity> some(7);  // so that it takes several calls
    some[0].struct_size = sizeof some[0];
    auto count = static_cast<uint32_t>(some.size());
    const npuResult result = npuProfRead(&count, some.data(), out_dropped);
    if (result != NPU_OK && result != NPU_INCOMPLETE) {
      ADD_FAILURE() << explain(result);
      return all;
    }
    all.insert(all.end(), some.begin(), some.begin() + count);
    if (result == NPU_OK) return all;
  }
}

uint64_t count_of(const std::vector<npuProfActivity>& all, npuProfKind kind) {
  return static_cast<uint64_t>(
      std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.kind == kind; }));
}

class ProfilingTest : public DeviceTest {
 protected:
  void TearDown() override {
    npuProfStop();  // a test that failed may have left it running
    DeviceTest::TearDown();
  }
};

TEST_F(ProfilingTest, RecordsTellWhatRanWhenAndWhoSubmittedIt) {
  const npuDevPtr from = alloc(4096);
  const npuDevPtr to = alloc(4096);
  ASSERT_NPU(NPU_OK, start(NPU_PROF_ALL));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, from, 7, 4, 4096, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, to, from, 1024, nullptr));
  // Each work-group writes a place of its own.
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("grid"), &from, sizeof from, &value, 2, 3, 1));
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  const std::vector<npuProfActivity> all = read_all();
  ASSERT_NPU(NPU_OK, npuProfStop());
  std::map<npuProfKind, npuProfActivity> of;
  std::map<std::string, npuProfActivity> calls;
  for (const npuProfActivity& one : all) {
    if (one.kind == NPU_PROF_CALL) {
      calls[one.name] = one;
    } else {
      of[one.kind] = one;
    }
  }
  ASSERT_EQ(of.size(), 3u);
  EXPECT_EQ(of[NPU_PROF_FILL].bytes, 4096u);
  EXPECT_EQ(of[NPU_PROF_COPY].bytes, 1024u);
  EXPECT_STREQ(of[NPU_PROF_KERNEL].name, "grid");
  EXPECT_EQ(of[NPU_PROF_KERNEL].grid_x, 2u);
  EXPECT_EQ(of[NPU_PROF_KERNEL].grid_y, 3u);
  EXPECT_EQ(of[NPU_PROF_KERNEL].grid_z, 1u);
  EXPECT_EQ(of[NPU_PROF_KERNEL].bytes, sizeof from);
  EXPECT_EQ(of[NPU_PROF_KERNEL].hbm_write_bytes, 6 * 4u);  // a word each
  EXPECT_EQ(of[NPU_PROF_KERNEL].hbm_read_bytes, 0u);
  EXPECT_EQ(of[NPU_PROF_KERNEL].mac_ops, 0u);
  EXPECT_EQ(of[NPU_PROF_KERNEL].tensor_ps, 0u);
  EXPECT_EQ(of[NPU_PROF_COPY].hbm_write_bytes, 0u);
  EXPECT_EQ(of[NPU_PROF_KERNEL].value, value);
  EXPECT_EQ(of[NPU_PROF_KERNEL].correlation_id, calls["npuQueueLaunch"].correlation_id);
  EXPECT_EQ(of[NPU_PROF_COPY].correlation_id, calls["npuQueueCopy"].correlation_id);
  EXPECT_NE(calls["npuQueueLaunch"].correlation_id, 0u);
  npuTiming timing{};
  timing.struct_size = sizeof timing;
  ASSERT_NPU(NPU_OK, npuQueueGetTiming(queue_, value, &timing));
  EXPECT_EQ(of[NPU_PROF_KERNEL].start_ps, timing.start_ps);
  EXPECT_EQ(of[NPU_PROF_KERNEL].end_ps, timing.end_ps);
  for (const auto& [kind, one] : of) {
    EXPECT_EQ(one.queue, queue_);
    EXPECT_EQ(one.result, NPU_OK);
    EXPECT_EQ(one.thread_id, static_cast<uint64_t>(gettid()));
    EXPECT_LE(one.queued_ns, one.submitted_ns);
    EXPECT_LE(one.submitted_ns, one.host_start_ns);
    EXPECT_EQ(one.host_end_ns - one.host_start_ns,
              static_cast<int64_t>((one.end_ps - one.start_ps) / 1000));
  }
  EXPECT_LE(of[NPU_PROF_FILL].host_end_ns, of[NPU_PROF_COPY].host_start_ns);
  EXPECT_LE(of[NPU_PROF_COPY].host_end_ns, of[NPU_PROF_KERNEL].host_start_ns);
}

// Each part at the rate of its type, all tensor units of the device at work.
TEST_F(ProfilingTest, AKernelThatMultipliesTellsTheTimeAtItsPeak) {
  constexpr uint64_t kMacsOfType = 64 * 64 * 64;
  constexpr uint32_t kGroups = 5;
  const npuDevPtr out = alloc(4 * kGroups);
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_KERNEL));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("multiply"), &out, sizeof out, nullptr, kGroups, 1, 1));
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  const std::vector<npuProfActivity> all = read_all();
  ASSERT_NPU(NPU_OK, npuProfStop());
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(number_at(out + 4 * (kGroups - 1)), 2 * 64.0f);
  EXPECT_EQ(all[0].mac_ops, 2 * kGroups * kMacsOfType);
  double peak_ps = 0;
  for (const char* name : {"macs_f32_per_second_max", "macs_bf16_per_second_max"}) {
    npuProfCounter rate{};
    rate.struct_size = sizeof rate;
    ASSERT_NPU(NPU_OK, npuProfGetCounter(device_, name, &rate));
    peak_ps += 1e12 * kGroups * kMacsOfType / static_cast<double>(rate.value);
  }
  EXPECT_GT(all[0].tensor_ps, 0u);
  EXPECT_NEAR(static_cast<double>(all[0].tensor_ps), peak_ps, 1 + 1e-3 * peak_ps);
  EXPECT_LE(all[0].tensor_ps, all[0].end_ps - all[0].start_ps);
}

TEST_F(ProfilingTest, ManyMoreCommandsThanSlotsAreAllThere) {
  npuQueue small = make_queue(64);
  const npuDevPtr at = alloc(4096);
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_FILL));
  constexpr uint64_t kCommands = 5000;
  for (uint64_t i = 0; i < kCommands; i++) {
    ASSERT_NPU(NPU_OK, npuQueueFill(small, at, i, 8, 8, nullptr));
  }
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  uint64_t dropped = 9;
  const auto all = read_all(&dropped);
  EXPECT_EQ(dropped, 0u);
  ASSERT_EQ(all.size(), kCommands);
  for (uint64_t i = 0; i < kCommands; i++) ASSERT_EQ(all[i].value, i + 1);
}

TEST_F(ProfilingTest, WhatFindsNoRoomIsCountedAndNobodyWaits) {
  const npuDevPtr at = alloc(4096);
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_FILL, 10));
  for (int i = 0; i < 100; i++) ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 8, 8, nullptr));
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  uint64_t dropped = 0;
  const auto all = read_all(&dropped);
  ASSERT_EQ(all.size(), 10u);
  EXPECT_EQ(all.front().value, 1u) << "the oldest are kept";
  EXPECT_EQ(dropped, 90u);
}

TEST_F(ProfilingTest, FlushIsBoundedAndHoldsNoSubmission) {
  const npuDevPtr gate = alloc(8);
  ASSERT_NPU(NPU_OK, start(NPU_PROF_ALL));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  EXPECT_NPU(NPU_TIMEOUT, npuProfFlush(0));
  EXPECT_NPU(NPU_TIMEOUT, npuProfFlush(1'000'000));
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  EXPECT_EQ(count_of(read_all(), NPU_PROF_SYNC), 2u);
}

TEST_F(ProfilingTest, FailedAndCancelledWorkIsToldAsSuch) {
  const npuDevPtr at = alloc(4096);
  const npuDevPtr gate = alloc(8);
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_KERNEL | 1u << NPU_PROF_FILL));
  const PokeArgs bad{0x10, 1.0f, 0};
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &bad, sizeof bad));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, at, 1, 8, 8, nullptr));
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_OK, npuProfFlush(kLongNs));
  const auto all = read_all();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].kind, NPU_PROF_KERNEL);
  EXPECT_EQ(all[0].result, NPU_ERROR_VM_FAULT);
  EXPECT_EQ(all[1].result, NPU_ERROR_CANCELED);
}

TEST_F(ProfilingTest, GraphsTellTheirNodes) {
  const npuDevPtr a = alloc(4096);
  const npuDevPtr b = alloc(4096);
  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, a, 1, 4, 4096, nullptr));
  const PokeArgs args{a, 5.0f, 0};
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &args, sizeof args));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, b, a, 2048, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueEndCapture(queue_, &graph));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_GRAPH | 1u << NPU_PROF_GRAPH_NODE));
  constexpr int kLaunches = 10;
  for (int i = 0; i < kLaunches; i++) ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, nullptr));
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  uint64_t dropped = 0;
  const auto all = read_all(&dropped);
  EXPECT_EQ(dropped, 0u);
  ASSERT_EQ(all.size(), 4u * kLaunches);
  for (int i = 0; i < kLaunches; i++) {
    const npuProfActivity* one = &all[static_cast<size_t>(i) * 4];
    EXPECT_EQ(one[0].kind, NPU_PROF_GRAPH);
    EXPECT_STREQ(one[1].name, "fill");
    EXPECT_STREQ(one[2].name, "poke");
    EXPECT_STREQ(one[3].name, "copy");
    EXPECT_EQ(one[3].bytes, 2048u);
    for (uint32_t n = 1; n <= 3; n++) {
      EXPECT_EQ(one[n].kind, NPU_PROF_GRAPH_NODE);
      EXPECT_EQ(one[n].node_id, n);
      EXPECT_EQ(one[n].correlation_id, one[0].correlation_id);
      EXPECT_GE(one[n].start_ps, one[0].start_ps);
      EXPECT_LE(one[n].end_ps, one[0].end_ps);
      EXPECT_LT(one[n].start_ps, one[n].end_ps);
    }
  }
  ASSERT_NPU(NPU_OK, npuGraphExecDestroy(exec));
  ASSERT_NPU(NPU_OK, npuGraphDestroy(graph));
}

TEST_F(ProfilingTest, ModulesAndHostFunctionsHaveRecords) {
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_MODULE | 1u << NPU_PROF_HOST));
  // What a context holds already is found in its cache, and is no work of the device.
  npuContext other = nullptr;
  npuModule module = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  ASSERT_NPU(NPU_OK, npuModuleLoad(other, blob_path().c_str(), &module));
  ASSERT_NPU(NPU_OK, npuQueueCallHost(
                         queue_, [](npuResult, void*) {}, nullptr, nullptr));
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  const auto all = read_all();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(count_of(all, NPU_PROF_MODULE), 1u);
  EXPECT_EQ(count_of(all, NPU_PROF_HOST), 1u);
  for (const auto& one : all) {
    if (one.kind != NPU_PROF_MODULE) continue;
    EXPECT_EQ(one.bytes, read_blob_file().size());
  }
  ASSERT_NPU(NPU_OK, npuContextDestroy(other));
}

TEST_F(ProfilingTest, RefusesWhatItCannotDo) {
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, start(0));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, start(1u << 30));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, start(NPU_PROF_ALL, UINT32_MAX));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuProfStart(nullptr));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuProfFlush(0));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuProfStop());
  ASSERT_NPU(NPU_OK, start(NPU_PROF_ALL));
  EXPECT_NPU(NPU_ERROR_BUSY, start(NPU_PROF_ALL));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuProfFlush(-1));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuProfRead(nullptr, nullptr, nullptr));
  npuProfActivity record{};
  uint32_t count = 1;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, npuProfRead(&count, &record, nullptr));
  EXPECT_EQ(count, 0u);
}

TEST_F(ProfilingTest, ManyThreadsAndQueuesWhileOneReads) {
  constexpr int kThreads = 4;
  constexpr uint64_t kCommands = 500;
  ASSERT_NPU(NPU_OK, start(1u << NPU_PROF_FILL | 1u << NPU_PROF_CALL, 1 << 16));
  std::atomic<int> running{kThreads};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&] {
      npuQueue queue = nullptr;
      npuDevPtr at = 0;
      EXPECT_NPU(NPU_OK, npuQueueCreate(context_, nullptr, &queue));
      EXPECT_NPU(NPU_OK, npuMemAlloc(context_, NPU_MEM_DEVICE, 64, &at));
      for (uint64_t i = 0; i < kCommands; i++) npuQueueFill(queue, at, i, 8, 64, nullptr);
      EXPECT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
      EXPECT_NPU(NPU_OK, npuQueueDestroy(queue));
      EXPECT_NPU(NPU_OK, npuMemFree(context_, at));
      running--;
    });
  }
  std::vector<npuProfActivity> all;
  while (running > 0) {
    const auto some = read_all();
    all.insert(all.end(), some.begin(), some.end());
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  uint64_t dropped = 0;
  const auto rest = read_all(&dropped);
  all.insert(all.end(), rest.begin(), rest.end());
  // Its own reading is recorded too, so calls may have been dropped, but not the work of destroyed queues.
  EXPECT_GE(count_of(all, NPU_PROF_FILL) + dropped, kThreads * kCommands);
}

TEST_F(ProfilingTest, ClocksAreReadTogether) {
  npuProfClock clock{};
  clock.struct_size = sizeof clock;
  poke(queue_, alloc(64), 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuProfGetClock(device_, &clock));
  EXPECT_GT(clock.device_ps, 0u);
  EXPECT_GT(clock.host_ns, 0);
  EXPECT_LT(clock.error_ns, static_cast<uint64_t>(kLongNs));
  EXPECT_EQ(clock.is_virtual, 1u);
  const npuProfClock before = clock;
  ASSERT_NPU(NPU_OK, npuProfGetClock(device_, &clock));
  EXPECT_GE(clock.device_ps, before.device_ps);
  EXPECT_GT(clock.host_ns, before.host_ns);
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuProfGetClock(nullptr, &clock));
}

TEST_F(ProfilingTest, CountersHaveNamesAndUnits) {
  npuProfCounter counter{};
  counter.struct_size = sizeof counter;
  const char* name = nullptr;
  uint32_t count = 0;
  while (npuProfGetCounterName(count, &name) == NPU_OK) {
    const npuResult result = npuProfGetCounter(device_, name, &counter);
    EXPECT_TRUE(result == NPU_OK || result == NPU_ERROR_NOT_SUPPORTED) << name << explain(result);
    count++;
  }
  EXPECT_GT(count, 20u);
  ASSERT_NPU(NPU_OK, npuProfGetCounter(device_, "launches", &counter));
  const int64_t before = counter.value;
  EXPECT_EQ(counter.only_grows, 1u);
  poke(queue_, alloc(64), 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuProfGetCounter(device_, "launches", &counter));
  EXPECT_GE(counter.value, before + 1);
  ASSERT_NPU(NPU_OK, npuProfGetCounter(device_, "memory_total_bytes", &counter));
  EXPECT_STREQ(counter.unit, "B");
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuProfGetCounter(device_, "lunches", &counter));
  ASSERT_NPU(NPU_OK, npuProfGetQueueCounter(queue_, "commands_completed", &counter));
  EXPECT_EQ(counter.value, 1);
  ASSERT_NPU(NPU_OK, npuProfGetQueueCounter(queue_, "device_time_ps", &counter));
  EXPECT_GT(counter.value, 0);
  EXPECT_STREQ(counter.unit, "ps");
  ASSERT_NPU(NPU_OK, npuProfGetQueueCounterName(0, &name));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuProfGetQueueCounterName(99, &name));
  EXPECT_EQ(name, nullptr);
}

// What a subscriber has seen.
struct Seen {
  std::atomic<int> enters{0};
  std::atomic<int> exits{0};
  std::atomic<int> waits{0};
  npuResult last = NPU_OK;
  uint64_t value = 0;
};

void watch(const npuProfCall* call, void* user_data) {
  auto& seen = *static_cast<Seen*>(user_data);
  if (call->phase == NPU_PROF_ENTER) seen.enters++;
  if (call->phase == NPU_PROF_EXIT) seen.exits++;
  if (std::strcmp(call->function, "npuQueueWait") != 0 || call->phase == NPU_PROF_ENTER) return;
  seen.waits++;
  seen.last = call->result;
  if (std::strcmp(call->arg_names, "queue, value, timeout_ns") == 0) seen.value = call->args[1];
}

TEST_F(ProfilingTest, SubscribersSeeEachCallOnceWithItsArguments) {
  Seen seen;
  npuProfSubscriber subscriber = nullptr;
  ASSERT_NPU(NPU_OK, npuProfSubscribe(&watch, &seen, &subscriber));
  EXPECT_EQ(seen.enters, 0) << "its own call began before it";
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWait(queue_, 77, 0));
  EXPECT_EQ(last_error().code, NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(seen.enters, 1);
  EXPECT_EQ(seen.exits, 1);
  EXPECT_EQ(seen.value, 77u);
  EXPECT_EQ(seen.last, NPU_ERROR_INVALID_ARGUMENT);
  ASSERT_NPU(NPU_OK, npuProfUnsubscribe(subscriber));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuProfUnsubscribe(subscriber));
  EXPECT_NPU(NPU_OK, npuProfUnsubscribe(nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, 0, 0));
  EXPECT_EQ(seen.waits, 1);
}

struct Meddler {
  ProfilingTest* test;
  npuProfSubscriber self = nullptr;
  npuQueue queue = nullptr;
  npuContext context = nullptr;
  npuDevice device = nullptr;
  std::vector<npuResult> results;
};

void meddle(const npuProfCall* call, void* user_data) {
  auto& meddler = *static_cast<Meddler*>(user_data);
  if (std::strcmp(call->function, "npuQueueGetCompleted") != 0) return;
  uint64_t value = 0;
  meddler.results = {npuProfUnsubscribe(meddler.self),
                     npuQueueDestroy(meddler.queue),
                     npuContextDestroy(meddler.context),
                     npuDeviceClose(meddler.device),
                     npuShutdown(),
                     npuQueueGetCompleted(meddler.queue, &value),
                     npuQueueGetCompleted(nullptr, &value)};
}

TEST_F(ProfilingTest, CallbacksMayCallButNotEndWhatTheCallUses) {
  Meddler meddler{this, nullptr, queue_, context_, device_, {}};
  ASSERT_NPU(NPU_OK, npuProfSubscribe(&meddle, &meddler, &meddler.self));
  uint64_t value = 0;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWait(queue_, 5, 0));
  EXPECT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &value));
  EXPECT_EQ(last_error().code, NPU_ERROR_INVALID_ARGUMENT)
      << "errors of a callback do not show in the call";
  EXPECT_EQ(meddler.results,
            (std::vector<npuResult>{NPU_ERROR_IN_CALLBACK, NPU_ERROR_IN_CALLBACK,
                                    NPU_ERROR_IN_CALLBACK, NPU_ERROR_IN_CALLBACK,
                                    NPU_ERROR_IN_CALLBACK, NPU_OK, NPU_ERROR_INVALID_HANDLE}));
  ASSERT_NPU(NPU_OK, npuProfUnsubscribe(meddler.self));
}

TEST_F(ProfilingTest, UnsubscribingWaitsForTheCallback) {
  struct Slow {
    std::atomic<bool> in{false};
    std::atomic<bool> go{false};
    std::atomic<bool> out{false};
  } slow;
  const auto callback = [](const npuProfCall* call, void* user_data) {
    auto& state = *static_cast<Slow*>(user_data);
    if (call->phase != NPU_PROF_ENTER || std::strcmp(call->function, "npuQueueGetCompleted") != 0) {
      return;
    }
    state.in = true;
    while (!state.go) std::this_thread::yield();
    state.out = true;
  };
  npuProfSubscriber subscriber = nullptr;
  ASSERT_NPU(NPU_OK, npuProfSubscribe(callback, &slow, &subscriber));
  std::thread caller([&] {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &value));
  });
  while (!slow.in) std::this_thread::yield();
  std::atomic<bool> ended{false};
  std::thread ender([&] {
    EXPECT_NPU(NPU_OK, npuProfUnsubscribe(subscriber));
    EXPECT_TRUE(slow.out);
    ended = true;
  });
  EXPECT_FALSE(ended);
  slow.go = true;
  ender.join();
  caller.join();
}

TEST_F(ProfilingTest, SubscribersAreBoundedAndComeAndGoWhileThreadsCall) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; t++) {
    threads.emplace_back([&] {
      uint64_t value = 0;
      while (!stop) npuQueueGetCompleted(queue_, &value);
    });
  }
  Seen seen[16];
  for (int round = 0; round < 50; round++) {
    npuProfSubscriber subscribers[16] = {};
    for (int i = 0; i < 16; i++) {
      ASSERT_NPU(NPU_OK, npuProfSubscribe(&watch, &seen[i], &subscribers[i]));
    }
    npuProfSubscriber more = nullptr;
    EXPECT_NPU(NPU_ERROR_QUOTA, npuProfSubscribe(&watch, &seen[0], &more));
    EXPECT_EQ(more, nullptr);
    for (npuProfSubscriber subscriber : subscribers) {
      ASSERT_NPU(NPU_OK, npuProfUnsubscribe(subscriber));
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuProfSubscribe(nullptr, nullptr, nullptr));
}

TEST_F(ProfilingTest, AChildOfAForkKeepsSubscribersAndNoRecords) {
  Seen seen;
  npuProfSubscriber subscriber = nullptr;
  ASSERT_NPU(NPU_OK, npuProfSubscribe(&watch, &seen, &subscriber));
  ASSERT_NPU(NPU_OK, start(NPU_PROF_ALL));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, alloc(64), 1, 8, 8, nullptr));
  const pid_t child = fork();
  if (child == 0) {
    const int before = seen.enters;
    if (npuProfFlush(0) != NPU_ERROR_FORKED) _exit(1);
    if (seen.enters != before + 1) _exit(2);
    _exit(npuProfUnsubscribe(subscriber) == NPU_OK ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  ASSERT_NPU(NPU_OK, npuProfFlush(kLongNs));
  EXPECT_EQ(count_of(read_all(), NPU_PROF_FILL), 1u);
  ASSERT_NPU(NPU_OK, npuProfUnsubscribe(subscriber));
}

TEST_F(ProfilingTest, LivingObjectsAreListed) {
  uint32_t count = 0;
  ASSERT_NPU(NPU_OK, npuProfGetObjects(&count, nullptr));
  const uint32_t before = count;
  Seen seen;
  npuProfSubscriber subscriber = nullptr;
  ASSERT_NPU(NPU_OK, npuProfSubscribe(&watch, &seen, &subscriber));
  npuQueue queue = make_queue(64);
  const npuDevPtr ptr = alloc(12345);
  std::vector<npuProfObject> objects(before + 10);
  objects[0].struct_size = sizeof objects[0];
  count = static_cast<uint32_t>(objects.size());
  ASSERT_NPU(NPU_OK, npuProfGetObjects(&count, objects.data()));
  ASSERT_EQ(count, before + 2);
  const npuProfObject& of_queue = objects[before];
  EXPECT_STREQ(of_queue.kind, "queue");
  EXPECT_STREQ(of_queue.function, "npuQueueCreate");
  EXPECT_EQ(of_queue.handle, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(queue)));
  EXPECT_EQ(of_queue.size_bytes, 64u * 64);
  EXPECT_GT(of_queue.age_ns, 0);
  const npuProfObject& of_memory = objects[before + 1];
  EXPECT_STREQ(of_memory.kind, "memory");
  EXPECT_STREQ(of_memory.function, "npuMemAlloc");
  EXPECT_EQ(of_memory.handle, ptr);
  EXPECT_EQ(of_memory.size_bytes, 12345u);
  EXPECT_GT(of_memory.correlation_id, of_queue.correlation_id);
  count = 1;
  EXPECT_NPU(NPU_INCOMPLETE, npuProfGetObjects(&count, objects.data()));
  EXPECT_EQ(count, 1u);
  ASSERT_NPU(NPU_OK, npuProfUnsubscribe(subscriber));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue));
}

}  // namespace
}  // namespace npu::conformance
