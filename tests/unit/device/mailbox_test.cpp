// SPDX-License-Identifier: Apache-2.0
// Registers, mailbox, interrupts, and the life of queues and contexts, including those of a driver
// that makes every mistake.
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

struct Access {
  int status;
  uint64_t value;
};

Access read(const TestDriver& driver, uint64_t offset, uint32_t bytes, uint32_t bar = 0) {
  Access access{};
  access.status = npu_device_mmio_read(driver.device(), bar, offset, bytes, &access.value);
  return access;
}

TEST(RegisterTest, EachRowOfTheTableReadsWithItsOwnWidthOnly) {
  TestDriver driver;
  const auto check = [&](uint64_t offset, uint32_t bits) {
    EXPECT_EQ(read(driver, offset, bits / 8).status, 0) << offset;
    EXPECT_EQ(read(driver, offset, 4).status, 0) << offset;
    const bool wide = bits == 64;
    EXPECT_EQ(read(driver, offset, 8).status, wide && offset % 8 == 0 ? 0 : -1) << offset;
    EXPECT_TRUE(!wide || read(driver, offset + 4, 4).status == 0) << offset;
    EXPECT_EQ(read(driver, offset, 1).status, -1);
    EXPECT_EQ(read(driver, offset, 2).status, -1);
    EXPECT_EQ(read(driver, offset + 1, 4).status, -1);
    EXPECT_EQ(read(driver, offset + 2, 4).status, -1);
  };
#define NPU_REG(offset, bits, NAME, access, reset, doc) check(offset, bits);
#include "uapi/spec/regs.def"
}

TEST(RegisterTest, WhereNothingIsReadsGiveAllOnes) {
  TestDriver driver;
  for (const uint64_t offset : {0x068ull, 0x160ull, 0x1000ull, 0x100000ull, ~0ull}) {
    const Access access = read(driver, offset, 4);
    EXPECT_EQ(access.status, -1) << offset;
    EXPECT_EQ(access.value, ~0ull);
    if (offset != 0x100000) {
      EXPECT_EQ(npu_device_mmio_write(driver.device(), 0, offset, 4, 1), -1) << offset;
    }
  }
  for (const uint32_t bar : {1u, 3u, 4u, 77u}) EXPECT_EQ(read(driver, 0, 4, bar).status, -1);
}

TEST(RegisterTest, IdentityAndSizesAreThoseOfTheProfile) {
  TestDriver driver;
  EXPECT_EQ(driver.reg(NPU_REG_ID, 4), 0x4e505530u);
  EXPECT_EQ(driver.reg(NPU_REG_STATUS, 4), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(driver.reg(NPU_REG_PLATFORM, 4), NPU_PLATFORM_MODEL);
  EXPECT_EQ(driver.reg(NPU_REG_CLUSTERS, 4), 2u);
  EXPECT_EQ(driver.reg(NPU_REG_HBM_BYTES, 8), 64u << 20);
  EXPECT_EQ(read(driver, NPU_REG_HBM_BYTES, 4).value, 64u << 20);
  EXPECT_EQ(read(driver, NPU_REG_HBM_BYTES + 4, 4).value, 0u);
  // Read-only registers keep their value.
  EXPECT_EQ(npu_device_mmio_write(driver.device(), 0, NPU_REG_ID, 4, 0), 0);
  EXPECT_EQ(driver.reg(NPU_REG_ID, 4), 0x4e505530u);
}

TEST(RegisterTest, HalvesOfA64BitArgumentAreWrittenSeparately) {
  TestDriver driver;
  npu_device_mmio_write(driver.device(), 0, NPU_REG_MBOX_ARG3, 4, 0x11111111);
  npu_device_mmio_write(driver.device(), 0, NPU_REG_MBOX_ARG3 + 4, 4, 0x22222222);
  EXPECT_EQ(driver.reg(NPU_REG_MBOX_ARG3, 8), 0x2222222211111111u);
}

TEST(RegisterTest, TheHbmBarIsTheDeviceMemory) {
  TestDriver driver;
  EXPECT_EQ(npu_device_mmio_write(driver.device(), NPU_BAR_HBM, 4096, 8, 0x1122334455667788), 0);
  EXPECT_EQ(read(driver, 4098, 2, NPU_BAR_HBM).value, 0x5566u);
  EXPECT_EQ(read(driver, 4097, 2, NPU_BAR_HBM).status, -1);
  EXPECT_EQ(read(driver, 64 << 20, 4, NPU_BAR_HBM).status, -1);
  EXPECT_EQ(read(driver, (64 << 20) - 4, 4, NPU_BAR_HBM).status, 0);
}

TEST(MailboxTest, ContextsAreCheckedAndCounted) {
  TestDriver driver;
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_CREATE, {256, 0}), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_CREATE, {1, 8}), NPU_ST_UNALIGNED);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_CREATE, {1, 64 << 20}), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_CREATE, {1, ~0ull << 12}), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_CREATE, {1, 4096}), NPU_ST_OK);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_CREATE, {1, 4096}), NPU_ST_BUSY);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_TLB_FLUSH, {1}), NPU_ST_OK);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_TLB_FLUSH, {2}), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_DESTROY, {1}), NPU_ST_OK);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_DESTROY, {1}), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver.mailbox(0, {}), NPU_ST_NOT_SUPPORTED);
  EXPECT_EQ(driver.mailbox(999, {}), NPU_ST_NOT_SUPPORTED);
}

