// SPDX-License-Identifier: Apache-2.0
// Errors that the device reports by itself, poison in its memory, and every injected fault but
// those of a boot.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "firmware-model/device/poison.h"
#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

constexpr uint64_t kEntries = 8;

class RasTest : public testing::Test {
 protected:
  RasTest() { set_ring(); }

  void set_ring() {
    ring_iova_ = driver_.host_alloc(kEntries * sizeof(npu_error_record));
    ring_ = reinterpret_cast<npu_error_record*>(driver_.host_data(ring_iova_));
    ASSERT_EQ(driver_.mailbox(NPU_MBOX_ERROR_RING, {ring_iova_, kEntries}), NPU_ST_OK);
    read_ = 0;
  }

  int inject(npu_inject fault, uint64_t place = 0, uint64_t count = 0) {
    return driver_.mailbox(NPU_MBOX_INJECT, {static_cast<uint64_t>(fault), place, count});
  }

  // The next record; type 0 when there is none.
  npu_error_record next() {
    npu_error_record& slot = ring_[read_ % kEntries];
    if (std::atomic_ref<__u64>(slot.seq).load(std::memory_order_acquire) != read_ + 1) return {};
    ++read_;
    return slot;
  }

  int64_t metric(npu_metric_id id) {
    uint64_t value = 0;
    EXPECT_EQ(driver_.mailbox(NPU_MBOX_METRIC, {static_cast<uint64_t>(id)}, &value), NPU_ST_OK);
    return static_cast<int64_t>(value);
  }

  // Each faulting command stops its queue, so each gets a queue of its own.
  template <typename Command>
  npu_completion run(const Command& command) {
    TestQueue queue = driver_.create_queue(context_);
    const npu_completion record = queue.run(command);
    EXPECT_EQ(driver_.destroy_queue(queue), NPU_ST_OK);
    return record;
  }

  uint64_t offset(const Buffer& buffer, uint64_t byte) const { return buffer.pa + byte; }
  npu_device_status status() const {
    return static_cast<npu_device_status>(driver_.reg(NPU_REG_STATUS, 4));
  }
  void reset() {
    npu_device_mmio_write(driver_.device(), 0, NPU_REG_CONTROL, 4, NPU_CONTROL_RESET);
  }

  TestDriver driver_;
  uint32_t context_ = driver_.create_context();
  Buffer data_ = driver_.make_buffer(context_, 64 * 1024);
  Buffer other_ = driver_.make_buffer(context_, 64 * 1024, Place::kHost);
  uint64_t ring_iova_ = 0;
  npu_error_record* ring_ = nullptr;
  uint64_t read_ = 0;
};

TEST_F(RasTest, CorrectedErrorsAreCountedAndReported) {
  const uint64_t before = driver_.interrupts(3);
  ASSERT_EQ(inject(NPU_INJECT_ECC_SBE, 4711, 3), NPU_ST_OK);
  const npu_error_record record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_ECC_SBE));
  EXPECT_EQ(record.severity, static_cast<uint32_t>(NPU_SEVERITY_CORRECTED));
  EXPECT_EQ(record.address, 4711u);
  EXPECT_EQ(record.count, 3u);
  EXPECT_EQ(record.unit, ~0u);
  EXPECT_EQ(metric(NPU_METRIC_ECC_SBE), 3);
  EXPECT_EQ(metric(NPU_METRIC_ECC_DBE), 0);
  EXPECT_EQ(driver_.interrupts(3), before + 1);
  EXPECT_NE(driver_.reg(NPU_REG_IRQ_STATUS, 4) & NPU_IRQ_ERROR, 0u);
  EXPECT_EQ(next().type, 0u);
}

TEST_F(RasTest, EachWrongInjectionIsRefused) {
  const uint64_t end = 64 << 20;
  EXPECT_EQ(inject(NPU_INJECT_ECC_SBE, end, 1), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(inject(NPU_INJECT_ECC_SBE, 0, 1ull << 32), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_ECC_DBE, end, 0), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(inject(NPU_INJECT_ECC_DBE, 0, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_HANG, 1024, 0), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_HANG, 0, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_LOST_IRQ, 1, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_SPURIOUS_IRQ, NPU_MSIX_VECTORS, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_SPURIOUS_IRQ, 0, 1ull << 40), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_FW_ASSERT, 1, 0), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_FW_ABI, 1ull << 32, 0), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_TEMPERATURE, 1ull << 62, 0), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(NPU_INJECT_BOOT_FAIL, 1, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(inject(static_cast<npu_inject>(0)), NPU_ST_NOT_FOUND);
  EXPECT_EQ(inject(static_cast<npu_inject>(14)), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_INJECT, {1ull << 32 | NPU_INJECT_FW_ASSERT}),
            NPU_ST_NOT_FOUND);
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(next().type, 0u);
}

