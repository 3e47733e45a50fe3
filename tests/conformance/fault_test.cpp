// SPDX-License-Identifier: Apache-2.0
// Faults: what is reported, who notices, and how a queue comes back.
#include <cstring>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr npuDevPtr kNowhere = 0x7000'0000'0000;

class FaultTest : public DeviceTest {
 protected:
  npuFault fault_of(npuQueue queue) {
    npuFault fault{};
    fault.struct_size = sizeof fault;
    uint32_t count = 1;
    EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue, &count, &fault));
    EXPECT_EQ(count, 1u);
    return fault;
  }
  // Launches |name| and returns what the wait says.
  npuResult run(const char* name, const void* args, uint32_t args_bytes) {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, launch(queue_, kernel(name), args, args_bytes, &value));
    return npuQueueWait(queue_, value, kLongNs);
  }
};

TEST_F(FaultTest, AWildStoreNamesKernelTileInstructionAndAddress) {
  const PokeArgs args{kNowhere, 1.0f, 0};
  EXPECT_NPU(NPU_ERROR_VM_FAULT, run("poke", &args, sizeof args));
  const npuErrorInfo info = last_error();
  EXPECT_NE(std::strstr(info.text, "poke"), nullptr) << info.text;
  EXPECT_NE(std::strstr(info.text, "0x700000000000"), nullptr) << info.text;
  const npuFault fault = fault_of(queue_);
  EXPECT_EQ(fault.code, NPU_ERROR_VM_FAULT);
  EXPECT_EQ(fault.value, 1u);
  EXPECT_STREQ(fault.kernel, "poke");
  EXPECT_EQ(fault.address, kNowhere);
  EXPECT_EQ(fault.access, 2u);
  EXPECT_LT(fault.tile, 4u);
  EXPECT_GT(fault.pc, 0u);
  EXPECT_NE(std::strstr(fault.source_file, "kernels.cpp"), nullptr) << fault.source_file;
  EXPECT_GT(fault.source_line, 0u);
}

TEST_F(FaultTest, AWildLoadIsARead) {
  const PeekArgs args{kNowhere, alloc(64)};
  EXPECT_NPU(NPU_ERROR_VM_FAULT, run("peek", &args, sizeof args));
  const npuFault fault = fault_of(queue_);
  EXPECT_STREQ(fault.kernel, "peek");
  EXPECT_EQ(fault.access, 1u);
}

TEST_F(FaultTest, MemoryOfAnotherContextIsNotReachable) {
  npuContext other = nullptr;
  ASSERT_NPU(NPU_OK, npuContextCreate(device_, &other));
  npuDevPtr secret = 0;
  // Larger than all that this context has mapped, so that the address means nothing here.
  ASSERT_NPU(NPU_OK, npuMemAlloc(other, NPU_MEM_DEVICE, 64 << 20, &secret));
  const PeekArgs args{secret + (48 << 20), alloc(64)};
  EXPECT_NPU(NPU_ERROR_VM_FAULT, run("peek", &args, sizeof args));
  EXPECT_NPU(NPU_OK, npuContextDestroy(other));
}

TEST_F(FaultTest, TrapsAssertionsAndDivisionsSayWhatTheyWere) {
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, run("trap", nullptr, 0));
  npuFault fault = fault_of(queue_);
  EXPECT_EQ(fault.address, 0x2au);
  EXPECT_STREQ(fault.kernel, "trap");
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));

  PairArgs pair{0, 0};
  npuKernelInfo info{};
  info.struct_size = sizeof info;
  ASSERT_NPU(NPU_OK, npuKernelGetInfo(kernel("assert_positive"), &info));
  EXPECT_NPU(NPU_ERROR_KERNEL_ASSERT, run("assert_positive", &pair, info.args_bytes));
  fault = fault_of(queue_);
  EXPECT_EQ(fault.address, 7u);
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));

  pair = {5, 0};
  EXPECT_NPU(NPU_ERROR_DIVIDE_BY_ZERO, run("divide", &pair, sizeof pair));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  pair = {10, 5};
  EXPECT_NPU(NPU_OK, run("divide", &pair, sizeof pair));
}

TEST_F(FaultTest, TheWatchdogEndsAKernelThatNeverEnds) {
  // Longer than a loaded machine keeps the launch after the reset waiting.
  npuQueueInfo info{};
  info.struct_size = sizeof info;
  info.timeout_ms = 500;
  npuQueue queue = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueCreate(context_, &info, &queue));
  ASSERT_NPU(NPU_OK, launch(queue, kernel("forever"), nullptr, 0));
  EXPECT_NPU(NPU_ERROR_WATCHDOG, npuQueueSync(queue, kLongNs));
  EXPECT_EQ(fault_of(queue).code, NPU_ERROR_WATCHDOG);
  ASSERT_NPU(NPU_OK, npuQueueReset(queue, kLongNs));
  ASSERT_NPU(NPU_OK, launch(queue, kernel("null"), nullptr, 0));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
}

