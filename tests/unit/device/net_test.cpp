// SPDX-License-Identifier: Apache-2.0
// Queues of class NET: what they take and refuse, whose ports count what, and how long the wire takes.
#include <gtest/gtest.h>

#include <cstring>

#include "firmware-model/device/cables.h"
#include "firmware-model/device/port_traffic.h"
#include "tests/unit/device/test_driver.h"
#include "uapi/npu_accel.h"

namespace npu::test {
namespace {

using model::Cables;
using model::kPacketOverheadBytes;
using model::PortTraffic;

constexpr uint64_t kBytes = 128 * 1024;
constexpr uint64_t kMtu = 4096;

uint64_t wire_ps(uint64_t bytes, uint64_t packets, uint64_t mbps) {
  const uint64_t bits = 8 * (bytes + packets * kPacketOverheadBytes);
  return (bits * 1'000'000 + mbps - 1) / mbps;
}

TEST(PortTraffic, IsDividedAsTheRatesAre) {
  PortTraffic traffic;
  traffic.set_mbps(1, 100'000);
  traffic.set_mbps(5, 300'000);
  traffic.set_mbps(6, 400'000);
  uint64_t told = 0;
  const auto time =
      traffic.carry(uint64_t{1} << 1 | uint64_t{1} << 5 | uint64_t{1} << 7, 1000, 10'001, 40,
                    [&](uint32_t, const npu_port_traffic& part) { told += part.tx_bytes; });
  EXPECT_EQ(told, 10'001u);
  EXPECT_EQ(traffic.read(1).tx_bytes, 2500u);
  EXPECT_EQ(traffic.read(1).tx_packets, 3u);
  EXPECT_EQ(traffic.read(5).tx_bytes, 7501u);
  EXPECT_EQ(traffic.read(5).tx_packets, 8u);
  EXPECT_EQ(traffic.read(1).rx_bytes + traffic.read(5).rx_bytes, 40u);
  EXPECT_EQ(traffic.read(6).tx_bytes, 0u);
  ASSERT_TRUE(time.has_value());
  EXPECT_EQ(*time, std::max(wire_ps(2500, 3, 100'000), wire_ps(7501, 8, 300'000)));
}

TEST(PortTraffic, WithoutALinkNothingIsCarried) {
  PortTraffic traffic;
  traffic.set_mbps(3, 100'000);
  traffic.set_mbps(3, 0);
  EXPECT_FALSE(traffic.has_link(~uint64_t{0}));
  EXPECT_FALSE(
      traffic.carry(~uint64_t{0}, 4096, 1, 1, [](uint32_t, const npu_port_traffic&) { FAIL(); }));
  EXPECT_EQ(traffic.read(3).tx_bytes, 0u);
}

TEST(PortTraffic, TheLargestSizesDoNotOverflow) {
  PortTraffic traffic;
  traffic.set_mbps(0, 10'000'000);
  traffic.set_mbps(63, 1);
  const uint64_t most = uint64_t{1} << 48;
  EXPECT_TRUE(
      traffic.carry(~uint64_t{0}, 256, most, most, [](uint32_t, const npu_port_traffic&) {}));
  EXPECT_EQ(traffic.read(0).tx_bytes + traffic.read(63).tx_bytes, most);
}

npu_port_config to_peer(uint32_t peer_port) {
  npu_port_config port{};
  port.state = NPU_PORT_UP;
  port.flags = NPU_PORT_FLAG_PEER;
  port.speed_mbps = 100'000;
  port.peer_port = peer_port;
  port.peer_uuid[0] = 2;
  return port;
}

DriverOptions two_ports() {
  DriverOptions options;
  options.ports = {to_peer(1), to_peer(0)};
  return options;
}

class NetQueueTest : public testing::Test {
 protected:
  TestQueue queue_of(uint64_t port_mask) {
    TestDriver::QueueOptions options;
    options.queue_class = NPU_QUEUE_NET;
    options.port_mask = port_mask;
    options.mtu_bytes = kMtu;
    return driver_.create_queue(context_, options);
  }
  npu_port_info describe(uint64_t port) {
    uint64_t bytes = 0;
    EXPECT_EQ(driver_.mailbox(NPU_MBOX_PORT, {port, iova_, sizeof(npu_port_info)}, &bytes),
              NPU_ST_OK);
    npu_port_info info;
    std::memcpy(&info, driver_.host_data(iova_), sizeof(info));
    return info;
  }
  void hold_down(uint64_t port, bool down) {
    ASSERT_EQ(driver_.mailbox(NPU_MBOX_INJECT, {NPU_INJECT_LINK_DOWN, port, down}), NPU_ST_OK);
  }
  // A queue with the words of QUEUE_CREATE changed.
  int refused(uint64_t queue_class, uint64_t mtu, uint64_t mask) {
    const Buffer ring = driver_.make_buffer(context_, 4096, Place::kHost);
    const Buffer control = driver_.make_buffer(context_, 3 * 4096, Place::kHost);
    return driver_.mailbox(NPU_MBOX_QUEUE_CREATE,
                           {100, context_, ring.dva, control.dva,
                            6 | NPU_PRIO_NORMAL << 8 | queue_class << 16 | mtu << 32, 0, 0, mask});
  }

  TestDriver driver_{two_ports()};
  uint32_t context_ = driver_.create_context();
  uint64_t iova_ = driver_.host_alloc(sizeof(npu_port_info));
  Buffer own_ = driver_.make_buffer(context_, kBytes);
  Buffer away_ = driver_.make_buffer(context_, kBytes, Place::kHost);
};

TEST_F(NetQueueTest, CopiesCrossThePortsAndTakeTheTimeOfTheWire) {
  TestQueue queue = queue_of(3);
  std::memset(own_.data, 0x5a, kBytes);
  const npu_completion sent = queue.run(copy(own_.dva, away_.dva, kBytes));
  ASSERT_EQ(sent.status, NPU_ST_OK);
  EXPECT_EQ(away_.data[kBytes - 1], std::byte{0x5a});
  const uint64_t half_ps = wire_ps(kBytes / 2, kBytes / 2 / kMtu, 100'000);
  EXPECT_GE(sent.end_ps - sent.start_ps, half_ps);
  EXPECT_LT(sent.end_ps - sent.start_ps, half_ps + half_ps / 4);
  TestQueue narrow = queue_of(2);
  const npu_completion back = narrow.run(copy(away_.dva, own_.dva, kBytes));
  ASSERT_EQ(back.status, NPU_ST_OK);
  EXPECT_GE(back.end_ps - back.start_ps, 2 * half_ps);
  EXPECT_EQ(describe(0).tx_bytes, kBytes / 2);
  EXPECT_EQ(describe(0).rx_bytes, 0u);
  EXPECT_EQ(describe(1).tx_bytes, kBytes / 2);
  EXPECT_EQ(describe(1).tx_packets, kBytes / 2 / kMtu);
  EXPECT_EQ(describe(1).rx_bytes, kBytes);
  EXPECT_NE(describe(1).flags & NPU_PORT_FLAG_COUNTERS, 0u);
}

TEST_F(NetQueueTest, OnlyWhatCrossesIsCopied) {
  for (const auto& [from, to] : {std::pair{own_, own_}, std::pair{away_, away_}}) {
    TestQueue queue = queue_of(1);
    std::memset(to.data, 0, kBytes);
    from.data[0] = std::byte{7};
    EXPECT_EQ(queue.run(copy(from.dva, to.dva + kBytes / 2, 64)).status, NPU_ST_BAD_COMMAND);
    EXPECT_EQ(to.data[kBytes / 2], std::byte{0});
  }
  EXPECT_EQ(describe(0).tx_bytes + describe(0).rx_bytes, 0u);
}

TEST_F(NetQueueTest, RunsNoKernelsAndNoFills) {
  TestQueue filling = queue_of(1);
  EXPECT_EQ(filling.run(fill(own_.dva, 64, 1, 4)).status, NPU_ST_BAD_COMMAND);
  TestQueue launching = queue_of(1);
  EXPECT_EQ(launching.run(launch(1, 0, {1, 1, 1}, own_.dva, 0)).status, NPU_ST_BAD_COMMAND);
  TestQueue listing = queue_of(1);
  const npu_cmd_fill entry = fill(own_.dva, 64, 1, 4);
  std::memcpy(away_.data, &entry, sizeof(entry));
  EXPECT_EQ(listing.run(exec(away_.dva, 1)).status, NPU_ST_BAD_COMMAND);
  TestQueue rest = queue_of(1);
  EXPECT_EQ(rest.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(rest.run(sem_signal(away_.dva, 3)).status, NPU_ST_OK);
  EXPECT_EQ(rest.run(timestamp(away_.dva)).status, NPU_ST_OK);
}

TEST_F(NetQueueTest, TakesThePortsThatAreUp) {
  hold_down(0, true);
  TestQueue queue = queue_of(3);
  EXPECT_EQ(queue.run(copy(own_.dva, away_.dva, kBytes)).status, NPU_ST_OK);
  EXPECT_EQ(describe(0).tx_bytes, 0u);
  EXPECT_EQ(describe(1).tx_bytes, kBytes);
  hold_down(1, true);
  std::memset(away_.data, 0, 64);
  std::memset(own_.data, 1, 64);
  EXPECT_EQ(queue.run(copy(own_.dva, away_.dva, 64)).status, NPU_ST_LINK_DOWN);
  EXPECT_EQ(away_.data[0], std::byte{0});
  hold_down(0, false);
  TestQueue again = queue_of(3);
  EXPECT_EQ(again.run(copy(own_.dva, away_.dva, 64)).status, NPU_ST_OK);
  EXPECT_EQ(describe(0).tx_bytes, 64u);
  EXPECT_EQ(describe(0).flaps, 1u);
}

TEST_F(NetQueueTest, TheParametersAreChecked) {
  EXPECT_EQ(refused(NPU_QUEUE_NET, kMtu, 0), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_NET, kMtu, 4), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_NET, kMtu, ~uint64_t{0}), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_NET, NPU_NET_MTU_MIN - 1, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_NET, NPU_NET_MTU_MAX + 1, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_COPY, kMtu, 0), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_COMPUTE, 0, 1), NPU_ST_INVALID_ARGUMENT);
  EXPECT_EQ(refused(NPU_QUEUE_NET, NPU_NET_MTU_MAX, 3), NPU_ST_OK);
}

TEST_F(NetQueueTest, TheOtherEndCountsToo) {
  Cables cables;
  Cables::Uuid uuid{};
  uuid[0] = 2;
  cables.plug(uuid, driver_.device());
  const npu_port_traffic sent{1000, 20, 3, 1};
  cables.carry(to_peer(1), sent);
  EXPECT_EQ(describe(1).rx_bytes, 1000u);
  EXPECT_EQ(describe(1).tx_bytes, 20u);
  EXPECT_EQ(describe(1).rx_packets, 3u);
  EXPECT_EQ(describe(1).tx_packets, 1u);
  EXPECT_EQ(describe(0).rx_bytes, 0u);
  cables.carry(to_peer(9), sent);  // the device has no such port
  npu_port_config up = to_peer(1);
  up.flags = NPU_PORT_FLAG_UP_LINK;
  cables.carry(up, sent);
  cables.unplug(uuid);
  cables.carry(to_peer(1), sent);
  EXPECT_EQ(describe(1).rx_bytes, 1000u);
}

}  // namespace
}  // namespace npu::test
