// SPDX-License-Identifier: Apache-2.0
// Clients that break, lie, flood or die: they lose their own connection and nobody else anything.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <random>

#include "tests/unit/server/server_fixture.h"
#include "uapi/npu_metrics.h"

namespace npu::model::test {
namespace {

constexpr uint64_t kDataDva = 0x10000000;

size_t open_descriptors() {
  size_t count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

class HostileTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    neighbour_ = std::make_unique<RawClient>(open());
    vm_ = neighbour_->vm_create();
    queue_ = std::make_unique<RawQueue>(neighbour_.get(), vm_);
    ASSERT_EQ(queue_->create(), 0);
    const npu_bo_create bo = neighbour_->bo_create(0x10000, NPU_REGION_HBM);
    memory_ = neighbour_->map(bo.map_token);
    ASSERT_EQ(neighbour_->bind(vm_, bo.handle, kDataDva, 0x10000), 0);
  }
  void TearDown() override {
    neighbour_works();
    queue_.reset();
    neighbour_.reset();
    ServerTest::TearDown();
  }

  void neighbour_works() {
    const uint64_t value = ++round_;
    ASSERT_EQ(queue_->wait(queue_->submit(fill_command(kDataDva, 64, value))), 0);
    ASSERT_EQ(*memory_.as<uint64_t>(), value);
  }

  // Asks until the metric has the value: the server learns of a death a moment after it.
  void expect_soon(uint32_t id, int64_t value) {
    int64_t now = -1;
    const int64_t end = in_ms(kTimeoutMs);
    while (server::monotonic_ns() < end && (now = metric(*neighbour_, id)) != value) {
    }
    EXPECT_EQ(now, value) << "metric " << id;
  }

