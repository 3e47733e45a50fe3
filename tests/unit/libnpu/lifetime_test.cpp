// SPDX-License-Identifier: Apache-2.0
// After a device was closed no object of the library is left, whatever state it was in.
#include <gtest/gtest.h>
#include <npu/npu.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "libnpu/src/core/object.h"

namespace npu {
namespace {

constexpr int64_t kLongNs = 20'000'000'000;

class LifetimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("NPU_MODEL_LIBRARY", NPU_MODEL_LIBRARY_FILE, 1);
    ASSERT_EQ(npuInit(), NPU_OK);
    ASSERT_EQ(npuDeviceOpen(nullptr, &device_), NPU_OK);
    ASSERT_EQ(npuContextCreate(device_, &context_), NPU_OK);
    ASSERT_EQ(npuQueueCreate(context_, nullptr, &a_), NPU_OK);
    ASSERT_EQ(npuQueueCreate(context_, nullptr, &b_), NPU_OK);
    ASSERT_EQ(npuMemAlloc(context_, NPU_MEM_DEVICE, 64, &gate_), NPU_OK);
  }
  void TearDown() override {
    EXPECT_EQ(npuShutdown(), NPU_OK);
    EXPECT_EQ(Object::live_count(), 0);
  }

  npuDevice device_ = nullptr;
  npuContext context_ = nullptr;
  npuQueue a_ = nullptr;
  npuQueue b_ = nullptr;
  npuDevPtr gate_ = 0;
};

TEST_F(LifetimeTest, QueuesThatWaitForEachOtherDoNotKeepEachOther) {
  uint64_t value = 0;
  ASSERT_EQ(npuQueueWaitSemaphore(a_, gate_, 1, &value), NPU_OK);
  for (int i = 0; i < 10; i++) {
    ASSERT_EQ(npuQueueWaitQueue(b_, a_, value, &value), NPU_OK);
    ASSERT_EQ(npuQueueWaitQueue(a_, b_, value, &value), NPU_OK);
  }
  npuEvent event = nullptr;
  ASSERT_EQ(npuEventCreate(context_, &event), NPU_OK);
  ASSERT_EQ(npuEventRecord(event, a_), NPU_OK);
  EXPECT_EQ(npuDeviceClose(device_), NPU_OK);
  EXPECT_EQ(Object::live_count(), 0);
}

TEST_F(LifetimeTest, WhatWasGivenBackWhileInUseGoesWithTheContext) {
  npuDevPtr ptr = 0;
  ASSERT_EQ(npuQueueWaitSemaphore(a_, gate_, 1, nullptr), NPU_OK);
  for (int i = 0; i < 20; i++) {
    ASSERT_EQ(npuMemAlloc(context_, NPU_MEM_DEVICE, i % 4 == 0 ? 9 << 20 : 4096, &ptr), NPU_OK);
    ASSERT_EQ(npuQueueFill(a_, ptr, 0, 8, 4096, nullptr), NPU_OK);
    ASSERT_EQ(npuMemFree(context_, ptr), NPU_OK);
    ASSERT_EQ(npuQueueReset(b_, kLongNs), NPU_OK);
  }
  EXPECT_EQ(npuContextDestroy(context_), NPU_OK);
  EXPECT_EQ(Object::live_count(), 1) << "the device";
}

TEST_F(LifetimeTest, ShutdownWaitsForCallsOfOtherThreads) {
  ASSERT_EQ(npuQueueWaitSemaphore(a_, gate_, 1, nullptr), NPU_OK);
  std::atomic<int> waiting{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      waiting++;
      const npuResult result = npuQueueSync(a_, NPU_TIMEOUT_INFINITE);
      EXPECT_TRUE(result == NPU_ERROR_INVALID_HANDLE || result == NPU_ERROR_SHUTDOWN) << result;
    });
  }
  while (waiting < 4) std::this_thread::yield();
  EXPECT_EQ(npuShutdown(), NPU_OK);
  EXPECT_EQ(Object::live_count(), 0);
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(npuInit(), NPU_OK);
}

TEST_F(LifetimeTest, DestroyRacesWithUseWithoutHarm) {
  for (int round = 0; round < 20; round++) {
    npuQueue queue = nullptr;
    ASSERT_EQ(npuQueueCreate(context_, nullptr, &queue), NPU_OK);
    std::atomic<bool> go{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
      threads.emplace_back([&] {
        while (!go) std::this_thread::yield();
        npuResult result = NPU_OK;
        for (int n = 0; n < 10'000 && result == NPU_OK; n++)
          result = npuQueueFill(queue, gate_ + 8, 1, 8, 8, nullptr);
        EXPECT_TRUE(result == NPU_OK || result == NPU_ERROR_INVALID_HANDLE) << result;
      });
    }
    go = true;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    EXPECT_EQ(npuQueueDestroy(queue), NPU_OK);
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace npu
