// SPDX-License-Identifier: Apache-2.0
// DMA maps with descriptors: what is accepted, what the device reaches, and what it does not reach
// any more after an unmap or when a file shrinks.
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/unit/vfio_user/guest.h"

namespace npu::test {
namespace {

using Clock = std::chrono::steady_clock;
// The client's patience with a message.
constexpr auto kMessageTimeout = std::chrono::seconds(5);

using Memory = VfioTest;

TEST_F(Memory, RefusesMapsThatMakeNoSense) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  constexpr uint64_t kPage = 4096;
  const int fd = ram_.get();
  EXPECT_EQ(client.map(0, 0, fd), EINVAL);
  EXPECT_EQ(client.map(1, kPage, fd), EINVAL);
  EXPECT_EQ(client.map(0, kPage + 1, fd), EINVAL);
  EXPECT_EQ(client.map(0, kPage, fd, 1), EINVAL);
  EXPECT_EQ(client.map(~uint64_t{0} << 12, 2 * kPage, fd), EINVAL);
  EXPECT_EQ(client.map(0, ~uint64_t{0} << 12, fd), EINVAL);
  EXPECT_EQ(client.map(0, kPage, fd, 0, 0), EINVAL);
  EXPECT_EQ(client.map(0, kPage, fd, 0, 4 | 3), EINVAL);
  EXPECT_EQ(client.map(0, kPage, fd, kRamBytes), EINVAL);
  EXPECT_EQ(client.map(0, kRamBytes + kPage, fd), EINVAL);
  EXPECT_EQ(client.map(0, kPage, fd, ~uint64_t{0} << 12), EINVAL);
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd ends[2] = {UniqueFd(pair[0]), UniqueFd(pair[1])};
  EXPECT_EQ(client.map(0, kPage, pair[0]), EINVAL);
  EXPECT_EQ(client.map(0, kPage, make_eventfd().get()), EINVAL);
  EXPECT_EQ(client.map(0, kRamBytes, fd), 0);
}

TEST_F(Memory, RefusesOverlapsAndUnmapsOnlyWhatWasMapped) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  constexpr uint64_t kBase = 0x1000'0000;
  constexpr uint64_t kBytes = 0x10000;
  ASSERT_EQ(client.map(kBase, kBytes, ram_.get()), 0);
  EXPECT_EQ(client.map(kBase, kBytes, ram_.get()), EEXIST);
  EXPECT_EQ(client.map(kBase - 0x1000, 0x2000, ram_.get()), EEXIST);
  EXPECT_EQ(client.map(kBase + kBytes - 0x1000, 0x2000), EEXIST);
  EXPECT_EQ(client.map(kBase - 0x1000, 2 * kBytes, ram_.get()), EEXIST);
  EXPECT_EQ(client.map(kBase + kBytes, kBytes, ram_.get(), kBytes), 0);
  EXPECT_EQ(client.unmap(kBase, kBytes - 0x1000), ENOENT);
  EXPECT_EQ(client.unmap(kBase, 2 * kBytes), ENOENT);
  EXPECT_EQ(client.unmap(kBase + 0x1000, 0x1000), ENOENT);
  EXPECT_EQ(client.unmap(kBase, kBytes, 4), EINVAL);
  EXPECT_EQ(client.unmap(kBase, kBytes, wire::kUnmapAll), EINVAL);
  EXPECT_EQ(client.unmap(kBase, kBytes), 0);
  EXPECT_EQ(client.unmap(kBase, kBytes), ENOENT);
  EXPECT_EQ(client.unmap(0, 0, wire::kUnmapAll), 0);
  EXPECT_EQ(client.unmap(kBase + kBytes, kBytes), ENOENT);
  EXPECT_EQ(client.map(kBase, 4 * kBytes, ram_.get()), 0);
}

TEST_F(Memory, TakesAsManyMapsAsTheProtocolAllows) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  constexpr uint64_t kMaps = 65'535;
  const size_t before = open_descriptors();
  for (uint64_t i = 0; i < kMaps; ++i) {
    // Every page twice as far: no two of them can be joined.
    ASSERT_EQ(client.map(i * 8192, 4096, ram_.get(), i % 4096 * 4096), 0) << i;
  }
  EXPECT_EQ(client.map(kMaps * 8192, 4096, ram_.get()), ENOSPC);
  EXPECT_EQ(open_descriptors(), before);
  const auto begin = Clock::now();
  EXPECT_EQ(client.unmap(0, 0, wire::kUnmapAll), 0);
  EXPECT_LT(Clock::now() - begin, kMessageTimeout);
  EXPECT_EQ(client.map(0, kRamBytes, ram_.get()), 0);
}

