// SPDX-License-Identifier: Apache-2.0
// Semaphores that several contexts have: one value, queues and hosts on all ends.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class SharedSemaphoreTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other_));
    ASSERT_NPU(NPU_OK, npuQueueCreate(other_, nullptr, &other_queue_));
    ASSERT_NPU(NPU_OK, npuSemaphoreCreateShared(context_, 3, &here_));
    ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(here_, &here_dva_));
    there_ = share(here_);
    ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(there_, &there_dva_));
  }
  void TearDown() override {
    if (other_ != nullptr) npuContextDestroy(other_);
    DeviceTest::TearDown();
  }
  npuSemaphore share(npuSemaphore semaphore) {
    int fd = -1;
    npuSemaphore there = nullptr;
    EXPECT_NPU(NPU_OK, npuSemaphoreExportFd(semaphore, &fd));
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NPU(NPU_OK, npuSemaphoreImportFd(other_, fd, &there));
    close(fd);
    return there;
  }
  static uint64_t value(npuSemaphore semaphore) {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuSemaphoreQuery(semaphore, &value));
    return value;
  }

  npuContext other_ = nullptr;
  npuQueue other_queue_ = nullptr;
  npuSemaphore here_ = nullptr, there_ = nullptr;
  npuDevPtr here_dva_ = 0, there_dva_ = 0;
};

TEST_F(SharedSemaphoreTest, AllWhoHaveItSeeOneValue) {
  EXPECT_EQ(value(there_), 3u);
  ASSERT_NPU(NPU_OK, npuSemaphoreSignal(here_, 4));
  EXPECT_EQ(value(there_), 4u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreSignal(there_, 4));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other_queue_, there_dva_, 9, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(other_queue_, kLongNs));
  EXPECT_EQ(value(here_), 9u);
  // The maker may go: whoever has it still has it, and can give it on.
  ASSERT_NPU(NPU_OK, npuSemaphoreDestroy(here_));
  EXPECT_EQ(value(there_), 9u);
  npuSemaphore again = share(there_);
  ASSERT_NPU(NPU_OK, npuSemaphoreSignal(again, 10));
  EXPECT_EQ(value(there_), 10u);
}

TEST_F(SharedSemaphoreTest, QueuesOfTwoContextsTakeTurns) {
  npuSemaphore back = nullptr;
  npuDevPtr back_here = 0, back_there = 0;
  ASSERT_NPU(NPU_OK, npuSemaphoreCreateShared(context_, 0, &back));
  ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(back, &back_here));
  ASSERT_NPU(NPU_OK, npuSemaphoreGetAddress(share(back), &back_there));
  constexpr uint64_t kTurns = 50;
  for (uint64_t i = 1; i <= kTurns; i++) {
    ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(other_queue_, there_dva_, 3 + i, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSignal(other_queue_, back_there, i, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, here_dva_, 3 + i, nullptr));
    ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, back_here, i, nullptr));
  }
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueSync(other_queue_, kLongNs));
  EXPECT_EQ(value(back), kTurns);
  EXPECT_EQ(value(there_), 3 + kTurns);
}

TEST_F(SharedSemaphoreTest, AQueueWakesTheHostOfAnotherContext) {
  std::thread waiter([&] { EXPECT_NPU(NPU_OK, npuSemaphoreWait(there_, 4, kLongNs)); });
  EXPECT_NPU(NPU_TIMEOUT, npuSemaphoreWait(there_, 5, 20'000'000));
  ASSERT_NPU(NPU_OK, npuQueueSignal(queue_, here_dva_, 4, nullptr));
  waiter.join();
}

TEST_F(SharedSemaphoreTest, TheHostReleasesAQueueOfAnotherContext) {
  uint64_t done = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(other_queue_, there_dva_, 4, &done));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueWait(other_queue_, done, 5'000'000));
  ASSERT_NPU(NPU_OK, npuSemaphoreSignal(here_, 4));
  EXPECT_NPU(NPU_OK, npuQueueWait(other_queue_, done, kLongNs));
}

TEST_F(SharedSemaphoreTest, OnlySharedOnesAreGivenAway) {
  npuSemaphore own = nullptr;
  ASSERT_NPU(NPU_OK, npuSemaphoreCreate(context_, 0, &own));
  int fd = 7;
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuSemaphoreExportFd(own, &fd));
  EXPECT_EQ(fd, -1);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreExportFd(here_, nullptr));
  ASSERT_NPU(NPU_OK, npuSemaphoreDestroy(here_));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuSemaphoreExportFd(here_, &fd));
}

TEST_F(SharedSemaphoreTest, WhatIsNoSemaphoreIsRefused) {
  npuSemaphore none = here_;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreImportFd(context_, -1, &none));
  EXPECT_EQ(none, nullptr);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreImportFd(context_, null, &none));
  close(null);
  npuDevPtr memory = 0;
  int fd = -1;
  ASSERT_NPU(NPU_OK, npuMemAlloc(context_, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, 64 << 10, &memory));
  ASSERT_NPU(NPU_OK, npuMemExportFd(context_, memory, &fd, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreImportFd(context_, fd, &none));
  close(fd);
  const int large = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(large, 2 * 4096), 0);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreImportFd(context_, large, &none));
  ASSERT_EQ(fcntl(large, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuSemaphoreImportFd(context_, large, &none));
  close(large);
}

// A page that anybody has made is a semaphore too; one that may only be read is none.
TEST_F(SharedSemaphoreTest, ADescriptorForReadingIsRefused) {
  const int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(ftruncate(fd, 4096), 0);
  ASSERT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  npuSemaphore semaphore = nullptr;
  ASSERT_NPU(NPU_OK, npuSemaphoreImportFd(context_, fd, &semaphore));
  EXPECT_EQ(value(semaphore), 0u);
  const int reading = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_NPU(NPU_ERROR_PERMISSION, npuSemaphoreImportFd(context_, reading, &semaphore));
  close(reading);
  close(fd);
}

}  // namespace
}  // namespace npu::conformance
