// SPDX-License-Identifier: Apache-2.0
// Waiting for several queues at once, and descriptors for poll.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class WaitTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    gates_ = alloc(64);
    opener_ = make_queue();
    for (npuQueue& queue : queues_) queue = make_queue();
  }
  void open_gate(uint32_t number) {
    EXPECT_NPU(NPU_OK, npuQueueSignal(opener_, gates_ + 8 * number, 1, nullptr));
  }
  // Queue |number| waits at its gate and then runs |name|; the value of that launch.
  uint64_t gated(uint32_t number, const char* name = "null") {
    uint64_t value = 0;
    EXPECT_NPU(NPU_OK, npuQueueWaitSemaphore(queues_[number], gates_ + 8 * number, 1, nullptr));
    EXPECT_NPU(NPU_OK, launch(queues_[number], kernel(name), nullptr, 0, &value));
    return value;
  }
  std::vector<npuWaitItem> gate_all() {
    std::vector<npuWaitItem> items;
    for (uint32_t i = 0; i < kQueues; i++) items.push_back({queues_[i], gated(i)});
    return items;
  }
  int make_fd(npuQueue queue, uint64_t value) {
    int fd = -1;
    EXPECT_NPU(NPU_OK, npuQueueGetFd(queue, value, &fd));
    return fd;
  }
  static bool readable(int fd, int timeout_ms) {
    pollfd state{fd, POLLIN, 0};
    return poll(&state, 1, timeout_ms) == 1 && (state.revents & POLLIN) != 0;
  }

  static constexpr uint32_t kQueues = 4;
  static constexpr int kLongMs = 20'000;
  npuDevPtr gates_ = 0;
  npuQueue opener_ = nullptr;
  npuQueue queues_[kQueues] = {};
};

TEST_F(WaitTest, AnyTellsWhichOne) {
  const std::vector<npuWaitItem> items = gate_all();
  uint32_t index = 99;
  EXPECT_NPU(NPU_TIMEOUT, npuWaitMany(kQueues, items.data(), NPU_WAIT_ANY, 0, &index));
  EXPECT_EQ(index, 0u);
  EXPECT_NPU(NPU_TIMEOUT, npuWaitMany(kQueues, items.data(), NPU_WAIT_ANY, 5'000'000, &index));
  std::thread opener([&] { open_gate(2); });
  EXPECT_NPU(NPU_OK, npuWaitMany(kQueues, items.data(), NPU_WAIT_ANY, kLongNs, &index));
  opener.join();
  EXPECT_EQ(index, 2u);
  for (const uint32_t i : {0u, 1u, 3u}) open_gate(i);
  EXPECT_NPU(NPU_OK, npuWaitMany(kQueues, items.data(), NPU_WAIT_ALL, kLongNs, nullptr));
}

// Whether it sleeps when the gate opens, or has yet to.
TEST_F(WaitTest, AnyAndAllEndHoweverSoonTheOthersAre) {
  constexpr uint64_t kRounds = 200;
  std::atomic<uint64_t> round{0};
  const auto open = [&](npuQueue queue, uint64_t gate, uint64_t value) {
    EXPECT_NPU(NPU_OK, npuQueueSignal(queue, gates_ + 8 * gate, value, nullptr));
  };
  std::thread first_opener([&] {
    for (uint64_t i = 1; i <= kRounds; i++) {
      round.wait(i - 1);
      open(opener_, i % kQueues, i);
    }
  });
  for (uint64_t i = 1; i <= kRounds; i++) {
    std::vector<npuWaitItem> items(kQueues);
    for (uint32_t q = 0; q < kQueues; q++) {
      items[q].queue = queues_[q];
      EXPECT_NPU(NPU_OK, npuQueueWaitSemaphore(queues_[q], gates_ + 8 * q, i, &items[q].value));
    }
    round.store(i);
    round.notify_one();
    uint32_t index = 99;
    EXPECT_NPU(NPU_OK, npuWaitMany(kQueues, items.data(), NPU_WAIT_ANY, kLongNs, &index));
    EXPECT_EQ(index, i % kQueues);
    std::thread last_opener([&] {
      for (uint32_t q = 0; q < kQueues; q++) {
        if (q != i % kQueues) open(opener_, q, i);
      }
    });
    EXPECT_NPU(NPU_OK, npuWaitMany(kQueues, items.data(), NPU_WAIT_ALL, kLongNs, nullptr));
    last_opener.join();
  }
  first_opener.join();
}