TEST(MailboxTest, EachWrongArgumentOfQueueCreateIsRefused) {
  TestDriver driver;
  const uint32_t context = driver.create_context();
  const Buffer ring = driver.make_buffer(context, 64 * 1024);
  const Buffer ctrl = driver.make_buffer(context, 64 * 1024);
  const auto create = [&](std::array<uint64_t, 7> args) {
    return driver.mailbox(NPU_MBOX_QUEUE_CREATE,
                          {args[0], args[1], args[2], args[3], args[4], args[5], args[6]});
  };
  const std::array<uint64_t, 7> good = {5, context, ring.dva, ctrl.dva, 6 | 1 << 8, 3, 0};
  const auto with = [&](size_t index, uint64_t value) {
    auto args = good;
    args[index] = value;
    return create(args);
  };
  EXPECT_EQ(with(0, 1024), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(1, 200), NPU_ST_NOT_FOUND);
  EXPECT_EQ(with(1, ~0ull), NPU_ST_NOT_FOUND);
  EXPECT_EQ(with(2, ring.dva + 64), NPU_ST_UNALIGNED);
  EXPECT_EQ(with(3, ctrl.dva + 64), NPU_ST_UNALIGNED);
  EXPECT_EQ(with(3, 0x10000), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(with(2, 0ull - 4096), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(with(4, 5 | 1 << 8), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(4, 17 | 1 << 8), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(4, 6 | 3 << 8), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(4, 6 | 2 << 16), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(4, 6 | 3 << 16), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(4, 6 | 1ull << 25), NPU_ST_RESERVED_NOT_ZERO);
  EXPECT_EQ(with(5, 512), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(5, 256ull << 16), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(with(5, ~0ull), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(create(good), NPU_ST_OK);
  EXPECT_EQ(create(good), NPU_ST_BUSY);
  EXPECT_EQ(with(0, 6), NPU_ST_BUSY);  // the doorbell slot is taken
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_DESTROY, {context}), NPU_ST_BUSY);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_QUEUE_PRIORITY, {5, 3}), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_QUEUE_PRIORITY, {5, 2}), NPU_ST_OK);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_QUEUE_DESTROY, {5}), NPU_ST_OK);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_QUEUE_DESTROY, {5}), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_CONTEXT_DESTROY, {context}), NPU_ST_OK);
}

TEST(MailboxTest, TheRegistersRunTheSameCommandsWithAnInterrupt) {
  TestDriver driver;
  npu_device* device = driver.device();
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG0, 8, 7);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG1, 8, 8192);
  const uint64_t before = driver.interrupts(1);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_CONTEXT_CREATE);
  EXPECT_EQ(driver.reg(NPU_REG_MBOX_STATUS, 4), 0u);
  EXPECT_EQ(driver.interrupts(1), before + 1);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_CONTEXT_CREATE);
  EXPECT_EQ(static_cast<int32_t>(driver.reg(NPU_REG_MBOX_STATUS, 4)), NPU_ST_BUSY);
  EXPECT_EQ(driver.reg(NPU_REG_IRQ_STATUS, 4) & NPU_IRQ_MAILBOX, NPU_IRQ_MAILBOX);
  npu_device_mmio_write(device, 0, NPU_REG_IRQ_STATUS, 4, NPU_IRQ_MAILBOX);
  EXPECT_EQ(driver.reg(NPU_REG_IRQ_STATUS, 4), 0u);
}

