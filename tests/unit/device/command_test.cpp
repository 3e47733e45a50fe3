// SPDX-License-Identifier: Apache-2.0
// Every command through a real queue: its effect, its record, and each of its fields wrong.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

class CommandTest : public testing::Test {
 protected:
  // A broken command stops its queue, so each gets a queue of its own.
  template <typename Command>
  npu_status status_of(const Command& command) {
    TestQueue queue = driver_.create_queue(context_);
    const npu_completion record = queue.run(command);
    EXPECT_EQ(driver_.destroy_queue(queue), NPU_ST_OK);
    return static_cast<npu_status>(record.status);
  }

  TestDriver driver_;
  uint32_t context_ = driver_.create_context();
  TestQueue queue_ = driver_.create_queue(context_);
  Buffer data_ = driver_.make_buffer(context_, 64 * 1024);
  Buffer other_ = driver_.make_buffer(context_, 64 * 1024, Place::kHost);
};

TEST_F(CommandTest, ANopCompletesWithItsTagAndNumber) {
  npu_cmd command = nop();
  command.tag = 0xabcd;
  for (uint64_t seq = 0; seq < 200; ++seq) {
    const npu_completion record = queue_.run(command);
    ASSERT_EQ(record.seq, seq);
    ASSERT_EQ(record.status, NPU_ST_OK);
    ASSERT_EQ(record.tag, 0xabcdu);
    ASSERT_LT(record.start_ps, record.end_ps);
  }
  EXPECT_EQ(queue_.ctrl()->fetched, 200u);
  EXPECT_EQ(queue_.ctrl()->time_ps, queue_.record(199).end_ps);
  EXPECT_EQ(queue_.state(), NPU_QUEUE_STATE_READY);
  EXPECT_EQ(queue_.ctrl()->live, NPU_QUEUE_LIVE);
}

TEST_F(CommandTest, ABatchRunsInOrder) {
  for (uint32_t i = 0; i < 64; ++i) queue_.push(fill(data_.dva, 8, i, 8));
  queue_.ring();
  queue_.wait(63);
  EXPECT_EQ(data_.as<uint64_t>()[0], 63u);
  for (uint64_t i = 1; i < 64; ++i) {
    EXPECT_EQ(queue_.record(i).start_ps, queue_.record(i - 1).end_ps);
  }
}

TEST_F(CommandTest, TheHeadOfEveryCommandIsChecked) {
  for (uint32_t op = 0; op < NPU_CMD_COUNT; ++op) {
    npu_cmd command{};
    command.op = static_cast<__u8>(op);
    command.flags = 1;
    EXPECT_EQ(status_of(command), NPU_ST_BAD_COMMAND) << op;
    command.flags = 0;
    command.rsvd = 0x8000;
    EXPECT_EQ(status_of(command), NPU_ST_BAD_COMMAND) << op;
  }
  npu_cmd unknown{};
  unknown.op = NPU_CMD_COUNT;
  EXPECT_EQ(status_of(unknown), NPU_ST_BAD_COMMAND);
  unknown.op = 255;
  EXPECT_EQ(status_of(unknown), NPU_ST_BAD_COMMAND);
}

TEST_F(CommandTest, EveryReservedByteOfEveryCommandMustBeZero) {
  npu_cmd_launch launch_command = launch(1, 0, {1, 1, 1}, data_.dva, 0);
  npu_cmd_fill fill_command = fill(data_.dva, 64, 1, 1);
  npu_cmd_sem signal_command = sem_signal(data_.dva, 1);
  npu_cmd_sem wait_command = sem_wait(data_.dva, 0);
  npu_cmd_timestamp time_command = timestamp(data_.dva);
  npu_cmd_exec exec_command = exec(data_.dva, 0);
  npu_cmd_module unload_command = module_unload(1);
  npu_cmd nop_command = nop();
  npu_cmd fence_command = nop();
  fence_command.op = NPU_CMD_FENCE;
  const struct {
    const void* command;
    size_t first;  // first reserved byte; all up to the end are reserved
  } rows[] = {
      {&launch_command, offsetof(npu_cmd_launch, rsvd2)},
      {&fill_command, offsetof(npu_cmd_fill, rsvd2)},
      {&signal_command, offsetof(npu_cmd_sem, rsvd2)},
      {&wait_command, offsetof(npu_cmd_sem, rsvd2)},
      {&time_command, offsetof(npu_cmd_timestamp, rsvd2)},
      {&exec_command, offsetof(npu_cmd_exec, rsvd2)},
      {&unload_command, offsetof(npu_cmd_module, check_only)},
      {&nop_command, offsetof(npu_cmd, body)},
      {&fence_command, offsetof(npu_cmd, body)},
  };
  for (const auto& row : rows) {
    for (size_t byte = row.first; byte < NPU_CMD_BYTES; ++byte) {
      std::array<uint8_t, NPU_CMD_BYTES> bytes;
      std::memcpy(bytes.data(), row.command, bytes.size());
      bytes[byte] = 0x40;
      npu_cmd command;
      std::memcpy(&command, bytes.data(), sizeof(command));
      ASSERT_EQ(status_of(command), NPU_ST_BAD_COMMAND)
          << "op " << int{command.op} << " byte " << byte;
    }
  }
}

