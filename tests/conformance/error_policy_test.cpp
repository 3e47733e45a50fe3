// SPDX-License-Identifier: Apache-2.0
// Queues that go on after errors, and classes of queues.
#include <cstring>
#include <string>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr npuDevPtr kNowhere = 0x123456789000;

class ErrorPolicyTest : public DeviceTest {
 protected:
  npuQueue make(npuErrorPolicy policy, npuQueueClass queue_class, uint32_t entries = 0) {
    npuQueueInfo info{};
    info.struct_size = sizeof info;
    info.ring_entries = entries;
    info.error_policy = policy;
    info.queue_class = queue_class;
    npuQueue queue = nullptr;
    EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
    return queue;
  }
  std::vector<npuFault> faults(npuQueue queue) {
    uint32_t count = 0;
    EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue, &count, nullptr));
    std::vector<npuFault> all(count);
    if (count == 0) return all;
    all[0].struct_size = sizeof(npuFault);
    EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue, &count, all.data()));
    return all;
  }
};

TEST_F(ErrorPolicyTest, TheQueueGoesOnAndEachErrorIsKnown) {
  npuQueue queue = make(NPU_ON_ERROR_CONTINUE, NPU_QUEUE_CLASS_COMPUTE);
  const npuDevPtr a = alloc(64);
  const uint64_t good = poke(queue, a, 1.0f);
  const uint64_t bad = poke(queue, kNowhere, 2.0f);
  uint64_t trap = 0;
  ASSERT_NPU(NPU_OK, launch(queue, kernel("trap"), nullptr, 0, &trap));
  const uint64_t last = poke(queue, a + 4, 3.0f);
  EXPECT_NPU(NPU_OK, npuQueueWait(queue, last, kLongNs));
  EXPECT_EQ(number_at(a + 4), 3.0f);
  EXPECT_NPU(NPU_OK, npuQueueWait(queue, good, 0));
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueWait(queue, trap, 0));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueWait(queue, bad, 0));
  EXPECT_NE(std::string(last_error().text).find("poke"), std::string::npos) << last_error().text;
  const std::vector<npuFault> all = faults(queue);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].value, bad);
  EXPECT_EQ(all[0].code, NPU_ERROR_VM_FAULT);
  EXPECT_EQ(all[0].address, kNowhere);
  EXPECT_EQ(all[1].value, trap);
  EXPECT_EQ(all[1].code, NPU_ERROR_KERNEL_TRAP);
  EXPECT_STREQ(all[1].kernel, "trap");
  uint32_t count = 1;
  npuFault first{};
  first.struct_size = sizeof first;
  EXPECT_NPU(NPU_INCOMPLETE, npuQueueGetFaults(queue, &count, &first));
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(first.value, bad);
  EXPECT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue, kLongNs));
  EXPECT_TRUE(faults(queue).empty());
  EXPECT_NPU(NPU_OK, npuQueueWait(queue, poke(queue, a, 5.0f), kLongNs));
}

TEST_F(ErrorPolicyTest, ErrorsOutliveTheirPlaceInTheRing) {
  npuQueue queue = make(NPU_ON_ERROR_CONTINUE, NPU_QUEUE_CLASS_COMPUTE, 64);
  const npuDevPtr a = alloc(64);
  std::vector<uint64_t> bad;
  for (int i = 0; i < 500; i++) {
    const uint64_t value = poke(queue, i % 50 == 7 ? kNowhere : a, 1.0f);
    if (i % 50 == 7) bad.push_back(value);
  }
  EXPECT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  const std::vector<npuFault> all = faults(queue);
  ASSERT_EQ(all.size(), bad.size());
  for (size_t i = 0; i < bad.size(); i++) {
    EXPECT_EQ(all[i].value, bad[i]);
    EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueWait(queue, bad[i], 0));
    EXPECT_NPU(NPU_OK, npuQueueWait(queue, bad[i] + 1, 0));
  }
}

