// SPDX-License-Identifier: Apache-2.0
// Memory that was mapped without a descriptor: the device asks the client for every byte.
#include <chrono>

#include "tests/unit/vfio_user/guest.h"

namespace npu::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kIova = 0x4'0000'0000;
constexpr uint64_t kBytes = 2 << 20;

class InBand : public VfioTest {
 protected:
  void SetUp() override {
    VfioTest::SetUp();
    client_ = std::make_unique<ReplayClient>(realized());
    guest_ = std::make_unique<Guest>(*client_, ram_.get(), kRamBytes);
    ASSERT_TRUE(guest_->start());
    ASSERT_EQ(client_->map(kIova, kBytes), 0);
    guest_->map_system(kIova, kBytes);
    memory_.resize(kBytes);
    for (size_t i = 0; i < memory_.size(); ++i) memory_[i] = static_cast<std::byte>(i * 7 >> 3);
    client_->on_request = [this](const Packet& packet) { serve(packet); };
  }
  void TearDown() override {
    client_.reset();
    VfioTest::TearDown();
  }

  void serve(const Packet& packet) {
    const auto access = load_at<wire::DmaAccess>(packet.body);
    ASSERT_GE(access.iova, kIova);
    ASSERT_LE(access.iova - kIova + access.count, kBytes);
    std::byte* at = memory_.data() + (access.iova - kIova);
    if (packet.header.command == wire::kDmaRead) {
      client_->reply(packet.header, join(bytes_of(access), std::span(at, access.count)));
      return;
    }
    ASSERT_EQ(packet.body.size(), sizeof(access) + access.count);
    std::memcpy(at, packet.body.data() + sizeof(access), access.count);
    client_->reply(packet.header, short_replies_ ? Bytes{} : bytes_of(access));
  }
  uint64_t start_read(uint64_t bytes = 4096) {
    return guest_->submit(copy(Guest::kRamDva + kIova, Guest::kHbmDva, bytes));
  }
  // Until the server has asked |count| times; the requests stay unanswered.
  std::vector<wire::Header> take_requests(size_t count) {
    std::vector<wire::Header> asked;
    client_->on_request = [&](const Packet& packet) { asked.push_back(packet.header); };
    const auto give_up = Clock::now() + std::chrono::seconds(20);
    client_->serve([&] { return asked.size() < count && Clock::now() < give_up; });
    EXPECT_EQ(asked.size(), count);
    client_->on_request = nullptr;
    return asked;
  }

  std::unique_ptr<ReplayClient> client_;
  std::unique_ptr<Guest> guest_;
  Bytes memory_;
  bool short_replies_ = false;
};

TEST_F(InBand, CopiesBothWays) {
  EXPECT_EQ(guest_->run(copy(Guest::kRamDva + kIova, Guest::kHbmDva, kBytes)).status, NPU_ST_OK);
  EXPECT_EQ(std::memcmp(guest_->hbm(), memory_.data(), kBytes), 0);
  std::memset(guest_->hbm(), 0x3c, kBytes);
  EXPECT_EQ(guest_->run(copy(Guest::kHbmDva, Guest::kRamDva + kIova + 64, kBytes - 64)).status,
            NPU_ST_OK);
  EXPECT_EQ(std::memcmp(guest_->hbm(), memory_.data() + 64, kBytes - 64), 0);
  EXPECT_EQ(memory_[63], static_cast<std::byte>(63 * 7 >> 3));
  EXPECT_GE(client_->requests(), 2 * kBytes / wire::kMaxDataBytes);
}

TEST_F(InBand, CopiesFromOnePlaceInBandToAnother) {
  const uint64_t half = kBytes / 2;
  EXPECT_EQ(guest_->run(copy(Guest::kRamDva + kIova, Guest::kRamDva + kIova + half, half)).status,
            NPU_ST_OK);
  EXPECT_EQ(std::memcmp(memory_.data(), memory_.data() + half, half), 0);
}

