// SPDX-License-Identifier: Apache-2.0
// PRINT and CHECK down to the bytes of the print buffer, with one, two and four worker threads; hostile buffers; and the check of a blob that is not loaded.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

constexpr uint32_t kLog2 = 6;
constexpr uint32_t kNobody = 1000;  // no work-group has this number

npu_cmd_print_buffer print_buffer(uint64_t dva, uint32_t log2 = kLog2) {
  npu_cmd_print_buffer command{};
  command.op = NPU_CMD_PRINT_BUFFER;
  command.print_dva = dva;
  command.print_log2 = log2;
  return command;
}

struct Machine {
  explicit Machine(uint32_t threads) : driver(options(threads)), context(driver.create_context()) {
    const npu_completion loaded = driver.load_module(queue, standard_blob());
    EXPECT_EQ(loaded.status, NPU_ST_OK);
    module = static_cast<uint32_t>(loaded.result);
  }
  static DriverOptions options(uint32_t threads) {
    DriverOptions result;
    result.worker_threads = threads;
    return result;
  }
  npu_completion print(uint32_t count, uint32_t groups, uint32_t fails = kNobody) {
    args.as<uint32_t>()[0] = count;
    args.as<uint32_t>()[1] = fails;
    return queue.run(launch(module, kPrint, {groups, 1, 1}, args.dva, 8));
  }
  npu_print_ctrl& ctrl() { return prints.as<npu_print_ctrl>()[0]; }
  const npu_print_record& record(uint64_t slot) { return prints.as<npu_print_record>()[2 + slot]; }

  TestDriver driver;
  uint32_t context;
  TestQueue queue = driver.create_queue(context);
  Buffer args = driver.make_buffer(context, 4096);
  Buffer prints = driver.make_buffer(context, 65536);
  uint32_t module = 0;
};

std::vector<uint8_t> bytes_of(const Buffer& buffer) {
  const auto bytes = buffer.as<uint8_t>();
  return {bytes.begin(), bytes.end()};
}

TEST(PrintTest, TheBytesAndTheTimeAreTheSameWithAnyNumberOfThreads) {
  std::vector<uint8_t> first;
  uint64_t first_ps = 0;
  for (const uint32_t threads : {1u, 2u, 4u}) {
    Machine machine(threads);
    EXPECT_EQ(machine.queue.run(print_buffer(machine.prints.dva, 12)).status, NPU_ST_OK);
    const npu_completion done = machine.print(3, 300);
    EXPECT_EQ(done.status, NPU_ST_OK);
    EXPECT_EQ(machine.ctrl().written, 900u);
    EXPECT_EQ(machine.ctrl().dropped, 0u);
    for (uint32_t i = 0; i < 900; i++) {
      const npu_print_record& record = machine.record(i);
      ASSERT_EQ(record.group, i / 3);
      ASSERT_EQ(record.args[0], i / 3);
      ASSERT_EQ(record.args[1], i % 3);
      ASSERT_EQ(record.format, 1u);
      ASSERT_EQ(record.module, machine.module);
      ASSERT_EQ(record.kernel, kPrint);
      ASSERT_EQ(record.seq, 2u);  // behind the load and the command for the buffer
      ASSERT_EQ(record.flags, 0u);
    }
    if (first.empty()) {
      first = bytes_of(machine.prints);
      first_ps = done.end_ps - done.start_ps;
    }
    EXPECT_EQ(bytes_of(machine.prints), first);
    EXPECT_EQ(done.end_ps - done.start_ps, first_ps);
  }
}

TEST(PrintTest, WithoutABufferPrintingCostsOneInstruction) {
  Machine machine(1);
  const npu_completion quiet = machine.print(50, 1);
  EXPECT_EQ(quiet.status, NPU_ST_OK);
  EXPECT_EQ(machine.queue.run(print_buffer(machine.prints.dva)).status, NPU_ST_OK);
  const npu_completion loud = machine.print(50, 1);
  EXPECT_EQ(machine.ctrl().written, 50u);
  EXPECT_GT(loud.end_ps - loud.start_ps, quiet.end_ps - quiet.start_ps);
  EXPECT_EQ(machine.queue.run(print_buffer(0, 0)).status, NPU_ST_OK);
  const npu_completion again = machine.print(50, 1);
  EXPECT_EQ(machine.ctrl().written, 50u);
  EXPECT_EQ(again.end_ps - again.start_ps, quiet.end_ps - quiet.start_ps);
}

TEST(PrintTest, ACheckThatFailsIsTheLastRecordAndTheResult) {
  for (const uint32_t threads : {1u, 4u}) {
    Machine machine(threads);
    EXPECT_EQ(machine.queue.run(print_buffer(machine.prints.dva, 12)).status, NPU_ST_OK);
    const npu_completion done = machine.print(2, 300, 40);
    EXPECT_EQ(done.status, NPU_ST_KERNEL_ASSERT);
    EXPECT_EQ(done.result, NPU_ASSERT_FORMAT | 2);
    EXPECT_EQ(done.group, 40u);
    EXPECT_EQ(done.pc, 7u);
    ASSERT_EQ(machine.ctrl().written, 83u);
    EXPECT_EQ(machine.record(82).flags, uint32_t{NPU_PRINT_ASSERT});
    EXPECT_EQ(machine.record(82).format, 2u);
    EXPECT_EQ(machine.record(82).args[0], 40u);
    EXPECT_EQ(machine.record(82).args[1], 0u);
  }
}