TEST_F(Memory, IsReachedByTheDevice) {
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest.start());
  constexpr uint64_t kBytes = 1 << 20;
  std::memset(guest.ram() + Guest::kFirstFreeIova, 0xa5, kBytes);
  EXPECT_EQ(guest.run(copy(Guest::kRamDva + Guest::kFirstFreeIova, Guest::kHbmDva, kBytes)).status,
            NPU_ST_OK);
  EXPECT_EQ(std::memcmp(guest.hbm(), guest.ram() + Guest::kFirstFreeIova, kBytes), 0);
  constexpr uint64_t kBack = 16 << 20;
  EXPECT_EQ(guest.run(copy(Guest::kHbmDva, Guest::kRamDva + kBack, kBytes)).status, NPU_ST_OK);
  EXPECT_EQ(std::memcmp(guest.hbm(), guest.ram() + kBack, kBytes), 0);
}

TEST_F(Memory, IsNotWrittenThroughAReadOnlyMap) {
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest.start());
  constexpr uint64_t kIova = 0x1'0000'0000;
  ASSERT_EQ(client.map(kIova, 0x10000, ram_.get(), kRamBytes / 2, wire::kMapRead), 0);
  guest.map_system(kIova, 0x10000);
  guest.ram()[kRamBytes / 2] = std::byte{9};
  EXPECT_EQ(guest.run(copy(Guest::kRamDva + kIova, Guest::kHbmDva, 4096)).status, NPU_ST_OK);
  EXPECT_EQ(guest.hbm()[0], std::byte{9});
  guest.ram()[kRamBytes / 2] = std::byte{0};
  EXPECT_EQ(guest.run(fill(Guest::kRamDva + kIova, 4096, ~uint64_t{0}, 8)).status, NPU_ST_VM_FAULT);
  EXPECT_EQ(client.requests(), 0u);
  const std::byte* memory = guest.ram() + kRamBytes / 2;
  EXPECT_TRUE(std::all_of(memory, memory + 4096, [](std::byte b) { return b == std::byte{0}; }));
}

// The engine is in the middle of long copies into the range when it goes away.
TEST_F(Memory, IsOutOfReachOfAnEngineInFlightOnceAnUnmapIsAnswered) {
  constexpr uint64_t kIova = 0x2'0000'0000;
  constexpr uint64_t kBytes = 16 << 20;
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest.start());
  for (int round = 0; round < 10; ++round) {
    const UniqueFd other = make_memfd(kBytes);
    const Mapping view(other.get(), kBytes);
    ASSERT_EQ(client.map(kIova, kBytes, other.get()), 0);
    if (round == 0) guest.map_system(kIova, kBytes);
    std::memset(guest.hbm(), 0x5a, kBytes);
    uint64_t last = 0;
    for (int i = 0; i < 20; ++i) {
      last = guest.submit(copy(Guest::kHbmDva, Guest::kRamDva + kIova, kBytes));
    }
    // The first bytes have come: the engine runs.
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    while (*static_cast<volatile uint64_t*>(view.words()) == 0 && Clock::now() < give_up) {
    }
    const auto begin = Clock::now();
    ASSERT_EQ(client.unmap(kIova, kBytes), 0);
    EXPECT_LT(Clock::now() - begin, kMessageTimeout);
    std::memset(view.data(), 0, kBytes);
    guest.wait(last);
    EXPECT_EQ(guest.state(), NPU_QUEUE_STATE_FAULTED);
    EXPECT_TRUE(std::all_of(view.words(), view.words() + kBytes / 8,
                            [](uint64_t word) { return word == 0; }));
    ASSERT_EQ(client.reset(), 0);
    ASSERT_TRUE(guest.start());
    guest.map_system(kIova, kBytes);
  }
}

TEST_F(Memory, OfTheQueueItselfMayGoAwayAtAnyTime) {
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(guest.start());
    for (int i = 0; i < 30; ++i) guest.submit(nop());
    ASSERT_EQ(client.unmap(0, kRamBytes), 0);
    const uint64_t completed = guest.ctrl()->completed;
    ASSERT_EQ(client.read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
    EXPECT_EQ(guest.ctrl()->completed, completed);
    ASSERT_EQ(client.map(0, kRamBytes, ram_.get()), 0);
    ASSERT_EQ(client.reset(), 0);
  }
}

