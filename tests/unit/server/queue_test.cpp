// SPDX-License-Identifier: Apache-2.0
// Work that runs end to end: commands in a ring, completions, faults, waits.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "tests/unit/server/server_fixture.h"

namespace npu::model::test {
namespace {

constexpr uint64_t kDataDva = 0x10000000;
constexpr uint64_t kOtherDva = 0x20000000;
constexpr uint64_t kBytes = 1 << 20;

class QueueTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    client_ = std::make_unique<RawClient>(open());
    vm_ = client_->vm_create();
    queue_ = std::make_unique<RawQueue>(client_.get(), vm_);
    ASSERT_EQ(queue_->create(), 0);
  }
  void TearDown() override {
    queue_.reset();
    client_.reset();
    ServerTest::TearDown();
  }

  npu_bo_create hbm(uint64_t bytes = kBytes) { return client_->bo_create(bytes, NPU_REGION_HBM); }

  std::unique_ptr<RawClient> client_;
  uint32_t vm_ = 0;
  std::unique_ptr<RawQueue> queue_;
};

TEST_F(QueueTest, FillAndCopyReachMemoryThatTheClientMaps) {
  const npu_bo_create source = hbm();
  const npu_bo_create target = client_->bo_create(kBytes, NPU_REGION_SYSTEM);
  const SharedMap seen_source = client_->map(source.map_token);
  const SharedMap seen_target = client_->map(target.map_token);
  ASSERT_EQ(client_->bind(vm_, source.handle, kDataDva, kBytes), 0);
  ASSERT_EQ(client_->bind(vm_, target.handle, kOtherDva, kBytes), 0);
  queue_->submit(fill_command(kDataDva, kBytes, 0x1122334455667788));
  const uint64_t value = queue_->submit(copy_command(kOtherDva, kDataDva, kBytes));
  ASSERT_EQ(queue_->wait(value), 0);
  EXPECT_EQ(queue_->record(1).status, 0);
  EXPECT_EQ(*seen_source.as<uint64_t>(kBytes - 8), 0x1122334455667788u);
  EXPECT_EQ(*seen_target.as<uint64_t>(0), 0x1122334455667788u);
  EXPECT_EQ(*seen_target.as<uint64_t>(kBytes - 8), 0x1122334455667788u);
}

TEST_F(QueueTest, MemoryOfTheHostIsReadByTheDevice) {
  const npu_bo_create source = client_->bo_create(kBytes, NPU_REGION_SYSTEM);
  const npu_bo_create target = hbm();
  const SharedMap in = client_->map(source.map_token);
  const SharedMap out = client_->map(target.map_token);
  for (uint64_t i = 0; i < kBytes / 8; ++i) in.as<uint64_t>()[i] = i * 0x9e3779b97f4a7c15;
  ASSERT_EQ(client_->bind(vm_, source.handle, kDataDva, kBytes, 0, NPU_BIND_READONLY), 0);
  ASSERT_EQ(client_->bind(vm_, target.handle, kOtherDva, kBytes), 0);
  ASSERT_EQ(queue_->wait(queue_->submit(copy_command(kOtherDva, kDataDva, kBytes))), 0);
  EXPECT_EQ(std::memcmp(in.data(), out.data(), kBytes), 0);
}

TEST_F(QueueTest, ManyCommandsCompleteInOrderWithoutALostWakeUp) {
  const npu_bo_create data = hbm();
  ASSERT_EQ(client_->bind(vm_, data.handle, kDataDva, kBytes), 0);
  for (uint64_t i = 0; i < 2000; ++i) {
    ASSERT_EQ(queue_->wait(queue_->submit(fill_command(kDataDva, 64, i))), 0) << i;
  }
  EXPECT_EQ(queue_->completed(), 2000u);
}

