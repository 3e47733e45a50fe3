// SPDX-License-Identifier: Apache-2.0
// Priorities: a launch of a more urgent queue overtakes one that is running, between two work-groups, and changes nothing of its result.
#include <cstring>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

// Far more work-groups than could run while a test does.
constexpr uint32_t kEndlessGroups = 1u << 30;

class PriorityTest : public DeviceTest {
 protected:
  npuQueue make_priority(npuQueuePriority priority) {
    npuQueueInfo info{};
    info.struct_size = sizeof info;
    info.priority = priority;
    npuQueue queue = nullptr;
    EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
    return queue;
  }
  // Waits until |queue| has begun with the command after |value|: the semaphore before it was passed.
  uint64_t completed(npuQueue queue) {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuQueueGetCompleted(queue, &value));
    return value;
  }
};

TEST_F(PriorityTest, AnUrgentLaunchOvertakesARunningOne) {
  npuQueue low = make_priority(NPU_PRIORITY_LOW);
  uint64_t begun = 0;
  uint64_t endless = 0;
  ASSERT_NPU(NPU_OK, launch(low, kernel("null"), nullptr, 0, &begun));
  ASSERT_NPU(NPU_OK, launch(low, kernel("null"), nullptr, 0, &endless, kEndlessGroups));
  ASSERT_NPU(NPU_OK, npuQueueWait(low, begun, kLongNs));
  for (int i = 0; i < 20; i++) {
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &value));
    ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
    EXPECT_EQ(completed(low), begun);
  }
  // It ends where it is told to, although it runs.
  EXPECT_NPU(NPU_OK, npuQueueDestroy(low));
}

// Destroying must not wait for the urgent work of others: a device server would answer nobody meanwhile.
TEST_F(PriorityTest, WhatWasOvertakenCanBeDestroyedMeanwhile) {
  npuQueue low = make_priority(NPU_PRIORITY_LOW);
  uint64_t begun = 0;
  ASSERT_NPU(NPU_OK, launch(low, kernel("null"), nullptr, 0, &begun));
  ASSERT_NPU(NPU_OK, launch(low, kernel("null"), nullptr, 0, nullptr, kEndlessGroups));
  ASSERT_NPU(NPU_OK, npuQueueWait(low, begun, kLongNs));
  uint64_t overtaken = 0;
  uint64_t endless = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &overtaken));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &endless, kEndlessGroups));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, overtaken, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueDestroy(low));
  EXPECT_EQ(completed(queue_), overtaken);
  // And calls are answered although the destroyed one has not come back yet.
  npuQueue next = make_priority(NPU_PRIORITY_LOW);
  EXPECT_NPU(NPU_OK, npuQueueDestroy(next));
  EXPECT_EQ(completed(queue_), overtaken);
}

TEST_F(PriorityTest, AnUrgentLaunchOvertakesAList) {
  npuQueue low = make_priority(NPU_PRIORITY_LOW);
  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  npuLaunchInfo info{};
  info.struct_size = sizeof info;
  info.grid_x = 1u << 20;
  info.grid_y = info.grid_z = 1;
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph));
  for (int i = 0; i < 1000; i++)
    ASSERT_NPU(NPU_OK, npuGraphAddKernel(graph, 0, nullptr, kernel("null"), &info, nullptr));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  uint64_t begun = 0;
  ASSERT_NPU(NPU_OK, launch(low, kernel("null"), nullptr, 0, &begun));
  ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, low, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWait(low, begun, kLongNs));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(completed(low), begun);
  EXPECT_NPU(NPU_OK, npuQueueDestroy(low));
}

TEST_F(PriorityTest, BeingOvertakenChangesNeitherResultsNorDeviceTimes) {
  constexpr uint32_t kGroups = 20'000;
  const npuDevPtr out = alloc(kGroups * 4);
  const npuDevPtr other = alloc(64);
  npuQueue low = make_priority(NPU_PRIORITY_LOW);
  const auto run = [&](int disturbances) {
    std::vector<int32_t> result(kGroups);
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuQueueFill(low, out, 0, 4, kGroups * 4, nullptr));
    EXPECT_NPU(NPU_OK, launch(low, kernel("grid"), &out, sizeof out, &value, kGroups));
    const PokeArgs poke{other, 1.0f, 0};
    for (int i = 0; i < disturbances; i++) {
      uint64_t done = 0;
      EXPECT_NPU(NPU_OK, launch(queue_, kernel("poke"), &poke, sizeof poke, &done));
      EXPECT_NPU(NPU_OK, npuQueueWait(queue_, done, kLongNs));
    }
    EXPECT_NPU(NPU_OK, npuQueueWait(low, value, kLongNs));
    npuTiming timing{};
    timing.struct_size = sizeof timing;
    EXPECT_NPU(NPU_OK, npuQueueGetTiming(low, value, &timing));
    EXPECT_NPU(NPU_OK, npuMemCopyToHost(context_, result.data(), out, kGroups * 4));
    for (uint32_t i = 0; i < kGroups; i++) EXPECT_EQ(result[i], static_cast<int32_t>(i));
    return timing.end_ps - timing.start_ps;
  };
  const uint64_t alone_ps = run(0);
  for (int i = 0; i < 5; i++) EXPECT_EQ(run(20), alone_ps);
}

TEST_F(PriorityTest, AFaultOfAnOvertakenLaunchIsTheSame) {
  // The group whose store leaves the buffer is the first one that fails, however often the launch is interrupted.
  constexpr uint32_t kGroups = 50'000;
  const npuDevPtr out = 0x600000000000;
  npuFault first{};
  for (int i = 0; i < 4; i++) {
    npuQueue low = make_priority(NPU_PRIORITY_LOW);
    uint64_t value = 0;
    ASSERT_NPU(NPU_OK, launch(low, kernel("grid"), &out, sizeof out, &value, kGroups));
    for (int k = 0; k < 5; k++) {
      uint64_t done = 0;
      ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0, &done));
      ASSERT_NPU(NPU_OK, npuQueueWait(queue_, done, kLongNs));
    }
    EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueWait(low, value, kLongNs));
    npuFault fault{};
    fault.struct_size = sizeof fault;
    uint32_t count = 1;
    ASSERT_NPU(NPU_OK, npuQueueGetFaults(low, &count, &fault));
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(fault.group, 0u);
    if (i == 0) first = fault;
    EXPECT_EQ(std::memcmp(&first, &fault, sizeof fault), 0);
    ASSERT_NPU(NPU_OK, npuQueueDestroy(low));
  }
}

}  // namespace
}  // namespace npu::conformance