TEST_F(ErrorPolicyTest, WhoDependsOnAFailedCommandStops) {
  npuQueue queue = make(NPU_ON_ERROR_CONTINUE, NPU_QUEUE_CLASS_COMPUTE);
  const npuDevPtr a = alloc(64);
  const npuDevPtr gate = alloc(8);
  npuQueue opener = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue, gate, 1, nullptr));
  const uint64_t bad = poke(queue, kNowhere, 2.0f);
  const uint64_t good = poke(queue, a, 2.0f);
  npuQueue unlucky = make(NPU_ON_ERROR_CONTINUE, NPU_QUEUE_CLASS_COMPUTE);
  npuQueue lucky = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(unlucky, queue, bad, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(lucky, queue, good, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSignal(opener, gate, 1, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(lucky, kLongNs));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueSync(unlucky, kLongNs));
  EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, launch(unlucky, kernel("null"), nullptr, 0));
}

TEST_F(ErrorPolicyTest, HostFunctionsAndGraphsGoOnToo) {
  struct Call {
    static void record(npuResult status, void* out) { *static_cast<npuResult*>(out) = status; }
  };
  npuQueue queue = make(NPU_ON_ERROR_CONTINUE, NPU_QUEUE_CLASS_COMPUTE);
  npuResult status = NPU_ERROR_INTERNAL;
  poke(queue, kNowhere, 1.0f);
  uint64_t called = 0;
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue, &Call::record, &status, &called));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue, called, kLongNs));
  EXPECT_EQ(status, NPU_OK);

  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  const npuDevPtr a = alloc(64);
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue));
  poke(queue, a, 4.0f);
  poke(queue, kNowhere, 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueEndCapture(queue, &graph));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  uint64_t launched = 0;
  ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue, &launched));
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueWait(queue, launched, kLongNs));
  EXPECT_EQ(number_at(a), 4.0f);
  npuGraphNode node = 0;
  ASSERT_NPU(NPU_OK, npuGraphExecGetFault(exec, &node, nullptr));
  EXPECT_EQ(node, 2u);
  EXPECT_NPU(NPU_OK, npuQueueWait(queue, poke(queue, a, 6.0f), kLongNs));
}

TEST_F(ErrorPolicyTest, AQueueThatStopsIsAsBefore) {
  npuQueue queue = make(NPU_ON_ERROR_STOP, NPU_QUEUE_CLASS_COMPUTE);
  const uint64_t bad = poke(queue, kNowhere, 1.0f);
  EXPECT_NPU(NPU_ERROR_VM_FAULT, npuQueueWait(queue, bad, kLongNs));
  EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, launch(queue, kernel("null"), nullptr, 0));
  EXPECT_EQ(faults(queue).size(), 1u);
}

TEST_F(ErrorPolicyTest, CopyQueuesRunEverythingButKernels) {
  npuQueue queue = make(NPU_ON_ERROR_STOP, NPU_QUEUE_CLASS_COPY);
  const npuDevPtr a = alloc(64);
  const npuDevPtr b = alloc(64);
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, launch(queue, kernel("null"), nullptr, 0));
  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  const npuLaunchInfo info = launch_info(nullptr, 0);
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph));
  ASSERT_NPU(NPU_OK, npuGraphAddKernel(graph, 0, nullptr, kernel("null"), &info, nullptr));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuGraphLaunch(exec, queue, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue, a, 9, 4, 64, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue, b, a, 64, nullptr));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  uint32_t word = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &word, b, 4));
  EXPECT_EQ(word, 9u);
}

TEST_F(ErrorPolicyTest, UnknownClassesAndPoliciesAreRefused) {
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  npuQueue queue = nullptr;
  info.queue_class = -1;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue));
  info.queue_class = 3;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue));
  info.queue_class = NPU_QUEUE_CLASS_COMPUTE;
  info.error_policy = 2;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue));
  info.error_policy = -1;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &info, &queue));
  // The struct of version 0.1 had neither.
  info.struct_size = 16;
  EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
}

}  // namespace
}  // namespace npu::conformance