TEST(MailboxTest, AMaskedInterruptComesWhenItIsUnmasked) {
  TestDriver driver;
  npu_device* device = driver.device();
  npu_device_mmio_write(device, 0, NPU_REG_IRQ_MASK, 4, 0);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUIESCE);
  EXPECT_EQ(driver.interrupts(1), 0u);
  npu_device_mmio_write(device, 0, NPU_REG_IRQ_MASK, 4, NPU_IRQ_MAILBOX);
  EXPECT_EQ(driver.interrupts(1), 1u);
}

TEST(MailboxTest, HbmClearZeroesExactlyItsRange) {
  TestDriver driver;
  auto* hbm = static_cast<uint8_t*>(driver.hbm());
  const uint64_t first = 1'000'003;
  const uint64_t bytes = 5'000'001;
  std::memset(hbm + first - 100, 0xaa, bytes + 200);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_HBM_CLEAR, {first, bytes}), NPU_ST_OK);
  for (uint64_t i = first - 100; i < first; ++i) ASSERT_EQ(hbm[i], 0xaa);
  for (uint64_t i = first; i < first + bytes; ++i) ASSERT_EQ(hbm[i], 0);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_EQ(hbm[first + bytes + i], 0xaa);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_HBM_CLEAR, {64 << 20, 1}), NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_HBM_CLEAR, {0, ~0ull}), NPU_ST_INVALID_ADDRESS);
}

TEST(MailboxTest, TheEventRingIsCheckedAndAnnouncesLosses) {
  DriverOptions options;
  options.event_entries = 0;
  TestDriver driver(options);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_EVENT_RING, {0, 3}), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_EVENT_RING, {8, 4}), NPU_ST_UNALIGNED);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_EVENT_RING, {~0ull << 6, 16}), NPU_ST_OVERFLOW);
  // An address that the driver never gave: events are lost, nothing else happens.
  EXPECT_EQ(driver.mailbox(NPU_MBOX_EVENT_RING, {0x1000, 16}), NPU_ST_OK);
  const uint32_t context = driver.create_context();
  TestQueue queue = driver.create_queue(context);
  EXPECT_EQ(queue.run(fill(0x10000, 8, 0, 8)).status, NPU_ST_VM_FAULT);
}

class QueueLifeTest : public testing::Test {
 protected:
  QueueLifeTest() {
    module_ = static_cast<uint32_t>(driver_.load_module(queue_, standard_blob()).result);
    driver_.mailbox(NPU_MBOX_QUEUE_PRIORITY, {queue_.id, NPU_PRIO_NORMAL});
  }
  npu_cmd_launch endless() const { return launch(module_, kEndless, {1, 1, 1}, 0, 0); }
  // Starts an endless kernel and returns once it runs.
  void start_endless(TestQueue& queue) {
    queue.push(endless());
    queue.ring();
    const uint64_t number = queue.written;
    while (std::atomic_ref<__u64>(queue.ctrl()->fetched).load() < number) std::this_thread::yield();
  }

  TestDriver driver_{[] {
    DriverOptions options;
    options.worker_threads = 2;
    return options;
  }()};
  uint32_t context_ = driver_.create_context();
  TestQueue queue_ = driver_.create_queue(context_);
  uint32_t module_ = 0;
};

TEST_F(QueueLifeTest, DestroyCancelsWhatRuns) {
  start_endless(queue_);
  EXPECT_EQ(driver_.destroy_queue(queue_), NPU_ST_OK);
  const npu_queue_ctrl after = *queue_.ctrl();
  EXPECT_EQ(after.completed, 1u);  // the load of the module
  TestQueue next = driver_.create_queue(context_);
  EXPECT_EQ(next.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(std::memcmp(&after, queue_.ctrl(), sizeof(after)), 0);
}

TEST_F(QueueLifeTest, ThroughTheRegistersASuspendCanBeFollowedByADestroy) {
  start_endless(queue_);
  npu_device* device = driver_.device();
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_ARG0, 8, queue_.id);
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUEUE_SUSPEND);
  EXPECT_EQ(driver_.reg(NPU_REG_MBOX_STATUS, 4), static_cast<uint64_t>(NPU_MBOX_BUSY));
  npu_device_mmio_write(device, 0, NPU_REG_MBOX_CMD, 4, NPU_MBOX_QUEUE_DESTROY);
  EXPECT_TRUE(driver_.wait_until([&] { return driver_.reg(NPU_REG_MBOX_STATUS, 4) == 0; }));
  TestQueue next = driver_.create_queue(context_);
  EXPECT_EQ(next.run(nop()).status, NPU_ST_OK);
}

