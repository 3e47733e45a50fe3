// SPDX-License-Identifier: Apache-2.0
// Queues of class NET between two devices that ports of the profile tiny join: two ports of 100 Gb/s.
#include <npu/npu_ml.h>

#include <numeric>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

constexpr uint64_t kBytes = 1 << 20;
constexpr uint64_t kPortMbps = 100'000;

class NetQueueTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_NPU(NPU_OK, npuDeviceOpen("1", &peer_device_));
    ASSERT_NPU(NPU_OK, npuContextCreate(peer_device_, &peer_));
    for (size_t i = 0; i < 2; i++) {
      ASSERT_EQ(npuMlOpen(i == 0 ? "0" : "1", &ml_[i]), NPU_OK);
    }
  }
  void TearDown() override {
    for (npuMlDevice device : ml_) {
      if (device == nullptr) continue;
      EXPECT_EQ(npuMlClose(device), NPU_OK);
    }
    // NULL is no error.
    EXPECT_NPU(NPU_OK, npuContextDestroy(peer_));
    EXPECT_NPU(NPU_OK, npuDeviceClose(peer_device_));
    DeviceTest::TearDown();
  }

  npuQueueInfo info() {
    npuQueueInfo info{};
    info.struct_size = sizeof info;
    info.queue_class = NPU_QUEUE_CLASS_NET;
    info.peer = peer_device_;
    return info;
  }
  npuQueue net_queue(uint64_t port_mask = 0) {
    npuQueueInfo asked = info();
    asked.port_mask = port_mask;
    npuQueue queue = nullptr;
    EXPECT_NPU(NPU_OK, npuQueueCreate(context_, &asked, &queue));
    return queue;
  }
  // Memory behind the ports: the peer's, or the host's where devices cannot map each other's.
  npuDevPtr memory_away() {
    npuPeerAccess access = NPU_PEER_NONE;
    EXPECT_NPU(NPU_OK, npuDeviceCanAccessPeer(device_, peer_device_, &access));
    if (access != NPU_PEER_MAPPED) return alloc(kBytes, NPU_MEM_HOST);
    npuDevPtr there = 0, here = 0;
    EXPECT_NPU(NPU_OK, npuMemAlloc(peer_, NPU_MEM_DEVICE | NPU_MEM_EXPORTABLE, kBytes, &there));
    EXPECT_NPU(NPU_OK, npuContextEnablePeer(context_, peer_));
    EXPECT_NPU(NPU_OK, npuMemMapPeer(context_, peer_, there, 0, &here));
    return here;
  }
  npuMlPort port(uint32_t device, uint32_t index) {
    std::vector<npuMlPort> rows(8);
    rows[0].struct_size = sizeof rows[0];
    uint32_t count = static_cast<uint32_t>(rows.size());
    EXPECT_EQ(npuMlGetPorts(ml_[device], &count, rows.data()), NPU_OK);
    return rows[index];
  }
  uint64_t sent(uint32_t device) { return port(device, 0).tx_bytes + port(device, 1).tx_bytes; }
  uint64_t received(uint32_t device) { return port(device, 0).rx_bytes + port(device, 1).rx_bytes; }

  npuDevice peer_device_ = nullptr;
  npuContext peer_ = nullptr;
  npuMlDevice ml_[2] = {};
};

TEST_F(NetQueueTest, CopiesReachThePeerAndBothEndsCountThem) {
  const npuDevPtr own = alloc(kBytes), away = memory_away(), back = alloc(kBytes);
  std::vector<uint32_t> numbers(kBytes / 4), seen(kBytes / 4);
  std::iota(numbers.begin(), numbers.end(), 1u);
  ASSERT_NPU(NPU_OK, npuMemCopyToDevice(context_, own, numbers.data(), kBytes));
  const uint64_t sent_before[] = {sent(0), sent(1)};
  const uint64_t received_before[] = {received(0), received(1)};
  npuQueue queue = net_queue();
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue, away, own, kBytes, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue, back, away, kBytes / 4, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
  ASSERT_NPU(NPU_OK, npuMemCopyToHost(context_, seen.data(), back, kBytes / 4));
  EXPECT_TRUE(std::equal(numbers.begin(), numbers.begin() + kBytes / 16, seen.begin()));
  EXPECT_EQ(sent(0) - sent_before[0], kBytes);
  EXPECT_EQ(received(1) - received_before[1], kBytes);
  EXPECT_EQ(received(0) - received_before[0], kBytes / 4);
  EXPECT_EQ(sent(1) - sent_before[1], kBytes / 4);
  EXPECT_NE(port(1, 0).flags & NPU_ML_PORT_HAS_COUNTERS, 0u);
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue));
}