TEST_F(CommandTest, FillWritesItsPatternAndNothingElse) {
  for (const uint32_t size : {1u, 2u, 4u, 8u}) {
    const uint64_t pattern = 0x1122334455667788ull >> (64 - 8 * size);
    std::memset(data_.data, 0xee, data_.bytes);
    ASSERT_EQ(queue_.run(fill(data_.dva + 8, 4000, pattern, size)).status, NPU_ST_OK);
    for (size_t i = 0; i < 8; ++i) ASSERT_EQ(data_.as<uint8_t>()[i], 0xee);
    for (size_t i = 0; i < 4000; ++i) {
      ASSERT_EQ(data_.as<uint8_t>()[8 + i], (pattern >> (i % size * 8)) & 0xff) << size << " " << i;
    }
    for (size_t i = 4008; i < 4100; ++i) ASSERT_EQ(data_.as<uint8_t>()[i], 0xee);
  }
}

TEST_F(CommandTest, FillKeepsItsPatternAcrossScatteredPages) {
  // Three 4 KiB pages of host memory in an order that is not contiguous.
  const uint64_t iova = driver_.host_alloc(5 * NPU_PAGE_4K);
  const uint64_t dva = 0x7000'0000;
  for (uint64_t i = 0; i < 3; ++i) {
    driver_.map(context_, dva + i * NPU_PAGE_4K, NPU_PAGE_4K, iova + (4 - 2 * i) * NPU_PAGE_4K,
                NPU_PTE_WRITE | NPU_PTE_SYSTEM);
  }
  ASSERT_EQ(queue_.run(fill(dva + 4, 3 * NPU_PAGE_4K - 8, 0xaabbccdd, 4)).status, NPU_ST_OK);
  ASSERT_EQ(queue_.run(copy(dva, data_.dva, 3 * NPU_PAGE_4K)).status, NPU_ST_OK);
  const auto words = data_.as<uint32_t>();
  EXPECT_EQ(words[0], 0u);
  for (size_t i = 1; i < 3 * NPU_PAGE_4K / 4 - 1; ++i) ASSERT_EQ(words[i], 0xaabbccdd) << i;
  EXPECT_EQ(words[3 * NPU_PAGE_4K / 4 - 1], 0u);
}