TEST_F(WaitTest, SeveralAreLeftWhenOneOfThemEnds) {
  const std::vector<npuWaitItem> items = gate_all();
  std::thread ender([&] { EXPECT_NPU(NPU_OK, npuQueueDestroy(queues_[3])); });
  uint32_t index = 99;
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE,
             npuWaitMany(kQueues, items.data(), NPU_WAIT_ANY, kLongNs, &index));
  ender.join();
  for (const uint32_t i : {0u, 1u, 2u}) open_gate(i);
}

// The library decides of such a value, not the device alone.
TEST_F(WaitTest, OneOfThemMayWaitForAnotherQueue) {
  std::vector<npuWaitItem> items = gate_all();
  const npuQueue follower = make_queue();
  uint64_t value = 0;
  EXPECT_NPU(NPU_OK, npuQueueWaitQueue(follower, queues_[1], items[1].value, &value));
  items[1] = {follower, value};
  std::thread opener([&] { open_gate(1); });
  uint32_t index = 99;
  EXPECT_NPU(NPU_OK, npuWaitMany(kQueues, items.data(), NPU_WAIT_ANY, kLongNs, &index));
  EXPECT_EQ(index, 1u);
  opener.join();
  for (const uint32_t i : {0u, 2u, 3u}) open_gate(i);
}

TEST_F(WaitTest, AllWaitsForTheLastOne) {
  const std::vector<npuWaitItem> items = gate_all();
  uint32_t index = 99;
  open_gate(0);
  open_gate(1);
  EXPECT_NPU(NPU_OK, npuQueueWait(queues_[1], items[1].value, kLongNs));
  open_gate(3);
  EXPECT_NPU(NPU_TIMEOUT, npuWaitMany(kQueues, items.data(), NPU_WAIT_ALL, 20'000'000, &index));
  EXPECT_EQ(index, 2u);
  std::thread opener([&] { open_gate(2); });
  EXPECT_NPU(NPU_OK, npuWaitMany(kQueues, items.data(), NPU_WAIT_ALL, kLongNs, &index));
  opener.join();
  for (const npuWaitItem& item : items) EXPECT_NPU(NPU_OK, npuQueueWait(item.queue, item.value, 0));
}

TEST_F(WaitTest, AFailureEndsBothKindsOfWait) {
  for (const npuWaitMode mode : {NPU_WAIT_ANY, NPU_WAIT_ALL}) {
    std::vector<npuWaitItem> items{{queues_[0], gated(0)}, {queues_[1], gated(1, "trap")}};
    uint32_t index = 99;
    std::thread opener([&] { open_gate(1); });
    EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuWaitMany(2, items.data(), mode, kLongNs, &index));
    opener.join();
    EXPECT_EQ(index, 1u);
    EXPECT_NPU(NPU_OK, npuQueueReset(queues_[0], kLongNs));
    EXPECT_NPU(NPU_OK, npuQueueReset(queues_[1], kLongNs));
    EXPECT_NPU(NPU_OK, npuQueueSignal(opener_, gates_ + 8, 0, nullptr));
    EXPECT_NPU(NPU_OK, npuQueueSync(opener_, kLongNs));
  }
}

TEST_F(WaitTest, WrongArgumentsAreRefused) {
  const npuWaitItem item{queue_, 0};
  const npuWaitItem unknown{queue_, 7};
  const npuWaitItem stale{nullptr, 0};
  uint32_t index = 0;
  EXPECT_NPU(NPU_OK, npuWaitMany(1, &item, NPU_WAIT_ANY, 0, &index));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuWaitMany(0, &item, NPU_WAIT_ANY, 0, &index));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuWaitMany(1, nullptr, NPU_WAIT_ANY, 0, &index));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuWaitMany(1, &item, 2, 0, &index));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuWaitMany(1, &item, NPU_WAIT_ANY, -1, &index));
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuWaitMany(1, &unknown, NPU_WAIT_ALL, 0, &index));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuWaitMany(1, &stale, NPU_WAIT_ALL, 0, &index));
  int fd = 5;
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetFd(queue_, 1, &fd));
  EXPECT_EQ(fd, -1);
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueGetFd(queue_, 0, nullptr));
  EXPECT_NPU(NPU_ERROR_INVALID_HANDLE, npuQueueGetFd(nullptr, 0, &fd));
}

