// SPDX-License-Identifier: Apache-2.0
// Launches: results, faults, budgets and device times, with one, two and four worker threads.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>

#include "firmware-model/device/launch.h"
#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

// A driver with the standard kernels loaded.
struct Machine {
  explicit Machine(uint32_t threads, uint64_t budget = 0)
      : driver(options(threads)), context(driver.create_context()), budget_(budget) {
    const npu_completion loaded = driver.load_module(queue, standard_blob());
    EXPECT_EQ(loaded.status, NPU_ST_OK);
    module = static_cast<uint32_t>(loaded.result);
  }

  static DriverOptions options(uint32_t threads) {
    DriverOptions result;
    result.worker_threads = threads;
    return result;
  }

  template <size_t n>
  npu_cmd_launch make(uint32_t kernel, std::array<uint32_t, 3> grid,
                      const std::array<uint64_t, n>& words) {
    if (n != 0) std::memcpy(args.data, words.data(), n * 8);
    return launch(module, kernel, grid, args.dva, n * 8);
  }
  npu_cmd_launch make(uint32_t kernel, std::array<uint32_t, 3> grid) {
    return launch(module, kernel, grid, 0, 0);
  }
  TestQueue new_queue() {
    TestDriver::QueueOptions queue_options;
    queue_options.budget = budget_;
    return driver.create_queue(context, queue_options);
  }

  TestDriver driver;
  uint32_t context;
  uint64_t budget_;
  TestQueue queue = new_queue();
  Buffer args = driver.make_buffer(context, 4096);
  uint32_t module = 0;
};

TEST(LaunchTest, ANullLaunchTakesTheOverheadAndItsInstruction) {
  Machine machine(1);
  const npu_completion record = machine.queue.run(machine.make(kNull, {1, 1, 1}));
  EXPECT_EQ(record.status, NPU_ST_OK);
  EXPECT_GE(record.end_ps - record.start_ps, 1'000'000u);
  EXPECT_LE(record.end_ps - record.start_ps, 1'100'000u);
  EXPECT_EQ(machine.driver.reg(NPU_REG_LAUNCHES, 8), 1u);
}

// Everything that a program can see of a run.
struct Seen {
  std::vector<float> values;
  std::vector<npu_completion> records;
  uint64_t time_ps = 0, busy_ps = 0, bytes = 0, energy_nj = 0;
};

Seen run_rows(uint32_t threads) {
  constexpr uint32_t kGroups = 3000;  // several windows, the last one not full
  Machine machine(threads);
  const uint64_t bytes = uint64_t{kGroups} * kRowElements * 4;
  const Buffer src = machine.driver.make_buffer(machine.context, bytes);
  const Buffer dst = machine.driver.make_buffer(machine.context, bytes);
  for (size_t i = 0; i < src.as<float>().size(); ++i)
    src.as<float>()[i] = static_cast<float>(i % 977);
  Seen seen;
  for (int round = 0; round < 3; ++round) {
    seen.records.push_back(
        machine.queue.run(machine.make<2>(kRow, {kGroups, 1, 1}, {src.dva, dst.dva})));
    seen.records.push_back(machine.queue.run(machine.make<1>(kWork, {50, 1, 1}, {20})));
  }
  seen.values.assign(dst.as<float>().begin(), dst.as<float>().end());
  seen.time_ps = machine.driver.reg(NPU_REG_TIME_PS, 8);
  seen.busy_ps = machine.driver.reg(NPU_REG_BUSY_PS, 8);
  seen.bytes = machine.driver.reg(NPU_REG_BYTES_MOVED, 8);
  seen.energy_nj = machine.driver.reg(NPU_REG_ENERGY_NJ, 8);
  return seen;
}

TEST(LaunchTest, BytesAndTimesDoNotDependOnTheNumberOfThreads) {
  const Seen one = run_rows(1);
  ASSERT_EQ(one.records[0].status, NPU_ST_OK);
  const auto work = std::bit_cast<npu_launch_completion>(one.records[0]);
  EXPECT_EQ(work.hbm_read_bytes, one.values.size() * 4);
  EXPECT_EQ(work.hbm_write_bytes, one.values.size() * 4);
  EXPECT_EQ(work.mac_ops, 0u);
  for (size_t i = 0; i < one.values.size(); ++i) {
    ASSERT_EQ(one.values[i],
              static_cast<float>(i % 977) * 2 + static_cast<float>(i / kRowElements));
  }
  for (const uint32_t threads : {2u, 4u}) {
    const Seen many = run_rows(threads);
    EXPECT_EQ(many.values, one.values);
    ASSERT_EQ(many.records.size(), one.records.size());
    for (size_t i = 0; i < one.records.size(); ++i) {
      EXPECT_EQ(std::memcmp(&many.records[i], &one.records[i], sizeof(npu_completion)), 0) << i;
    }
    EXPECT_EQ(many.time_ps, one.time_ps);
    EXPECT_EQ(many.busy_ps, one.busy_ps);
    EXPECT_EQ(many.bytes, one.bytes);
    EXPECT_EQ(many.energy_nj, one.energy_nj);
  }
}