TEST_F(InBand, FillsAndTakesTheShortReplyOfOldClients) {
  short_replies_ = true;
  EXPECT_EQ(guest_->run(fill(Guest::kRamDva + kIova + 4, 300'004, 0x01020304, 4)).status,
            NPU_ST_OK);
  EXPECT_EQ(load_at<uint32_t>(memory_, 4), 0x01020304u);
  EXPECT_EQ(load_at<uint32_t>(memory_, 300'004), 0x01020304u);
  EXPECT_NE(load_at<uint32_t>(memory_, 300'008), 0x01020304u);
  EXPECT_NE(load_at<uint32_t>(memory_, 0), 0x01020304u);
}

TEST_F(InBand, LoadsModules) {
  const isa::Program programs[] = {null_kernel()};
  const std::vector<uint8_t> blob = signed_blob(programs);
  std::memcpy(memory_.data() + 8, blob.data(), blob.size());
  npu_cmd_module load{};
  load.op = NPU_CMD_MODULE_LOAD;
  load.blob_dva = Guest::kRamDva + kIova + 8;
  load.blob_bytes = blob.size();
  EXPECT_EQ(guest_->run(load).status, NPU_ST_OK);
}

TEST_F(InBand, SplitsByTheSizeThatTheClientTakes) {
  client_.reset();
  client_ = std::make_unique<ReplayClient>(connect());
  const std::string text = R"({"capabilities":{"max_data_xfer_size":4096}})";
  const auto with_nul = std::as_bytes(std::span(text.c_str(), text.size() + 1));
  const Bytes body = join(bytes_of(wire::Version{0, 0}), with_nul);
  ASSERT_EQ(client_->call(wire::kVersion, body).error(), 0);
  ASSERT_EQ(client_->map(0, kRamBytes, ram_.get()), 0);
  ASSERT_EQ(client_->map(kIova, kBytes), 0);
  guest_ = std::make_unique<Guest>(*client_, ram_.get(), kRamBytes);
  ASSERT_TRUE(guest_->start());
  guest_->map_system(kIova, kBytes);
  uint64_t largest = 0;
  client_->on_request = [&](const Packet& packet) {
    largest = std::max(largest, load_at<wire::DmaAccess>(packet.body).count);
    serve(packet);
  };
  EXPECT_EQ(guest_->run(copy(Guest::kRamDva + kIova, Guest::kHbmDva, 100'000)).status, NPU_ST_OK);
  EXPECT_EQ(std::memcmp(guest_->hbm(), memory_.data(), 100'000), 0);
  EXPECT_EQ(largest, 4096u);
}

TEST_F(InBand, WaitsForItsReplyWhileAThousandPostedWritesArrive) {
  const uint64_t seq = start_read();
  const std::vector<wire::Header> asked = take_requests(1);
  ASSERT_EQ(asked.size(), 1u);
  for (uint64_t value = 1; value <= 1000; ++value) {
    client_->post(wire::kBar0, NPU_REG_MBOX_ARG5, bytes_of(value));
  }
  EXPECT_EQ(client_->read64(wire::kBar0, NPU_REG_MBOX_ARG5), 1000u);
  EXPECT_FALSE(guest_->over(seq));
  const wire::DmaAccess access{kIova, 4096};
  client_->reply(asked[0], join(bytes_of(access), std::span(memory_).first(4096)));
  EXPECT_EQ(guest_->wait(seq).status, NPU_ST_OK);
}

TEST_F(InBand, FaultsTheQueueWhenTheClientRefuses) {
  client_->on_request = [this](const Packet& packet) { client_->reply(packet.header, {}, EFAULT); };
  const npu_completion record = guest_->wait(start_read());
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.result, Guest::kRamDva + kIova);
}

TEST_F(InBand, FaultsTheQueueWhenTheClientDoesNotAnswerInTime) {
  client_->on_request = nullptr;
  EXPECT_EQ(guest_->wait(start_read()).status, NPU_ST_VM_FAULT);
  EXPECT_EQ(client_->read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
}

TEST_F(InBand, TakesALateReplyForNothing) {
  const uint64_t seq = start_read();
  const std::vector<wire::Header> asked = take_requests(1);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(guest_->wait(seq).status, NPU_ST_VM_FAULT);
  const wire::DmaAccess access{kIova, 4096};
  client_->reply(asked[0], join(bytes_of(access), std::span(memory_).first(4096)));
  EXPECT_EQ(client_->read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
  EXPECT_EQ(guest_->hbm()[8], std::byte{0});
}

TEST_F(InBand, EndsTheWaitWhenTheRangeIsUnmapped) {
  const uint64_t seq = start_read();
  ASSERT_EQ(take_requests(1).size(), 1u);
  const auto begin = Clock::now();
  EXPECT_EQ(client_->unmap(kIova, kBytes), 0);
  EXPECT_EQ(guest_->wait(seq).status, NPU_ST_VM_FAULT);
  EXPECT_LT(Clock::now() - begin, model::vfio_user::InBand::kDeadline);
}

TEST_F(InBand, EndsTheWaitByAResetOfEitherKind) {
  for (const bool by_register : {false, true}) {
    start_read();
    ASSERT_EQ(take_requests(1).size(), 1u);
    const auto begin = Clock::now();
    if (by_register) {
      client_->write32(wire::kBar0, NPU_REG_CONTROL, 1);
    } else {
      EXPECT_EQ(client_->reset(), 0);
    }
    EXPECT_LT(Clock::now() - begin, model::vfio_user::InBand::kDeadline);
    EXPECT_EQ(client_->read32(wire::kBar0, NPU_REG_STATUS), uint32_t{NPU_DEVICE_STATUS_READY});
    ASSERT_TRUE(guest_->start());
    guest_->map_system(kIova, kBytes);
  }
  client_->on_request = [this](const Packet& packet) { serve(packet); };
  EXPECT_EQ(guest_->wait(start_read()).status, NPU_ST_OK);
}

TEST_F(InBand, EndsTheWaitWhenTheClientLeaves) {
  start_read();
  ASSERT_EQ(take_requests(1).size(), 1u);
  client_.reset();
  expect_next_client();
}

TEST_F(InBand, EndsASessionWhoseReplyHasTwoSizes) {
  start_read();
  const std::vector<wire::Header> asked = take_requests(1);
  ASSERT_EQ(asked.size(), 1u);
  client_->reply(asked[0], join(bytes_of(wire::DmaAccess{kIova, 4096}), Bytes(4095)));
  EXPECT_TRUE(client_->ended());
  client_.reset();
  expect_next_client();
}

TEST_F(InBand, NeverAsksForItsOwnBars) {
  // QEMU maps the aperture of the device, too, at the address that the guest gave to BAR2.
  client_->write32(wire::kConfig, 0x18, static_cast<uint32_t>(kIova));
  client_->write32(wire::kConfig, 0x1c, static_cast<uint32_t>(kIova >> 32));
  const npu_completion record = guest_->wait(start_read());
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(client_->requests(), 0u);
}

TEST_F(InBand, DoesNotHoldQueues) {
  // Rings are read and written word by word, which needs a pointer.
  EXPECT_EQ(guest_->mailbox(NPU_MBOX_QUEUE_CREATE,
                            {1, 0, Guest::kRamDva + kIova, Guest::kRamDva + kIova + 0x1000,
                             NPU_RING_LOG2_MIN | NPU_QUEUE_COMPUTE << 16, 1, 0}),
            NPU_ST_INVALID_ADDRESS);
  EXPECT_EQ(client_->requests(), 0u);
}

}  // namespace
}  // namespace npu::test