TEST_F(RasTest, LostErrorsAreAnnouncedByTheNextRecordAlsoInANewRing) {
  ASSERT_EQ(driver_.mailbox(NPU_MBOX_ERROR_RING, {0, 0}), NPU_ST_OK);
  ASSERT_EQ(inject(NPU_INJECT_ECC_SBE, 0, 1), NPU_ST_OK);
  ASSERT_EQ(inject(NPU_INJECT_ECC_SBE, 0, 1), NPU_ST_OK);
  set_ring();
  ASSERT_EQ(inject(NPU_INJECT_ECC_SBE, 64, 1), NPU_ST_OK);
  npu_error_record record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_RECORDS_LOST));
  EXPECT_EQ(record.count, 2u);
  record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_ECC_SBE));
  EXPECT_EQ(record.address, 64u);
}

TEST_F(RasTest, TheErrorRingIsCheckedAndWrapsAround) {
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_ERROR_RING, {ring_iova_, 3}), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_ERROR_RING, {ring_iova_ + 8, 4}), NPU_ST_UNALIGNED);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_ERROR_RING, {~0ull << 6, 16}), NPU_ST_OVERFLOW);
  for (uint64_t i = 0; i < 3 * kEntries; ++i) {
    ASSERT_EQ(inject(NPU_INJECT_ECC_SBE, i, 1), NPU_ST_OK);
    const npu_error_record record = next();
    ASSERT_EQ(record.seq, i + 1);
    ASSERT_EQ(record.address, i);
  }
}

TEST_F(RasTest, EveryReaderOfPoisonFaultsAtItsAddress) {
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, 1000)), NPU_ST_OK);
  const npu_error_record error = next();
  EXPECT_EQ(error.type, static_cast<uint32_t>(NPU_ERROR_ECC_DBE));
  EXPECT_EQ(error.severity, static_cast<uint32_t>(NPU_SEVERITY_RECOVERABLE));
  EXPECT_EQ(error.address, offset(data_, 960));
  EXPECT_EQ(metric(NPU_METRIC_ECC_DBE), 1);
  const uint64_t bad = data_.dva + 960;
  const auto faults_at = [&](const npu_completion& record, uint64_t dva) {
    EXPECT_EQ(record.status, NPU_ST_MEMORY_POISON);
    EXPECT_EQ(record.result, dva);
    EXPECT_EQ(record.access, NPU_ACCESS_READ);
  };
  faults_at(run(copy(data_.dva, other_.dva, 4096)), bad);
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.status, NPU_ST_MEMORY_POISON);
  EXPECT_EQ(event.address_dva, bad);
  faults_at(run(copy(bad + 8, other_.dva, 8)), bad + 8);
  faults_at(run(sem_wait(bad + 16, 0)), bad + 16);
  faults_at(run(sem_signal(bad + 24, 1, NPU_SEM_ADD)), bad + 24);
  const npu_completion in_list = run(exec(bad, 1));
  EXPECT_EQ(in_list.status, NPU_ST_MEMORY_POISON);
  EXPECT_EQ(in_list.result, 0u);  // index in the list
  npu_cmd_module load{};
  load.op = NPU_CMD_MODULE_LOAD;
  load.blob_dva = bad;
  load.blob_bytes = 64;
  faults_at(run(load), bad);
  // What lies beside it may be read.
  EXPECT_EQ(run(copy(data_.dva, other_.dva, 960)).status, NPU_ST_OK);
  EXPECT_EQ(run(copy(data_.dva + 1024, other_.dva, 4096)).status, NPU_ST_OK);
}

