// SPDX-License-Identifier: Apache-2.0
// Host functions in queue order.
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

// What a host function was told, for a thread that waits for it.
class Calls {
 public:
  static void record(npuResult status, void* calls) { static_cast<Calls*>(calls)->add(status); }
  void add(npuResult status) {
    std::lock_guard lock(mutex_);
    statuses_.push_back(status);
    changed_.notify_all();
  }
  // The statuses once there are |count|; fewer when that takes too long.
  std::vector<npuResult> wait(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return statuses_.size() >= count; });
    return statuses_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<npuResult> statuses_;
};

// A host function that may be any code.
struct Body {
  std::function<void(npuResult)> run;
  static void call(npuResult status, void* body) { static_cast<Body*>(body)->run(status); }
};

int count_threads() {
  int count = 0;
  DIR* folder = opendir("/proc/self/task");
  while (readdir(folder) != nullptr) count++;
  closedir(folder);
  return count - 2;
}

// A thread that was joined stands in /proc for a moment longer: its last word to the one who joins comes before its end.
template <typename Holds>
void soon(const Holds& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

// A sanitizer starts a thread of its own with the first one.
void start_and_end_a_thread() {
  pid_t number = 0;
  std::thread([&number] { number = gettid(); }).join();
  const std::string entry = "/proc/self/task/" + std::to_string(number);
  soon([&entry] { return access(entry.c_str(), F_OK) != 0; });
}

class CallbackTest : public DeviceTest {};

TEST_F(CallbackTest, RunsBetweenTheCommandsBeforeAndAfterIt) {
  const npuDevPtr a = alloc(64);
  float seen = -1;
  Body body{[&](npuResult status) {
    EXPECT_EQ(status, NPU_OK);
    seen = number_at(a);
    const float changed = 10;
    EXPECT_NPU(NPU_OK, npuMemCopyToDevice(context_, a, &changed, sizeof changed));
  }};
  const npuDevPtr b = alloc(64);
  uint64_t value = 0;
  poke(queue_, a, 1.0f);
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Body::call, &body, &value));
  EXPECT_EQ(value, 2u);
  uint64_t copied = 0;
  ASSERT_NPU(NPU_OK, npuQueueCopy(queue_, b, a, 4, &copied));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, copied, kLongNs));
  EXPECT_EQ(seen, 1.0f);
  EXPECT_EQ(number_at(b), 10.0f);
}

TEST_F(CallbackTest, ManyCallsOfSeveralQueuesKeepTheirOrder) {
  constexpr int kCalls = 100;
  npuQueue other = make_queue(64);
  struct Counter {
    std::vector<int> order;
    int next = 0;
  } counters[2];
  std::vector<Body> bodies;
  bodies.reserve(2 * kCalls);
  for (int i = 0; i < kCalls; i++) {
    for (Counter& counter : counters) {
      bodies.push_back({[&counter, i](npuResult) { counter.order.push_back(i); }});
      npuQueue queue = &counter == &counters[0] ? queue_ : other;
      ASSERT_NPU(NPU_OK, npuQueueCallHost(queue, &Body::call, &bodies.back(), nullptr));
    }
  }
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueSync(other, kLongNs));
  for (const Counter& counter : counters) {
    ASSERT_EQ(counter.order.size(), static_cast<size_t>(kCalls));
    for (int i = 0; i < kCalls; i++) EXPECT_EQ(counter.order[static_cast<size_t>(i)], i);
  }
}

TEST_F(CallbackTest, AFailedQueueTellsEachFunctionOnce) {
  Calls calls;
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("trap"), nullptr, 0));
  const npuResult first = npuQueueCallHost(queue_, &Calls::record, &calls, &value);
  if (first == NPU_OK) {
    EXPECT_EQ(calls.wait(1), std::vector<npuResult>{NPU_ERROR_KERNEL_TRAP});
  } else {  // the queue was faster
    EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, first);
  }
  EXPECT_NPU(NPU_ERROR_KERNEL_TRAP, npuQueueSync(queue_, kLongNs));
  EXPECT_NPU(NPU_ERROR_QUEUE_DEAD, npuQueueCallHost(queue_, &Calls::record, &calls, &value));
  EXPECT_EQ(calls.wait(0).size(), first == NPU_OK ? 1u : 0u);
}

TEST_F(CallbackTest, ResetAndDestroyCancelWhatHasNotBegun) {
  const npuDevPtr gate = alloc(8);
  Calls calls;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Calls::record, &calls, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueReset(queue_, kLongNs));
  EXPECT_EQ(calls.wait(1), std::vector<npuResult>{NPU_ERROR_CANCELED});
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Calls::record, &calls, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
  EXPECT_EQ(calls.wait(2).back(), NPU_OK);
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Calls::record, &calls, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueDestroy(queue_));
  EXPECT_EQ(calls.wait(3).back(), NPU_ERROR_CANCELED);
}