TEST_F(QueueTest, AFutexSleeperIsWokenWhenItsValueIsReached) {
  const npu_bo_create data = hbm();
  ASSERT_EQ(client_->bind(vm_, data.handle, kDataDva, kBytes), 0);
  for (int i = 0; i < 500; ++i) {
    const uint64_t value = queue_->submit(fill_command(kDataDva, 64, 1));
    __atomic_store_n(&queue_->ctrl()->interrupt_at, value, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t seen = queue_->completed();
    while (seen < value) {
      const timespec limit{10, 0};
      const long n = syscall(SYS_futex, &queue_->ctrl()->completed, FUTEX_WAIT,
                             static_cast<uint32_t>(seen), &limit, nullptr, 0);
      ASSERT_FALSE(n < 0 && errno == ETIMEDOUT) << "round " << i;
      seen = queue_->completed();
    }
  }
}

TEST_F(QueueTest, AFaultStopsThisQueueAndIsReportedWithItsAddress) {
  npu_event_mask mask{};
  mask.mask = NPU_EVENT_MASK_ALL;
  ASSERT_EQ(client_->call(NPU_CALL_EVENT_MASK, &mask), 0);
  RawQueue other(client_.get(), client_->vm_create());
  ASSERT_EQ(other.create(), 0);

  queue_->submit(fill_command(0x7000000000, 64, 1));
  npu_wait wait{};
  EXPECT_EQ(queue_->wait(2, NPU_FOREVER, &wait), ECANCELED);
  EXPECT_EQ(wait.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(wait.first_index, 0u);
  const npu_queue_query state = queue_->query();
  EXPECT_EQ(state.state, NPU_QUEUE_STATE_FAULTED);
  EXPECT_EQ(state.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(state.fault.dva, 0x7000000000u);
  EXPECT_EQ(state.fault.access, NPU_ACCESS_WRITE);
  EXPECT_EQ(state.fault.reason, NPU_FAULT_NOT_PRESENT);

  npu_vm_query vm{};
  vm.vm_id = vm_;
  vm.faults = client_->array_of(sizeof(npu_fault), NPU_MAX_FAULTS);
  Bytes payload;
  ASSERT_EQ(client_->call(NPU_CALL_VM_QUERY, &vm, {}, &payload), 0);
  EXPECT_EQ(vm.faults_total, 1u);
  ASSERT_EQ(payload.size(), sizeof(npu_fault));
  npu_fault fault;
  std::memcpy(&fault, payload.data(), sizeof(fault));
  EXPECT_EQ(fault.queue_id, queue_->id);
  EXPECT_EQ(fault.dva, 0x7000000000u);

  ASSERT_EQ(client_->events.size(), 2u);
  npu_event_vm_fault event;
  ASSERT_EQ(client_->events[0].payload.size(), sizeof(event));
  std::memcpy(&event, client_->events[0].payload.data(), sizeof(event));
  EXPECT_EQ(event.base.type, NPU_EVENT_TYPE_VM_FAULT);
  EXPECT_EQ(event.vm_id, vm_);
  npu_event_queue_error error;
  ASSERT_EQ(client_->events[1].payload.size(), sizeof(error));
  std::memcpy(&error, client_->events[1].payload.data(), sizeof(error));
  EXPECT_EQ(error.base.type, NPU_EVENT_TYPE_QUEUE_ERROR);
  EXPECT_EQ(error.queue_id, queue_->id);
  EXPECT_EQ(error.status, NPU_ST_VM_FAULT);

  npu_cmd nop{};
  EXPECT_EQ(other.wait(other.submit(nop)), 0);
}

TEST_F(QueueTest, MemoryOfAnotherClientIsOutOfReach) {
  RawClient neighbour = open();
  const npu_bo_create secret = neighbour.bo_create(kBytes, NPU_REGION_HBM);
  const uint32_t vm = neighbour.vm_create();
  ASSERT_EQ(neighbour.bind(vm, secret.handle, kDataDva, kBytes), 0);
  EXPECT_EQ(client_->bind(vm_, secret.handle + 100, kDataDva, kBytes), ENOENT);
  queue_->submit(copy_command(kOtherDva, kDataDva, 64));
  EXPECT_EQ(queue_->wait(1), 0) << "the command ends, with an error in its record";
  EXPECT_EQ(queue_->record(0).status, NPU_ST_VM_FAULT);
  RawQueue theirs(&neighbour, vm);
  ASSERT_EQ(theirs.create(), 0);
  EXPECT_EQ(theirs.wait(theirs.submit(fill_command(kDataDva, 64, 7))), 0);
  EXPECT_EQ(theirs.record(0).status, 0);
}

TEST_F(QueueTest, RingAndControlBlockStayMappedWhileTheQueueLives) {
  EXPECT_EQ(client_->unbind(vm_, RawQueue::kRingDva, 0x1000), EBUSY);
  EXPECT_EQ(client_->unbind(vm_, RawQueue::kCtrlDva, 0x1000), EBUSY);
  npu_vm_destroy destroy{vm_, 0};
  EXPECT_EQ(client_->call(NPU_CALL_VM_DESTROY, &destroy), EBUSY);
  ASSERT_EQ(queue_->destroy(), 0);
  EXPECT_EQ(client_->unbind(vm_, RawQueue::kRingDva, 0x1000), 0);
  EXPECT_EQ(client_->call(NPU_CALL_VM_DESTROY, &destroy), 0);
  EXPECT_EQ(client_->call(NPU_CALL_VM_DESTROY, &destroy), ENOENT);
}

TEST_F(QueueTest, DestroyEndsAWaitingCommandAndItsWaiters) {
  const npu_bo_create data = hbm();
  ASSERT_EQ(client_->bind(vm_, data.handle, kDataDva, kBytes), 0);
  queue_->submit(sem_command(NPU_CMD_SEM_WAIT, kDataDva, 1));
  npu_cond cond{};
  cond.op = NPU_COND_GE;
  cond.bo_handle = queue_->ctrl_handle;
  cond.queue_id = queue_->id;
  cond.offset = offsetof(npu_queue_ctrl, completed);
  cond.value = 1;
  cond.mask = ~0ull;
  npu_wait wait{};
  wait.conds = client_->array_of(sizeof(cond), 1);
  wait.deadline_ns = NPU_FOREVER;
  const uint32_t waiting = client_->send_call(NPU_CALL_WAIT, bytes_of(wait), bytes_of(cond));
  ASSERT_EQ(queue_->destroy(), 0);
  const auto answer = client_->wait_reply(waiting);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->header.error, ECANCELED);
  std::memcpy(&wait, answer->body.data(), sizeof(wait));
  EXPECT_EQ(wait.status, NPU_ST_CANCELED);
}

TEST_F(QueueTest, TheWatchdogKillsAQueueThatMakesNoProgress) {
  npu_queue_set set{};
  set.queue_id = queue_->id;
  set.what = NPU_QUEUE_SET_TIMEOUT;
  set.timeout_ms = 50;
  ASSERT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), 0);
  const npu_bo_create data = hbm();
  ASSERT_EQ(client_->bind(vm_, data.handle, kDataDva, kBytes), 0);
  queue_->submit(sem_command(NPU_CMD_SEM_WAIT, kDataDva, 1));
  npu_wait wait{};
  EXPECT_EQ(queue_->wait(1, NPU_FOREVER, &wait), ECANCELED);
  EXPECT_EQ(wait.status, NPU_ST_WATCHDOG);
  EXPECT_EQ(queue_->query().state, NPU_QUEUE_STATE_KILLED);
  EXPECT_EQ(queue_->ctrl()->state, NPU_QUEUE_STATE_KILLED);
  EXPECT_EQ(queue_->ctrl()->live, 0u);
}

