// SPDX-License-Identifier: Apache-2.0
// A running server with `tiny` devices for one test.
#ifndef NPU_TESTS_UNIT_SERVER_SERVER_FIXTURE_H_
#define NPU_TESTS_UNIT_SERVER_SERVER_FIXTURE_H_

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>

#include "firmware-model/server/metrics.h"
#include "firmware-model/server/profile.h"
#include "firmware-model/server/server.h"
#include "tests/unit/server/raw_client.h"

namespace npu::model::test {

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server::ServerOptions options;
    std::string error;
    ASSERT_TRUE(server::load_profile(NPU_TEST_PROFILE_DIR "/tiny.toml", &options.profile,
                                     &options.bindings, &error))
        << error;
    options.device_count = 2;
    options.worker_threads = 2;
    server_ = server::Server::create(options, &error);
    ASSERT_NE(server_, nullptr) << error;
    configure(server_.get());
    thread_ = std::thread([this] { server_->run(); });
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
    server_.reset();
  }

  // Settings from before run().
  virtual void configure(server::Server*) {}

  // A connected socket, before HELLO.
  int raw_socket() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
      throw std::runtime_error("socketpair");
    server_->adopt(server::UniqueFd(pair[0]));
    return pair[1];
  }

  RawClient open(uint32_t device = 0) {
    RawClient client(raw_socket());
    EXPECT_EQ(client.hello(device), 0);
    return client;
  }

  // The value of a metric, asked over a connection of its own.
  static int64_t metric(RawClient& client, uint32_t id) {
    for (const npu_metric& row : client.query<npu_metric>(NPU_QUERY_METRICS)) {
      if (row.id == id) return row.value;
    }
    return -1;
  }

  static int64_t in_ms(int64_t ms) { return server::monotonic_ns() + ms * 1'000'000; }

  std::unique_ptr<server::Server> server_;
  std::thread thread_;
};

}  // namespace npu::model::test

#endif  // NPU_TESTS_UNIT_SERVER_SERVER_FIXTURE_H_