TEST_F(CallbackTest, TheEndOfTheContextTellsAllThatIsLeft) {
  const npuDevPtr gate = alloc(8);
  Calls calls;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(queue_, gate, 1, nullptr));
  for (int i = 0; i < 10; i++)
    ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Calls::record, &calls, nullptr));
  ASSERT_NPU(NPU_OK, npuContextDestroy(context_));
  context_ = nullptr;
  EXPECT_EQ(calls.wait(0), std::vector<npuResult>(10, NPU_ERROR_CANCELED));
}

TEST_F(CallbackTest, WhatIsAcceptedWhileTheContextEndsIsToldOnceToo) {
  for (int round = 0; round < 100; round++) {
    npuContext context = nullptr;
    npuQueue queue = nullptr;
    std::atomic<uint64_t> called{0};
    std::atomic<uint64_t> accepted{0};
    ASSERT_NPU(NPU_OK, npuContextCreate(device_, &context));
    ASSERT_NPU(NPU_OK, npuQueueCreate(context, nullptr, &queue));
    const auto count = [](npuResult, void* data) {
      (*static_cast<std::atomic<uint64_t>*>(data))++;
    };
    std::thread submitter([&] {
      while (npuQueueCallHost(queue, count, &called, nullptr) == NPU_OK) accepted++;
    });
    while (accepted < 3) std::this_thread::yield();
    ASSERT_NPU(NPU_OK, npuContextDestroy(context));
    submitter.join();
    ASSERT_EQ(called, accepted);
  }
}

TEST_F(CallbackTest, CallsThatWouldDeadlockAreRefused) {
  npuQueue other = make_queue(64);
  const npuDevPtr gate = alloc(8);
  uint64_t gated = 0;
  ASSERT_NPU(NPU_OK, npuQueueWaitSemaphore(other, gate, 1, &gated));
  Body body{[&](npuResult) {
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, npuQueueSync(queue_, NPU_TIMEOUT_INFINITE));
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, npuQueueWait(other, gated, kSecondNs));
    EXPECT_NPU(NPU_TIMEOUT, npuQueueWait(other, gated, 0));
    const npuWaitItem item{other, gated};
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, npuWaitMany(1, &item, NPU_WAIT_ANY, kSecondNs, nullptr));
    npuResult result = NPU_OK;
    for (int i = 0; i < 65 && result == NPU_OK; i++) {
      result = launch(other, kernel("null"), nullptr, 0);  // until the ring is full
    }
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, result);
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, npuContextDestroy(context_));
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, npuDeviceClose(device_));
    EXPECT_NPU(NPU_ERROR_IN_CALLBACK, npuShutdown());
    EXPECT_NPU(NPU_OK, npuQueueWait(queue_, 1, kSecondNs));  // that has completed
  }};
  uint64_t value = 0;
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0));
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Body::call, &body, &value));
  ASSERT_NPU(NPU_OK, npuQueueWait(queue_, value, kLongNs));
}

TEST_F(CallbackTest, TheThreadStartsWhenItIsNeededAndHearsNoSignals) {
  start_and_end_a_thread();
  ASSERT_NPU(NPU_OK, launch(queue_, kernel("null"), nullptr, 0));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  const int before = count_threads();
  EXPECT_NPU(NPU_ERROR_INVALID_ARGUMENT, npuQueueCallHost(queue_, nullptr, nullptr, nullptr));
  EXPECT_EQ(count_threads(), before);
  sigset_t blocked;
  sigemptyset(&blocked);
  Body body{[&](npuResult) { pthread_sigmask(SIG_SETMASK, nullptr, &blocked); }};
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Body::call, &body, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  EXPECT_EQ(count_threads(), before + 1);
  EXPECT_EQ(sigismember(&blocked, SIGINT), 1);
  EXPECT_EQ(sigismember(&blocked, SIGUSR1), 1);
  ASSERT_NPU(NPU_OK, npuContextDestroy(context_));
  context_ = nullptr;
  soon([before] { return count_threads() <= before; });
  EXPECT_EQ(count_threads(), before);
}

TEST_F(CallbackTest, WorkMaySubmitMoreWork) {
  const npuDevPtr a = alloc(64);
  npuQueue other = make_queue();
  std::atomic<uint64_t> done{0};
  Body body{[&](npuResult) { done = poke(other, a, 3.0f); }};
  ASSERT_NPU(NPU_OK, npuQueueCallHost(queue_, &Body::call, &body, nullptr));
  ASSERT_NPU(NPU_OK, npuQueueSync(queue_, kLongNs));
  ASSERT_NPU(NPU_OK, npuQueueWait(other, done, kLongNs));
  EXPECT_EQ(number_at(a), 3.0f);
}

}  // namespace
}  // namespace npu::conformance
