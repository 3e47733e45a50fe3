// SPDX-License-Identifier: Apache-2.0
// Two devices of one machine: what one reaches of the other's memory over the bus, and what becomes of it when the other
// leaves, moves or is reset.
#include <linux/pci_regs.h>

#include <chrono>

#include "firmware-model/vfio_user/bus.h"
#include "tests/unit/vfio_user/guest.h"

namespace npu::test {
namespace {

using Clock = std::chrono::steady_clock;
using model::vfio_user::Bus;

constexpr uint64_t kBar = 0x40'0000'0000;    // where the machine puts BAR2 of the second device
constexpr uint64_t kOther = 0x50'0000'0000;  // and where it puts it later
constexpr uint64_t kMapped = 16 << 20;       // of the BAR, in the first device's page tables
// What the second guest sees at hbm().
constexpr uint64_t kThere = Guest::kRamDva + kBar + Guest::kHbmOffset;

// One machine: two servers, one client each.
class OneBus : public VfioTest {
 protected:
  void SetUp() override {
    VfioTest::SetUp();
    second_path_ = folder_ + "/second.sock";
    UniqueFd listener = listen_at(second_path_);
    ASSERT_TRUE(listener.valid());
    std::string error;
    second_server_ =
        model::vfio_user::Server::create(options(), std::move(listener), "second", &error);
    ASSERT_NE(second_server_, nullptr) << error;
    second_server_->start();
    second_ram_ = make_memfd(kRamBytes);
    first_ = std::make_unique<ReplayClient>(realized());
    guest_ = std::make_unique<Guest>(*first_, ram_.get(), kRamBytes);
    ASSERT_TRUE(guest_->start());
    guest_->map_system(kBar, kMapped);
    first_->on_request = [this](const Packet& packet) { first_->reply(packet.header, {}, EFAULT); };
    plug_in();
  }
  void TearDown() override {
    first_.reset();
    second_.reset();
    second_server_.reset();
    VfioTest::TearDown();
  }
  model::vfio_user::FunctionOptions options() override {
    model::vfio_user::FunctionOptions options = small_options();
    options.bus = bus_;
    return options;
  }