TEST_F(QueueTest, ASuspendedQueueRunsNothingUntilItIsResumed) {
  const npu_bo_create data = hbm();
  const SharedMap seen = client_->map(data.map_token);
  ASSERT_EQ(client_->bind(vm_, data.handle, kDataDva, kBytes), 0);
  npu_queue_set set{};
  set.queue_id = queue_->id;
  set.what = NPU_QUEUE_SET_SUSPEND;
  ASSERT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), 0);
  EXPECT_EQ(queue_->query().state, NPU_QUEUE_STATE_SUSPENDED);
  EXPECT_EQ(queue_->ctrl()->live, NPU_QUEUE_LIVE);
  const uint64_t value = queue_->submit(fill_command(kDataDva, 64, 5));
  EXPECT_EQ(queue_->wait(value, in_ms(30)), ETIME);
  EXPECT_EQ(*seen.as<uint64_t>(), 0u);
  set.what = NPU_QUEUE_SET_RUN;
  ASSERT_EQ(client_->call(NPU_CALL_QUEUE_SET, &set), 0);
  EXPECT_EQ(queue_->wait(value), 0);
  EXPECT_EQ(*seen.as<uint64_t>(), 5u);
}

TEST_F(QueueTest, HighPriorityIsForRootAlone) {
  RawQueue queue(client_.get(), client_->vm_create());
  queue.args.priority = NPU_PRIO_HIGH;
  EXPECT_EQ(queue.create(), geteuid() == 0 ? 0 : EACCES);
}

