// SPDX-License-Identifier: Apache-2.0
// Timeline semaphores: host and queues on both ends.
#include <chrono>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class SemaphoreTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_NPU(NPU_OK, npuSemaphoreCreate(context_, 5, &semaphore_));
    ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(semaphore_, &address_));
  }
  uint64_t value() {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuSemaphoreQuery(semaphore_, &value));
    return value;
  }

  npuSemaphore semaphore_ = nullptr;
  npuDevPtr address_ = 0;
};

TEST_F(SemaphoreTest, TheValueOnlyGrows) {
  EXPECT_EQ(value(), 5u);
  EXPECT_NE(address_, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreSignal(semaphore_, 5));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreSignal(semaphore_, 0));
  EXPECT_NPU(NPU_OK, npuSemaphoreSignal(semaphore_, 6));
  EXPECT_NPU(NPU_OK, npuSemaphoreSignal(semaphore_, UINT64_MAX));
  EXPECT_EQ(value(), UINT64_MAX);
}

TEST_F(SemaphoreTest, TheHostReleasesAQueue) {
  const npuDevPtr a = alloc(64);
  uint64_t done = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, address_, 6, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, a, 1, 4, 64, &done));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueWait(queue_, done, 5'000'000));
  ASSERT_NPU(NPU_OK, npuSemaphoreSignal(semaphore_, 6));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, done, kLongNs));
}

TEST_F(SemaphoreTest, AQueueReleasesTheHost) {
  ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, address_, 6, nullptr));
  EXPECT_NPU(NPU_OK, npuSemaphoreWait(semaphore_, 6, kLongNs));
  const npuDevPtr gate = alloc(8);
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, address_, 9, nullptr));
  std::thread waiter([&] { EXPECT_NPU(NPU_OK, npuSemaphoreWait(semaphore_, 8, kLongNs)); });
  EXPECT_NPU(NPU_TIMEOUT, npuSemaphoreWait(semaphore_, 7, 10'000'000));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  waiter.join();
  EXPECT_EQ(value(), 9u);
}

TEST_F(SemaphoreTest, ThreadsReleaseEachOther) {
  std::thread waiters[4];
  for (uint64_t i = 0; i < 4; i++) {
    waiters[i] =
        std::thread([&, i] { EXPECT_NPU(NPU_OK, npuSemaphoreWait(semaphore_, 6 + i, kLongNs)); });
  }
  for (uint64_t i = 0; i < 4; i++) ASSERT_NPU(NPU_OK, npuSemaphoreSignal(semaphore_, 6 + i));
  for (std::thread& waiter : waiters) waiter.join();
}

TEST_F(SemaphoreTest, PingPongOfHostAndQueue) {
  npuSemaphore back = nullptr;
  npuDevPtr back_address = 0;
  ASSERT_NPU(NPU_OK, npuSemaphoreCreate(context_, 0, &back));
  ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(back, &back_address));
  for (uint64_t i = 1; i <= 50; i++) {
    ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, address_, 5 + i, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, back_address, i, nullptr));
  }
  for (uint64_t i = 1; i <= 50; i++) {
    ASSERT_NPU(NPU_OK, npuSemaphoreSignal(semaphore_, 5 + i));
    ASSERT_NPU(NPU_OK, npuSemaphoreWait(back, i, kLongNs));
  }
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(SemaphoreTest, TimeoutsEndWaitsInTime) {
  EXPECT_NPU(NPU_TIMEOUT, npuSemaphoreWait(semaphore_, 6, 0));
  EXPECT_NPU(NPU_OK, npuSemaphoreWait(semaphore_, 5, 0));
  EXPECT_NPU(NPU_OK, npuSemaphoreWait(semaphore_, 0, NPU_TIMEOUT_INFINITE));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreWait(semaphore_, 5, -1));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NPU(NPU_TIMEOUT, npuSemaphoreWait(semaphore_, 6, 150'000'000));
  const auto took = std::chrono::steady_clock::now() - start;
  EXPECT_GE(took, std::chrono::milliseconds(150));
  EXPECT_LT(took, std::chrono::seconds(10));
}

TEST_F(SemaphoreTest, AWaitIsNotDisturbedByDeadQueues) {
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("trap"), nullptr, 0));
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueSync(queue_, kLongNs));
  npuQueue other = make_queue();
  std::thread waiter([&] { EXPECT_NPU(NPU_OK, npuSemaphoreWait(semaphore_, 6, kLongNs)); });
  EXPECT_NPU(NPU_TIMEOUT, npuSemaphoreWait(semaphore_, 6, 20'000'000));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, address_, 6, nullptr));
  waiter.join();
}

TEST_F(SemaphoreTest, ItsMemoryIsForSemaphoresOnly) {
  const npuDevPtr a = alloc(64);
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueCopy(queue_, a, address_, 8, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueFill(queue_, address_, 0, 8, 8, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueSignal(queue_, address_ + 8, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuMemFree(context_, address_));
  npuContext other = nullptr;
  npuQueue foreign = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  ASSERT_NPU(NPU_OK, npuQueueCreate(other, nullptr, &foreign));
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueSignal(foreign, address_, 9, nullptr));
  ASSERT_NPU(NPU_OK, npuContextDestroy(other));
}

TEST_F(SemaphoreTest, TheEndOfASemaphoreEndsItsWaitsButNotItsWork) {
  const npuDevPtr gate = alloc(8);
  npuQueue opener = make_queue();
  uint64_t done = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, address_, 6, &done));
  std::thread waiter([&] {
    const npuResult result = npuSemaphoreWait(semaphore_, 6, kLongNs);
    EXPECT_EQ(result, NPU_ERROR_INVALID_HANDLE);
  });
  EXPECT_NPU(NPU_TIMEOUT, npuSemaphoreWait(semaphore_, 6, 5'000'000));
  ASSERT_NPU(NPU_OK, npuSemaphoreDestroy(semaphore_));
  waiter.join();
  EXPECT_NPU(NPU_ERROR_INVALID_ADDRESS, npuQueueSignal(queue_, address_, 7, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(opener, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, done, kLongNs));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuSemaphoreDestroy(semaphore_));
  EXPECT_NPU(NPU_OK, npuSemaphoreDestroy(nullptr));
}

}  // namespace
}  // namespace npu::conformance