TEST(LaunchTest, TheLowestFailingGroupIsReportedWhateverRunsFirst) {
  npu_completion first{};
  for (const uint32_t threads : {1u, 2u, 4u}) {
    for (int round = 0; round < 10; ++round) {
      Machine machine(threads);
      // Groups 1500 and above touch nothing that is mapped.
      const npu_completion record =
          machine.queue.run(machine.make<3>(kTouch, {2500, 1, 1}, {0x5'0000'0000, 1500, 2500}));
      ASSERT_EQ(record.status, NPU_ST_VM_FAULT);
      ASSERT_EQ(record.group, 1500u);
      ASSERT_EQ(record.result, 0x5'0000'0000u);
      ASSERT_EQ(record.pc, 8u);
      ASSERT_EQ(record.kernel, kTouch);
      ASSERT_EQ(record.module, machine.module);
      ASSERT_EQ(record.access, NPU_ACCESS_READ);
      ASSERT_LT(record.tile, 8u);
      if (first.tag == 0 && threads == 1 && round == 0) first = record;
      ASSERT_EQ(std::memcmp(&record, &first, sizeof(record)), 0) << threads;
    }
  }
}

TEST(LaunchTest, ATrapBringsItsCode) {
  Machine machine(2);
  const npu_completion record = machine.queue.run(machine.make(kTrap, {10, 1, 1}));
  EXPECT_EQ(record.status, NPU_ST_KERNEL_TRAP);
  EXPECT_EQ(record.result, 7u);
  EXPECT_EQ(record.group, 3u);
  EXPECT_EQ(record.tile, 5u);
  EXPECT_EQ(record.pc, 3u);
  const npu_event_record event = machine.driver.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.status, NPU_ST_KERNEL_TRAP);
  EXPECT_EQ(event.group, 3u);
  char name[NPU_KERNEL_NAME_BYTES];
  EXPECT_EQ(npu_device_kernel_name(machine.driver.device(), event.context, event.module,
                                   event.kernel, name, sizeof(name)),
            0);
  EXPECT_STREQ(name, "trap");
  EXPECT_EQ(npu_device_kernel_name(machine.driver.device(), event.context, event.module, 99, name,
                                   sizeof(name)),
            -1);
}