TEST_F(RasTest, AWalkOverAPoisonedTableFaultsUntilItIsClearedAndWritten) {
  const uint64_t far = 1ull << 44;  // its entry of the root table lies apart from the others
  driver_.map(context_, far, 64 * 1024, data_.pa, NPU_PTE_WRITE);
  driver_.flush(context_);
  ASSERT_EQ(run(copy(far, other_.dva, 64)).status, NPU_ST_OK);
  const uint64_t entry = driver_.root(context_) + (far >> 39) * 8;
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, entry), NPU_ST_OK);
  for (const bool writes : {false, true}) {
    const npu_completion record =
        run(writes ? copy(other_.dva, far, 64) : copy(far, other_.dva, 64));
    EXPECT_EQ(record.status, NPU_ST_MEMORY_POISON);
    EXPECT_EQ(record.result, far);
  }
  EXPECT_EQ(run(copy(data_.dva, other_.dva, 64)).status, NPU_ST_OK);
  std::byte kept[64];
  std::byte* line = static_cast<std::byte*>(driver_.hbm()) + entry / 64 * 64;
  std::memcpy(kept, line, sizeof kept);
  ASSERT_EQ(driver_.mailbox(NPU_MBOX_HBM_CLEAR, {entry / 64 * 64, 64}), NPU_ST_OK);
  EXPECT_EQ(run(copy(far, other_.dva, 64)).status, NPU_ST_VM_FAULT);
  std::memcpy(line, kept, sizeof kept);
  EXPECT_EQ(run(copy(far, other_.dva, 64)).status, NPU_ST_OK);
}

TEST_F(RasTest, TilesFaultToo) {
  TestQueue queue = driver_.create_queue(context_);
  const uint64_t module = driver_.load_module(queue, standard_blob()).result;
  const Buffer args = driver_.make_buffer(context_, 4096);
  auto words = args.as<uint64_t>();
  const auto rows = [&](TestQueue& on) {
    words[0] = data_.dva;
    words[1] = data_.dva + 32768;
    return on.run(launch(static_cast<uint32_t>(module), kRow, {4, 1, 1}, args.dva, 16));
  };
  ASSERT_EQ(rows(queue).status, NPU_ST_OK);
  // In the third row that is read: translations made before must not hide it.
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, 2048 + 256)), NPU_ST_OK);
  const npu_completion record = rows(queue);
  EXPECT_EQ(record.status, NPU_ST_MEMORY_POISON);
  EXPECT_EQ(record.result, data_.dva + 2048 + 256);
  EXPECT_EQ(record.group, 2u);
  EXPECT_EQ(record.engine, NPU_ENGINE_LD);
  EXPECT_EQ(record.access, NPU_ACCESS_READ);
  TestQueue second = driver_.create_queue(context_);
  words[0] = data_.dva + 2048 + 256;
  words[1] = 0;
  words[2] = 1;
  const npu_completion touched =
      second.run(launch(static_cast<uint32_t>(module), kTouch, {1, 1, 1}, args.dva, 24));
  EXPECT_EQ(touched.status, NPU_ST_MEMORY_POISON);
  EXPECT_EQ(touched.engine, NPU_ENGINE_CTRL);
}

TEST_F(RasTest, AStoreOfATileMendsWhatItCovers) {
  TestQueue queue = driver_.create_queue(context_);
  const uint64_t module = driver_.load_module(queue, standard_blob()).result;
  const Buffer args = driver_.make_buffer(context_, 4096);
  args.as<uint64_t>()[0] = data_.dva;
  args.as<uint64_t>()[1] = data_.dva + 32768;
  const uint64_t bad = 32768 + 1024 + 128;
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, bad)), NPU_ST_OK);
  EXPECT_EQ(run(copy(data_.dva + bad, other_.dva, 64)).status, NPU_ST_MEMORY_POISON);
  EXPECT_EQ(queue.run(launch(static_cast<uint32_t>(module), kRow, {4, 1, 1}, args.dva, 16)).status,
            NPU_ST_OK);
  EXPECT_EQ(run(copy(data_.dva + bad, other_.dva, 64)).status, NPU_ST_OK);
  EXPECT_EQ(other_.as<float>()[0], 1.0f);  // 0 * 2 + the number of the row
}

TEST_F(RasTest, OnlyAWholeGranuleIsMendedByAWrite) {
  const auto reads = [&] { return run(copy(data_.dva + 960, other_.dva, 64)).status; };
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, 960)), NPU_ST_OK);
  EXPECT_EQ(run(fill(data_.dva + 960, 63, 1, 1)).status, NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_MEMORY_POISON);
  EXPECT_EQ(run(fill(data_.dva + 900, 123, 1, 1)).status, NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_MEMORY_POISON);
  EXPECT_EQ(run(sem_signal(data_.dva + 960, 5)).status, NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_MEMORY_POISON);
  EXPECT_EQ(run(fill(data_.dva + 900, 124, 7, 1)).status, NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_OK);
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, 960)), NPU_ST_OK);
  EXPECT_EQ(run(copy(other_.dva, data_.dva + 960, 64)).status, NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_OK);
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, 960)), NPU_ST_OK);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_HBM_CLEAR, {offset(data_, 961), 63}), NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_MEMORY_POISON);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_HBM_CLEAR, {offset(data_, 960), 64}), NPU_ST_OK);
  EXPECT_EQ(reads(), NPU_ST_OK);
}

