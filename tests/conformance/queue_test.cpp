// SPDX-License-Identifier: Apache-2.0
// Queues: timeline, waits, full rings, times, many threads.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

TEST_F(DeviceTest, ValuesCountFromOne) {
  const npuKernel null = kernel("null");
  uint64_t completed = 99, submitted = 99;
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &completed));
  EXPECT_EQ(completed, 0u);
  ASSERT_NPU(NPU_OK, npuQueueGetSubmitted(queue_, &submitted));
  EXPECT_EQ(submitted, 0u);
  for (uint64_t i = 1; i <= 3; i++) {
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, launch(queue_, null, nullptr, 0, &value));
    EXPECT_EQ(value, i);
    ASSERT_NPU(NPU_OK, npuQueueGetSubmitted(queue_, &submitted));
    EXPECT_EQ(submitted, i);
  }
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &completed));
  EXPECT_EQ(completed, 3u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetCompleted(queue_, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetSubmitted(queue_, nullptr));
}

TEST_F(DeviceTest, WaitsOfValuesThatNeverComeAreRefused) {
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, 0, 0));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWait(queue_, 1, kLongNs));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWait(queue_, 0, -1));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueSync(queue_, INT64_MIN));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, NPU_TIMEOUT_INFINITE));
}

TEST_F(DeviceTest, TimeoutsEndWaitsInTime) {
  const npuDevPtr gate = alloc(8);
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, &value));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueWait(queue_, value, 0));
  for (const int64_t timeout_ms : {1, 30, 250}) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_NPU(NPU_TIMEOUT, npuQueueWait(queue_, value, timeout_ms * 1'000'000));
    const auto took = std::chrono::steady_clock::now() - start;
    EXPECT_GE(took, std::chrono::milliseconds(timeout_ms));
    EXPECT_LT(took, std::chrono::seconds(10));
  }
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, value, NPU_TIMEOUT_INFINITE));
}

TEST_F(DeviceTest, WrongQueueInfosAreRefused) {
  npuQueue queue = queue_;
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  for (const uint32_t entries : {1u, 32u, 63u, 65u, 100u, 131072u, 0x80000000u}) {
    info.ring_entries = entries;
    EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue)) << entries;
    EXPECT_EQ(queue, nullptr);
  }
  info.ring_entries = 0;
  for (const npuQueuePriority priority : {-2, 2, 1000}) {
    info.priority = priority;
    EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue));
  }
  info.priority = NPU_PRIORITY_LOW;
  info.timeout_ms = 0xffffffff;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue));
  info.timeout_ms = 0;
  EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, nullptr));
}

TEST_F(DeviceTest, RingsOfEverySizeWork) {
  for (const uint32_t entries : {64u, 256u, 65536u}) {
    npuQueue queue = make_queue(entries);
    uint64_t value = 0;
    for (int i = 0; i < 200; i++)
      ASSERT_NPU(NPU_OK, launch(queue, kernel("null"), nullptr, 0, &value));
    EXPECT_NPU(NPU_OK, npuQueueWait(queue, value, kLongNs));
    EXPECT_NPU(NPU_OK, npuQueueDestroy(queue));
  }
}

TEST_F(DeviceTest, AFullRingBlocksTheSubmitterUntilThereIsRoom) {
  const npuKernel null = kernel("null");
  const npuDevPtr gate = alloc(8);
  npuQueue small = make_queue(64);
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(small, gate, 1, nullptr));
  for (int i = 0; i < 63; i++) ASSERT_NPU(NPU_OK, launch(small, null, nullptr, 0));
  std::atomic<bool> done{false};
  std::thread submitter([&] {
    EXPECT_NPU(NPU_OK, launch(small, null, nullptr, 0));
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(done);
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  submitter.join();
  EXPECT_NPU(NPU_OK, npuQueueSync(small, kLongNs));
}

TEST_F(DeviceTest, TimesGrowAlongTheQueue) {
  const npuDevPtr ptr = alloc(1 << 20);
  uint64_t last_end = 0;
  for (int i = 0; i < 5; i++) {
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, npuQueueFill(queue_, ptr, 1, 1, 1 << 20, &value));
    ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
    npuTiming timing{};
    timing.struct_size = sizeof timing;
    ASSERT_NPU(NPU_OK, npuQueueGetTiming(queue_, value, &timing));
    EXPECT_GE(timing.start_ps, last_end);
    EXPECT_GT(timing.end_ps, timing.start_ps);
    last_end = timing.end_ps;
  }
}

// What opens the gate comes behind a command for which there is room.
TEST_F(DeviceTest, AFullRingWaitsForNoMoreRoomThanIsNeeded) {
  constexpr int kBefore = 5;
  npuQueue queue = make_queue(64);
  const npuKernel null = kernel("null");
  const npuDevPtr gate = alloc(8);
  uint64_t value = 0;
  for (int i = 0; i < kBefore; i++) ASSERT_NPU(NPU_OK, launch(queue, null, nullptr, 0, &value));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue, gate, 1, nullptr));
  for (int i = kBefore + 1; i < 64 + kBefore; i++) {
    ASSERT_NPU(NPU_OK, launch(queue, null, nullptr, 0, &value));
  }
  uint64_t completed = 0;
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue, &completed));
  EXPECT_EQ(completed, uint64_t{kBefore});
  ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue, value, kLongNs));
}

