// SPDX-License-Identifier: Apache-2.0
// What kernels print: order, bounds, assertions, and who gets it when.
#include <cstring>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

struct PrintArgs {
  uint32_t n;
  float value;
};
struct CheckArgs {
  int32_t value;
  uint32_t pad;
};

struct Message {
  std::string kernel;
  std::string text;
  std::string file;
  uint32_t line = 0;
  uint32_t flags = 0;
  uint64_t value = 0;
  uint64_t group = 0;
  uint64_t dropped = 0;
  npuQueue queue = nullptr;
};

class PrintTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    if (HasFatalFailure()) return;
    ASSERT_NPU(NPU_OK, npuContextSetPrint(context_, &take, this));
  }
  void TearDown() override {
    if (context_ != nullptr) {
      EXPECT_NPU(NPU_OK, npuContextSetPrint(context_, nullptr, nullptr));
    }
    DeviceTest::TearDown();
  }

  static void take(const npuPrintMessage* message, void* user_data) {
    auto& test = *static_cast<PrintTest*>(user_data);
    EXPECT_EQ(message->struct_size, sizeof *message);
    test.messages_.push_back({message->kernel, message->text, message->source_file,
                              message->source_line, message->flags, message->value, message->group,
                              message->dropped, message->queue});
    if (test.calls_back_) {
      uint64_t completed = 0;
      EXPECT_NPU(NPU_OK, npuQueueGetCompleted(message->queue, &completed));
      EXPECT_NPU(NPU_OK, npuQueueWait(message->queue, message->value, kLongNs));
      EXPECT_GE(completed, message->value);
    }
  }

  npuResult print(uint32_t n, uint32_t groups, uint64_t* out_value) {
    const PrintArgs args{n, 0.5f};
    return launch(queue_, kernel("print_lines"), &args, sizeof args, out_value, groups);
  }

  std::vector<Message> messages_;
  bool calls_back_ = false;
};

TEST_F(PrintTest, MessagesComeInOrderOfWorkGroupsBeforeTheWaitReturns) {
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, print(3, 40, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 120u);
  for (uint32_t i = 0; i < 120; i++) {
    const Message& message = messages_[i];
    char text[64];
    std::snprintf(text, sizeof text, "group %u, %u: 0.50", i / 3, i % 3);
    EXPECT_EQ(message.text, text);
    EXPECT_EQ(message.kernel, "print_lines");
    EXPECT_NE(message.file.find("kernels.cpp"), std::string::npos) << message.file;
    EXPECT_NE(message.line, 0u);
    EXPECT_EQ(message.flags, 0u);
    EXPECT_EQ(message.value, value);
    EXPECT_EQ(message.group, i / 3);
    EXPECT_EQ(message.dropped, 0u);
    EXPECT_EQ(message.queue, queue_);
  }
}

TEST_F(PrintTest, ALaunchTakesTheSameTimeEveryTimeAndTheBufferGoesRound) {
  uint64_t first_ps = 0;
  for (int i = 0; i < 8; i++) {
    messages_.clear();
    uint64_t value = 0;
    npuTiming timing{};
    timing.struct_size = sizeof timing;
    ASSERT_NPU(NPU_OK, print(70, 6, &value));
    ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
    EXPECT_EQ(messages_.size(), 420u);
    EXPECT_EQ(messages_.back().text, "group 5, 69: 0.50");
    ASSERT_NPU(NPU_OK, npuQueueGetTiming(queue_, value, &timing));
    const uint64_t took_ps = timing.end_ps - timing.start_ps;
    if (i == 0) first_ps = took_ps;
    EXPECT_EQ(took_ps, first_ps);
  }
}

