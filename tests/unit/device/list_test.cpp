// SPDX-License-Identifier: Apache-2.0
// Lists whose launches the queue knows from an earlier run: whatever has changed since, they do what a new queue would make of them.
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

constexpr uint32_t kEntries = 6;

class ListTest : public ::testing::Test {
 protected:
  ListTest() {
    module_ = load();
    for (uint32_t i = 0; i < kEntries; ++i) put(i, launch(module_, kNull, {1, 1, 1}, 0, 0));
  }
  uint32_t load() {
    const npu_completion loaded = driver_.load_module(loader_, standard_blob());
    EXPECT_EQ(loaded.status, NPU_ST_OK);
    return static_cast<uint32_t>(loaded.result);
  }
  void put(uint32_t i, const npu_cmd_launch& command) {
    npu_cmd entry = std::bit_cast<npu_cmd>(command);
    entry.tag = i + 7;
    list_.as<npu_cmd>()[i] = entry;
  }
  npu_cmd_launch& entry(uint32_t i) { return list_.as<npu_cmd_launch>()[i]; }
  const npu_completion& record(uint32_t i) const { return records_.as<npu_completion>()[i]; }
  npu_completion run(TestQueue& queue) {
    std::memset(records_.data, 0, records_.bytes);
    return queue.run(exec(list_.dva, kEntries, records_.dva));
  }
  // A queue that knows the list.
  TestQueue warm_queue() {
    TestQueue queue = driver_.create_queue(context_);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(run(queue).status, NPU_ST_OK);
    return queue;
  }
  std::vector<npu_completion> records() const {
    const auto all = records_.as<npu_completion>().first(kEntries);
    return {all.begin(), all.end()};
  }
  // Runs the list on |queue| and on a new one: the same but for the times at which it began.
  void expect_as_new(TestQueue& queue, npu_status status, const char* what) {
    const npu_completion known = run(queue);
    const std::vector<npu_completion> by_known = records();
    TestQueue other = driver_.create_queue(context_);
    const npu_completion fresh = run(other);
    EXPECT_EQ(known.status, status) << what;
    EXPECT_EQ(fresh.status, status) << what;
    expect_same(known, fresh, what);
    for (uint32_t i = 0; i < kEntries; ++i) expect_same(by_known[i], record(i), what);
  }
  static void expect_same(npu_completion a, npu_completion b, const char* what) {
    EXPECT_EQ(a.end_ps - a.start_ps, b.end_ps - b.start_ps) << what;
    a.seq = b.seq;
    a.start_ps = b.start_ps;
    a.end_ps = b.end_ps;
    EXPECT_EQ(std::memcmp(&a, &b, sizeof a), 0) << what;
  }

  TestDriver driver_;
  uint32_t context_ = driver_.create_context();
  TestQueue loader_ = driver_.create_queue(context_);
  Buffer list_ = driver_.make_buffer(context_, 4096);
  Buffer records_ = driver_.make_buffer(context_, 4096);
  Buffer args_ = driver_.make_buffer(context_, 4096);
  uint32_t module_ = 0;
};

TEST_F(ListTest, EachRunCountsAndRecordsTheSame) {
  const Buffer rows = driver_.make_buffer(context_, 4 * kRowElements * 4);
  const Buffer out = driver_.make_buffer(context_, 4 * kRowElements * 4);
  for (size_t i = 0; i < rows.as<float>().size(); ++i) rows.as<float>()[i] = static_cast<float>(i);
  args_.as<uint64_t>()[0] = rows.dva;
  args_.as<uint64_t>()[1] = out.dva;
  args_.as<uint64_t>()[8] = 20;
  put(1, launch(module_, kRow, {1, 1, 1}, args_.dva, 16));
  put(2, launch(module_, kRow, {4, 1, 1}, args_.dva, 16));
  put(3, launch(module_, kWork, {1, 1, 1}, args_.dva + 64, 8));
  put(4, launch(module_, kWork, {2, 2, 1}, args_.dva + 64, 8));
  TestQueue queue = driver_.create_queue(context_);
  std::vector<npu_completion> first;
  std::array<uint64_t, 4> counts{}, grown{};
  for (int round = 0; round < 4; ++round) {
    std::memset(out.data, 0, out.bytes);
    ASSERT_EQ(run(queue).status, NPU_ST_OK);
    EXPECT_EQ(out.as<float>()[3 * kRowElements + 5], (3 * kRowElements + 5) * 2 + 3);
    const std::array<uint64_t, 4> now = {
        driver_.reg(NPU_REG_LAUNCHES, 8), driver_.reg(NPU_REG_BUSY_PS, 8),
        driver_.reg(NPU_REG_BYTES_MOVED, 8), driver_.reg(NPU_REG_ENERGY_NJ, 8)};
    for (uint32_t i = 0; i < kEntries; ++i) EXPECT_EQ(record(i).seq, i);
    for (uint32_t i = 0; i < kEntries; ++i) EXPECT_EQ(record(i).tag, i + 7);
    if (round == 0) first = records();
    for (uint32_t i = 0; i < kEntries; ++i) expect_same(record(i), first[i], "a later run");
    for (size_t i = 0; i < 3; ++i) {  // energy is rounded
      if (round == 1) grown[i] = now[i] - counts[i];
      if (round > 1) {
        EXPECT_EQ(now[i] - counts[i], grown[i]) << i;
      }
    }
    EXPECT_GE(now[3], counts[3]);
    counts = now;
  }
}