  std::unique_ptr<RawClient> neighbour_;
  std::unique_ptr<RawQueue> queue_;
  SharedMap memory_;
  uint32_t vm_ = 0;
  uint64_t round_ = 0;
};

// Takes one of everything, then waits for ever. Runs in a child, so no assertions.
void hold_everything(int socket, int ready_fd) {
  RawClient client(socket);
  if (client.hello() != 0) _exit(2);
  const uint32_t vm = client.vm_create();
  RawQueue queue(&client, vm);
  if (queue.create() != 0) _exit(3);
  const npu_bo_create bo = client.bo_create(32 << 20, NPU_REGION_HBM);
  const npu_bo_create hidden = client.bo_create(1 << 20, NPU_REGION_HBM, NPU_BO_NO_MMAP);
  const SharedMap mapped = client.map(bo.map_token);
  if (client.bind(vm, bo.handle, kDataDva, bo.size_bytes) != 0) _exit(4);
  if (client.bind(vm, hidden.handle, 0x40000000, hidden.size_bytes) != 0) _exit(4);
  const int fd = eventfd(0, EFD_CLOEXEC);
  npu_notify notify{};
  notify.flags = NPU_NOTIFY_ADD;
  notify.cookie = 1;
  notify.cond.op = NPU_COND_QUEUE_IDLE;
  notify.cond.queue_id = queue.id;
  queue.submit(fill_command(kDataDva, 16 << 20, 1));
  queue.submit(sem_command(NPU_CMD_SEM_WAIT, kDataDva, 99));
  if (client.call(NPU_CALL_NOTIFY, &notify, {}, nullptr, {fd}) != 0) _exit(5);
  npu_cond cond = notify.cond;
  npu_wait wait{};
  wait.conds = client.array_of(sizeof(cond), 1);
  wait.deadline_ns = NPU_FOREVER;
  client.send_call(NPU_CALL_WAIT, bytes_of(wait), bytes_of(cond));
  const uint64_t one = 1;
  if (write(ready_fd, &one, 8) != 8) _exit(6);
  pause();
  _exit(0);
}

TEST_F(HostileTest, KillMinusNineGivesEverythingBack) {
  // The other side of the socket must not stay open here, nor the server's threads be forked along: the child uses nothing of them.
  const int64_t used = metric(*neighbour_, NPU_METRIC_MEMORY_USED);
  const int64_t reserved = metric(*neighbour_, NPU_METRIC_MEMORY_RESERVED);
  const size_t descriptors = open_descriptors();
  for (int round = 0; round < 5; ++round) {
    const int ready = eventfd(0, EFD_CLOEXEC);
    const int socket = raw_socket();
    const pid_t child = fork();
    if (child == 0) hold_everything(socket, ready);
    close(socket);
    pollfd wait_ready{ready, POLLIN, 0};
    ASSERT_EQ(poll(&wait_ready, 1, kTimeoutMs), 1) << "the child did not get ready";
    EXPECT_EQ(metric(*neighbour_, NPU_METRIC_QUEUES_USED), 2);
    EXPECT_EQ(metric(*neighbour_, NPU_METRIC_MEMORY_USED), used + (33 << 20));
    neighbour_works();
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    expect_soon(NPU_METRIC_QUEUES_USED, 1);
    expect_soon(NPU_METRIC_CONTEXTS_USED, 1);
    expect_soon(NPU_METRIC_MEMORY_USED, used);
    expect_soon(NPU_METRIC_MEMORY_RESERVED, reserved);
    neighbour_works();
    close(ready);
  }
  EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_F(HostileTest, ThousandConnectionsLeakNothing) {
  const size_t before = open_descriptors();
  for (int i = 0; i < 1000; ++i) {
    RawClient client = open();
    client.bo_create(0x10000, NPU_REGION_HBM);
  }
  RawClient last = open();
  const int64_t end = in_ms(kTimeoutMs);
  while (open_descriptors() > before + 10 && server::monotonic_ns() < end) metric(last, 0);
  last.close();
  while (open_descriptors() > before && server::monotonic_ns() < end) metric(*neighbour_, 0);
  EXPECT_EQ(open_descriptors(), before);
  expect_soon(NPU_METRIC_MEMORY_USED, 0x10000);
}

TEST_F(HostileTest, EverySingleByteOfAFrameMayBeWrong) {
  npu_bo_create args{};
  args.size_bytes = 0x10000;
  args.region = NPU_REGION_HBM;
  const Bytes good = RawClient::frame(NPU_CALL_BO_CREATE, bytes_of(args), {}, 5);
  size_t ended = 0;
  size_t refused = 0;
  size_t accepted = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const uint8_t flip : {0x01, 0x80, 0xff}) {
      RawClient client = open();
      Bytes bad = good;
      bad[at] ^= flip;
      ASSERT_TRUE(client.send_bytes(bad));
      // Half a frame is no error by itself: the end of the stream is.
      shutdown(client.socket(), SHUT_WR);
      const auto answer = client.receive();
      if (!answer) {
        ++ended;
      } else if (answer->header.error != 0) {
        ++refused;
      } else {
        ++accepted;
      }
      EXPECT_TRUE(client.is_closed()) << "byte " << at;
    }
  }
  EXPECT_GT(ended, 20u);
  EXPECT_GT(refused, 40u);
  EXPECT_GT(accepted, 0u);
  printf("%zu ended, %zu refused, %zu accepted\n", ended, refused, accepted);
}

TEST_F(HostileTest, RandomBytesEndAConnection) {
  const uint64_t seed = std::random_device{}();
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 200; ++i) {
    RawClient client(raw_socket());
    Bytes bytes(1 + random() % 500);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    client.send_bytes(bytes);
    shutdown(client.socket(), SHUT_WR);
    EXPECT_TRUE(client.is_closed());
  }
}

TEST_F(HostileTest, CallsBeforeHelloAndASecondHelloAreBroken) {
  RawClient early(raw_socket());
  early.send_call(NPU_CALL_VM_CREATE, bytes_of(npu_vm_create{}));
  EXPECT_TRUE(early.is_closed());
  RawClient twice = open();
  npu_wire_hello hello{};
  hello.wire_version = NPU_WIRE_VERSION;
  hello.uapi_major = NPU_UAPI_MAJOR;
  hello.fd = -1;
  twice.send_call(NPU_WIRE_HELLO, bytes_of(hello));
  EXPECT_TRUE(twice.is_closed());
}