// Two ports take half the time of one, and none is faster than its wire.
TEST_F(NetQueueTest, DeviceTimeIsThatOfThePorts) {
  const npuDevPtr own = alloc(kBytes), away = memory_away();
  uint64_t took_ps[2] = {};
  for (uint64_t ports : {1u, 2u}) {
    npuQueue queue = net_queue(ports == 1 ? 1 : 3);
    npuEvent begin = nullptr, end = nullptr;
    ASSERT_NPU(NPU_OK, npuEventCreate(context_, &begin));
    ASSERT_NPU(NPU_OK, npuEventCreate(context_, &end));
    ASSERT_NPU(NPU_OK, npuEventRecord(begin, queue));
    ASSERT_NPU(NPU_OK, npuQueueCopy(queue, away, own, kBytes, nullptr));
    ASSERT_NPU(NPU_OK, npuEventRecord(end, queue));
    ASSERT_NPU(NPU_OK, npuQueueSync(queue, kLongNs));
    ASSERT_NPU(NPU_OK, npuEventGetElapsed(begin, end, &took_ps[ports - 1]));
    ASSERT_NPU(NPU_OK, npuEventDestroy(begin));
    ASSERT_NPU(NPU_OK, npuEventDestroy(end));
    EXPECT_GE(took_ps[ports - 1], kBytes / ports * 8 * 1'000'000 / kPortMbps);
    ASSERT_NPU(NPU_OK, npuQueueDestroy(queue));
  }
  EXPECT_NEAR(static_cast<double>(took_ps[0]) / static_cast<double>(took_ps[1]), 2.0, 0.02);
}

TEST_F(NetQueueTest, WhatCrossesNothingFails) {
  const npuDevPtr own = alloc(kBytes);
  npuQueue queue = net_queue();
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue, own + kBytes / 2, own, 64, &value));
  EXPECT_NPU(NPU_ERROR_BAD_COMMAND, npuQueueWait(queue, value, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue, kLongNs));
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuQueueFill(queue, own, 1, 4, 64, nullptr));
  const uint64_t words[2] = {own, 0};
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, launch(queue, kernel("poke"), words, sizeof words));
  npuGraph graph = nullptr;
  npuGraphExec exec = nullptr;
  ASSERT_NPU(NPU_OK, npuQueueBeginCapture(queue_));
  ASSERT_NPU(NPU_OK, npuQueueFill(queue_, own, 1, 4, 64, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueEndCapture(queue_, &graph));
  ASSERT_NPU(NPU_OK, npuGraphInstantiate(graph, &exec));
  EXPECT_NPU(NPU_ERROR_NOT_SUPPORTED, npuGraphLaunch(exec, queue, nullptr));
  ASSERT_NPU(NPU_OK, npuGraphExecDestroy(exec));
  ASSERT_NPU(NPU_OK, npuGraphDestroy(graph));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue));
}

TEST_F(NetQueueTest, WhatCannotBeIsRefusedByName) {
  npuQueue queue = nullptr;
  npuQueueInfo asked = info();
  asked.peer = nullptr;
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuQueueCreate(context_, &asked, &queue));
  asked.peer = device_;
  EXPECT_NPU(NPU_ERROR_NOT_FOUND, npuQueueCreate(context_, &asked, &queue));
  asked = info();
  asked.port_mask = 4;  // leads up
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &asked, &queue));
  EXPECT_NE(std::string(last_error().text).find("port_mask is 0x4, only ports of 0x3"),
            std::string::npos);
  asked.port_mask = uint64_t{1} << 63;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &asked, &queue));
  for (const uint32_t mtu : {1u, 255u, 65537u}) {
    asked = info();
    asked.mtu_bytes = mtu;
    EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &asked, &queue));
  }
  asked = info();
  asked.queue_class = NPU_QUEUE_CLASS_COPY;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCreate(context_, &asked, &queue));
  asked = info();
  asked.reserved = 1;
  EXPECT_NPU(NPU_ERROR_RESERVED_NOT_ZERO, npuQueueCreate(context_, &asked, &queue));
  EXPECT_EQ(queue, nullptr);
}

}  // namespace
}  // namespace npu::conformance