TEST_F(ListTest, AnEntryThatWasChangedInPlaceIsRunAsItIsNow) {
  struct Change {
    const char* what;
    npu_status status;
    std::function<void(npu_cmd_launch&)> make;
  };
  const Change changes[] = {
      {"nothing", NPU_ST_OK, [](npu_cmd_launch&) {}},
      {"tag", NPU_ST_OK, [](npu_cmd_launch& c) { c.tag = 1234; }},
      {"grid", NPU_ST_OK, [](npu_cmd_launch& c) { c.grid_x = 5; }},
      {"kernel", NPU_ST_KERNEL_TRAP,
       [](npu_cmd_launch& c) {
         c.kernel = kTrap;
         c.grid_x = 4;
       }},
      {"no kernel", NPU_ST_BAD_MODULE, [](npu_cmd_launch& c) { c.kernel = 99; }},
      {"no module", NPU_ST_BAD_MODULE, [](npu_cmd_launch& c) { c.module += 50; }},
      {"no group", NPU_ST_BAD_LAUNCH, [](npu_cmd_launch& c) { c.grid_z = 0; }},
      {"size of arguments", NPU_ST_BAD_LAUNCH, [](npu_cmd_launch& c) { c.args_bytes = 8; }},
      {"alignment", NPU_ST_UNALIGNED_ACCESS, [](npu_cmd_launch& c) { c.args_dva = 4; }},
      {"flags", NPU_ST_BAD_COMMAND, [](npu_cmd_launch& c) { c.flags = 1; }},
      {"reserved", NPU_ST_BAD_COMMAND, [](npu_cmd_launch& c) { c.rsvd = 1; }},
      {"reserved at the end", NPU_ST_BAD_COMMAND, [](npu_cmd_launch& c) { c.rsvd2[2] = 1; }},
      {"operator", NPU_ST_BAD_COMMAND, [](npu_cmd_launch& c) { c.op = NPU_CMD_EXEC; }},
  };
  for (const Change& change : changes) {
    TestQueue queue = warm_queue();
    const npu_cmd_launch before = entry(3);
    change.make(entry(3));
    expect_as_new(queue, change.status, change.what);
    entry(3) = before;
  }
}

TEST_F(ListTest, AModuleThatWasUnloadedIsGoneAndItsFollowerIsAnother) {
  const uint32_t other = load();
  TestQueue queue = warm_queue();
  // The list's own module stays when another one goes.
  ASSERT_EQ(loader_.run(module_unload(other)).status, NPU_ST_OK);
  expect_as_new(queue, NPU_ST_OK, "another one unloaded");
  ASSERT_EQ(loader_.run(module_unload(module_)).status, NPU_ST_OK);
  const uint32_t next = load();
  EXPECT_NE(next, module_);
  expect_as_new(queue, NPU_ST_BAD_MODULE, "unloaded");
  for (uint32_t i = 0; i < kEntries; ++i) entry(i).module = next;
  TestQueue after = warm_queue();
  expect_as_new(after, NPU_ST_OK, "loaded again");
}