TEST_F(HostileTest, AnUnknownCallIsAnErrorOnly) {
  RawClient client = open();
  const auto answer = client.wait_reply(client.send_call(9999, Bytes(8)));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.error, EOPNOTSUPP);
  EXPECT_NE(client.vm_create(), 0u);
}

TEST_F(HostileTest, FilesThatNoFrameNamesEndTheConnection) {
  const int fd = eventfd(0, EFD_CLOEXEC);
  RawClient a = open();
  a.send_call(NPU_CALL_VM_CREATE, bytes_of(npu_vm_create{}), {}, {fd});
  EXPECT_TRUE(a.is_closed()) << "a call without a file member";
  RawClient b = open();
  b.send_bytes(RawClient::frame(NPU_CALL_VM_CREATE, bytes_of(npu_vm_create{}), {}, 1, 0), {fd});
  EXPECT_TRUE(b.is_closed()) << "fd_count says none";
  RawClient c = open();
  c.send_bytes(RawClient::frame(NPU_CALL_NOTIFY, bytes_of(npu_notify{}), {}, 1, 1));
  EXPECT_TRUE(c.is_closed()) << "fd_count says one, none came";
  RawClient d = open();
  d.send_bytes(RawClient::frame(NPU_CALL_NOTIFY, bytes_of(npu_notify{}), {}, 1, 2),
               std::vector<int>(2, fd));
  EXPECT_TRUE(d.is_closed()) << "two files for one member";
  RawClient e = open();
  e.send_bytes(RawClient::frame(NPU_CALL_NOTIFY, bytes_of(npu_notify{}), {}, 1, 1),
               std::vector<int>(40, fd));
  EXPECT_TRUE(e.is_closed()) << "more files than a frame may have";
  close(fd);
}

TEST_F(HostileTest, APeerThatDoesNotReadIsSentAway) {
  RawClient client = open();
  npu_dev_query args{};
  args.type = NPU_QUERY_METRICS;
  args.out = client.array_of(4096, 128);
  const Bytes frame = RawClient::frame(NPU_CALL_DEV_QUERY, bytes_of(args), {}, 1);
  Bytes many;
  for (int i = 0; i < 100; ++i) many.insert(many.end(), frame.begin(), frame.end());
  // About 150 KiB an answer: long before a hundred of them the server has had enough.
  client.send_bytes(many);
  const int64_t end = in_ms(kTimeoutMs);
  pollfd gone{client.socket(), 0, 0};
  while ((gone.revents & POLLHUP) == 0 && server::monotonic_ns() < end) poll(&gone, 1, 100);
  EXPECT_NE(gone.revents & POLLHUP, 0);
}

TEST_F(HostileTest, AHalfFrameHoldsUpNobody) {
  RawClient half = open();
  const Bytes frame = RawClient::frame(NPU_CALL_VM_CREATE, bytes_of(npu_vm_create{}), {}, 9);
  half.send_bytes(Bytes(frame.begin(), frame.begin() + 40));
  for (int i = 0; i < 20; ++i) neighbour_works();
  half.send_bytes(Bytes(frame.begin() + 40, frame.end()));
  const auto answer = half.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.sequence, 9u);
  EXPECT_EQ(answer->header.error, 0);
}

TEST_F(HostileTest, QuotasHoldAndGiveBack) {
  RawClient client = open();
  const npu_limits limits = client.query<npu_limits>(NPU_QUERY_LIMITS).at(0);
  std::vector<uint32_t> vms;
  npu_vm_create vm{};
  int err = 0;
  while ((err = client.call(NPU_CALL_VM_CREATE, &vm)) == 0) {
    vms.push_back(vm.vm_id);
    vm = {};
  }
  EXPECT_EQ(err, EDQUOT);
  EXPECT_EQ(vms.size(), limits.vms_max);
  npu_vm_destroy destroy{vms[0], 0};
  EXPECT_EQ(client.call(NPU_CALL_VM_DESTROY, &destroy), 0);
  vm = {};
  EXPECT_EQ(client.call(NPU_CALL_VM_CREATE, &vm), 0);
  std::vector<uint32_t> bos;
  for (;;) {
    const npu_bo_create bo = client.bo_create(16 << 20, NPU_REGION_HBM, 0, &err);
    if (err != 0) break;
    bos.push_back(bo.handle);
  }
  EXPECT_TRUE(err == ENOSPC || err == EDQUOT) << err;
  EXPECT_GE(bos.size(), 13u);
  for (const uint32_t handle : bos) EXPECT_EQ(client.bo_close(handle), 0);
  client.bo_create(128 << 20, NPU_REGION_HBM, 0, &err);
  EXPECT_EQ(err, 0);
}