TEST_F(PrintTest, WhatFindsNoRoomIsCounted) {
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, print(300, 1, &value));  // a work-group may send 256
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 256u);
  EXPECT_EQ(messages_.back().text, "group 0, 255: 0.50");
  EXPECT_EQ(messages_.back().dropped, 44u);
  messages_.clear();
  ASSERT_NPU(NPU_OK, print(200, 8, &value));  // the buffer holds 1024
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 1024u);
  EXPECT_EQ(messages_.back().text, "group 5, 23: 0.50");
  EXPECT_EQ(messages_.back().dropped, 576u);
  messages_.clear();
  ASSERT_NPU(NPU_OK, print(1, 1, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_EQ(messages_.back().dropped, 0u);
}

TEST_F(PrintTest, AnAssertionSaysWhatWasWrong) {
  CheckArgs args{3, 0};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("check_value"), &args, sizeof args, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_EQ(messages_[0].text, "value is 3");
  messages_.clear();
  args.value = -7;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("check_value"), &args, sizeof args, &value));
  EXPECT_NPU(NPU_ERROR_KERNEL_ASSERT, npuQueueWait(queue_, value, kLongNs));
  const std::string detail = last_error().text;
  EXPECT_NE(detail.find("-7 is not positive, in 100% of cases"), std::string::npos) << detail;
  EXPECT_NE(detail.find("'check_value'"), std::string::npos) << detail;
  ASSERT_EQ(messages_.size(), 2u);
  EXPECT_EQ(messages_[1].text, "-7 is not positive, in 100% of cases");
  EXPECT_EQ(messages_[1].flags, uint32_t{NPU_PRINT_IS_ASSERT});
  EXPECT_EQ(messages_[1].value, value);
  npuFault fault{};
  fault.struct_size = sizeof fault;
  uint32_t count = 1;
  ASSERT_NPU(NPU_OK, npuQueueGetFaults(queue_, &count, &fault));
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(fault.value, value);
  EXPECT_STREQ(fault.kernel, "check_value");
  EXPECT_STREQ(fault.message, "-7 is not positive, in 100% of cases");
  EXPECT_EQ(fault.address >> 32, 1u);
  EXPECT_NE(fault.source_line, 0u);
  EXPECT_EQ(fault.origin_queue, nullptr);
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  messages_.clear();
  args.value = 1;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("check_value"), &args, sizeof args, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 1u);
  EXPECT_EQ(messages_[0].value, value);
}

TEST_F(PrintTest, AProgramOfTheOldSizeOfAFaultIsServed) {
  const CheckArgs args{0, 0};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("check_value"), &args, sizeof args, &value));
  EXPECT_NPU(NPU_ERROR_KERNEL_ASSERT, npuQueueWait(queue_, value, kLongNs));
  npuFault faults[2];
  std::memset(faults, 0x5a, sizeof faults);
  faults[0].struct_size = 176;  // of version 0.1
  uint32_t count = 1;
  ASSERT_NPU(NPU_OK, npuQueueGetFaults(queue_, &count, faults));
  EXPECT_STREQ(faults[0].kernel, "check_value");
  EXPECT_EQ(faults[0].message[0], 0x5a);
}

TEST_F(PrintTest, GraphsAndPreparedLaunchesPrintToo) {
  const PrintArgs args{2, 1.5f};
  const npuLaunchInfo info = launch_info(&args, sizeof args);
  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  npuGraphNode node = 0;
  ASSERT_NPU(NPU_OK, npuGraphCreate(context_, &graph));
  ASSERT_NPU(NPU_OK, npuGraphAddKernel(graph, 0, nullptr, kernel("print_lines"), &info, &node));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  uint64_t value = 0;
  for (int i = 0; i < 3; i++) ASSERT_NPU(NPU_OK, npuGraphLaunch(exec, queue_, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  ASSERT_EQ(messages_.size(), 6u);
  EXPECT_EQ(messages_[5].text, "group 0, 1: 1.50");
  npuPreparedLaunch prepared = nullptr;
  ASSERT_NPU(NPU_OK, npuLaunchPrepare(kernel("print_lines"), &info, &prepared));
  const npuQueue other = make_queue();
  ASSERT_NPU(NPU_OK, npuQueueLaunchPrepared(other, prepared, &value));
  ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  ASSERT_EQ(messages_.size(), 8u);
  EXPECT_EQ(messages_[7].queue, other);
}

TEST_F(PrintTest, WhatAnUnloadedModulePrintedIsStillRead) {
  npuModule module = nullptr;
  npuKernel print_lines = nullptr;
  const std::string path = blob_path();
  ASSERT_NPU(NPU_OK, npuModuleLoad(context_, path.c_str(), &module));
  ASSERT_NPU(NPU_OK, npuModuleGetKernel(module, "print_lines", &print_lines));
  const PrintArgs args{1, 0.0f};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, print_lines, &args, sizeof args, &value));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module));
  ASSERT_NPU(NPU_OK, npuModuleUnload(module_));  // and the last copy
  module_ = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue_));
  queue_ = nullptr;
  for (const Message& message : messages_) EXPECT_EQ(message.text, "group 0, 0: 0.00");
}

TEST_F(PrintTest, TheFunctionMayCallTheLibrary) {
  calls_back_ = true;
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, print(2, 4, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(messages_.size(), 8u);
}

TEST_F(PrintTest, TheErrorOfAWaitOutlivesTheFunction) {
  calls_back_ = false;
  const CheckArgs args{0, 0};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("check_value"), &args, sizeof args, &value));
  EXPECT_NPU(NPU_ERROR_KERNEL_ASSERT, npuQueueSync(queue_, kLongNs));
  EXPECT_STREQ(last_error().function, "npuQueueSync");
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuContextSetPrint(nullptr, nullptr, nullptr));
}

}  // namespace
}  // namespace npu::conformance