TEST_F(ListTest, ArgumentsAreReadAnewFromWhereTheyAre) {
  const Buffer apart = driver_.make_buffer(context_, NPU_PAGE_64K);
  apart.as<uint64_t>()[0] = 3;
  put(2, launch(module_, kWork, {1, 1, 1}, apart.dva, 8));
  TestQueue queue = warm_queue();
  const auto took_ps = [&] { return record(2).end_ps - record(2).start_ps; };
  const uint64_t few_ps = took_ps();
  apart.as<uint64_t>()[0] = 300;
  ASSERT_EQ(run(queue).status, NPU_ST_OK);
  EXPECT_GT(took_ps(), few_ps);
  // Other memory at the same address.
  const uint64_t pa = driver_.hbm_alloc(NPU_PAGE_64K);
  const uint64_t few = 3;
  std::memcpy(static_cast<std::byte*>(driver_.hbm()) + pa, &few, sizeof few);
  driver_.unmap(context_, apart.dva, NPU_PAGE_64K);
  driver_.map(context_, apart.dva, NPU_PAGE_64K, pa, NPU_PTE_WRITE);
  driver_.flush(context_);
  ASSERT_EQ(run(queue).status, NPU_ST_OK);
  EXPECT_EQ(took_ps(), few_ps);
  driver_.unmap(context_, apart.dva, NPU_PAGE_64K);
  driver_.flush(context_);
  expect_as_new(queue, NPU_ST_VM_FAULT, "unmapped");
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.address_dva, apart.dva);
  EXPECT_EQ(event.access, NPU_ACCESS_READ);
}

TEST_F(ListTest, AFailureTellsItsPlaceAsOfALaunchThatIsNew) {
  auto words = args_.as<uint64_t>();
  words[0] = 0x10000;
  words[1] = words[2] = 0;  // no work-group reads it
  put(4, launch(module_, kTouch, {1, 1, 1}, args_.dva, 24));
  TestQueue queue = warm_queue();
  words[2] = 1;
  expect_as_new(queue, NPU_ST_VM_FAULT, "address");
  EXPECT_EQ(record(4).kernel, kTouch);
  EXPECT_EQ(record(4).pc, 8u);
  EXPECT_EQ(record(5).tag, 0u);  // was not run
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.address_dva, 0x10000u);
  EXPECT_EQ(event.kernel, kTouch);
  EXPECT_EQ(event.module, module_);
}

TEST_F(ListTest, TheBudgetHoldsForEachLaunch) {
  args_.as<uint64_t>()[0] = 10;
  put(4, launch(module_, kWork, {1, 1, 1}, args_.dva, 8));
  TestDriver::QueueOptions options;
  options.budget = 1000;
  TestQueue queue = driver_.create_queue(context_, options);
  for (int i = 0; i < 300; ++i) ASSERT_EQ(run(queue).status, NPU_ST_OK);  // all together use more
  args_.as<uint64_t>()[0] = 1000;
  const npu_completion record = run(queue);
  EXPECT_EQ(record.status, NPU_ST_WATCHDOG);
  EXPECT_EQ(record.list_index, 4u);
}

TEST_F(ListTest, PrintsOfEachRunArrive) {
  args_.as<uint32_t>()[0] = 2;
  args_.as<uint32_t>()[1] = 1000;  // no work-group fails
  put(3, launch(module_, kPrint, {1, 1, 1}, args_.dva, 8));
  TestQueue queue = warm_queue();
  const Buffer prints = driver_.make_buffer(context_, 65536);
  npu_cmd_print_buffer command{};
  command.op = NPU_CMD_PRINT_BUFFER;
  command.print_dva = prints.dva;
  command.print_log2 = 6;
  ASSERT_EQ(queue.run(command).status, NPU_ST_OK);
  for (uint64_t round = 1; round <= 3; ++round) {
    ASSERT_EQ(run(queue).status, NPU_ST_OK);
    EXPECT_EQ(prints.as<npu_print_ctrl>()[0].written, 2 * round);
  }
  args_.as<uint32_t>()[1] = 0;  // now it fails, with what it says before
  const npu_completion record = run(queue);
  EXPECT_EQ(record.status, NPU_ST_KERNEL_ASSERT);
  EXPECT_EQ(record.list_index, 3u);
  EXPECT_GE(prints.as<npu_print_ctrl>()[0].written, 8u);
}