TEST_F(HostileTest, AQueueOfEverySlotCanBeMadeAndTheNextIsRefused) {
  RawClient client = open();
  const uint32_t vm = client.vm_create();
  const npu_limits limits = client.query<npu_limits>(NPU_QUERY_LIMITS).at(0);
  std::vector<std::unique_ptr<RawQueue>> queues;
  for (uint32_t i = 0; i < limits.queues_max; ++i) {
    queues.push_back(std::make_unique<RawQueue>(&client, vm, i * 0x100000));
    ASSERT_EQ(queues.back()->create(), 0) << i;
  }
  RawQueue more(&client, vm, limits.queues_max * 0x100000ull);
  EXPECT_EQ(more.create(), EDQUOT);
  for (const auto& queue : queues) queue->submit(npu_cmd{});
  for (const auto& queue : queues) EXPECT_EQ(queue->wait(1), 0);
  EXPECT_EQ(queues[3]->destroy(), 0);
  EXPECT_EQ(more.create(), 0);
}

class SilentTest : public HostileTest {
 protected:
  void configure(server::Server* server) override { server->set_greeting_deadline(200'000'000); }
};

TEST_F(SilentTest, WhoOpensNoDeviceIsSentAway) {
  const size_t before = open_descriptors();
  std::vector<int> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(raw_socket());
  // One of them counts devices and opens none, one begins a frame.
  RawClient counting(raw_socket());
  EXPECT_EQ(counting.hello(~0u), 0);
  EXPECT_EQ(write(silent[0], "NPU", 3), 3);
  for (const int socket : silent) {
    pollfd wanted{socket, POLLIN, 0};
    ASSERT_EQ(poll(&wanted, 1, kTimeoutMs), 1);
    char byte;
    EXPECT_EQ(read(socket, &byte, 1), 0);
    close(socket);
  }
  pollfd wanted{counting.socket(), POLLIN, 0};
  ASSERT_EQ(poll(&wanted, 1, kTimeoutMs), 1);
  counting.close();
  neighbour_works();
  // The server's ends go at the end of its round.
  const int64_t end = in_ms(kTimeoutMs);
  while (server::monotonic_ns() < end && open_descriptors() > before) neighbour_works();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(HostileTest, GarbageInSharedMemoryHarmsItsOwnerOnly) {
  const uint64_t seed = std::random_device{}();
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    RawClient client = open();
    const uint32_t vm = client.vm_create();
    RawQueue queue(&client, vm);
    ASSERT_EQ(queue.create(), 0);
    for (int i = 0; i < 40; ++i) {
      npu_cmd command;
      auto* words = reinterpret_cast<uint64_t*>(&command);
      for (size_t w = 0; w < 8; ++w) words[w] = random() & random();
      command.op = static_cast<uint8_t>(random() % (NPU_CMD_COUNT + 1));
      if (random() % 4 != 0) command.flags = 0;
      if (random() % 4 != 0) command.rsvd = 0;
      queue.submit(command);
      reinterpret_cast<uint64_t*>(queue.ctrl())[random() % 512] = random();
    }
    auto* page = client.doorbells().as<uint64_t>();
    for (int i = 0; i < 100; ++i) page[random() % 1024] = random();
    const uint64_t filled = ~0ull - 1;
    // Full or nearly so: either way the client spoils its own wake-ups.
    [[maybe_unused]] const ssize_t n = write(client.wake_fd(), &filled, 8);
    neighbour_works();
  }
  expect_soon(NPU_METRIC_QUEUES_USED, 1);
}

}  // namespace
}  // namespace npu::model::test