TEST_F(QueueTest, EveryFieldOfQueueCreateIsChecked) {
  RawQueue fresh(client_.get(), client_->vm_create());
  const npu_queue_create good = fresh.args;
  const auto refused = [&](auto change) {
    npu_queue_create args = good;
    change(args);
    return client_->call(NPU_CALL_QUEUE_CREATE, &args);
  };
  EXPECT_EQ(refused([](auto& a) { a.vm_id = 99; }), ENOENT);
  EXPECT_EQ(refused([](auto& a) { a.vm_id = 0; }), ENOENT);
  EXPECT_EQ(refused([](auto& a) { a.queue_class = NPU_QUEUE_CLASS_COUNT; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.engine_mask = 2; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.flags = NPU_QUEUE_FLAGS_ALL + 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.priority = NPU_PRIO_COUNT; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.ring_dva += 64; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.ring_dva = 0x40000000; }), EINVAL) << "not mapped";
  EXPECT_EQ(refused([](auto& a) { a.ctrl_dva = a.ring_dva; }), EINVAL) << "overlap";
  EXPECT_EQ(refused([](auto& a) { a.ctrl_dva += 0x1000; }), EINVAL)
      << "another place of the object";
  EXPECT_EQ(refused([](auto& a) { a.ctrl_offset = 0x1000; }), EINVAL);
  EXPECT_EQ(refused([&](auto& a) { a.ctrl_handle = fresh.ring_handle; }), EINVAL)
      << "not a SYNC object";
  EXPECT_EQ(refused([](auto& a) { a.ctrl_handle = 12345; }), ENOENT);
  EXPECT_EQ(refused([](auto& a) { a.ring_log2 = 5; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.ring_log2 = 17; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.ring_log2 = 12; }), EINVAL) << "larger than what is mapped";
  EXPECT_EQ(refused([](auto& a) { a.timeout_ms = ~0u; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.queue_id = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.doorbell_slot = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.doorbell_token = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.pad = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto& a) { a.params.count = 1; }), EINVAL);
  EXPECT_EQ(refused([](auto&) {}), 0);
}

TEST_F(QueueTest, CopySubmitRunsOnTheServersQueue) {
  const npu_bo_create a = hbm();
  const npu_bo_create b = client_->bo_create(kBytes, NPU_REGION_SYSTEM);
  const SharedMap seen = client_->map(b.map_token);
  std::vector<npu_copy_op> ops(2);
  ops[0].kind = NPU_COPY_FILL;
  ops[0].dst_handle = a.handle;
  ops[0].size_bytes = kBytes;
  ops[0].pattern = 0xabcdef;
  ops[1].kind = NPU_COPY_COPY;
  ops[1].src_handle = a.handle;
  ops[1].dst_handle = b.handle;
  ops[1].src_offset = 8;
  ops[1].dst_offset = 24;
  ops[1].size_bytes = 1000;
  npu_copy_submit args{};
  args.flags = NPU_COPY_WAIT;
  args.ops = client_->array_of(sizeof(npu_copy_op), ops.size());
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(client_->call(NPU_CALL_COPY_SUBMIT, &args, bytes_of_all(ops)), 0);
  }
  EXPECT_EQ(*seen.as<uint64_t>(16), 0u);
  EXPECT_EQ(*seen.as<uint64_t>(24), 0xabcdefu);
  EXPECT_EQ(*seen.as<uint64_t>(24 + 992), 0xabcdefu);
  EXPECT_EQ(*seen.as<uint64_t>(24 + 1000), 0u);
  ops[1].src_offset = kBytes;
  EXPECT_EQ(client_->call(NPU_CALL_COPY_SUBMIT, &args, bytes_of_all(ops)), EINVAL);
  ops[1].src_offset = 0;
  ops[1].src_handle = 999;
  EXPECT_EQ(client_->call(NPU_CALL_COPY_SUBMIT, &args, bytes_of_all(ops)), ENOENT);
}

TEST_F(QueueTest, ALargeCopyGoesInPieces) {
  constexpr uint64_t kLarge = 40 << 20;
  const npu_bo_create a = hbm(kLarge);
  const npu_bo_create b = hbm(kLarge);
  const SharedMap seen = client_->map(b.map_token);
  std::vector<npu_copy_op> ops(2);
  ops[0].kind = NPU_COPY_FILL;
  ops[0].dst_handle = a.handle;
  ops[0].size_bytes = kLarge;
  ops[0].pattern = 3;
  ops[1].src_handle = a.handle;
  ops[1].dst_handle = b.handle;
  ops[1].size_bytes = kLarge;
  npu_copy_submit args{};
  args.flags = NPU_COPY_WAIT;
  args.ops = client_->array_of(sizeof(npu_copy_op), ops.size());
  ASSERT_EQ(client_->call(NPU_CALL_COPY_SUBMIT, &args, bytes_of_all(ops)), 0);
  for (uint64_t at = 0; at < kLarge; at += 4096) ASSERT_EQ(*seen.as<uint64_t>(at), 3u) << at;
  EXPECT_EQ(*seen.as<uint64_t>(kLarge - 8), 3u);
}

}  // namespace
}  // namespace npu::model::test
