// SPDX-License-Identifier: Apache-2.0
// Events between the answers of a device server: kept in order, bounded, and not mistaken for answers.
#include "libnpu/src/backend/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

namespace npu {
namespace {

constexpr int64_t kMs = 1'000'000;

class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    connection_ = std::make_unique<Connection>(UniqueFd(pair[0]));
    server_.reset(pair[1]);
  }

  void send(const void* bytes, size_t size) {
    ASSERT_EQ(write(server_.get(), bytes, size), static_cast<ssize_t>(size));
  }

  // |length| is what the event says of itself.
  void send_event(uint32_t port, uint32_t length = sizeof(npu_event_port_state),
                  uint32_t call = NPU_WIRE_EVENT) {
    struct {
      npu_frame frame;
      npu_event_port_state event;
    } message{};
    message.frame.magic = NPU_FRAME_MAGIC;
    message.frame.call = call;
    message.frame.payload_bytes = sizeof message.event;
    message.frame.flags = NPU_FRAME_EVENT;
    message.event.base.type = NPU_EVENT_TYPE_PORT_STATE;
    message.event.base.length = length;
    message.event.port = port;
    send(&message, sizeof message);
  }

  // Answers the next question, an EVENT_MASK.
  void answer() {
    struct {
      npu_frame frame;
      npu_event_mask args;
    } message{};
    ASSERT_EQ(read(server_.get(), &message, sizeof message), static_cast<ssize_t>(sizeof message));
    message.frame.flags = NPU_FRAME_REPLY;
    send(&message, sizeof message);
  }

  int next(npu_event_port_state* event, int64_t timeout_ns = 0) {
    return connection_->next_event(event, sizeof *event, timeout_ns);
  }

  std::unique_ptr<Connection> connection_;
  UniqueFd server_;
};

TEST_F(ConnectionTest, EventsBeforeAnAnswerAreKeptInOrder) {
  for (const uint32_t port : {1, 2}) send_event(port);
  std::thread server([this] { answer(); });
  npu_event_mask mask{};
  EXPECT_EQ(connection_->ask(NPU_CALL_EVENT_MASK, &mask), 0);
  server.join();
  send_event(3);
  npu_event_port_state event{};
  for (const uint32_t port : {1u, 2u, 3u}) {
    EXPECT_EQ(next(&event), 0);
    EXPECT_EQ(event.port, port);
    EXPECT_EQ(event.base.flags, 0u);
  }
  EXPECT_EQ(next(&event), ETIME);
  EXPECT_FALSE(connection_->is_lost());
}

TEST_F(ConnectionTest, AHalfEventIsWaitedForAndThenWhole) {
  npu_frame frame{};
  frame.magic = NPU_FRAME_MAGIC;
  frame.call = NPU_WIRE_EVENT;
  frame.payload_bytes = sizeof(npu_event);
  frame.flags = NPU_FRAME_EVENT;
  npu_event head{};
  head.length = sizeof head;
  send(&frame, sizeof frame);
  npu_event_port_state event{};
  EXPECT_EQ(next(&event, 2 * kMs), ETIME);
  std::thread server([&] { send(&head, sizeof head); });
  EXPECT_EQ(next(&event, 20'000 * kMs), 0);
  server.join();
  EXPECT_EQ(event.base.length, sizeof head);
}

TEST_F(ConnectionTest, MoreEventsThanAreKeptAreToldAsLost) {
  constexpr uint32_t kKept = 1024;
  npu_event_mask mask{};
  for (uint32_t port = 0; port < kKept + 10; port++) {
    send_event(port);
    // A question takes them off the socket, which would not hold them all.
    if (port % 64 != 63 && port != kKept + 9) continue;
    std::thread server([this] { answer(); });
    EXPECT_EQ(connection_->ask(NPU_CALL_EVENT_MASK, &mask), 0);
    server.join();
  }
  npu_event_port_state event{};
  for (uint32_t port = 0; port < kKept; port++) {
    ASSERT_EQ(next(&event), 0);
    ASSERT_EQ(event.port, port);
    ASSERT_EQ(event.base.flags, 0u);
  }
  EXPECT_EQ(next(&event), ETIME);
  for (const uint32_t flags : {NPU_EVENT_FLAG_LOST, 0u}) {
    send_event(7);
    EXPECT_EQ(next(&event), 0);
    EXPECT_EQ(event.base.flags, flags);
  }
}

TEST_F(ConnectionTest, WhatIsNoEventEndsTheConnection) {
  npu_event_port_state event{};
  for (const auto& [length, call] : {std::pair<uint32_t, uint32_t>{24, NPU_WIRE_EVENT},
                                     std::pair<uint32_t, uint32_t>{~0u, NPU_WIRE_EVENT},
                                     std::pair<uint32_t, uint32_t>{32, NPU_CALL_WAIT}}) {
    SetUp();
    send_event(1, length, call);
    EXPECT_EQ(next(&event), EPROTO) << length;
    EXPECT_EQ(next(&event), ENODEV);
    EXPECT_TRUE(connection_->is_lost());
  }
}

TEST_F(ConnectionTest, AServerThatGoesEndsTheWait) {
  npu_event_port_state event{};
  std::thread server([this] { server_.reset(); });
  EXPECT_EQ(next(&event, 20'000 * kMs), ENODEV);
  server.join();
}

}  // namespace
}  // namespace npu
