// SPDX-License-Identifier: Apache-2.0
// Kernels with a mistake that the device model forgives, unless it runs in the checking mode (NPU_MODEL_CHECK=1); and what a deadlock says.
#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

struct RaceArgs {
  npuDevPtr in;
  npuDevPtr out;
};
struct HalfArgs {
  npuDevPtr out;
  uint32_t group;
  uint32_t pad;
};

class KernelCheckTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    if (HasFatalFailure()) return;
    int64_t checks = 0;
    ASSERT_NPU(NPU_OK, npuDeviceGetCapability(device_, "kernel_checks", &checks));
    checks_ = checks != 0;
    memory_ = alloc(4096);
    const float one = 1.0f;
    ASSERT_NPU(NPU_OK, npuMemFill(context_, memory_, &one, sizeof one, 4096));
  }
  void TearDown() override {
    if (memory_ != 0) {
      EXPECT_NPU(NPU_OK, npuMemFree(context_, memory_));
    }
    DeviceTest::TearDown();
  }
  npuFault only_fault() {
    npuFault fault{};
    fault.struct_size = sizeof fault;
    uint32_t count = 1;
    EXPECT_NPU(NPU_OK, npuQueueGetFaults(queue_, &count, &fault));
    EXPECT_EQ(count, 1u);
    return fault;
  }
  // The text of a place in this suite's kernels.
  static std::string place(uint32_t line) { return "kernels.cpp:" + std::to_string(line) + ")"; }

  npuDevPtr memory_ = 0;
  bool checks_ = false;
};

TEST_F(KernelCheckTest, ARaceIsAFaultInTheCheckingModeAndOnlyThere) {
  const RaceArgs args{memory_, memory_ + 2048};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("racing_add"), &args, sizeof args, &value));
  if (!checks_) {
    ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
    EXPECT_EQ(number_at(memory_ + 2048), 2.0f);
    return;
  }
  EXPECT_NPU(NPU_ERROR_KERNEL_RACE, npuQueueWait(queue_, value, kLongNs));
  const std::string detail = last_error().text;
  const npuFault fault = only_fault();
  EXPECT_STREQ(fault.kernel, "racing_add");
  EXPECT_EQ(fault.access, 1u);
  const std::string message = fault.message;
  EXPECT_NE(detail.find(message), std::string::npos) << detail;
  EXPECT_NE(message.find("L1 [0x0, 0x100): vadd ("), std::string::npos) << message;
  EXPECT_NE(message.find(place(fault.source_line) + " reads of [0x0, 0x100), ld ("),
            std::string::npos)
      << message;
  EXPECT_NE(message.find(place(fault.source_line - 1) + " wrote of [0x0, 0x100), and nothing"),
            std::string::npos)
      << message;
}

TEST_F(KernelCheckTest, UnwrittenBytesAreAFaultOfTheWorkGroupThatReadsThem) {
  const HalfArgs args{memory_, 5, 0};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("half_written"), &args, sizeof args, &value, 8));
  if (!checks_) {
    ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
    return;
  }
  EXPECT_NPU(NPU_ERROR_KERNEL_UNINITIALISED, npuQueueWait(queue_, value, kLongNs));
  const npuFault fault = only_fault();
  EXPECT_EQ(fault.group, 5u);
  const std::string message = fault.message;
  EXPECT_NE(message.find("L1 [0x80, 0x100): st ("), std::string::npos) << message;
}

TEST_F(KernelCheckTest, ADeadlockShowsItsCycleWhereSomebodyTakesReports) {
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("deadlock"), &memory_, sizeof memory_, &value));
  EXPECT_NPU(NPU_ERROR_KERNEL_DEADLOCK, npuQueueWait(queue_, value, kLongNs));
  const std::string message = only_fault().message;
  if (!checks_) {
    EXPECT_EQ(message, "");
    return;
  }
  EXPECT_EQ(message.rfind("LD waits at ld ", 0), 0u) << message;
  EXPECT_NE(message.find("s1 is 0 of 1, for vadd"), std::string::npos) << message;
  EXPECT_NE(message.find("LD again: a cycle"), std::string::npos) << message;
}

TEST_F(KernelCheckTest, TheNextLaunchAfterAResetIsFine) {
  const RaceArgs args{memory_, memory_ + 2048};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("racing_add"), &args, sizeof args, &value));
  EXPECT_NPU(checks_ ? NPU_ERROR_KERNEL_RACE : NPU_OK, npuQueueWait(queue_, value, kLongNs));
  if (checks_) {
    ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  }
  value = poke(queue_, memory_, 4.0f);
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(number_at(memory_), 4.0f);
}

}  // namespace
}  // namespace npu::conformance
