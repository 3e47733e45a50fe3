// SPDX-License-Identifier: Apache-2.0
// Waiting queues: what wakes them, that others go on meanwhile, and how virtual time travels with a
// signal.
#include <gtest/gtest.h>

#include <cstring>

#include "firmware-model/device/signal_times.h"
#include "tests/unit/device/test_driver.h"

namespace npu::test {
namespace {

class SemaphoreTest : public testing::Test {
 protected:
  // A host store as libnpu does it: the word with release, then a doorbell.
  void host_store(uint64_t value, TestQueue& doorbell) {
    std::atomic_ref<uint64_t>(words_.as<uint64_t>()[0]).store(value, std::memory_order_release);
    doorbell.ring();
  }

  TestDriver driver_;
  uint32_t context_ = driver_.create_context();
  TestQueue waiter_ = driver_.create_queue(context_);
  TestQueue signaler_ = driver_.create_queue(context_);
  Buffer words_ = driver_.make_buffer(context_, 4096, Place::kHost);
  Buffer data_ = driver_.make_buffer(context_, 64 * 1024);
};

TEST_F(SemaphoreTest, AWaitThatHoldsDoesNotPark) {
  words_.as<uint64_t>()[0] = 5;
  EXPECT_EQ(waiter_.run(sem_wait(words_.dva, 5)).status, NPU_ST_OK);
  EXPECT_EQ(waiter_.run(sem_wait(words_.dva, 4)).status, NPU_ST_OK);
  EXPECT_EQ(waiter_.run(sem_wait(words_.dva, 5, NPU_SEM_WAIT_EQ)).status, NPU_ST_OK);
  EXPECT_EQ(waiter_.run(sem_wait(words_.dva, 4, NPU_SEM_WAIT_NE)).status, NPU_ST_OK);
}

TEST_F(SemaphoreTest, OtherQueuesGoOnWhileOneWaits) {
  const uint64_t waiting = waiter_.push(sem_wait(words_.dva, 1));
  waiter_.ring();
  for (int i = 0; i < 50; ++i) ASSERT_EQ(signaler_.run(nop()).status, NPU_ST_OK);
  EXPECT_EQ(waiter_.completed(), 0u);
  host_store(1, signaler_);
  EXPECT_EQ(waiter_.wait(waiting).status, NPU_ST_OK);
}

TEST_F(SemaphoreTest, AHostStoreAndAnyDoorbellWakeTheQueue) {
  for (uint64_t round = 1; round <= 100; ++round) {
    const uint64_t waiting = waiter_.push(sem_wait(words_.dva, round));
    waiter_.ring();
    host_store(round, round % 2 == 0 ? signaler_ : waiter_);
    ASSERT_EQ(waiter_.wait(waiting).status, NPU_ST_OK);
  }
}

TEST_F(SemaphoreTest, DevicesOfAProcessPassABatonWithoutADoorbell) {
  TestDriver other;
  const uint32_t context = other.create_context();
  TestQueue theirs = other.create_queue(context);
  const uint64_t word = other.map_of_another(context, words_).dva;
  TestQueue& ours = waiter_;
  constexpr uint64_t kRounds = 30;
  for (uint64_t round = 0; round < kRounds; ++round) {
    ours.push(sem_wait(words_.dva, 2 * round, NPU_SEM_WAIT_EQ));
    ours.push(sem_signal(words_.dva, 2 * round + 1));
    theirs.push(sem_wait(word, 2 * round + 1, NPU_SEM_WAIT_EQ));
    theirs.push(sem_signal(word, 2 * round + 2));
  }
  theirs.ring();
  ours.ring();
  EXPECT_EQ(theirs.wait(2 * kRounds - 1).status, NPU_ST_OK);
  EXPECT_EQ(words_.as<uint64_t>()[0], 2 * kRounds);
}

// A queue that is alone runs several commands in a turn (scheduler.cpp : Scheduler::run_turn).
TEST_F(SemaphoreTest, QueuesThatAreReadyTogetherTakeTurnsCommandByCommand) {
  constexpr uint64_t kAdditions = 40;
  TestQueue third = driver_.create_queue(context_);
  const uint64_t sum = words_.dva + 8;
  waiter_.push(sem_wait(words_.dva, 1));
  for (uint64_t i = 0; i < kAdditions; ++i) waiter_.push(sem_signal(sum, 1, NPU_SEM_ADD));
  signaler_.push(sem_wait(words_.dva, 1));
  const uint64_t looked = signaler_.push(copy(sum, data_.dva, 8));
  waiter_.ring();
  signaler_.ring();
  // Both are parked: they were taken before the commands of the third queue, which come later.
  while (waiter_.ctrl()->fetched == 0 || signaler_.ctrl()->fetched == 0) third.run(nop());
  third.run(sem_signal(words_.dva, 1));
  EXPECT_EQ(signaler_.wait(looked).status, NPU_ST_OK);
  EXPECT_LE(data_.as<uint64_t>()[0], 1u);
  EXPECT_EQ(waiter_.wait(kAdditions).status, NPU_ST_OK);
  EXPECT_EQ(words_.as<uint64_t>()[1], kAdditions);
}

// The turn of a queue ends with what takes long, wherever the bytes lie, so that who was parked comes between.
TEST_F(SemaphoreTest, WhoWasParkedComesBetweenLongCopies) {
  for (const Place place : {Place::kHbm, Place::kHost}) {
    constexpr uint64_t kBytes = 1 << 20;
    const uint64_t round = place == Place::kHbm ? 1 : 2;
    const Buffer from = driver_.make_buffer(context_, kBytes, place);
    const Buffer to = driver_.make_buffer(context_, kBytes, place);
    const uint64_t last = words_.dva + 8;
    waiter_.push(sem_wait(words_.dva, round));
    const uint64_t looked = waiter_.push(copy(last, data_.dva, 8));
    waiter_.ring();
    while (waiter_.ctrl()->fetched != waiter_.written - 1) std::this_thread::yield();
    signaler_.push(sem_signal(words_.dva, round));
    for (int i = 0; i < 12; ++i) signaler_.push(copy(from.dva, to.dva, kBytes));
    const uint64_t end = signaler_.push(sem_signal(last, round));
    signaler_.ring();
    EXPECT_EQ(waiter_.wait(looked).status, NPU_ST_OK);
    EXPECT_EQ(data_.as<uint64_t>()[0], round - 1) << "all copies came first";
    EXPECT_EQ(signaler_.wait(end).status, NPU_ST_OK);
  }
}

TEST_F(SemaphoreTest, ManyQueuesPassABaton) {
  std::vector<TestQueue> ring;
  for (int i = 0; i < 16; ++i) ring.push_back(driver_.create_queue(context_));
  // Queue i waits for value i, then makes it i + 1; rung from the last to the first.
  for (size_t i = ring.size(); i-- > 0;) {
    ring[i].push(sem_wait(words_.dva, i, NPU_SEM_WAIT_EQ));
    ring[i].push(sem_signal(words_.dva, 1, NPU_SEM_ADD));
    if (i != 0) ring[i].ring();
  }
  ring[0].ring();
  EXPECT_EQ(ring.back().wait(1).status, NPU_ST_OK);
  EXPECT_EQ(words_.as<uint64_t>()[0], 16u);
  for (size_t i = 1; i < ring.size(); ++i) {
    EXPECT_GE(ring[i].record(0).end_ps, ring[i - 1].record(1).end_ps) << i;
  }
}

TEST_F(SemaphoreTest, TimeTravelsWithTheSignal) {
  // The signaler is far ahead in virtual time; the waiter has done nothing.
  for (int i = 0; i < 20; ++i) signaler_.push(fill(data_.dva, 65536, 1, 8));
  const uint64_t signal = signaler_.push(sem_signal(words_.dva, 1));
  const uint64_t waiting = waiter_.push(sem_wait(words_.dva, 1));
  waiter_.ring();
  signaler_.ring();
  const npu_completion waited = waiter_.wait(waiting);
  EXPECT_EQ(waited.start_ps, 0u);
  EXPECT_EQ(waited.end_ps, signaler_.record(signal).end_ps + 20'000);
}

TEST_F(SemaphoreTest, AWaitTakesTheTimeOfTheSignalItNeededNotOfLaterOnes) {
  std::vector<uint64_t> ends;
  for (uint64_t value = 1; value <= 10; ++value) {
    signaler_.run(fill(data_.dva, 65536, 1, 8));
    ends.push_back(signaler_.run(sem_signal(words_.dva, value)).end_ps);
  }
  // All signals have happened; a slow waiter sees the value 10 and still takes the time of 3.
  EXPECT_EQ(waiter_.run(sem_wait(words_.dva, 3)).end_ps, ends[2] + 20'000);
  TestQueue later = driver_.create_queue(context_);
  EXPECT_EQ(later.run(sem_wait(words_.dva, 10)).end_ps, ends[9] + 20'000);
}

TEST_F(SemaphoreTest, TheCompletedWordOfAQueueCarriesItsTimes) {
  // A read-only view of the signaler's control page is enough.
  const uint64_t view = 0x9000'0000;
  driver_.map(context_, view, NPU_CTRL_BYTES, signaler_.control.pa, NPU_PTE_SYSTEM);
  std::vector<uint64_t> ends;
  for (int i = 0; i < 8; ++i) ends.push_back(signaler_.run(fill(data_.dva, 65536, 1, 8)).end_ps);
  const uint64_t word = view + offsetof(npu_queue_ctrl, completed);
  EXPECT_EQ(waiter_.run(sem_wait(word, 5)).end_ps, ends[4] + 20'000);
  // One that really waits.
  const uint64_t waiting = waiter_.push(sem_wait(word, 9));
  waiter_.ring();
  const uint64_t end_ps = signaler_.run(fill(data_.dva, 65536, 1, 8)).end_ps;
  EXPECT_EQ(waiter_.wait(waiting).end_ps, end_ps + 20'000);
}

TEST_F(SemaphoreTest, AWaitInsideAListParksTheList) {
  const Buffer list = driver_.make_buffer(context_, 4096);
  const npu_cmd_sem wait = sem_wait(words_.dva, 1);
  const npu_cmd_fill mark = fill(data_.dva, 8, 77, 8);
  std::memcpy(&list.as<npu_cmd>()[0], &wait, sizeof(wait));
  std::memcpy(&list.as<npu_cmd>()[1], &mark, sizeof(mark));
  const uint64_t seq = waiter_.push(exec(list.dva, 2));
  waiter_.ring();
  signaler_.run(nop());
  EXPECT_EQ(data_.as<uint64_t>()[0], 0u);
  // The list was copied entry by entry: what is changed behind the wait counts, what was fetched
  // does not.
  list.as<npu_cmd>()[0].op = 200;
  signaler_.run(sem_signal(words_.dva, 1));
  EXPECT_EQ(waiter_.wait(seq).status, NPU_ST_OK);
  EXPECT_EQ(data_.as<uint64_t>()[0], 77u);
}

TEST_F(SemaphoreTest, AWordThatIsUnmappedWhileAQueueWaitsIsAFault) {
  waiter_.push(sem_wait(words_.dva, 1));
  waiter_.ring();
  signaler_.run(nop());
  driver_.unmap(context_, words_.dva, NPU_PAGE_4K);
  driver_.flush(context_);
  const npu_completion record = waiter_.wait(0);
  EXPECT_EQ(record.status, NPU_ST_VM_FAULT);
  EXPECT_EQ(record.result, words_.dva);
}

TEST_F(SemaphoreTest, AWaitingQueueCanBeDestroyedAndSuspended) {
  waiter_.push(sem_wait(words_.dva, 1));
  waiter_.ring();
  signaler_.run(nop());
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_SUSPEND, {waiter_.id}), NPU_ST_OK);
  EXPECT_EQ(waiter_.state(), NPU_QUEUE_STATE_SUSPENDED);
  signaler_.run(sem_signal(words_.dva, 1));
  EXPECT_EQ(waiter_.completed(), 0u);
  EXPECT_EQ(driver_.mailbox(NPU_MBOX_QUEUE_RESUME, {waiter_.id}), NPU_ST_OK);
  EXPECT_EQ(waiter_.wait(0).status, NPU_ST_OK);

  waiter_.push(sem_wait(words_.dva, 99));
  waiter_.ring();
  signaler_.run(nop());
  EXPECT_EQ(driver_.destroy_queue(waiter_), NPU_ST_OK);
  signaler_.run(sem_signal(words_.dva, 99));
  EXPECT_EQ(waiter_.completed(), 1u);
}

using model::EndTimes;
using model::SignalTimes;

TEST(SignalTimesTest, AWordThatSomebodyElseWroteHasNoTime) {
  SignalTimes times;
  std::byte word{};
  times.record(&word, 5, 1000, 1);
  EXPECT_EQ(times.find(&word, NPU_SEM_WAIT_GE, 5, 3), 1000u);
  EXPECT_EQ(times.find(&word, NPU_SEM_WAIT_GE, 6, 3), 0u);
  times.forget_owner(1);
  EXPECT_EQ(times.find(&word, NPU_SEM_WAIT_GE, 5, 3), 0u);
}

TEST(SignalTimesTest, TheTableIsBounded) {
  SignalTimes times;
  std::vector<std::byte> words(10'000);
  for (std::byte& word : words) times.record(&word, 1, 7, 1);
  EXPECT_EQ(times.find(&words.back(), NPU_SEM_WAIT_EQ, 1, 1), 7u);
  EXPECT_EQ(times.find(&words.front(), NPU_SEM_WAIT_EQ, 1, 1), 0u);
}

TEST(SignalTimesTest, EndTimesKeepTheLatestAndClampTheRest) {
  EndTimes ends;
  EXPECT_EQ(ends.at(3), 0u);
  for (uint64_t i = 1; i <= 1000; ++i) ends.push(i * 10);
  EXPECT_EQ(ends.at(0), 0u);
  EXPECT_EQ(ends.at(1000), 10'000u);
  EXPECT_EQ(ends.at(900), 9'000u);
  EXPECT_EQ(ends.at(1), 7'450u);  // the oldest of 256
  EXPECT_EQ(ends.at(2000), 10'000u);
}

}  // namespace
}  // namespace npu::test
