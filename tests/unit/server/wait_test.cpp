// SPDX-License-Identifier: Apache-2.0
// WAIT, NOTIFY, PERF_OPEN: deadlines, edges, streams.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/server/server_fixture.h"
#include "uapi/npu_metrics.h"

namespace npu::model::test {
namespace {

constexpr uint64_t kDataDva = 0x10000000;

class WaitTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    client_ = std::make_unique<RawClient>(open());
    word_ = client_->bo_create(4096, NPU_REGION_SYSTEM, NPU_BO_SYNC);
    memory_ = client_->map(word_.map_token);
  }
  void TearDown() override {
    client_.reset();
    ServerTest::TearDown();
  }

  npu_cond word_cond(uint64_t value, uint32_t op = NPU_COND_GE, uint64_t offset = 0) const {
    npu_cond cond{};
    cond.op = op;
    cond.bo_handle = word_.handle;
    cond.offset = offset;
    cond.value = value;
    cond.mask = ~0ull;
    return cond;
  }

  int wait(const std::vector<npu_cond>& conds, int64_t deadline_ns, uint32_t flags = 0,
           npu_wait* out = nullptr) {
    npu_wait args{};
    args.conds = client_->array_of(sizeof(npu_cond), conds.size());
    args.flags = flags;
    args.deadline_ns = deadline_ns;
    const int err = client_->call(NPU_CALL_WAIT, &args, bytes_of_all(conds));
    if (out != nullptr) *out = args;
    return err;
  }

  uint32_t start_wait(const npu_cond& cond, int64_t deadline_ns) {
    npu_wait args{};
    args.conds = client_->array_of(sizeof(npu_cond), 1);
    args.deadline_ns = deadline_ns;
    return client_->send_call(NPU_CALL_WAIT, bytes_of(args), bytes_of(cond));
  }

  void store(uint64_t value, uint64_t offset = 0) {
    __atomic_store_n(memory_.as<uint64_t>(offset), value, __ATOMIC_RELEASE);
  }

  int notify(uint32_t flags, int fd, uint64_t cookie, const npu_cond& cond) {
    npu_notify args{};
    args.flags = flags;
    args.fd = fd >= 0 ? 0 : -1;
    args.cookie = cookie;
    args.cond = cond;
    return client_->call(NPU_CALL_NOTIFY, &args, {}, nullptr,
                         fd >= 0 ? std::vector<int>{fd} : std::vector<int>{});
  }

  // Waits for the counter of an eventfd and takes it; 0: nothing came.
  static uint64_t take(int fd, int timeout_ms) {
    pollfd ready{fd, POLLIN, 0};
    uint64_t count = 0;
    if (poll(&ready, 1, timeout_ms) != 1 || read(fd, &count, 8) != 8) return 0;
    return count;
  }

  std::unique_ptr<RawClient> client_;
  npu_bo_create word_{};
  SharedMap memory_;
};

TEST_F(WaitTest, ADeadlineThatHasPassedOnlyLooks) {
  npu_wait out{};
  EXPECT_EQ(wait({word_cond(1)}, 0, 0, &out), ETIME);
  EXPECT_EQ(out.first_index, ~0u);
  store(1);
  EXPECT_EQ(wait({word_cond(1)}, 0, 0, &out), 0);
  EXPECT_EQ(out.first_index, 0u);
}

TEST_F(WaitTest, AWaitEndsAtItsDeadlineAndNotBefore) {
  const int64_t deadline = in_ms(40);
  EXPECT_EQ(wait({word_cond(1)}, deadline), ETIME);
  const int64_t late = server::monotonic_ns() - deadline;
  EXPECT_GE(late, 0);
}

TEST_F(WaitTest, AWordThatTheCpuWritesEndsAWait) {
  const uint32_t waiting = start_wait(word_cond(5), NPU_FOREVER);
  // A call that is answered meanwhile: the server has taken the wait before it.
  npu_bo_info info{};
  info.handle = word_.handle;
  ASSERT_EQ(client_->call(NPU_CALL_BO_INFO, &info), 0);
  store(5);
  const auto answer = client_->wait_reply(waiting);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.error, 0);
}