TEST_F(Memory, StaysMappedOverAReset) {
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest.start());
  ASSERT_EQ(client.reset(), 0);
  ASSERT_TRUE(guest.start());
  EXPECT_EQ(guest.run(fill(Guest::kRamDva + Guest::kFirstFreeIova, 64, 7, 8)).status, NPU_ST_OK);
}

TEST_F(Memory, OfAStoppedKernelIsFreedWithinThePatienceOfTheClient) {
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest.start());
  const isa::Program programs[] = {endless_kernel()};
  const std::vector<uint8_t> blob = signed_blob(programs);
  std::memcpy(guest.ram() + Guest::kFirstFreeIova, blob.data(), blob.size());
  npu_cmd_module load{};
  load.op = NPU_CMD_MODULE_LOAD;
  load.blob_dva = Guest::kRamDva + Guest::kFirstFreeIova;
  load.blob_bytes = blob.size();
  const npu_completion loaded = guest.run(load);
  ASSERT_EQ(loaded.status, NPU_ST_OK);
  guest.submit(launch(static_cast<uint32_t>(loaded.result), 0, {64, 1, 1}, Guest::kRamDva, 0));
  const auto begin = Clock::now();
  EXPECT_EQ(client.unmap(0, kRamBytes), 0);
  EXPECT_EQ(client.reset(), 0);
  EXPECT_LT(Clock::now() - begin, kMessageTimeout);
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_STATUS), uint32_t{NPU_DEVICE_STATUS_READY});
}

TEST_F(Memory, ThatAClientShrinksCostsItsSessionNotTheServer) {
  for (int round = 0; round < 5; ++round) {
    ReplayClient client = realized();
    Guest guest(client, ram_.get(), kRamBytes);
    ASSERT_TRUE(guest.start());
    constexpr uint64_t kIova = 0x3'0000'0000;
    constexpr uint64_t kBytes = 4 << 20;
    const UniqueFd plain = make_memfd(kBytes, false);
    ASSERT_EQ(client.map(kIova, kBytes, plain.get()), 0);
    guest.map_system(kIova, kBytes);
    ASSERT_EQ(ftruncate(plain.get(), 0), 0);
    guest.submit(copy(Guest::kRamDva + kIova, Guest::kHbmDva, kBytes));
    EXPECT_TRUE(client.ended());
  }
  expect_next_client();
}

TEST_F(Memory, ThatTheServersOwnThreadTouchesMayShrinkToo) {
  // The control page is written by QUEUE_CREATE, on the thread of the socket.
  UniqueFd plain = make_memfd(kRamBytes, false);
  ReplayClient client = connect();
  ASSERT_TRUE(client.realize(plain.get(), kRamBytes)) << client.realize_step();
  Guest guest(client, ram_.get(), kRamBytes);
  ASSERT_EQ(ftruncate(plain.get(), 0), 0);
  guest.start();
  EXPECT_TRUE(client.ended());
  expect_next_client();
}

class Boot : public VfioTest {
 protected:
  model::vfio_user::FunctionOptions options() override {
    model::vfio_user::FunctionOptions options = small_options();
    options.boot_from_host = true;
    return options;
  }
};

TEST_F(Boot, TakesTheFirmwareFromGuestMemoryAfterEachReset) {
  ReplayClient client = realized();
  Guest guest(client, ram_.get(), kRamBytes);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_STATUS), uint32_t{NPU_DEVICE_STATUS_ROM});
    ASSERT_TRUE(guest.start());
    EXPECT_EQ(guest.run(nop()).status, NPU_ST_OK);
    ASSERT_EQ(client.reset(), 0);
  }
}

TEST_F(Boot, EndsWellWhenItsImageIsUnmappedInTheMiddle) {
  ReplayClient client = realized();
  for (int round = 0; round < 50; ++round) {
    client.write64(wire::kBar0, NPU_REG_FW_IOVA, 0);
    client.write32(wire::kBar0, NPU_REG_FW_BYTES, NPU_FW_MAX_BYTES);
    client.write32(wire::kBar0, NPU_REG_CONTROL, NPU_CONTROL_BOOT);
    ASSERT_EQ(client.unmap(0, kRamBytes), 0);
    while (client.read32(wire::kBar0, NPU_REG_STATUS) == NPU_DEVICE_STATUS_BOOTING) {
    }
    EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_STATUS), uint32_t{NPU_DEVICE_STATUS_FAILED});
    ASSERT_EQ(client.map(0, kRamBytes, ram_.get()), 0);
    ASSERT_EQ(client.reset(), 0);
  }
}

}  // namespace
}  // namespace npu::test