TEST_F(CommandTest, FillRefusesEachWrongField) {
  const npu_cmd_fill good = fill(data_.dva, 64, 0x11223344, 4);
  ASSERT_EQ(status_of(good), NPU_ST_OK);
  const auto with = [&](auto change) {
    npu_cmd_fill command = good;
    change(command);
    return status_of(command);
  };
  EXPECT_EQ(with([](auto& c) { c.width_bytes = 0; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 0; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.pattern_bytes = 0; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.pattern_bytes = 3; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.pattern_bytes = 16; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.pattern = 0x1'0000'0000; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.dst_pitch = 64; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 2; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 2, c.dst_pitch = 60; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = 2, c.dst_pitch = 66; }), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(with([](auto& c) { c.dst_dva += 2; }), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(with([](auto& c) { c.width_bytes = 66; }), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(with([](auto& c) { c.width_bytes = ~0ull; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.height = ~0u, c.dst_pitch = ~0ull; }), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(with([](auto& c) { c.dst_dva = 0x10000; }), NPU_ST_VM_FAULT);
}

TEST_F(CommandTest, TimestampWritesTheTimeOfTheQueue) {
  queue_.run(nop());
  const npu_completion record = queue_.run(timestamp(data_.dva + 16));
  EXPECT_EQ(data_.as<uint64_t>()[2], record.end_ps);
  EXPECT_GT(record.end_ps, 0u);
  EXPECT_EQ(status_of(timestamp(data_.dva + 4)), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(status_of(timestamp(0x10000)), NPU_ST_VM_FAULT);
}

TEST_F(CommandTest, SignalSetsAndAdds) {
  ASSERT_EQ(queue_.run(sem_signal(data_.dva, 40)).status, NPU_ST_OK);
  ASSERT_EQ(queue_.run(sem_signal(data_.dva, 2, NPU_SEM_ADD)).status, NPU_ST_OK);
  EXPECT_EQ(data_.as<uint64_t>()[0], 42u);
  EXPECT_EQ(status_of(sem_signal(data_.dva + 4, 1)), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(status_of(sem_signal(0x10000, 1)), NPU_ST_VM_FAULT);
  npu_cmd_sem bad = sem_signal(data_.dva, 1);
  bad.sem_op = 2;
  EXPECT_EQ(status_of(bad), NPU_ST_BAD_COMMAND);
  bad = sem_wait(data_.dva, 42);
  bad.sem_op = 3;
  EXPECT_EQ(status_of(bad), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status_of(sem_wait(data_.dva + 4, 1)), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(status_of(sem_wait(0x10000, 1)), NPU_ST_VM_FAULT);
}

TEST_F(CommandTest, AFaultOfACopyNamesAddressAndAccess) {
  npu_completion record = queue_.run(copy(data_.dva, data_.dva + data_.bytes - 16, 32));
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.result, data_.dva + data_.bytes);
  EXPECT_EQ(record.access, NPU_ACCESS_WRITE);
  EXPECT_EQ(queue_.state(), NPU_QUEUE_STATE_FAULTED);
  EXPECT_EQ(queue_.ctrl()->live, 0u);
  EXPECT_EQ(queue_.ctrl()->error_seq, 0u);
  EXPECT_EQ(queue_.ctrl()->error_status, NPU_ST_VM_FAULT);

  TestQueue queue = driver_.create_queue(context_);
  record = queue.run(copy(data_.dva + data_.bytes - 16, data_.dva, 32));
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.result, data_.dva + data_.bytes);
  EXPECT_EQ(record.access, NPU_ACCESS_READ);
}

TEST_F(CommandTest, ReadOnlyMemoryIsNotWritten) {
  const Buffer constant = driver_.make_buffer(context_, 4096, Place::kHbm, 0);
  EXPECT_EQ(queue_.run(copy(constant.dva, data_.dva, 4096)).status, NPU_ST_OK);
  const npu_completion record = queue_.run(fill(constant.dva, 8, 1, 8));
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.access, NPU_ACCESS_WRITE);
  EXPECT_EQ(constant.as<uint64_t>()[0], 0u);
}

TEST_F(CommandTest, NothingRunsBehindAnError) {
  queue_.push(nop());
  queue_.push(fill(0x10000, 8, 1, 8));
  queue_.push(fill(data_.dva, 8, 1, 8));
  queue_.ring();
  queue_.wait(1);
  driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  queue_.push(nop());
  queue_.ring();
  // Another queue's command shows that the device has looked at the doorbells since.
  TestQueue other = driver_.create_queue(context_);
  other.run(nop());
  EXPECT_EQ(queue_.completed(), 2u);
  EXPECT_EQ(data_.as<uint64_t>()[0], 0u);
  EXPECT_EQ(queue_.ctrl()->error_seq, 1u);
}

TEST_F(CommandTest, AFaultBecomesAnEvent) {
  queue_.push(nop());
  queue_.push(fill(0x123450000, 8, 1, 8));
  queue_.ring();
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.queue, queue_.id);
  EXPECT_EQ(event.context, context_);
  EXPECT_EQ(event.value, 1u);
  EXPECT_EQ(event.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(event.address_dva, 0x123450000u);
  EXPECT_EQ(event.access, NPU_ACCESS_WRITE);
}

TEST_F(CommandTest, ACopyQueueLaunchesNothing) {
  TestDriver::QueueOptions options;
  options.queue_class = NPU_QUEUE_COPY;
  TestQueue queue = driver_.create_queue(context_, options);
  EXPECT_EQ(queue.run(copy(data_.dva, other_.dva, 64)).status, NPU_ST_OK);
  EXPECT_EQ(queue.run(launch(1, 0, {1, 1, 1}, data_.dva, 0)).status, NPU_ST_BAD_COMMAND);
}

TEST_F(CommandTest, AListRunsAsOneCommand) {
  const Buffer list = driver_.make_buffer(context_, 4096);
  const Buffer records = driver_.make_buffer(context_, 4096);
  auto entries = list.as<npu_cmd>();
  for (uint32_t i = 0; i < 8; ++i) {
    const npu_cmd_sem add = sem_signal(data_.dva, 1, NPU_SEM_ADD);
    std::memcpy(&entries[i], &add, sizeof(add));
    entries[i].tag = i + 100;
  }
  const npu_completion record = queue_.run(exec(list.dva, 8, records.dva));
  EXPECT_EQ(record.status, NPU_ST_OK);
  EXPECT_EQ(record.seq, 0u);
  EXPECT_EQ(data_.as<uint64_t>()[0], 8u);
  uint64_t time_ps = record.start_ps;
  for (uint32_t i = 0; i < 8; ++i) {
    const npu_completion& entry = records.as<npu_completion>()[i];
    EXPECT_EQ(entry.seq, i);
    EXPECT_EQ(entry.tag, i + 100);
    EXPECT_EQ(entry.status, NPU_ST_OK);
    EXPECT_GE(entry.start_ps, time_ps);
    time_ps = entry.end_ps;
  }
  EXPECT_EQ(record.end_ps, time_ps);
}

TEST_F(CommandTest, TheFirstErrorEndsAList) {
  const Buffer list = driver_.make_buffer(context_, 4096);
  const Buffer records = driver_.make_buffer(context_, 4096);
  auto entries = list.as<npu_cmd>();
  const npu_cmd_sem add = sem_signal(data_.dva, 1, NPU_SEM_ADD);
  for (uint32_t i = 0; i < 8; ++i) std::memcpy(&entries[i], &add, sizeof(add));
  const npu_cmd_fill bad = fill(0x10000, 8, 0, 8);
  std::memcpy(&entries[5], &bad, sizeof(bad));
  const npu_completion record = queue_.run(exec(list.dva, 8, records.dva));
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.result, 5u);
  EXPECT_EQ(record.list_index, 5u);
  EXPECT_EQ(data_.as<uint64_t>()[0], 5u);
  EXPECT_EQ(records.as<npu_completion>()[5].status, NPU_ST_VM_FAULT);
  EXPECT_EQ(records.as<npu_completion>()[6].tag, 0u);
  EXPECT_EQ(driver_.wait_event(NPU_EVENT_QUEUE_FAULT).address_dva, 0x10000u);
}

TEST_F(CommandTest, AListMayNotHoldListsOrModules) {
  const Buffer list = driver_.make_buffer(context_, 4096);
  for (const uint8_t op : {NPU_CMD_EXEC, NPU_CMD_MODULE_LOAD, NPU_CMD_MODULE_UNLOAD}) {
    list.as<npu_cmd>()[0] = {};
    list.as<npu_cmd>()[0].op = op;
    EXPECT_EQ(status_of(exec(list.dva, 1)), NPU_ST_BAD_COMMAND) << int{op};
  }
  EXPECT_EQ(status_of(exec(list.dva, 0)), NPU_ST_OK);
  EXPECT_EQ(status_of(exec(list.dva + 32, 1)), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(status_of(exec(list.dva, 1, list.dva + 4)), NPU_ST_UNALIGNED_ACCESS);
  EXPECT_EQ(status_of(exec(list.dva, 65537)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status_of(exec(~0ull - 63, 1)), NPU_ST_BAD_COMMAND);
  EXPECT_EQ(status_of(exec(0x10000, 1)), NPU_ST_VM_FAULT);
  list.as<npu_cmd>()[0] = nop();
  EXPECT_EQ(status_of(exec(list.dva, 1, 0x10000)), NPU_ST_VM_FAULT);
}

TEST_F(CommandTest, AQueueWhoseRingIsGoneFaultsInTheDevice) {
  driver_.unmap(context_, queue_.ring_memory.dva, NPU_PAGE_4K);
  driver_.flush(context_);
  queue_.push(nop());
  queue_.ring();
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(event.address_dva, queue_.ring_memory.dva);
  EXPECT_EQ(event.access, NPU_ACCESS_READ);
  EXPECT_EQ(queue_.completed(), 0u);
}

TEST_F(CommandTest, AQueueWhoseControlPageIsGoneWritesNothing) {
  queue_.run(nop());
  driver_.unmap(context_, queue_.control.dva, NPU_CTRL_BYTES);
  driver_.flush(context_);
  const npu_queue_ctrl before = *queue_.ctrl();
  queue_.push(nop());
  queue_.ring();
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(event.address_dva, queue_.control.dva);
  EXPECT_EQ(event.access, NPU_ACCESS_WRITE);
  EXPECT_EQ(std::memcmp(&before, queue_.ctrl(), sizeof(before)), 0);
}

TEST_F(CommandTest, ADoorbellOutsideTheRingStopsTheQueue) {
  for (const uint64_t value : {uint64_t{65}, uint64_t{1} << 40, ~uint64_t{0}}) {
    TestQueue queue = driver_.create_queue(context_);
    queue.ring_value(value);
    const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
    EXPECT_EQ(event.status, NPU_ST_BAD_DOORBELL);
    EXPECT_EQ(event.queue, queue.id);
    EXPECT_EQ(queue.state(), NPU_QUEUE_STATE_FAULTED);
  }
  for (int i = 0; i < 8; ++i) queue_.push(nop());
  queue_.ring();
  queue_.wait(7);
  queue_.ring_value(4);
  EXPECT_EQ(driver_.wait_event(NPU_EVENT_QUEUE_FAULT).status, NPU_ST_BAD_DOORBELL);
}

}  // namespace
}  // namespace npu::test