TEST_F(RasTest, PoisonSurvivesAReset) {
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, offset(data_, 0)), NPU_ST_OK);
  const uint64_t pa = data_.pa;
  reset();
  context_ = driver_.create_context();
  driver_.map(context_, 0x1'0000'0000, 64 * 1024, pa, NPU_PTE_WRITE);
  driver_.flush(context_);
  const Buffer host = driver_.make_buffer(context_, 4096, Place::kHost);
  npu_device_mmio_write(driver_.device(), 0, NPU_REG_IRQ_MASK, 4, NPU_IRQ_ALL);
  TestQueue queue = driver_.create_queue(context_);
  const uint64_t seq = queue.push(copy(0x1'0000'0000, host.dva, 8));
  queue.ring();
  EXPECT_EQ(queue.spin(seq).status, NPU_ST_MEMORY_POISON);
}

TEST_F(RasTest, ACommandInAPoisonedRingStopsItsQueue) {
  TestDriver::QueueOptions options;
  options.place = Place::kHbm;
  TestQueue queue = driver_.create_queue(context_, options);
  ASSERT_EQ(inject(NPU_INJECT_ECC_DBE, queue.ring_memory.pa + 64), NPU_ST_OK);
  EXPECT_EQ(queue.run(nop()).status, NPU_ST_OK);
  queue.push(nop());
  queue.ring();
  const npu_event_record event = driver_.wait_event(NPU_EVENT_QUEUE_FAULT);
  EXPECT_EQ(event.status, NPU_ST_MEMORY_POISON);
  EXPECT_EQ(event.address_dva, queue.ring_memory.dva + 64);
}

TEST(PoisonTest, RunsAreOfOneKind) {
  model::PoisonMap map;
  EXPECT_FALSE(map.any());
  ASSERT_TRUE(map.add(130));
  ASSERT_TRUE(map.add(192));
  bool poisoned = false;
  EXPECT_EQ(map.run(0, 1000, &poisoned), 128u);
  EXPECT_FALSE(poisoned);
  EXPECT_EQ(map.run(129, 1000, &poisoned), 127u);
  EXPECT_TRUE(poisoned);
  EXPECT_EQ(map.run(129, 10, &poisoned), 10u);
  EXPECT_EQ(map.run(256, 1000, &poisoned), 1000u);
  EXPECT_FALSE(poisoned);
  map.mend(128, 127);
  EXPECT_FALSE(map.holds(128));
  EXPECT_TRUE(map.holds(192));
  map.mend(1, 1000);
  EXPECT_FALSE(map.any());
}

class HangTest : public RasTest {
 protected:
  // Rings a command that hangs, and returns once the device has taken it.
  void start_hung(TestQueue& queue) {
    ASSERT_EQ(inject(NPU_INJECT_HANG, queue.id), NPU_ST_OK);
    queue.push(nop());
    queue.ring();
    const uint64_t number = queue.written;
    while (std::atomic_ref<__u64>(queue.ctrl()->fetched).load() < number) std::this_thread::yield();
  }
};

TEST_F(HangTest, AHungCommandObeysNothingButTheEndOfItsQueue) {
  TestQueue queue = driver_.create_queue(context_);
  TestQueue other = driver_.create_queue(context_);
  start_hung(queue);
  npu_device* device = driver_.device();
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG0, 8, queue.id);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUEUE_SUSPEND);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(driver_.reg(NPU_REG_MBOX_STATUS, 4), static_cast<uint64_t>(NPU_MBOX_BUSY));
  // The watchdog's question: something was submitted, nothing moves.
  uint64_t submitted = 0;
  uint64_t progress = 77;
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUBMITTED, {queue.id}, &submitted), NPU_ST_OK);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_PROGRESS, {queue.id}, &progress), NPU_ST_OK);
  EXPECT_EQ(submitted, 1u);
  EXPECT_EQ(progress, 0u);
  // What others ring meanwhile is known as well.
  const uint64_t seq = other.push(nop());
  other.ring();
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUBMITTED, {other.id}, &submitted), NPU_ST_OK);
  EXPECT_EQ(submitted, 1u);
  EXPECT_EQ(other.completed(), 0u);
  EXPECT_EQ(driver_.destroy_queue(queue), NPU_ST_OK);
  EXPECT_EQ(queue.completed(), 0u);
  EXPECT_EQ(other.wait(seq).status, NPU_ST_OK);
}