TEST_F(DeviceTest, TimesAreKeptForAsManyCommandsAsTheRingHolds) {
  npuQueue small = make_queue(64);
  npuTiming timing{};
  timing.struct_size = sizeof timing;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetTiming(small, 1, &timing));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetTiming(small, 0, &timing));
  const npuDevPtr gate = alloc(8);
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(small, gate, 1, nullptr));
  EXPECT_NPU(NPU_NOT_READY, npuQueueGetTiming(small, 1, &timing));
  const uint64_t one = 1;
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, one, nullptr));
  for (int i = 1; i < 100; i++) ASSERT_NPU(NPU_OK, launch(small, kernel("null"), nullptr, 0));
  ASSERT_NPU(NPU_OK, npuQueueSync(small, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueGetTiming(small, 100, &timing));
  EXPECT_NPU(NPU_OK, npuQueueGetTiming(small, 37, &timing));
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuQueueGetTiming(small, 36, &timing));
}

TEST_F(DeviceTest, ManyThreadsSubmitToOneQueueAndWaitForIt) {
  const npuKernel poke = kernel("poke");
  npuQueue queue = make_queue(64);
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kEach = 300;
  const npuDevPtr out = alloc(kThreads * kEach * 4);
  std::atomic<uint32_t> failures{0};
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (uint32_t i = 0; i < kEach; i++) {
        const uint32_t index = t * kEach + i;
        const PokeArgs args{out + index * 4, static_cast<float>(index + 1), 0};
        uint64_t value = 0;
        if (launch(queue, poke, &args, sizeof args, &value) != NPU_OK) failures++;
        if (i % 10 == 0 && npuQueueWait(queue, value, kLongNs) != NPU_OK) failures++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0u);
  ASSERT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  std::vector<float> values(kThreads * kEach);
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, values.data(), out, values.size() * 4));
  for (uint32_t i = 0; i < values.size(); i++) ASSERT_EQ(values[i], static_cast<float>(i + 1));
}

TEST_F(DeviceTest, WaitersOfDifferentValuesAreAllWoken) {
  const npuDevPtr gate = alloc(8);
  npuQueue other = make_queue();
  constexpr int kWaiters = 8;
  uint64_t values[kWaiters];
  for (int i = 0; i < kWaiters; i++) {
    ASSERT_NPU(NPU_OK,
               npuQueueWaitSemaphore(queue_, gate, static_cast<uint64_t>(i) + 1, &values[i]));
  }
  std::atomic<int> woken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kWaiters; i++) {
    threads.emplace_back([&, i] {
      EXPECT_NPU(NPU_OK, npuQueueWait(queue_, values[i], kLongNs));
      woken++;
    });
  }
  for (int i = 0; i < kWaiters; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    EXPECT_LE(woken, i);
    ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, static_cast<uint64_t>(i) + 1, nullptr));
    EXPECT_NPU(NPU_OK, npuQueueWait(queue_, values[i], kLongNs));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(woken, kWaiters);
}

TEST_F(DeviceTest, DestroyingAQueueWakesItsWaiters) {
  const npuDevPtr gate = alloc(8);
  npuQueue queue = make_queue();
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue, gate, 1, &value));
  std::atomic<npuResult> result{NPU_OK};
  std::thread waiter([&] { result = npuQueueWait(queue, value, NPU_TIMEOUT_INFINITE); });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_NPU(NPU_OK, npuQueueDestroy(queue));
  waiter.join();
  EXPECT_EQ(result, NPU_ERROR_INVALID_HANDLE);
}

TEST_F(DeviceTest, QueuesAreIndependent) {
  const npuDevPtr gate = alloc(8);
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  for (int i = 0; i < 10; i++) {
    ASSERT_NPU(NPU_OK, launch(other, kernel("null"), nullptr, 0));
    ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  }
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(queue_, 0));
}

TEST_F(DeviceTest, ManyQueuesCanBeMadeAndTheLimitHasItsOwnError) {
  std::vector<npuQueue> queues;
  npuQueue queue = nullptr;
  npuResult result = NPU_OK;
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  info.ring_entries = 64;
  while (queues.size() < 3000 && (result = npuQueueCreate(context_, &info, &queue)) == NPU_OK)
    queues.push_back(queue);
  EXPECT_TRUE(result == NPU_ERROR_OUT_OF_QUEUES || result == NPU_ERROR_QUOTA) << explain(result);
  EXPECT_GE(queues.size(), 16u);
  for (npuQueue q : queues) ASSERT_NPU(NPU_OK, launch(q, kernel("null"), nullptr, 0));
  for (npuQueue q : queues) ASSERT_NPU(NPU_OK, npuQueueSync(q, kLongNs));
  for (npuQueue q : queues) ASSERT_NPU(NPU_OK, npuQueueDestroy(q));
  EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
}

}  // namespace
}  // namespace npu::conformance