TEST_F(ListTest, RecordsThatAreUnalignedOrGoneAreNoticed) {
  TestQueue queue = warm_queue();
  const std::vector<npu_completion> aligned = records();
  std::memset(records_.data, 0, records_.bytes);
  ASSERT_EQ(queue.run(exec(list_.dva, kEntries, records_.dva + 8)).status, NPU_ST_OK);
  for (uint32_t i = 0; i < kEntries; ++i) {
    npu_completion shifted{};
    std::memcpy(&shifted, records_.data + 8 + i * sizeof shifted, sizeof shifted);
    expect_same(shifted, aligned[i], "8 bytes further");
  }
  ASSERT_EQ(queue.run(exec(list_.dva, kEntries)).status, NPU_ST_OK);  // nobody wants any
  const npu_completion record = queue.run(exec(list_.dva, kEntries, 0x10000));
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.list_index, 0u);
  EXPECT_EQ(driver_.wait_event(NPU_EVENT_QUEUE_FAULT).address_dva, 0x10000u);
}

TEST_F(ListTest, TwoQueuesRunOneListInTurns) {
  TestQueue queues[] = {warm_queue(), warm_queue()};
  const npu_completion before = run(queues[0]);
  uint64_t last[2] = {};
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 2; ++i) {
      last[i] = queues[i].push(exec(list_.dva, kEntries));
      queues[i].ring();
    }
  }
  for (int i = 0; i < 2; ++i) {
    const npu_completion record = queues[i].wait(last[i]);
    EXPECT_EQ(record.status, NPU_ST_OK);
    EXPECT_EQ(record.end_ps - record.start_ps, before.end_ps - before.start_ps);
  }
}

// A list of known launches steps aside between two of them, also for a queue that became urgent after it had begun to know them.
TEST_F(ListTest, AnUrgentQueueComesBetween) {
  constexpr uint32_t kMany = 4096;
  const Buffer list = driver_.make_buffer(context_, uint64_t{kMany} * NPU_CMD_BYTES);
  const Buffer records = driver_.make_buffer(context_, uint64_t{kMany} * NPU_COMPLETION_BYTES);
  args_.as<uint64_t>()[0] = 1;
  for (uint32_t i = 0; i < kMany; ++i) {
    list.as<npu_cmd_launch>()[i] = launch(module_, kWork, {1, 1, 1}, args_.dva, 8);
  }
  TestQueue queue = driver_.create_queue(context_);
  TestQueue other = driver_.create_queue(context_);
  ASSERT_EQ(queue.run(exec(list.dva, kMany, records.dva)).status, NPU_ST_OK);
  ASSERT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_PRIORITY, {other.id, NPU_PRIO_HIGH}), NPU_ST_OK);
  args_.as<uint64_t>()[0] = 2000;  // some 20 us each
  std::memset(records.data, 0, records.bytes);
  const uint64_t seq = queue.push(exec(list.dva, kMany, records.dva));
  queue.ring();
  std::atomic_ref<__u64> eleventh(records.as<npu_completion>()[10].end_ps);
  while (eleventh.load() == 0) std::this_thread::yield();
  ASSERT_EQ(other.run(launch(module_, kNull, {1, 1, 1}, 0, 0)).status, NPU_ST_OK);
  EXPECT_EQ(queue.completed(), seq);  // it had not ended by then
  EXPECT_EQ(queue.wait(seq).status, NPU_ST_OK);
}

TEST_F(ListTest, AQueueThatIsDestroyedLeavesItsListAtOnce) {
  constexpr uint32_t kMany = 65536;
  const Buffer list = driver_.make_buffer(context_, uint64_t{kMany} * NPU_CMD_BYTES);
  args_.as<uint64_t>()[0] = 100'000;  // a millisecond each: more than a minute
  for (uint32_t i = 0; i < kMany; ++i) {
    list.as<npu_cmd_launch>()[i] = launch(module_, kWork, {1, 1, 1}, args_.dva, 8);
  }
  TestQueue queue = warm_queue();
  queue.push(exec(list.dva, kMany, 0));
  queue.ring();
  while (std::atomic_ref<__u64>(queue.ctrl()->fetched).load() < queue.written) {
    std::this_thread::yield();
  }
  EXPECT_EQ(driver_.destroy_queue(queue), NPU_ST_OK);
  EXPECT_EQ(queue.completed(), queue.written - 1);
}

}  // namespace
}  // namespace npu::test
