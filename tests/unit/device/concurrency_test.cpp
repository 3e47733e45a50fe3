// SPDX-License-Identifier: Apache-2.0
// Many threads at one device: clients that submit and wait, and a driver that flushes, quiesces,
// suspends and destroys meanwhile. Made for the thread sanitizer.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

constexpr int kClients = 4;
constexpr int kRounds = 150;

class ConcurrencyTest : public testing::TestWithParam<bool> {
 protected:
  static DriverOptions options(bool shared_doorbells) {
    DriverOptions result;
    result.worker_threads = 2;
    result.shared_doorbells = shared_doorbells;
    return result;
  }

  struct Client {
    uint32_t context = 0;
    TestQueue queue;
    Buffer args;
    Buffer data;
    uint32_t module = 0;
  };

  Client make_client() {
    Client client;
    client.context = driver_.create_context();
    client.queue = driver_.create_queue(client.context);
    client.args = driver_.make_buffer(client.context, 4096);
    client.data = driver_.make_buffer(client.context, 64 * 1024);
    client.module =
        static_cast<uint32_t>(driver_.load_module(client.queue, standard_blob()).result);
    client.args.as<uint64_t>()[0] = 10;
    return client;
  }

  // Launches, fills and signals in batches; every result is looked at.
  static void work(Client& client) {
    for (int round = 0; round < kRounds; ++round) {
      const uint64_t value = static_cast<uint64_t>(round) + 1;
      client.queue.push(launch(client.module, kWork, {20, 1, 1}, client.args.dva, 8));
      client.queue.push(fill(client.data.dva, 4096, value, 8));
      client.queue.push(sem_signal(client.data.dva + 8192, value));
      client.queue.push(sem_wait(client.data.dva + 8192, value));
      const uint64_t last = client.queue.push(launch(client.module, kNull, {1, 1, 1}, 0, 0));
      client.queue.ring();
      ASSERT_EQ(client.queue.wait(last).status, NPU_ST_OK);
      ASSERT_EQ(client.data.as<uint64_t>()[511], value);
    }
  }

  TestDriver driver_{options(GetParam())};
};

TEST_P(ConcurrencyTest, ClientsAndTheDriverDoNotDisturbEachOther) {
  std::vector<Client> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(make_client());
  TestQueue victim = driver_.create_queue(clients[0].context);
  std::atomic<bool> stop{false};
  std::thread manager([&] {
    uint64_t ticket = 0;
    while (!stop) {
      for (const Client& client : clients) driver_.flush(client.context);
      EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUIESCE, {}, &ticket), NPU_ST_OK);
      while (driver_.reg(NPU_REG_QUIESCED, 8) < ticket) std::this_thread::yield();
      const uint32_t id = clients[1].queue.id;
      EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUSPEND, {id}), NPU_ST_OK);
      EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_RESUME, {id}), NPU_ST_OK);
      EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_PRIORITY, {id, ticket % 3}), NPU_ST_OK);
      victim.push(launch(clients[0].module, kEndless, {2, 1, 1}, 0, 0));
      victim.ring();
      EXPECT_EQ(driver_.destroy_queue(victim), NPU_ST_OK);
      victim.written = 0;
      std::memset(victim.control.data, 0, victim.control.bytes);
      EXPECT_EQ(
          driver_.mailbox(NPU_MBOX_QUEUE_CREATE, {victim.id, victim.context, victim.ring_memory.dva,
                                                  victim.control.dva, 6, victim.doorbell_slot, 0}),
          NPU_ST_OK);
    }
  });
  std::vector<std::thread> threads;
  for (Client& client : clients) threads.emplace_back([&client] { work(client); });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  manager.join();
  for (const Client& client : clients) EXPECT_EQ(client.queue.state(), NPU_QUEUE_STATE_READY);
}

TEST_P(ConcurrencyTest, TimesOfAQueueDoNotDependOnItsNeighbours) {
  Client alone = make_client();
  const auto times = [&](Client& client) {
    std::vector<uint64_t> result;
    const uint64_t begin = client.queue.ctrl()->time_ps;
    for (int i = 0; i < 20; ++i) {
      const npu_cmd_launch command = launch(client.module, kWork, {30, 1, 1}, client.args.dva, 8);
      result.push_back(client.queue.run(command).end_ps - begin);
    }
    return result;
  };
  const std::vector<uint64_t> expected = times(alone);
  Client busy = make_client();
  Client noise = make_client();
  std::thread neighbour([&] { work(noise); });
  EXPECT_EQ(times(busy), expected);
  neighbour.join();
}

INSTANTIATE_TEST_SUITE_P(Doorbells, ConcurrencyTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Shared" : "Registers"; });

}  // namespace
}  // namespace npu::test