  void plug_in() {
    second_ = std::make_unique<ReplayClient>(ReplayClient::connect(second_path_));
    ASSERT_TRUE(second_->realize(second_ram_.get(), kRamBytes)) << second_->realize_step();
    other_ = std::make_unique<Guest>(*second_, second_ram_.get(), kRamBytes);
    ASSERT_TRUE(other_->start());
  }
  static void command(ReplayClient& client, uint16_t bits) {
    ASSERT_EQ(client.write(wire::kConfig, PCI_COMMAND, bytes_of(bits)), 0);
  }
  static void place(ReplayClient& client, uint64_t base) {
    command(client, 0);
    const uint32_t at = PCI_BASE_ADDRESS_0 + 4 * NPU_BAR_HBM;
    ASSERT_EQ(client.write(wire::kConfig, at, bytes_of(base)), 0);
    command(client, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  }
  uint64_t bar_bytes() { return second_->region_bytes[wire::kBar2]; }
  // As a machine does it: the BAR gets its address, then the monitor tells the other devices.
  void place_and_tell(uint64_t base = kBar) {
    place(*second_, base);
    ASSERT_EQ(first_->map(base, bar_bytes()), 0);
  }
  int copy_there(uint64_t bytes = 4096) {
    return guest_->run(copy(Guest::kHbmDva, kThere, bytes)).status;
  }
  // Until the first device has heard that the second one is gone: the server tells it by a thread of its own.
  int status_in_the_end(int wanted) {
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    int status = copy_there();
    while (status != wanted && Clock::now() < give_up) status = copy_there();
    return status;
  }
  // The queue has stopped at a fault: a new one.
  void start_again() {
    ASSERT_EQ(first_->reset(), 0);
    ASSERT_TRUE(guest_->start());
    guest_->map_system(kBar, kMapped);
  }

  std::shared_ptr<Bus> bus_ = std::make_shared<Bus>();
  std::string second_path_;
  std::unique_ptr<model::vfio_user::Server> second_server_;
  UniqueFd second_ram_;
  std::unique_ptr<ReplayClient> first_;
  std::unique_ptr<ReplayClient> second_;
  std::unique_ptr<Guest> guest_;
  std::unique_ptr<Guest> other_;
};

TEST_F(OneBus, CopiesReachTheMemoryOfTheOtherDevice) {
  place_and_tell();
  constexpr uint64_t kBytes = 3 << 20;
  for (uint64_t i = 0; i < kBytes; ++i) guest_->hbm()[i] = static_cast<std::byte>(i * 11 >> 4);
  EXPECT_EQ(copy_there(kBytes), NPU_ST_OK);
  EXPECT_EQ(std::memcmp(other_->hbm(), guest_->hbm(), kBytes), 0);
  std::memset(other_->hbm(), 0x6b, kBytes);
  EXPECT_EQ(guest_->run(copy(kThere, Guest::kHbmDva, kBytes)).status, NPU_ST_OK);
  EXPECT_EQ(std::memcmp(other_->hbm(), guest_->hbm(), kBytes), 0);
  EXPECT_EQ(guest_->run(fill(kThere + 64, 64, 7, 8)).status, NPU_ST_OK);
  EXPECT_EQ(other_->hbm()[64], std::byte{7});
  EXPECT_EQ(first_->requests(), 0u);
}

TEST_F(OneBus, KernelsReachItAtTheSpeedOfTheLink) {
  place_and_tell();
  const isa::Program programs[] = {row_kernel()};
  const std::vector<uint8_t> blob = signed_blob(programs);
  std::memcpy(guest_->ram() + Guest::kFirstFreeIova, blob.data(), blob.size());
  npu_cmd_module load{};
  load.op = NPU_CMD_MODULE_LOAD;
  load.blob_dva = Guest::kRamDva + Guest::kFirstFreeIova;
  load.blob_bytes = blob.size();
  const npu_completion loaded = guest_->run(load);
  ASSERT_EQ(loaded.status, NPU_ST_OK);
  constexpr uint32_t kGroups = 16;
  constexpr uint32_t kElements = kGroups * kRowElements;
  auto* in = reinterpret_cast<float*>(other_->hbm());
  for (uint32_t i = 0; i < kElements; ++i) in[i] = static_cast<float>(i);
  constexpr uint64_t kOut = 1 << 20;
  const auto ticks = [&](uint64_t src, uint64_t dst) {
    const uint64_t args[] = {src, dst};
    std::memcpy(guest_->ram() + Guest::kFirstFreeIova, args, sizeof(args));
    const auto module = static_cast<uint32_t>(loaded.result);
    const uint64_t args_dva = Guest::kRamDva + Guest::kFirstFreeIova;
    const npu_completion end =
        guest_->run(launch(module, 0, {kGroups, 1, 1}, args_dva, sizeof(args)));
    EXPECT_EQ(end.status, NPU_ST_OK);
    return end.end_ps - end.start_ps;
  };
  const uint64_t far = ticks(kThere, kThere + kOut);
  const auto* out = reinterpret_cast<const float*>(other_->hbm() + kOut);
  for (uint32_t i = 0; i < kElements; ++i) {
    ASSERT_EQ(out[i], in[i] * 2 + static_cast<float>(i / kRowElements)) << i;
  }
  const uint64_t near = ticks(Guest::kHbmDva, Guest::kHbmDva + kOut);
  constexpr uint64_t kHost = Guest::kRamDva + (16 << 20);
  EXPECT_EQ(far, ticks(kHost, kHost + kOut));
  EXPECT_GT(far, near);
}

TEST_F(OneBus, NothingBehindTheEndIsReached) {
  place(*second_, kBar);
  ASSERT_EQ(first_->map(kBar, bar_bytes() + 0x10000), 0);
  EXPECT_EQ(copy_there(), NPU_ST_VM_FAULT);
  EXPECT_GT(first_->requests(), 0u);
}

TEST_F(OneBus, NothingIsReachedThatTheMonitorHasNotMapped) {
  place(*second_, kBar);
  EXPECT_EQ(copy_there(), NPU_ST_VM_FAULT);
  start_again();
  ASSERT_EQ(first_->map(kBar, Guest::kHbmOffset + 4096), 0);
  EXPECT_EQ(copy_there(), NPU_ST_OK);
  EXPECT_EQ(copy_there(4097), NPU_ST_VM_FAULT);
}

TEST_F(OneBus, AReadOnlyMapIsNotWritten) {
  place(*second_, kBar);
  ASSERT_EQ(first_->map(kBar, bar_bytes(), -1, 0, wire::kMapRead), 0);
  EXPECT_EQ(guest_->run(copy(kThere, Guest::kHbmDva, 4096)).status, NPU_ST_OK);
  std::memset(guest_->hbm(), 0x11, 4096);
  EXPECT_EQ(copy_there(), NPU_ST_VM_FAULT);
  EXPECT_EQ(other_->hbm()[0], std::byte{0});
}

TEST_F(OneBus, ADeviceDoesNotReachItselfThatWay) {
  place(*first_, kBar);
  ASSERT_EQ(first_->map(kBar, first_->region_bytes[wire::kBar2]), 0);
  EXPECT_EQ(copy_there(), NPU_ST_VM_FAULT);
  EXPECT_EQ(first_->requests(), 0u);
}

// The engine is in the middle of long copies when the machine of the other device goes.
TEST_F(OneBus, ADeviceThatLeavesCostsTheCommandNotTheServer) {
  for (int round = 0; round < 5; ++round) {
    place_and_tell();
    uint64_t last = 0;
    std::memset(guest_->hbm(), 0x5a, Guest::kHbmBytes - Guest::kHbmOffset);
    for (int i = 0; i < 40; ++i) last = guest_->submit(copy(Guest::kHbmDva, kThere, 8 << 20));
    const volatile std::byte* arriving = other_->hbm();
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    while (*arriving == std::byte{0} && Clock::now() < give_up) {
    }
    second_.reset();
    while (second_server_->connected()) usleep(1000);
    guest_->wait(last);
    EXPECT_EQ(guest_->state(), NPU_QUEUE_STATE_FAULTED);
    EXPECT_EQ(guest_->ctrl()->error_status, NPU_ST_VM_FAULT);
    EXPECT_EQ(first_->unmap(kBar, first_->region_bytes[wire::kBar2]), 0);
    start_again();
    EXPECT_EQ(guest_->run(copy(Guest::kHbmDva, Guest::kHbmDva + (8 << 20), 4096)).status,
              NPU_ST_OK);
    plug_in();
    // The next client finds memory of its own.
    EXPECT_EQ(other_->hbm()[0], std::byte{0});
  }
}

TEST_F(OneBus, WhereItMovesTheMonitorSays) {
  place_and_tell();
  EXPECT_EQ(copy_there(), NPU_ST_OK);
  place(*second_, kOther);
  EXPECT_EQ(status_in_the_end(NPU_ST_VM_FAULT), NPU_ST_VM_FAULT);
  EXPECT_EQ(first_->unmap(kBar, bar_bytes()), 0);
  start_again();
  guest_->map_system(kOther, kMapped);
  ASSERT_EQ(first_->map(kOther, bar_bytes()), 0);
  std::memset(guest_->hbm(), 0x21, 4096);
  const uint64_t there = Guest::kRamDva + kOther + Guest::kHbmOffset;
  EXPECT_EQ(guest_->run(copy(Guest::kHbmDva, there, 4096)).status, NPU_ST_OK);
  EXPECT_EQ(other_->hbm()[4095], std::byte{0x21});
}

TEST_F(OneBus, AResetOfTheFunctionTakesItsAddress) {
  place_and_tell();
  EXPECT_EQ(copy_there(), NPU_ST_OK);
  ASSERT_EQ(second_->reset(), 0);
  EXPECT_EQ(status_in_the_end(NPU_ST_VM_FAULT), NPU_ST_VM_FAULT);
}

// The monitor need not say again what has not changed for it: the address has its device back.
TEST_F(OneBus, AfterAResetTheSameAddressIsReachedAsBefore) {
  place_and_tell();
  ASSERT_EQ(second_->reset(), 0);
  EXPECT_EQ(status_in_the_end(NPU_ST_VM_FAULT), NPU_ST_VM_FAULT);
  place(*second_, kBar);
  std::memset(guest_->hbm(), 0x51, 4096);
  const auto give_up = Clock::now() + std::chrono::seconds(20);
  do {
    start_again();
  } while (copy_there() != NPU_ST_OK && Clock::now() < give_up);
  EXPECT_EQ(other_->hbm()[4095], std::byte{0x51});
  const uint64_t asked = first_->requests();
  EXPECT_EQ(copy_there(1 << 20), NPU_ST_OK);
  EXPECT_EQ(first_->requests(), asked);
}

// Told of before the device answers there: no accesses in band for the rest of its life.
TEST_F(OneBus, ARangeThatIsMappedBeforeTheDeviceIsThere) {
  ASSERT_EQ(first_->map(kBar, bar_bytes()), 0);
  EXPECT_EQ(copy_there(), NPU_ST_VM_FAULT);
  place(*second_, kBar);
  const auto give_up = Clock::now() + std::chrono::seconds(20);
  do {
    start_again();
  } while (copy_there() != NPU_ST_OK && Clock::now() < give_up);
  const uint64_t asked = first_->requests();
  EXPECT_EQ(copy_there(1 << 20), NPU_ST_OK);
  EXPECT_EQ(first_->requests(), asked);
}

TEST_F(OneBus, AResetByItsDriverLeavesItsMemoryThere) {
  place_and_tell();
  second_->write32(wire::kBar0, NPU_REG_CONTROL, NPU_CONTROL_RESET);
  std::memset(guest_->hbm(), 0x31, 4096);
  EXPECT_EQ(copy_there(), NPU_ST_OK);
  EXPECT_EQ(other_->hbm()[0], std::byte{0x31});
}

TEST_F(OneBus, BothReachEachOtherAtTheSameTime) {
  place_and_tell();
  place(*first_, kOther);
  ASSERT_EQ(second_->map(kOther, bar_bytes()), 0);
  other_->map_system(kOther, kMapped);
  std::memset(guest_->hbm(), 0x41, 1 << 20);
  std::memset(other_->hbm() + (2 << 20), 0x42, 1 << 20);
  const uint64_t here = Guest::kRamDva + kOther + Guest::kHbmOffset;
  const uint64_t one = guest_->submit(copy(Guest::kHbmDva, kThere, 1 << 20));
  const uint64_t two = other_->submit(copy(Guest::kHbmDva + (2 << 20), here + (2 << 20), 1 << 20));
  EXPECT_EQ(guest_->wait(one).status, NPU_ST_OK);
  EXPECT_EQ(other_->wait(two).status, NPU_ST_OK);
  EXPECT_EQ(other_->hbm()[(1 << 20) - 1], std::byte{0x41});
  EXPECT_EQ(guest_->hbm()[2 << 20], std::byte{0x42});
}

// Without a bus the monitor is asked, as for all memory that comes without a descriptor.
class NoBus : public OneBus {
 protected:
  void SetUp() override {
    bus_ = nullptr;
    OneBus::SetUp();
  }
};

TEST_F(NoBus, TheMonitorIsAsked) {
  place_and_tell();
  EXPECT_EQ(copy_there(), NPU_ST_VM_FAULT);
  EXPECT_GT(first_->requests(), 0u);
  EXPECT_EQ(other_->hbm()[0], std::byte{0});
}

}  // namespace
}  // namespace npu::test