TEST_F(FaultTest, AQueueStopsAtItsFirstFaultAndOthersGoOn) {
  npuQueue other = make_queue();
  const npuKernel null = kernel("null");
  const npuDevPtr gate = alloc(8);
  uint64_t before = 0;
  uint64_t bad = 0;
  uint64_t after = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, launch(queue_, null, nullptr, 0, &before));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("trap"), nullptr, 0, &bad));
  ASSERT_NPU(NPU_OK, launch(queue_, null, nullptr, 0, &after));
  ASSERT_NPU(NPU_OK, npuQueueSignal(other, gate, 1, nullptr));
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueWait(queue_, after, kLongNs));
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueWait(queue_, bad, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, before, kLongNs));
  EXPECT_EQ(fault_of(queue_).value, bad);
  uint64_t value = 5;
  EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, launch(queue_, null, nullptr, 0, &value));
  EXPECT_EQ(value, 0u);
  npuEvent event = nullptr;
  ASSERT_NPU(NPU_OK, npuEventCreate(context_, &event));
  EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, npuEventRecord(event, queue_));
  ASSERT_NPU(NPU_OK, launch(other, null, nullptr, 0));
  EXPECT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  uint32_t count = 7;
  EXPECT_NPU(NPU_OK, npuQueueGetFaults(other, &count, nullptr));
  EXPECT_EQ(count, 0u);
}

TEST_F(FaultTest, FaultListsCanBeCountedFirst) {
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, run("trap", nullptr, 0));
  uint32_t count = 0;
  EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue_, &count, nullptr));
  EXPECT_EQ(count, 1u);
  npuFault fault{};
  fault.struct_size = sizeof fault;
  count = 0;
  EXPECT_NPU(NPU_INCOMPLETE, npuQueueGetFaults(queue_, &count, &fault));
  EXPECT_EQ(count, 1u);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetFaults(queue_, nullptr, nullptr));
  fault.struct_size = 3;
  EXPECT_NPU(NPU_ERROR_STRUCT_SIZE, npuQueueGetFaults(queue_, &count, &fault));
}

TEST_F(FaultTest, ResetKeepsMemoryModulesAndTheTimeline) {
  const npuDevPtr out = alloc(64);
  const PokeArgs good{out, 3.0f, 0};
  const PokeArgs bad{kNowhere, 3.0f, 0};
  ASSERT_NPU(NPU_OK, run("poke", &good, sizeof good));
  ASSERT_NPU(NPU_ERROR_VM_FAULT, run("poke", &bad, sizeof bad));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueReset(queue_, -1));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  uint32_t count = 7;
  EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue_, &count, nullptr));
  EXPECT_EQ(count, 0u);
  EXPECT_NPU(NPU_OK, npuQueueWait(queue_, 1, 0));
  EXPECT_NPU(NPU_ERROR_CANCELED, npuQueueWait(queue_, 2, 0));
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("poke"), &good, sizeof good, &value));
  EXPECT_EQ(value, 3u);
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  float got = 0;
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, &got, out, 4));
  EXPECT_EQ(got, 3.0f);
}

TEST_F(FaultTest, ResetCancelsWorkThatRuns) {
  const npuDevPtr gate = alloc(8);
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, &value));
  EXPECT_NPU(NPU_TIMEOUT, npuQueueWait(queue_, value, 1'000'000));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  EXPECT_NPU(NPU_ERROR_CANCELED, npuQueueWait(queue_, value, kLongNs));
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  for (int i = 0; i < 20; i++) ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  EXPECT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
}

TEST_F(FaultTest, MemoryUsedByAFaultedQueueCanBeFreed) {
  const npuDevPtr ptr = alloc(1 << 20);
  ASSERT_NPU(NPU_ERROR_KERNEL_TRAP, run("trap", nullptr, 0));
  EXPECT_NPU(NPU_OK, npuMemFree(context_, ptr));
  EXPECT_EQ(alloc(1 << 20), ptr);
}

TEST_F(FaultTest, TheNameSurvivesTheModule) {
  ASSERT_NPU(NPU_ERROR_KERNEL_TRAP, run("trap", nullptr, 0));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module_));
  EXPECT_STREQ(fault_of(queue_).kernel, "trap");
}

TEST_F(FaultTest, AHundredFaultsAndResetsLeaveTheDeviceWell) {
  const PokeArgs bad{kNowhere, 3.0f, 0};
  for (int i = 0; i < 100; i++) {
    ASSERT_NPU(NPU_ERROR_VM_FAULT, run("poke", &bad, sizeof bad));
    ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  }
  ASSERT_NPU(NPU_OK, run("null", nullptr, 0));
}

}  // namespace
}  // namespace npu::conformance