TEST_F(QueueLifeTest, ASuspendedQueueRunsNothingUntilItIsResumed) {
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUSPEND, {queue_.id}), NPU_ST_OK);
  EXPECT_EQ(queue_.state(), NPU_QUEUE_STATE_SUSPENDED);
  const uint64_t seq = queue_.push(nop());
  queue_.ring();
  TestQueue other = driver_.create_queue(context_);
  for (int i = 0; i < 20; ++i) other.run(nop());
  EXPECT_EQ(queue_.completed(), seq);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_RESUME, {queue_.id}), NPU_ST_OK);
  EXPECT_EQ(queue_.wait(seq).status, NPU_ST_OK);
  EXPECT_EQ(queue_.state(), NPU_QUEUE_STATE_READY);
  uint64_t progress = 0;
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_PROGRESS, {queue_.id}, &progress), NPU_ST_OK);
  EXPECT_EQ(progress, seq + 1);
}

TEST_F(QueueLifeTest, HigherPriorityGoesFirst) {
  TestDriver::QueueOptions low_options;
  low_options.priority = NPU_PRIO_LOW;
  TestDriver::QueueOptions high_options;
  high_options.priority = NPU_PRIO_HIGH;
  TestQueue low = driver_.create_queue(context_, low_options);
  TestQueue high = driver_.create_queue(context_, high_options);
  const Buffer word = driver_.make_buffer(context_, 4096);
  // All three have work before the device may start: each appends its digit.
  for (TestQueue* queue : {&low, &queue_, &high}) {
    EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUSPEND, {queue->id}), NPU_ST_OK);
    queue->push(sem_signal(word.dva + 8, 1, NPU_SEM_ADD));
    queue->push(copy(word.dva + 8, word.dva + 64 + 8 * queue->id, 8));
    queue->ring();
  }
  TestQueue gate = driver_.create_queue(context_, high_options);
  start_endless(gate);
  for (TestQueue* queue : {&low, &queue_, &high}) {
    EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_RESUME, {queue->id}), NPU_ST_OK);
  }
  EXPECT_EQ(driver_.destroy_queue(gate), NPU_ST_OK);
  low.wait(1);
  const auto words = word.as<uint64_t>();
  EXPECT_EQ(words[8 + high.id], 1u);
  EXPECT_EQ(words[8 + queue_.id], 2u);
  EXPECT_EQ(words[8 + low.id], 3u);
}

TEST_F(QueueLifeTest, QueuesOfOnePriorityTakeTurns) {
  TestQueue other = driver_.create_queue(context_);
  const Buffer words = driver_.make_buffer(context_, 4096);
  for (TestQueue* queue : {&queue_, &other}) {
    EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUSPEND, {queue->id}), NPU_ST_OK);
    for (int i = 0; i < 8; ++i) {
      queue->push(sem_signal(words.dva, 1, NPU_SEM_ADD));
      queue->push(copy(words.dva, words.dva + 64 + 256 * (queue == &other) + 8 * i, 8));
    }
    queue->ring();
  }
  TestQueue gate = driver_.create_queue(context_);
  start_endless(gate);
  for (TestQueue* queue : {&queue_, &other}) {
    driver_.mailbox(NPU_MBOX_QUEUE_RESUME, {queue->id});
  }
  driver_.destroy_queue(gate);
  queue_.wait(queue_.written - 1);
  other.wait(other.written - 1);
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(words.as<uint64_t>()[8 + i], 2u * i + 2);
    EXPECT_EQ(words.as<uint64_t>()[40 + i], 2u * i + 2);
  }
}

TEST_F(QueueLifeTest, QuiesceIsReachedAtOnceWhenIdleAndAfterTheCommandElse) {
  uint64_t ticket = 0;
  const auto reached = [&] { return driver_.reg(NPU_REG_QUIESCED, 8) >= ticket; };
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUIESCE, {}, &ticket), NPU_ST_OK);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!reached() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(reached());
  start_endless(queue_);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUIESCE, {}, &ticket), NPU_ST_OK);
  EXPECT_FALSE(reached());
  EXPECT_EQ(driver_.destroy_queue(queue_), NPU_ST_OK);
  EXPECT_TRUE(reached());
}