TEST_F(HangTest, AHangWaitsForItsQueue) {
  TestQueue queue = driver_.create_queue(context_);
  TestQueue other = driver_.create_queue(context_);
  ASSERT_EQ(inject(NPU_INJECT_HANG, queue.id), NPU_ST_OK);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(other.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(driver_.destroy_queue(queue), NPU_ST_OK);
}

TEST_F(HangTest, AResetEndsHungWork) {
  TestQueue queue = driver_.create_queue(context_);
  start_hung(queue);
  const auto begin = std::chrono::steady_clock::now();
  npu_device_reset(driver_.device());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(queue.state(), NPU_QUEUE_STATE_LOST);
  EXPECT_EQ(driver_.reg(NPU_REG_EPOCH, 4), 1u);
}

TEST_F(HangTest, SoDoesTheEndOfTheDevice) {
  TestQueue queue = driver_.create_queue(context_);
  ASSERT_EQ(inject(NPU_INJECT_HANG, ~0ull), NPU_ST_OK);
  queue.push(nop());
  queue.ring();
  while (std::atomic_ref<__u64>(queue.ctrl()->fetched).load() == 0) std::this_thread::yield();
}

TEST_F(RasTest, ResetsFromManyThreadsAreOneAfterTheOther) {
  TestQueue queue = driver_.create_queue(context_);
  ASSERT_EQ(inject(NPU_INJECT_HANG, queue.id), NPU_ST_OK);
  queue.push(nop());
  queue.ring();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { npu_device_reset(driver_.device()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
  EXPECT_GE(driver_.reg(NPU_REG_EPOCH, 4), 1u);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUIESCE, {}), NPU_ST_OK);
}

TEST_F(RasTest, LostInterruptsLeaveTheirStatusBit) {
  npu_device* device = driver_.device();
  const uint64_t before = driver_.interrupts(1);
  ASSERT_EQ(inject(NPU_INJECT_LOST_IRQ, 0, 2), NPU_ST_OK);
  for (int i = 0; i < 2; ++i) {
    npu_device_mmio_write(device, 0, NPU_REG_IRQ_STATUS, 4, NPU_IRQ_ALL);
    npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUIESCE);
    EXPECT_EQ(driver_.reg(NPU_REG_IRQ_STATUS, 4), NPU_IRQ_MAILBOX);
    EXPECT_EQ(driver_.interrupts(1), before);
  }
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUIESCE);
  EXPECT_EQ(driver_.interrupts(1), before + 1);
}

TEST_F(RasTest, SpuriousInterruptsReportNothing) {
  npu_device_mmio_write(driver_.device(), 0, NPU_REG_IRQ_MASK, 4, 0);
  const uint64_t before = driver_.interrupts(15);
  ASSERT_EQ(inject(NPU_INJECT_SPURIOUS_IRQ, 15, 3), NPU_ST_OK);
  EXPECT_EQ(driver_.interrupts(15), before + 3);
  EXPECT_EQ(driver_.reg(NPU_REG_IRQ_STATUS, 4) & NPU_IRQ_ERROR, 0u);
  EXPECT_EQ(next().type, 0u);
}

TEST_F(RasTest, AFirmwareAssertEndsAllWorkUntilAReset) {
  TestQueue hung = driver_.create_queue(context_);
  ASSERT_EQ(inject(NPU_INJECT_HANG, hung.id), NPU_ST_OK);
  hung.push(nop());
  hung.ring();
  while (std::atomic_ref<__u64>(hung.ctrl()->fetched).load() == 0) std::this_thread::yield();
  ASSERT_EQ(inject(NPU_INJECT_FW_ASSERT), NPU_ST_OK);
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_FAILED);
  EXPECT_EQ(driver_.reg(NPU_REG_FW_ABI, 4), 0u);
  const npu_error_record record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_FW_ASSERT));
  EXPECT_EQ(record.severity, static_cast<uint32_t>(NPU_SEVERITY_FATAL));
  EXPECT_NE(record.info[0], 0u);
  EXPECT_EQ(hung.state(), NPU_QUEUE_STATE_LOST);
  EXPECT_EQ(hung.ctrl()->error_status, NPU_ST_CANCELED);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_DESTROY, {hung.id}), NPU_ST_NOT_INITIALIZED);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_HBM_CLEAR, {0, 64}), NPU_ST_NOT_INITIALIZED);
  reset();
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUIESCE, {}), NPU_ST_OK);
}