TEST(PrintTest, WhatWasNotReadIsNeverOverwritten) {
  Machine machine(2);
  EXPECT_EQ(machine.queue.run(print_buffer(machine.prints.dva)).status, NPU_ST_OK);
  EXPECT_EQ(machine.print(50, 2).status, NPU_ST_OK);
  EXPECT_EQ(machine.ctrl().written, 64u);
  EXPECT_EQ(machine.ctrl().dropped, 36u);
  machine.ctrl().read = 60;
  EXPECT_EQ(machine.print(70, 1).status, NPU_ST_OK);
  EXPECT_EQ(machine.ctrl().written, 124u);
  EXPECT_EQ(machine.ctrl().dropped, 46u);
  EXPECT_EQ(machine.record(60).args[1], 10u);  // number 60, of the first launch
  EXPECT_EQ(machine.record(59).args[1], 59u);  // number 123
  // A count that was never written: no room, whatever it says.
  for (const uint64_t read : {uint64_t{125}, uint64_t{1} << 63, ~uint64_t{0}}) {
    machine.ctrl().read = read;
    const uint64_t dropped = machine.ctrl().dropped;
    EXPECT_EQ(machine.print(5, 1).status, NPU_ST_OK);
    EXPECT_EQ(machine.ctrl().written, 124u);
    EXPECT_EQ(machine.ctrl().dropped, dropped + 5);
  }
  // A work-group keeps 256 of its records.
  EXPECT_EQ(machine.queue.run(print_buffer(machine.prints.dva, 9)).status, NPU_ST_OK);
  machine.ctrl().read = 0;
  EXPECT_EQ(machine.print(300, 1).status, NPU_ST_OK);
  EXPECT_EQ(machine.ctrl().written, 256u);
  EXPECT_EQ(machine.ctrl().dropped, 44u);
}

TEST(PrintTest, ABufferThatIsNoneIsRefused) {
  const auto status = [](const npu_cmd_print_buffer& command) {
    Machine machine(1);
    npu_cmd_print_buffer moved = command;
    if (moved.print_dva == 1) moved.print_dva = machine.prints.dva + 8;
    if (moved.print_dva == 2) moved.print_dva = machine.prints.dva;
    return machine.queue.run(moved).status;
  };
  EXPECT_EQ(status(print_buffer(2, NPU_PRINT_LOG2_MIN - 1)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status(print_buffer(2, NPU_PRINT_LOG2_MAX + 1)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status(print_buffer(0, kLog2)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status(print_buffer(1)), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(status(print_buffer(uint64_t{1} << 46)), NPU_ST_VM_FAULT);
  EXPECT_EQ(status(print_buffer(~uint64_t{63})), NPU_ST_BAD_COMMAND);
  npu_cmd_print_buffer reserved = print_buffer(2);
  reserved.rsvd3[4] = 1;
  EXPECT_EQ(status(reserved), NPU_ST_BAD_COMMAND);
}

TEST(PrintTest, ABufferThatEndsTooSoonIsAFaultOfTheLaunch) {
  Machine machine(1);
  const uint64_t dva = machine.prints.dva + machine.prints.bytes - 192;  // room for one record
  EXPECT_EQ(machine.queue.run(print_buffer(dva)).status, NPU_ST_OK);
  EXPECT_EQ(machine.print(1, 1).status, NPU_ST_OK);
  const npu_completion done = machine.print(1, 1);
  EXPECT_EQ(done.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(done.result, machine.prints.dva + machine.prints.bytes);
  EXPECT_EQ(done.access, NPU_ACCESS_WRITE);
}

TEST(PrintTest, ACheckedBlobIsNotLoaded) {
  Machine machine(1);
  const std::vector<uint8_t> blob = signed_blob(std::vector<isa::Program>{null_kernel()});
  const Buffer memory = machine.driver.make_buffer(machine.context, 65536);
  std::memcpy(memory.data, blob.data(), blob.size());
  npu_cmd_module command{};
  command.op = NPU_CMD_MODULE_LOAD;
  command.blob_dva = memory.dva;
  command.blob_bytes = blob.size();
  command.check_only = 1;
  const npu_completion checked = machine.queue.run(command);
  EXPECT_EQ(checked.status, NPU_ST_OK);
  EXPECT_EQ(checked.result, 0u);
  command.check_only = 0;
  const npu_completion loaded = machine.queue.run(command);
  EXPECT_EQ(loaded.status, NPU_ST_OK);
  EXPECT_EQ(loaded.result, machine.module + 1u);
  command.check_only = 2;
  EXPECT_EQ(machine.queue.run(command).status, NPU_ST_BAD_COMMAND);
}

}  // namespace
}  // namespace npu::test