TEST_F(WaitTest, TheDescriptorIsReadableOnceTheValueHasCompleted) {
  const uint64_t value = gated(0);
  const int fd = make_fd(queues_[0], value);
  ASSERT_GE(fd, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_FALSE(readable(fd, 0));
  EXPECT_NPU(NPU_TIMEOUT,
             npuQueueWait(queues_[0], value, 1'000'000));  // another waiter comes and goes
  EXPECT_FALSE(readable(fd, 5));
  open_gate(0);
  EXPECT_TRUE(readable(fd, kLongMs));
  EXPECT_NPU(NPU_OK, npuQueueWait(queues_[0], value, 0));
  close(fd);
  const int late = make_fd(queues_[0], value);
  EXPECT_TRUE(readable(late, 0));
  close(late);
}

TEST_F(WaitTest, ManyDescriptorsInOneEpoll) {
  const int set = epoll_create1(EPOLL_CLOEXEC);
  std::vector<int> fds;
  for (uint32_t i = 0; i < kQueues; i++) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = i;
    fds.push_back(make_fd(queues_[i], gated(i)));
    ASSERT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event), 0);
  }
  for (const uint32_t i : {3u, 1u, 0u, 2u}) {
    epoll_event event{};
    open_gate(i);
    ASSERT_EQ(epoll_wait(set, &event, 1, kLongMs), 1);
    EXPECT_EQ(event.data.u32, i);
    EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_DEL, fds[i], nullptr), 0);
  }
  for (const int fd : fds) close(fd);
  close(set);
}

TEST_F(WaitTest, TheDescriptorIsReadableWhenTheQueueFails) {
  gated(0, "trap");
  uint64_t last = 0;
  ASSERT_NPU(NPU_OK, launch(queues_[0], kernel("null"), nullptr, 0, &last));
  const int fd = make_fd(queues_[0], last);
  // A queue that waits for the failing one never moves again by itself.
  uint64_t own = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitQueue(queues_[1], queues_[0], last, nullptr));
  ASSERT_NPU(NPU_OK, launch(queues_[1], kernel("null"), nullptr, 0, &own));
  const int dependent = make_fd(queues_[1], own);
  EXPECT_FALSE(readable(fd, 0));
  open_gate(0);
  EXPECT_TRUE(readable(fd, kLongMs));
  EXPECT_TRUE(readable(dependent, kLongMs));
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueWait(queues_[0], last, 0));
  EXPECT_NPU(NPU_ERROR_DEPENDENCY_FAILED, npuQueueWait(queues_[1], own, 0));
  close(fd);
  close(dependent);
}

TEST_F(WaitTest, TheDescriptorIsReadableWhenTheQueueEnds) {
  const int reset = make_fd(queues_[0], gated(0));
  const int destroyed = make_fd(queues_[1], gated(1));
  ASSERT_NPU(NPU_OK, npuQueueReset(queues_[0], kLongNs));
  EXPECT_TRUE(readable(reset, kLongMs));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queues_[1]));
  EXPECT_TRUE(readable(destroyed, kLongMs));
  close(reset);
  close(destroyed);
}

TEST_F(WaitTest, DescriptorsThatAreGivenUpLeaveNothingBehind) {
  const uint64_t value = gated(0);
  const int before = open_descriptors();
  for (int i = 0; i < 300; i++) close(make_fd(queues_[0], value));
  EXPECT_EQ(open_descriptors(), before + (in_process() ? 300 : 0));  // the model's own copies
  open_gate(0);
  EXPECT_NPU(NPU_OK, npuQueueWait(queues_[0], value, kLongNs));
  // The next request finds the old ones answered.
  uint64_t next = 0;
  ASSERT_NPU(NPU_OK, launch(queues_[0], kernel("null"), nullptr, 0, &next));
  for (int i = 0; i < 2000; i++) {
    const int fd = make_fd(queues_[0], next);
    ASSERT_GE(fd, 0) << i;
    close(fd);
  }
}

}  // namespace
}  // namespace npu::conformance
