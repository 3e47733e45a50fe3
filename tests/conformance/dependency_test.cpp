// SPDX-License-Identifier: Apache-2.0
// Queues that wait for queues, and what happens when the other one fails.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class DependencyTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    gate_ = alloc(8);
    other_ = make_queue();
    opener_ = make_queue();
  }
  void open_gate(uint64_t value = 1) {
    EXPECT_NPU(NPU_OK, npuQueueSignal(opener_, gate_, value, nullptr));
  }
  // |other_| waits at the gate and then runs |name|; the value of that launch.
  uint64_t gated(const char* name) {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuQueueWaitSemaphore(other_, gate_, 1, nullptr));
    EXPECT_NPU(NPU_OK, launch(other_, kernel(name), nullptr, 0, &value));
    return value;
  }
  npuResult fault_code(npuQueue queue) {
    npuFault fault{};
    fault.struct_size = sizeof fault;
    uint32_t count = 1;
    EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue, &count, &fault));
    return count == 1 ? fault.code : NPU_OK;
  }

  npuDevPtr gate_ = 0;
  npuQueue other_ = nullptr;
  npuQueue opener_ = nullptr;
};

TEST_F(DependencyTest, WaitsForTheOtherQueue) {
  const uint64_t value = gated("null");
  uint64_t own = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, &own));
  EXPECT_EQ(own, 1u);
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(queue_, 5'000'000));
  uint64_t completed = 9;
  ASSERT_NPU(NPU_OK, npuQueueGetCompleted(queue_, &completed));
  EXPECT_EQ(completed, 0u);
  open_gate();
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueWaitQueue(queue_, other_, value + 1, &own));
  EXPECT_NPU(NPU_OK, npuQueueWaitQueue(queue_, queue_, 2, &own));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, FailureOfTheAwaitedCommandStopsTheWaiter) {
  const uint64_t value = gated("trap");
  uint64_t own = 0;
  uint64_t later = 0;
  uint64_t earlier = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &earlier));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, &own));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &later));
  open_gate();
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueWait(queue_, later, kLongNs));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueWait(queue_, own, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, earlier, kLongNs));
  EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, launch(queue_, kernel("null"), nullptr, 0));
  EXPECT_EQ(fault_code(queue_), NPU_ERROR_DEPENDENCY_FAILED);
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueSync(other_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, FailureBeforeTheAwaitedCommandStopsTheWaiter) {
  gated("trap");
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(other_, kernel("null"), nullptr, 0, &value));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  open_gate();
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, FailureAfterTheAwaitedCommandDoesNotMatter) {
  const uint64_t value = gated("null");
  ASSERT_NPU(NPU_OK, launch(other_, kernel("trap"), nullptr, 0));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  open_gate();
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueSync(other_, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, WaitingForAQueueThatHasFailedAlreadyFails) {
  open_gate();
  const uint64_t value = gated("trap");
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueSync(other_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(fault_code(queue_), NPU_ERROR_DEPENDENCY_FAILED);
}

TEST_F(DependencyTest, FailureTravelsAlongAChain) {
  const uint64_t value = gated("trap");
  npuQueue middle = make_queue();
  uint64_t middle_value = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(middle, other_, value, nullptr));
  ASSERT_NPU(NPU_OK, launch(middle, kernel("null"), nullptr, 0, &middle_value));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, middle, middle_value, nullptr));
  open_gate();
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(middle, kLongNs));
}

TEST_F(DependencyTest, AWaitThatSleepsIsToldOfTheFailure) {
  const uint64_t value = gated("trap");
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  std::atomic<npuResult> result{NPU_OK};
  std::thread waiter([&] { result = npuQueueSync(queue_, NPU_TIMEOUT_INFINITE); });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  open_gate();
  waiter.join();
  EXPECT_EQ(result, NPU_ERROR_DEPENDENCY_FAILED);
}

TEST_F(DependencyTest, DestroyingTheAwaitedQueueStopsTheWaiter) {
  const uint64_t value = gated("null");
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(queue_, 1'000'000));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(other_));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, ResettingTheAwaitedQueueStopsTheWaiter) {
  const uint64_t value = gated("null");
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(queue_, 1'000'000));
  ASSERT_NPU(NPU_OK, npuQueueReset(other_, kLongNs));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, AQueueThatPassedMayBeDestroyedWhileOthersStillHaveToSeeIt) {
  open_gate();
  const uint64_t value = gated("null");
  npuDevPtr second = alloc(8);
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, second, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(other_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(other_));
  ASSERT_NPU(NPU_OK, npuQueueSignal(opener_, second, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(DependencyTest, TwoQueuesMayPlayPingPong) {
  uint64_t a = 0;
  uint64_t b = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate_, 1, &a));
  for (int i = 0; i < 300; i++) {
    ASSERT_NPU(NPU_OK, npuQueueWaitQueue(other_, queue_, a, nullptr));
    ASSERT_NPU(NPU_OK, launch(other_, kernel("null"), nullptr, 0, &b));
    ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, b, nullptr));
    ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &a));
  }
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(queue_, 1'000'000));
  open_gate();
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, a, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueWait(other_, b, kLongNs));
}

TEST_F(DependencyTest, TheFaultPointsToWhereTheFailureBegan) {
  const uint64_t value = gated("trap");
  const npuQueue third = make_queue();
  uint64_t own = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queue_, other_, value, &own));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(third, queue_, own, &own));
  open_gate();
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(third, kLongNs));
  EXPECT_NE(std::string(last_error().text).find("NPU_ERROR_KERNEL_TRAP"), std::string::npos)
      << last_error().text;
  for (const npuQueue queue : {queue_, third}) {
    npuFault fault{};
    fault.struct_size = sizeof fault;
    uint32_t count = 1;
    ASSERT_NPU(NPU_OK, npuQueueGetFaults(queue, &count, &fault));
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(fault.code, NPU_ERROR_DEPENDENCY_FAILED);
    EXPECT_EQ(fault.origin_queue, other_);
    EXPECT_EQ(fault.origin_value, value);
    EXPECT_EQ(fault.origin_code, NPU_ERROR_KERNEL_TRAP);
  }
}

}  // namespace
}  // namespace npu::conformance