TEST(LaunchTest, EachWrongFieldHasItsStatus) {
  Machine machine(1);
  const npu_cmd_launch good = machine.make<1>(kWork, {2, 1, 1}, {1});
  const auto with = [&](auto change) {
    TestQueue queue = machine.new_queue();
    npu_cmd_launch command = good;
    change(command);
    return static_cast<npu_status>(queue.run(command).status);
  };
  EXPECT_EQ(with([](auto&) {}), NPU_ST_OK);
  EXPECT_EQ(with([](auto& c) { c.module = 0; }), NPU_ST_BAD_MODULE);
  EXPECT_EQ(with([](auto& c) { c.module += 1; }), NPU_ST_BAD_MODULE);
  EXPECT_EQ(with([](auto& c) { c.kernel = kPrint + 1; }), NPU_ST_BAD_MODULE);
  EXPECT_EQ(with([](auto& c) { c.kernel = ~0u; }), NPU_ST_BAD_MODULE);
  EXPECT_EQ(with([](auto& c) { c.grid_x = 0; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.grid_y = 0; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.grid_z = 0; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.grid_x = c.grid_y = c.grid_z = ~0u; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.grid_x = c.grid_y = 65536; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.args_bytes = 0; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.args_bytes = 16; }), NPU_ST_BAD_LAUNCH);
  EXPECT_EQ(with([](auto& c) { c.args_dva += 4; }), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(with([](auto& c) { c.args_dva = 0x10000; }), NPU_ST_VM_FAULT);
}

TEST(LaunchTest, AModuleIsKnownInItsOwnContextOnly) {
  Machine machine(1);
  const uint32_t other = machine.driver.create_context();
  TestQueue queue = machine.driver.create_queue(other);
  EXPECT_EQ(queue.run(launch(machine.module, kNull, {1, 1, 1}, 0, 0)).status, NPU_ST_BAD_MODULE);
}

TEST(LaunchTest, AnEndlessKernelMeetsItsBudget) {
  for (const uint32_t threads : {1u, 2u}) {
    Machine machine(threads, 100'000);
    const npu_completion record = machine.queue.run(machine.make(kEndless, {4, 1, 1}));
    EXPECT_EQ(record.status, NPU_ST_WATCHDOG);
    EXPECT_EQ(record.group, 0u);
  }
}

TEST(LaunchTest, TheBudgetCountsAllGroupsTogetherAndDeterministically) {
  // Work-group x needs about 2 * 10 * (x + 1) + 6 instructions: the sum passes 100,000 somewhere.
  uint32_t group = 0;
  for (const uint32_t threads : {1u, 2u, 4u}) {
    Machine machine(threads, 100'000);
    const npu_completion record = machine.queue.run(machine.make<1>(kWork, {5000, 1, 1}, {10}));
    ASSERT_EQ(record.status, NPU_ST_WATCHDOG);
    if (threads == 1) group = record.group;
    EXPECT_EQ(record.group, group);
    EXPECT_GT(record.group, 50u);
    EXPECT_LT(record.group, 200u);
  }
  Machine enough(2, 100'000);
  EXPECT_EQ(enough.queue.run(enough.make<1>(kWork, {50, 1, 1}, {10})).status, NPU_ST_OK);
}

TEST(LaunchTest, AFaultStopsItsOwnQueueOnly) {
  Machine machine(2);
  TestQueue other = machine.driver.create_queue(machine.driver.create_context());
  const uint64_t seq = machine.queue.push(machine.make(kTrap, {64, 1, 1}));
  machine.queue.ring();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(other.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(machine.queue.wait(seq).status, NPU_ST_KERNEL_TRAP);
  EXPECT_EQ(other.state(), NPU_QUEUE_STATE_READY);
  TestQueue next = machine.new_queue();
  EXPECT_EQ(next.run(machine.make(kNull, {100, 1, 1})).status, NPU_ST_OK);
}

TEST(LaunchTest, ModulesAreCountedAndUnloaded) {
  Machine machine(1);
  const std::vector<uint8_t> blob = standard_blob();
  std::vector<uint32_t> modules = {machine.module};
  for (int i = 1; i < 256; ++i) {
    const npu_completion record = machine.driver.load_module(machine.queue, blob);
    ASSERT_EQ(record.status, NPU_ST_OK) << i;
    modules.push_back(static_cast<uint32_t>(record.result));
  }
  TestQueue full = machine.new_queue();
  EXPECT_EQ(machine.driver.load_module(full, blob).status, NPU_ST_OUT_OF_MODULES);
  EXPECT_EQ(machine.queue.run(module_unload(modules[10])).status, NPU_ST_OK);
  const npu_completion again = machine.driver.load_module(machine.queue, blob);
  EXPECT_EQ(again.status, NPU_ST_OK);
  for (const uint32_t module : modules) EXPECT_NE(again.result, module);
  TestQueue wrong = machine.new_queue();
  EXPECT_EQ(wrong.run(launch(modules[10], kNull, {1, 1, 1}, 0, 0)).status, NPU_ST_BAD_MODULE);
  TestQueue twice = machine.new_queue();
  EXPECT_EQ(twice.run(module_unload(modules[10])).status, NPU_ST_BAD_MODULE);
}

using model::ListSchedule;

TEST(ListScheduleTest, GroupsTakeTheTileThatIsFreeFirst) {
  ListSchedule schedule(small_profile(), 1, 100);
  EXPECT_EQ(schedule.active_tiles(), 8u);
  uint64_t duration_ps = 100;
  for (const uint32_t tile : {0u, 4u, 1u, 5u, 2u, 6u, 3u, 7u})  // of two clusters in turn
    EXPECT_EQ(schedule.place(duration_ps--), tile);
  EXPECT_EQ(schedule.place(10), 7u);  // free at 93
  EXPECT_EQ(schedule.start_ps(), 93u);
  EXPECT_EQ(schedule.place(10), 3u);  // free at 94
  EXPECT_EQ(schedule.end_ps(), 104u);
}

TEST(ListScheduleTest, AGroupOfTilesStaysInsideOneCluster) {
  ListSchedule three(small_profile(), 3, 100);  // a cluster of 4 holds one
  EXPECT_EQ(three.active_tiles(), 6u);
  EXPECT_EQ(three.place(5), 0u);
  EXPECT_EQ(three.place(5), 4u);
  EXPECT_EQ(three.place(5), 0u);
  ListSchedule two(small_profile(), 2, 100);
  EXPECT_EQ(two.place(5), 0u);
  EXPECT_EQ(two.place(5), 4u);
  EXPECT_EQ(two.place(5), 2u);
}

TEST(ListScheduleTest, TimeDoesNotWrapAround) {
  ListSchedule schedule(small_profile(), 4, 3);
  for (int i = 0; i < 3; ++i) schedule.place(~0ull - 5);
  EXPECT_EQ(schedule.end_ps(), ~0ull);
}

}  // namespace
}  // namespace npu::test