TEST_F(WaitTest, AnyAndAllDiffer) {
  store(1, 8);
  npu_wait out{};
  EXPECT_EQ(wait({word_cond(1), word_cond(1, NPU_COND_EQ, 8)}, 0, 0, &out), 0);
  EXPECT_EQ(out.first_index, 1u);
  EXPECT_EQ(wait({word_cond(1), word_cond(1, NPU_COND_EQ, 8)}, 0, NPU_WAIT_FLAG_ALL, &out), ETIME);
  EXPECT_EQ(out.first_index, 1u);
  EXPECT_EQ(
      wait({word_cond(7, NPU_COND_NE), word_cond(1, NPU_COND_EQ, 8)}, 0, NPU_WAIT_FLAG_ALL, &out),
      0);
  EXPECT_EQ(out.first_index, 0u);
}

TEST_F(WaitTest, AMaskHidesTheOtherBits) {
  store(0xff00);
  npu_cond cond = word_cond(0x0f00, NPU_COND_EQ);
  cond.mask = 0x0f00;
  EXPECT_EQ(wait({cond}, 0), 0);
}

TEST_F(WaitTest, BadConditionsAreRefused) {
  npu_cond cond = word_cond(1);
  cond.offset = 4096;
  EXPECT_EQ(wait({cond}, 0), EINVAL);
  cond = word_cond(1);
  cond.offset = 4;
  EXPECT_EQ(wait({cond}, 0), EINVAL);
  cond = word_cond(1);
  cond.bo_handle = 777;
  EXPECT_EQ(wait({cond}, 0), ENOENT);
  cond = word_cond(1);
  cond.queue_id = 777;
  EXPECT_EQ(wait({cond}, 0), ENOENT);
  cond = word_cond(1);
  cond.op = NPU_COND_OP_COUNT;
  EXPECT_EQ(wait({cond}, 0), EINVAL);
  EXPECT_EQ(wait({}, 0), EINVAL);
  EXPECT_EQ(wait(std::vector<npu_cond>(65, word_cond(1)), 0), E2BIG);
  EXPECT_EQ(wait({word_cond(1)}, -1), EINVAL);
}

TEST_F(WaitTest, MoreThan256PendingWaitsAreRefused) {
  std::vector<uint32_t> waiting;
  for (int i = 0; i < NPU_FRAME_MAX_PENDING; ++i)
    waiting.push_back(start_wait(word_cond(9), NPU_FOREVER));
  EXPECT_EQ(wait({word_cond(9)}, NPU_FOREVER), EBUSY);
  store(9);
  for (const uint32_t sequence : waiting) {
    const auto answer = client_->wait_reply(sequence);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->header.error, 0);
  }
}

TEST_F(WaitTest, AnIdleQueueIsWaitedFor) {
  RawQueue queue(client_.get(), client_->vm_create());
  ASSERT_EQ(queue.create(), 0);
  npu_cond cond{};
  cond.op = NPU_COND_QUEUE_IDLE;
  cond.queue_id = queue.id;
  for (int i = 0; i < 200; ++i) {
    queue.submit(npu_cmd{});
    queue.submit(npu_cmd{});
    ASSERT_EQ(wait({cond}, NPU_FOREVER), 0);
    ASSERT_EQ(queue.completed(), queue.submitted());
  }
}

TEST_F(WaitTest, NotifySignalsOnceForEachTimeTheConditionComesTrue) {
  const int fd = eventfd(0, EFD_CLOEXEC);
  ASSERT_EQ(notify(NPU_NOTIFY_ADD, fd, 1, word_cond(1, NPU_COND_EQ)), 0);
  EXPECT_EQ(notify(NPU_NOTIFY_ADD, fd, 1, word_cond(1)), EBUSY);
  EXPECT_EQ(take(fd, 0), 0u);
  store(1);
  EXPECT_EQ(take(fd, kTimeoutMs), 1u);
  EXPECT_EQ(notify(NPU_NOTIFY_REMOVE, -1, 1, {}), 0);
  EXPECT_EQ(notify(NPU_NOTIFY_REMOVE, -1, 1, {}), ENOENT);
  EXPECT_EQ(notify(NPU_NOTIFY_ADD, fd, 2, word_cond(1)), 0);
  EXPECT_EQ(take(fd, kTimeoutMs), 1u) << "it holds already";
  close(fd);
}