TEST_F(RasTest, StalledMailboxCommandsNeverAnswer) {
  npu_device* device = driver_.device();
  ASSERT_EQ(inject(NPU_INJECT_MBOX_STALL, 0, 3), NPU_ST_OK);
  for (const uint32_t command : {NPU_MBOX_CONTEXT_CREATE, NPU_MBOX_HBM_CLEAR}) {
    npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG0, 8, 9);
    npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, command);
    EXPECT_EQ(driver_.reg(NPU_REG_MBOX_STATUS, 4), static_cast<uint64_t>(NPU_MBOX_BUSY));
  }
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUIESCE, {}), NPU_ST_TIMEOUT);
  // They had no effect, and the next one answers.
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_CONTEXT_DESTROY, {9}), NPU_ST_NOT_FOUND);
}

TEST_F(RasTest, AStalledMailboxRunsAgainAfterAReset) {
  npu_device* device = driver_.device();
  ASSERT_EQ(inject(NPU_INJECT_MBOX_STALL, 0, 1), NPU_ST_OK);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUIESCE);
  reset();
  EXPECT_EQ(driver_.reg(NPU_REG_MBOX_STATUS, 4), 0u);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUIESCE);
  EXPECT_EQ(driver_.reg(NPU_REG_MBOX_STATUS, 4), 0u);
  EXPECT_GT(driver_.reg(NPU_REG_MBOX_RESULT, 8), 0u);
}

TEST_F(RasTest, PassingTheWarningTemperatureIsReportedOnceAndThrottles) {
  EXPECT_EQ(metric(NPU_METRIC_THROTTLE_REASONS), 0);
  const int64_t before = metric(NPU_METRIC_TEMP_DIE);
  const int64_t warn = metric(NPU_METRIC_TEMP_WARN);
  const auto offset = static_cast<uint64_t>(warn + 1000 - before);
  ASSERT_EQ(inject(NPU_INJECT_TEMPERATURE, offset), NPU_ST_OK);
  npu_error_record record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_THERMAL));
  EXPECT_GT(static_cast<int64_t>(record.info[0]), warn);
  EXPECT_EQ(metric(NPU_METRIC_THROTTLE_REASONS), NPU_THROTTLE_THERMAL);
  EXPECT_GT(metric(NPU_METRIC_TEMP_DIE), warn);
  EXPECT_EQ(next().type, 0u);
  ASSERT_EQ(inject(NPU_INJECT_TEMPERATURE, 0), NPU_ST_OK);
  EXPECT_EQ(metric(NPU_METRIC_THROTTLE_REASONS), 0);
  ASSERT_EQ(inject(NPU_INJECT_TEMPERATURE, offset), NPU_ST_OK);
  record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_THERMAL));
}

TEST_F(RasTest, PassingTheShutdownTemperatureStopsTheDevice) {
  TestQueue queue = driver_.create_queue(context_);
  ASSERT_EQ(inject(NPU_INJECT_TEMPERATURE, 100'000), NPU_ST_OK);
  EXPECT_EQ(next().type, static_cast<uint32_t>(NPU_ERROR_THERMAL));
  const npu_error_record record = next();
  EXPECT_EQ(record.type, static_cast<uint32_t>(NPU_ERROR_THERMAL_STOP));
  EXPECT_EQ(record.severity, static_cast<uint32_t>(NPU_SEVERITY_FATAL));
  EXPECT_GT(static_cast<int64_t>(record.info[0]), 105'000);
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_FAILED);
  EXPECT_EQ(queue.state(), NPU_QUEUE_STATE_LOST);
  reset();  // it has cooled by then
  EXPECT_EQ(status(), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(metric(NPU_METRIC_THROTTLE_REASONS), 0);
}

TEST_F(RasTest, AColdSensorReadsBelowZero) {
  ASSERT_EQ(inject(NPU_INJECT_TEMPERATURE, static_cast<uint64_t>(-100'000)), NPU_ST_OK);
  EXPECT_LT(metric(NPU_METRIC_TEMP_DIE), 0);
}

}  // namespace
}  // namespace npu::test
