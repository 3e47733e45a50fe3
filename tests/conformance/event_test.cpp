// SPDX-License-Identifier: Apache-2.0
// Events.
#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class EventTest : public DeviceTest {
 protected:
  npuEvent make_event() {
    npuEvent event = nullptr;
    EXPECT_NPU(NPU_OK, npuEventCreate(context_, &event));
    return event;
  }
};

TEST_F(EventTest, UnrecordedEventsCountAsPassed) {
  const npuEvent event = make_event();
  EXPECT_NPU(NPU_OK, npuEventQuery(event));
  EXPECT_NPU(NPU_OK, npuEventWait(event, 0));
  EXPECT_NPU(NPU_OK, npuQueueWaitEvent(queue_, event));
  uint64_t elapsed = 5;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventGetElapsed(event, event, &elapsed));
  EXPECT_EQ(elapsed, 0u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventWait(event, -5));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventCreate(context_, nullptr));
}

TEST_F(EventTest, PassesWithTheWorkBeforeIt) {
  const npuDevPtr gate = alloc(8);
  const npuEvent event = make_event();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue_));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 2, nullptr));
  EXPECT_NPU(NPU_NOT_READY, npuEventQuery(event));
  EXPECT_NPU(NPU_TIMEOUT, npuEventWait(event, 1'000'000));
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuEventWait(event, kLongNs));
  EXPECT_NPU(NPU_OK, npuEventQuery(event));
  // Recording again moves it.
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue_));
  EXPECT_NPU(NPU_NOT_READY, npuEventQuery(event));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 2, nullptr));
  EXPECT_NPU(NPU_OK, npuEventWait(event, kLongNs));
}

TEST_F(EventTest, AThousandQueriesLeaveNoTrace) {
  const npuDevPtr gate = alloc(8);
  const npuEvent event = make_event();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue_));
  for (int i = 0; i < 1000; i++) ASSERT_EQ(npuEventQuery(event), NPU_NOT_READY);
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuEventQuery(nullptr));
  for (int i = 0; i < 10; i++) ASSERT_EQ(npuEventQuery(event), NPU_NOT_READY);
  EXPECT_EQ(last_error().code, NPU_ERROR_INVALID_HANDLE);
  npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuEventWait(event, kLongNs));
}

TEST_F(EventTest, ElapsedIsDeviceTimeAlsoLongAfterTheRingWasUsedAgain) {
  npuQueue small = make_queue(64);
  const npuDevPtr ptr = alloc(4096);
  const npuEvent start = make_event();
  const npuEvent end = make_event();
  ASSERT_NPU(NPU_OK, npuQueueFill(small, ptr, 0, 1, 4096, nullptr));
  ASSERT_NPU(NPU_OK, npuEventRecord(start, small));
  uint64_t sum = 0;
  for (int i = 0; i < 500; i++) {
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, npuQueueFill(small, ptr, 0, 1, 4096, &value));
    if (i % 32 != 31 && i != 499) continue;
    ASSERT_NPU(NPU_OK, npuQueueWait(small, value, kLongNs));
    npuTiming timing{};
    timing.struct_size = sizeof timing;
    ASSERT_NPU(NPU_OK, npuQueueGetTiming(small, value, &timing));
    sum = timing.end_ps;
  }
  ASSERT_NPU(NPU_OK, npuEventRecord(end, small));
  ASSERT_NPU(NPU_OK, npuEventWait(end, kLongNs));
  uint64_t elapsed = 0;
  ASSERT_NPU(NPU_OK, npuEventGetElapsed(start, end, &elapsed));
  EXPECT_GT(elapsed, 0u);
  EXPECT_LT(elapsed, sum);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventGetElapsed(end, start, &elapsed));
  EXPECT_NPU(NPU_OK, npuEventGetElapsed(start, start, &elapsed));
  EXPECT_EQ(elapsed, 0u);
}

TEST_F(EventTest, ElapsedWantsOneQueueAndPassedEvents) {
  const npuDevPtr gate = alloc(8);
  npuQueue other = make_queue();
  const npuEvent a = make_event();
  const npuEvent b = make_event();
  ASSERT_NPU(NPU_OK, npuEventRecord(a, queue_));
  ASSERT_NPU(NPU_OK, npuEventRecord(b, other));
  uint64_t elapsed = 0;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventGetElapsed(a, b, &elapsed));
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuEventRecord(b, queue_));
  EXPECT_NPU(NPU_NOT_READY, npuEventGetElapsed(a, b, &elapsed));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuEventGetElapsed(a, b, nullptr));
}

TEST_F(EventTest, QueuesWaitForEventsOnTheDevice) {
  const npuDevPtr gate = alloc(8);
  const npuDevPtr data = alloc(64);
  npuQueue other = make_queue();
  const npuEvent event = make_event();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, data, 0x55, 1, 8, nullptr));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue_));
  ASSERT_NPU(NPU_OK, npuQueueWaitEvent(other, event));
  ASSERT_NPU(NPU_OK, npuQueueCopy(other, data + 8, data, 8, nullptr));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueSync(other, 10'000'000));
  npuQueue third = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueSignal(third, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  uint64_t got = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &got, data + 8, 8));
  EXPECT_EQ(got, 0x5555555555555555u);
}

TEST_F(EventTest, OutliveTheirQueue) {
  npuQueue queue = make_queue();
  const npuEvent event = make_event();
  ASSERT_NPU(NPU_OK, launch(queue, kernel("null"), nullptr, 0));
  ASSERT_NPU(NPU_OK, npuEventRecord(event, queue));
  ASSERT_NPU(NPU_OK, npuEventWait(event, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue));
  EXPECT_NPU(NPU_OK, npuEventQuery(event));
  EXPECT_NPU(NPU_OK, npuEventDestroy(event));
}

TEST_F(EventTest, TenThousandEventsCostTheSameAsTen) {
  std::vector<npuEvent> events;
  for (int i = 0; i < 10'000; i++) events.push_back(make_event());
  for (const npuEvent event : events) ASSERT_EQ(npuEventRecord(event, queue_), NPU_OK);
  for (const npuEvent event : events) ASSERT_EQ(npuEventDestroy(event), NPU_OK);
}

}  // namespace
}  // namespace npu::conformance