TEST_F(WaitTest, NotifyOfAQueueComesWithItsCompletion) {
  RawQueue queue(client_.get(), client_->vm_create());
  ASSERT_EQ(queue.create(), 0);
  const int fd = eventfd(0, EFD_CLOEXEC);
  for (uint64_t i = 1; i <= 100; ++i) {
    npu_cond cond{};
    cond.op = NPU_COND_GE;
    cond.bo_handle = queue.ctrl_handle;
    cond.queue_id = queue.id;
    cond.offset = offsetof(npu_queue_ctrl, completed);
    cond.value = i;
    cond.mask = ~0ull;
    ASSERT_EQ(notify(NPU_NOTIFY_ADD | NPU_NOTIFY_ONESHOT, fd, i, cond), 0);
    queue.submit(npu_cmd{});
    ASSERT_EQ(take(fd, kTimeoutMs), 1u) << i;
  }
  // One-shot registrations have gone: their cookies are free.
  EXPECT_EQ(notify(NPU_NOTIFY_REMOVE, -1, 1, {}), ENOENT);
  close(fd);
}

TEST_F(WaitTest, NotifyTakesEventfdsOnly) {
  int pair[2];
  ASSERT_EQ(pipe(pair), 0);
  EXPECT_EQ(notify(NPU_NOTIFY_ADD, pair[1], 1, word_cond(1)), EINVAL);
  EXPECT_EQ(notify(NPU_NOTIFY_ADD, -1, 1, word_cond(1)), EINVAL);
  close(pair[0]);
  close(pair[1]);
  const int fd = eventfd(0, EFD_CLOEXEC);
  EXPECT_EQ(notify(NPU_NOTIFY_ADD, fd, 0, word_cond(1)), EINVAL);
  EXPECT_EQ(notify(NPU_NOTIFY_ADD | NPU_NOTIFY_REMOVE, fd, 1, word_cond(1)), EINVAL);
  EXPECT_EQ(notify(8, fd, 1, word_cond(1)), EINVAL);
  close(fd);
}

TEST_F(WaitTest, AFullEventfdDoesNotStopTheServer) {
  const int fd = eventfd(0, EFD_CLOEXEC);
  const uint64_t most = ~0ull - 1;
  ASSERT_EQ(write(fd, &most, 8), 8);
  ASSERT_EQ(notify(NPU_NOTIFY_ADD, fd, 1, word_cond(0)), 0);
  EXPECT_EQ(wait({word_cond(0)}, 0), 0);
  close(fd);
}

TEST_F(WaitTest, ACounterStreamGivesWholeRecords) {
  npu_perf_open args{};
  args.fd = -1;
  args.period_ns = 1'000'000;
  std::vector<npu_perf_counter> counters(2);
  counters[0].metric_id = NPU_METRIC_MEMORY_USED;
  counters[1].metric_id = NPU_METRIC_UTIL_DMA;
  args.counters = client_->array_of(sizeof(npu_perf_counter), counters.size());
  std::vector<int> fds;
  ASSERT_EQ(client_->call(NPU_CALL_PERF_OPEN, &args, bytes_of_all(counters), nullptr, {}, &fds), 0);
  ASSERT_EQ(fds.size(), 1u);
  ASSERT_EQ(args.record_bytes, 48u);
  client_->bo_create(1 << 20, NPU_REGION_HBM);
  int64_t last_ns = 0;
  bool seen = false;
  for (int i = 0; i < 2000 && !seen; ++i) {
    uint64_t record[6];
    ASSERT_EQ(read(fds[0], record, sizeof(record)), 48);
    npu_perf_record head;
    std::memcpy(&head, record, sizeof(head));
    EXPECT_EQ(head.bytes, 48u);
    EXPECT_GT(head.time_ns, last_ns);
    last_ns = head.time_ns;
    EXPECT_EQ(head.valid, 1u) << "no utilisation of the copy engines in this model";
    seen = record[4] == 1 << 20;
  }
  EXPECT_TRUE(seen);
  close(fds[0]);
  args.fd = -1;
  args.record_bytes = 0;
  args.period_ns = 1;
  EXPECT_EQ(client_->call(NPU_CALL_PERF_OPEN, &args, bytes_of_all(counters)), EINVAL);
}

}  // namespace
}  // namespace npu::model::test
