// SPDX-License-Identifier: Apache-2.0
// Framing, sizes, order, and the life of connections.
#include <poll.h>

#include <chrono>

#include "tests/unit/vfio_user/fixture.h"
#include "uapi/npu_regs.h"

namespace npu::test {
namespace {

using Protocol = VfioTest;

// A good body of every command, and how the server answers it.
struct Example {
  uint16_t command;
  Bytes body;
  int error;
};

std::vector<Example> examples() {
  Bytes write = bytes_of(wire::RegionAccess{NPU_REG_MBOX_ARG0, wire::kBar0, 8});
  write.resize(write.size() + 8);
  return {
      {wire::kDmaMap, bytes_of(wire::DmaMap{32, 3, 0, 0x4000'0000, 4096}), 0},
      {wire::kDmaUnmap, bytes_of(wire::DmaUnmap{24, 0, 0x4000'0000, 4096}), 0},
      {wire::kGetInfo, bytes_of(wire::DeviceInfo{16, 0, 0, 0}), 0},
      {wire::kGetRegionInfo, bytes_of(wire::RegionInfo{32, 0, 0, 0, 0, 0}), 0},
      {wire::kGetRegionIoFds, bytes_of(wire::IrqInfo{16, 0, 0, 0}), ENOTSUP},
      {wire::kGetIrqInfo, bytes_of(wire::IrqInfo{16, 0, wire::kMsix, 0}), 0},
      {wire::kSetIrqs,
       bytes_of(wire::IrqSet{20, wire::kDataNone | wire::kActionTrigger, wire::kMsix, 0, 0}), 0},
      {wire::kRegionRead, bytes_of(wire::RegionAccess{0, wire::kBar0, 4}), 0},
      {wire::kRegionWrite, write, 0},
      {wire::kReset, {}, 0},
      {wire::kDeviceFeature, bytes_of(wire::Feature{8, 1}), ENOTTY},
      {wire::kMigrationRead, {}, ENOTSUP},
      {wire::kMigrationWrite, {}, ENOTSUP},
      {wire::kDmaRead, bytes_of(wire::DmaAccess{0, 0}), EINVAL},  // the server's own
      {14, {}, EINVAL},
      {999, {}, EINVAL},
  };
}

TEST_F(Protocol, PlaysTheOrderOfRealize) {
  ReplayClient client = connect();
  ASSERT_TRUE(client.realize(ram_.get(), kRamBytes)) << client.realize_step();
  EXPECT_EQ(client.region_bytes[wire::kBar0], uint64_t{NPU_BAR0_BYTES});
  EXPECT_EQ(client.region_bytes[wire::kBar1], 0u);
  EXPECT_EQ(client.region_bytes[wire::kBar2], small_profile().hbm_bytes);
  EXPECT_EQ(client.region_bytes[wire::kBar4], 4096u);
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
  EXPECT_EQ(client.read64(wire::kBar0, NPU_REG_HBM_BYTES), small_profile().hbm_bytes);
  // A 64-bit register in halves, too.
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_HBM_BYTES), small_profile().hbm_bytes);
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_STATUS), uint32_t{NPU_DEVICE_STATUS_READY});
}

TEST_F(Protocol, AnswersEveryCommandAndRefusesItOneByteShorterOrLonger) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  for (const Example& example : examples()) {
    SCOPED_TRACE(example.command);
    EXPECT_EQ(client.call(example.command, example.body).error(), example.error);
    const bool known = example.error == 0;
    Bytes longer = example.body;
    longer.push_back(std::byte{0});
    EXPECT_EQ(client.call(example.command, longer).error(), known ? EINVAL : example.error);
    if (example.body.empty()) continue;
    Bytes shorter = example.body;
    shorter.pop_back();
    EXPECT_EQ(client.call(example.command, shorter).error(), known ? EINVAL : example.error);
    EXPECT_EQ(client.call(example.command, {}).error(), known ? EINVAL : example.error);
  }
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
}

TEST_F(Protocol, RefusesAnArgumentSizeBelowTheStruct) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  for (const Example& example : examples()) {
    if (example.error != 0 || example.body.size() < 16) continue;
    if (example.command == wire::kRegionRead || example.command == wire::kRegionWrite) continue;
    SCOPED_TRACE(example.command);
    Bytes body = example.body;
    const auto small = static_cast<uint32_t>(body.size() - 1);
    std::memcpy(body.data(), &small, sizeof(small));
    EXPECT_EQ(client.call(example.command, body).error(), EINVAL);
  }
}

TEST_F(Protocol, WantsToBeGreetedOnceAndFirst) {
  ReplayClient client = connect();
  EXPECT_EQ(client.call(wire::kGetInfo, bytes_of(wire::DeviceInfo{16, 0, 0, 0})).error(), EINVAL);
  EXPECT_EQ(client.call(wire::kVersion, bytes_of(wire::Version{1, 0})).error(), ENOTSUP);
  EXPECT_EQ(client.call(wire::kVersion, Bytes(3)).error(), EINVAL);
  EXPECT_EQ(client.greet(), 0);
  EXPECT_EQ(client.greet(), EINVAL);
}

TEST_F(Protocol, ReadsCapabilitiesOfAnyShapeAndRefusesWhatIsNoJson) {
  const auto greet_with = [this](const std::string& text) {
    ReplayClient client = connect();
    const auto with_nul = std::span(text.c_str(), text.size() + 1);
    const Bytes body = join(bytes_of(wire::Version{0, 0}), std::as_bytes(with_nul));
    const Packet answer = client.call(wire::kVersion, body);
    EXPECT_LE(answer.body.size(), body.size());
    return answer.error();
  };
  EXPECT_EQ(greet_with("{}"), 0);
  EXPECT_EQ(greet_with(R"({"capabilities":{"max_data_xfer_size":65536}})"), 0);
  EXPECT_EQ(greet_with(R"( { "x":[1,{"y":null},"\"}"], "capabilities" : {"z":-1.5e3} } )"), 0);
  EXPECT_EQ(greet_with(R"({"capabilities":{"max_data_xfer_size":0}})"), EINVAL);
  EXPECT_EQ(greet_with(R"({"capabilities":{"max_msg_fds":99999999999999999999}})"), EINVAL);
  EXPECT_EQ(greet_with(R"({"capabilities":{)"), EINVAL);
  EXPECT_EQ(greet_with("\"text\""), EINVAL);
  EXPECT_EQ(greet_with(R"({"a)"), EINVAL);
  EXPECT_EQ(greet_with("{\"a\":" + std::string(5000, '[')), EINVAL);
}

TEST_F(Protocol, EndsAConnectionWhoseFramingIsBroken) {
  const size_t before = idle_descriptors();
  const auto broken = [this](wire::Header header, size_t extra = 0) {
    ReplayClient client = connect();
    ASSERT_EQ(client.greet(), 0);
    Bytes bytes = bytes_of(header);
    bytes.resize(bytes.size() + extra);
    client.send_bytes(bytes);
    EXPECT_TRUE(client.ended());
  };
  broken({1, wire::kGetInfo, 15, 0, 0});
  broken({1, wire::kGetInfo, 0, 0, 0});
  broken({1, wire::kRegionWrite, 0xffff'ffff, 0, 0});
  broken({1, wire::kRegionWrite, 16 + wire::kMaxBodyBytes + 1, 0, 0});
  broken({1, wire::kGetInfo, 32, 2, 0}, 16);                                     // unknown type
  broken({1, wire::kGetInfo, 32, wire::kTypeReply, 0}, 16);                      // nobody asked
  broken({1, wire::kDmaRead, 32, wire::kTypeReply, 0}, 16);                      // nobody asked
  broken({1, wire::kDmaRead, 17, wire::kTypeReply, 0}, 1);                       // too short
  broken({1, wire::kDmaWrite, 16, wire::kTypeReply | wire::kError, ENOENT}, 0);  // nobody asked
  expect_next_client();
  EXPECT_EQ(idle_descriptors(), before);
}

TEST_F(Protocol, SurvivesAClientThatLeavesInTheMiddle) {
  for (const size_t bytes : {1u, 15u, 16u, 20u}) {
    ReplayClient client = connect();
    ASSERT_EQ(client.greet(), 0);
    Bytes message = bytes_of(wire::Header{1, wire::kGetInfo, 32, 0, 0});
    message.resize(bytes);
    client.send_bytes(message);
  }
  expect_next_client();
}

TEST_F(Protocol, ClosesDescriptorsThatBelongNowhere) {
  const size_t before = idle_descriptors();
  {
    ReplayClient client = connect();
    ASSERT_EQ(client.greet(), 0);
    const UniqueFd event = make_eventfd();
    const Bytes info = bytes_of(wire::DeviceInfo{16, 0, 0, 0});
    EXPECT_EQ(client.call(wire::kGetInfo, info, {event.get()}).error(), EINVAL);
    EXPECT_EQ(client.call(wire::kGetInfo, info, std::vector<int>(16, event.get())).error(), EINVAL);
    const Bytes map = bytes_of(wire::DmaMap{32, 3, 0, 0x10'0000, 4096});
    EXPECT_EQ(client.call(wire::kDmaMap, map, {ram_.get(), ram_.get()}).error(), EINVAL);
    EXPECT_EQ(client.call(wire::kGetInfo, info).error(), 0);
  }
  EXPECT_EQ(idle_descriptors(), before);
}

TEST_F(Protocol, EndsAConnectionWithTooManyDescriptors) {
  const size_t before = idle_descriptors();
  {
    ReplayClient client = connect();
    ASSERT_EQ(client.greet(), 0);
    client.send(wire::kGetInfo, bytes_of(wire::DeviceInfo{16, 0, 0, 0}),
                std::vector<int>(17, ram_.get()));
    EXPECT_TRUE(client.ended());
  }
  {
    // Behind the header they belong to no message.
    ReplayClient client = connect();
    ASSERT_EQ(client.greet(), 0);
    client.send_bytes(bytes_of(wire::Header{1, wire::kGetInfo, 32, 0, 0}));
    client.send_bytes(Bytes(16), {ram_.get()});
    EXPECT_TRUE(client.ended());
  }
  expect_next_client();
  EXPECT_EQ(idle_descriptors(), before);
}

TEST_F(Protocol, KeepsTheOrderOfPostedWritesAndReads) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  for (uint64_t value = 1; value <= 1000; ++value) {
    client.post(wire::kBar0, NPU_REG_MBOX_ARG3, bytes_of(value));
    if (value % 100 == 0) {
      EXPECT_EQ(client.read64(wire::kBar0, NPU_REG_MBOX_ARG3), value);
    }
  }
}

TEST_F(Protocol, AnswersACommandWithoutReplyWithNothingNotEvenAnError) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  client.send(999, {}, {}, wire::kNoReply);
  client.send(wire::kRegionWrite, Bytes(3), {}, wire::kNoReply);
  const uint16_t last = client.send(wire::kGetInfo, bytes_of(wire::DeviceInfo{16, 0, 0, 0}));
  const std::optional<Packet> first_reply = client.receive();
  ASSERT_TRUE(first_reply.has_value());
  EXPECT_EQ(first_reply->header.id, last);
}

TEST_F(Protocol, WritesManyAtOnce) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  const auto message = [](uint64_t told, uint64_t real) {
    Bytes body = bytes_of(told);
    for (uint64_t i = 0; i < real; ++i) {
      wire::MultiWrite one{NPU_REG_MBOX_ARG0 + i % 8 * 8, wire::kBar0, 8, {}};
      std::memcpy(one.data, &i, sizeof(i));
      body = join(std::move(body), bytes_of(one));
    }
    return body;
  };
  client.send(wire::kRegionWriteMulti, message(200, 200), {}, wire::kNoReply);
  EXPECT_EQ(client.read64(wire::kBar0, NPU_REG_MBOX_ARG0 + 7 * 8), 199u);
  EXPECT_EQ(client.call(wire::kRegionWriteMulti, message(201, 201)).error(), EINVAL);
  EXPECT_EQ(client.call(wire::kRegionWriteMulti, message(2, 1)).error(), EINVAL);
  EXPECT_EQ(client.call(wire::kRegionWriteMulti, message(~uint64_t{0}, 1)).error(), EINVAL);
  EXPECT_EQ(client.call(wire::kRegionWriteMulti, message(0, 0)).error(), EINVAL);
}

TEST_F(Protocol, BoundsAccessesOfRegions) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  const auto read = [&](uint32_t region, uint64_t offset, uint32_t count) {
    return client.call(wire::kRegionRead, bytes_of(wire::RegionAccess{offset, region, count}))
        .error();
  };
  EXPECT_EQ(read(wire::kBar0, NPU_BAR0_BYTES - 8, 8), 0);
  EXPECT_EQ(read(wire::kBar0, NPU_BAR0_BYTES - 4, 8), EINVAL);
  EXPECT_EQ(read(wire::kBar0, NPU_BAR0_BYTES, 1), EINVAL);
  EXPECT_EQ(read(wire::kBar0, ~uint64_t{0}, 8), EINVAL);
  EXPECT_EQ(read(wire::kBar0, 0, 3), EINVAL);
  EXPECT_EQ(read(wire::kBar0, 0, 0), EINVAL);
  EXPECT_EQ(read(wire::kBar0, 0, 4096), EINVAL);
  EXPECT_EQ(read(wire::kConfig, 0, 4096), 0);
  EXPECT_EQ(read(wire::kConfig, 1, 4096), EINVAL);
  EXPECT_EQ(read(wire::kConfig, 0, 0xffff'ffff), EINVAL);
  for (const uint32_t absent : {wire::kBar1, wire::kBar3, wire::kRom, wire::kVga}) {
    EXPECT_EQ(read(absent, 0, 4), EINVAL);
  }
  EXPECT_EQ(read(0xffff'ffff, 0, 4), EINVAL);
  // No register there: ones, as from a bus.
  EXPECT_EQ(client.read32(wire::kBar0, 0x800), 0xffff'ffffu);
  EXPECT_EQ(client.read(wire::kBar0, NPU_REG_ID + 1, 2), bytes_of(uint16_t{0xffff}));
}

TEST_F(Protocol, ServesTheNextClientOnlyWhenTheFirstHasLeft) {
  auto first = std::make_unique<ReplayClient>(realized());
  ReplayClient second = connect();
  ASSERT_TRUE(second.connected());
  const uint16_t id = second.send(wire::kVersion, bytes_of(wire::Version{0, 0}));
  EXPECT_EQ(first->read32(wire::kBar0, NPU_REG_ID), 0x4e505530u);
  pollfd early{second.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&early, 1, 50), 0);
  first.reset();
  EXPECT_EQ(second.wait(id).error(), 0);
}

TEST_F(Protocol, ResetsTheFunctionBetweenClients) {
  UniqueFd old_hbm;
  {
    ReplayClient client = realized();
    client.region(wire::kBar2, &old_hbm);
    const Mapping hbm(old_hbm.get(), small_profile().hbm_bytes);
    hbm.words()[512] = 0x5ec2e7;
    EXPECT_EQ(client.read64(wire::kBar2, 4096), 0x5ec2e7u);
    client.write64(wire::kBar0, NPU_REG_MBOX_ARG0, 77);
    client.write32(wire::kConfig, 0x10, 0xfe00'0000);
  }
  ReplayClient next = connect();
  ASSERT_EQ(next.greet(), 0);
  EXPECT_EQ(next.read64(wire::kBar2, 4096), 0u);
  EXPECT_EQ(next.read64(wire::kBar0, NPU_REG_MBOX_ARG0), 0u);
  EXPECT_EQ(next.read32(wire::kConfig, 0x10), 4u);
  // Who kept the descriptor does not see the next client's memory.
  next.write64(wire::kBar2, 0, 0x123);
  const Mapping kept(old_hbm.get(), small_profile().hbm_bytes);
  EXPECT_EQ(kept.words()[0], 0u);
}

TEST_F(Protocol, ConnectsTenThousandTimesWithoutLosingADescriptor) {
  const size_t before = idle_descriptors();
  for (int i = 0; i < 10'000; ++i) {
    ReplayClient client = connect();
    ASSERT_TRUE(client.connected());
    ASSERT_EQ(client.greet(), 0);
    if (i % 100 == 0) {
      const UniqueFd event = make_eventfd();
      ASSERT_EQ(client.map(0, kRamBytes, ram_.get()), 0);
      ASSERT_EQ(client.set_irqs(wire::kDataEventfd | wire::kActionTrigger, 0, 2,
                                {event.get(), event.get()}),
                0);
    }
  }
  EXPECT_EQ(idle_descriptors(), before);
}

TEST_F(Protocol, TakesAStormOfResets) {
  ReplayClient client = realized();
  const uint32_t epoch = client.read32(wire::kBar0, NPU_REG_EPOCH);
  std::vector<uint16_t> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(client.send(wire::kReset, {}));
  for (const uint16_t id : ids) ASSERT_EQ(client.wait(id).error(), 0);
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_EPOCH), epoch + 200);
  EXPECT_EQ(client.read32(wire::kBar0, NPU_REG_STATUS), uint32_t{NPU_DEVICE_STATUS_READY});
}

TEST_F(Protocol, DoesNotReadFromAClientThatDoesNotRead) {
  ReplayClient client = connect();
  ASSERT_EQ(client.greet(), 0);
  fcntl(client.fd(), F_SETFL, O_NONBLOCK);
  const Bytes ask = bytes_of(wire::RegionAccess{0, wire::kConfig, 4096});
  wire::Header header{1, wire::kRegionRead, static_cast<uint32_t>(16 + ask.size()), 0, 0};
  const Bytes message = join(bytes_of(header), ask);
  size_t sent = 0;
  // 4 KiB wait for each 32 bytes: the queue of the server is full long before this ends.
  while (sent < (64 << 20) && client.send_bytes(message)) sent += message.size();
  EXPECT_LT(sent, size_t{64} << 20);
}

}  // namespace
}  // namespace npu::test