TEST_F(QueueLifeTest, AResetLosesEverythingAndTheDeviceGoesOn) {
  TestQueue idle = driver_.create_queue(context_);
  start_endless(queue_);
  npu_device_mmio_write(driver_.device(), 0, NPU_REG_CONTROL, 4, 1);
  EXPECT_EQ(driver_.reg(NPU_REG_STATUS, 4), NPU_DEVICE_STATUS_READY);
  EXPECT_EQ(driver_.reg(NPU_REG_EPOCH, 4), 1u);
  EXPECT_EQ(queue_.state(), NPU_QUEUE_STATE_LOST);
  EXPECT_EQ(idle.state(), NPU_QUEUE_STATE_LOST);
  EXPECT_EQ(driver_.destroy_queue(queue_), NPU_ST_NOT_FOUND);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_CONTEXT_DESTROY, {context_}), NPU_ST_NOT_FOUND);
  npu_device_mmio_write(driver_.device(), 0, NPU_REG_IRQ_MASK, 4, 7);
  const uint32_t context = driver_.create_context();
  TestQueue queue = driver_.create_queue(context);
  const uint64_t seq = queue.push(nop());
  queue.ring();
  EXPECT_EQ(queue.spin(seq).status, NPU_ST_OK);
}

TEST_F(QueueLifeTest, SharedDoorbellsWorkLikeRegisters) {
  DriverOptions options;
  options.shared_doorbells = true;
  TestDriver driver(options);
  const uint32_t context = driver.create_context();
  TestQueue queue = driver.create_queue(context);
  for (int i = 0; i < 500; ++i) ASSERT_EQ(queue.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(npu_device_set_doorbells(driver.device(), 0, nullptr, nullptr), 0);
  EXPECT_EQ(npu_device_set_doorbells(driver.device(), 256, nullptr, nullptr), -1);
  EXPECT_EQ(npu_device_set_doorbells(driver.device(), 0, &options, nullptr), -1);
  // The registers serve the page again.
  const uint64_t seq = queue.push(nop());
  npu_device_mmio_write(driver.device(), 0, NPU_BAR0_DOORBELLS + 8 * queue.doorbell_slot, 8,
                        queue.written);
  EXPECT_EQ(queue.wait(seq).status, NPU_ST_OK);
}

TEST(DeviceTest, ConfigurationsThatCannotWorkAreRefusedWithASentence) {
  npu_device_config config{};
  npu_device_ports ports{};
  ports.host_memory = [](void*, uint64_t, int, uint64_t*) -> void* { return nullptr; };
  char error[200];
  const auto refused = [&](const npu_device_config& candidate) {
    error[0] = 0;
    npu_device* device = npu_device_create(&candidate, &ports, error, sizeof(error));
    if (device != nullptr) npu_device_destroy(device);
    return device == nullptr && std::strlen(error) > 20;
  };
  config.struct_size = sizeof(config);
  config.profile = small_profile();
  EXPECT_FALSE(refused(config));
  const auto with = [&](auto change) {
    npu_device_config candidate = config;
    change(candidate);
    return refused(candidate);
  };
  EXPECT_TRUE(with([](auto& c) { c.struct_size = 4; }));
  EXPECT_TRUE(with([](auto& c) { c.pad1 = 1; }));
  EXPECT_TRUE(with([](auto& c) { c.key_count = 1; }));
  EXPECT_TRUE(with([](auto& c) { c.max_contexts = 65536; }));
  EXPECT_TRUE(with([](auto& c) { c.profile.clusters = 0; }));
  EXPECT_TRUE(with([](auto& c) { c.profile.clusters = c.profile.tiles_per_cluster = ~0u; }));
  EXPECT_TRUE(with([](auto& c) { c.profile.core_clock_khz = 0; }));
  EXPECT_TRUE(with([](auto& c) { c.profile.hbm_bytes = 4097; }));
  EXPECT_TRUE(with([](auto& c) { c.profile.hbm_bytes = ~0ull << 21; }));
  EXPECT_EQ(npu_device_create(nullptr, nullptr, error, sizeof(error)), nullptr);
}

TEST(DeviceTest, SixtyFourGibibytesCostNothingUntilTheyAreUsed) {
  DriverOptions options;
  options.profile.hbm_bytes = uint64_t{64} << 30;
  TestDriver driver(options);
  EXPECT_EQ(driver.reg(NPU_REG_HBM_BYTES, 8), uint64_t{64} << 30);
  EXPECT_EQ(driver.mailbox(NPU_MBOX_HBM_CLEAR, {uint64_t{63} << 30, 64 << 20}), NPU_ST_OK);
}

}  // namespace
}  // namespace npu::test
