// SPDX-License-Identifier: Apache-2.0
// Devices of one process whose command threads do each other's work: that they do, and that a command which does not end keeps nobody waiting but its own device.
#include "firmware-model/device/crew.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "firmware-model/device/thread.h"
#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

using std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr uint64_t kNeverEnds = uint64_t{1} << 60;  // steps of a loop

// Devices become guests where there are fewer CPUs than two for each.
void use_two_cpus() {
  cpu_set_t all, some;
  CPU_ZERO(&all);
  CPU_ZERO(&some);
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&some) < 2; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &some);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof some, &some), 0);
}

struct Station {
  Station() : driver(options()) {
    context = driver.create_context();
    make_queue();
    data = driver.make_buffer(context, 64 * 1024);
    args = driver.make_buffer(context, 4096);
  }
  static DriverOptions options() {
    DriverOptions result;
    result.worker_threads = 2;
    result.shared_doorbells = true;
    return result;
  }
  void make_queue() {
    queue = driver.create_queue(context);
    module = static_cast<uint32_t>(driver.load_module(queue, standard_blob()).result);
    steps = 0;
  }
  // What a guest's queue is given as a rule, and a launch that takes as long as |loops| say.
  uint64_t push_work(uint64_t loops) {
    args.as<uint64_t>()[0] = loops;
    ++steps;
    queue.push(fill(data.dva, 4096, steps, 8));
    queue.push(sem_signal(data.dva + 8192, steps));
    queue.push(sem_wait(data.dva + 8192, steps));
    const uint64_t last = queue.push(launch(module, kWork, {1, 1, 1}, args.dva, 8));
    queue.ring();
    return last;
  }
  void work() {
    const uint64_t last = push_work(10);
    ASSERT_EQ(queue.spin(last).status, NPU_ST_OK);
    ASSERT_EQ(data.as<uint64_t>()[511], steps);
  }

  TestDriver driver;
  uint32_t context = 0;
  TestQueue queue;
  Buffer data;
  Buffer args;
  uint32_t module = 0;
  uint64_t steps = 0;
};

class CrewTest : public testing::Test {
 protected:
  void SetUp() override {
    use_two_cpus();
    if (model::usable_cpus() < 2) GTEST_SKIP() << "one CPU: threads do not look for work";
    for (auto& station : stations_) station = std::make_unique<Station>();
  }

  // Works on all of them until one has guests, or, on a machine whose threads hardly ever look for work at the same time, for a while. False: the work failed.
  bool gather() {
    const auto end = steady_clock::now() + std::chrono::seconds(2);
    while (!crew_.has_guests() && steady_clock::now() < end) {
      for (const auto& station : stations_) station->work();
      if (HasFatalFailure()) return false;
    }
    return true;
  }
  // Until |done|, which a command that never ends makes come true. False: not within a minute.
  template <typename Done>
  bool hang(Station& station, Done&& done) {
    const auto end = steady_clock::now() + kPatience;
    station.push_work(kNeverEnds);
    while (!done()) {
      if (steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  model::Crew& crew_ = model::Crew::of_process();
  std::unique_ptr<Station> stations_[3];
};

TEST_F(CrewTest, ShortWorkIsLeftToOneThread) {
  ASSERT_TRUE(gather());
  for (int i = 0; i < 1000; ++i) {
    for (const auto& station : stations_) ASSERT_NO_FATAL_FAILURE(station->work());
  }
  // They go on after all threads have slept.
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  for (const auto& station : stations_) ASSERT_NO_FATAL_FAILURE(station->work());
}

TEST_F(CrewTest, LongWorkOfOneDeviceDoesNotStopTheOthers) {
  for (int round = 0; round < 8; ++round) {
    ASSERT_TRUE(gather());
    Station& one = *stations_[static_cast<size_t>(round) % 3];
    const uint64_t last = one.push_work(2'000'000);
    for (int i = 0; i < 50; ++i) {
      for (const auto& station : stations_) {
        if (station.get() == &one) continue;
        ASSERT_NO_FATAL_FAILURE(station->work());
      }
    }
    ASSERT_EQ(one.queue.wait(last).status, NPU_ST_OK);
  }
}

// Whichever device the hanging one is, and whichever thread has begun its command.
TEST_F(CrewTest, CommandThatDoesNotEndKeepsNobodyElseWaiting) {
  const uint64_t changes = crew_.changes();
  const auto end = steady_clock::now() + kPatience;
  for (int round = 0; round < 30 || crew_.changes() == changes; ++round) {
    if (steady_clock::now() > end)
      GTEST_SKIP() << "too busy here: no thread was ever kept by a guest";
    ASSERT_TRUE(gather());
    Station& one = *stations_[static_cast<size_t>(round) % 3];
    one.push_work(kNeverEnds);
    for (int i = 0; i < 20; ++i) {
      for (const auto& station : stations_) {
        if (station.get() == &one) continue;
        ASSERT_NO_FATAL_FAILURE(station->work());
      }
    }
    ASSERT_EQ(one.driver.destroy_queue(one.queue), NPU_ST_OK);
    one.make_queue();
    // Devices that have held up others are guests less often.
    if (round % 6 == 5) {
      for (auto& station : stations_) station = std::make_unique<Station>();
    }
  }
}

// Wake-ups are in the hands of the clients of the very device that holds up the others.
TEST_F(CrewTest, WakingTheDeviceThatHangsDoesNotKeepTheOthersWaiting) {
  for (int round = 0; round < 12; ++round) {
    ASSERT_TRUE(gather());
    Station& one = *stations_[static_cast<size_t>(round) % 3];
    const int fd = npu_device_wake_fd(one.driver.device());
    std::atomic<bool> ends{false};
    const uint64_t last = one.push_work(kNeverEnds);
    const auto wake = [&] {
      std::atomic_ref<__u64> fetched(one.queue.ctrl()->fetched);
      while (!ends && fetched.load(std::memory_order_relaxed) <= last) std::this_thread::yield();
      const uint64_t more = 1;
      while (!ends && write(fd, &more, sizeof more) == sizeof more) {
      }
    };
    // Several, so that one of them has a CPU at any time.
    std::vector<std::thread> wakers;
    for (int i = 0; i < 4; ++i) wakers.emplace_back(wake);
    const auto end = steady_clock::now() + std::chrono::seconds(10);
    bool is_in_time = true;
    for (const auto& station : stations_) {
      if (station.get() == &one) continue;
      const uint64_t theirs = station->push_work(10);
      while (station->queue.completed() <= theirs && is_in_time) {
        std::this_thread::yield();
        is_in_time = steady_clock::now() < end;
      }
    }
    ends = true;
    for (std::thread& waker : wakers) waker.join();
    EXPECT_TRUE(is_in_time) << "round " << round;
    ASSERT_EQ(one.driver.destroy_queue(one.queue), NPU_ST_OK);
    if (!is_in_time) return;
    for (auto& station : stations_) station = std::make_unique<Station>();
  }
}

TEST_F(CrewTest, DevicesMayGoWhileACommandDoesNotEnd) {
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(gather());
    Station& one = *stations_[static_cast<size_t>(round) % 3];
    const uint64_t changes = crew_.changes();
    const auto late = steady_clock::now() + std::chrono::milliseconds(round % 4);
    ASSERT_TRUE(
        hang(one, [&] { return crew_.changes() != changes || steady_clock::now() > late; }));
    // Each of them once in a while: the one that hangs, and those that wait for nothing.
    stations_[static_cast<size_t>(round / 3) % 3].reset();
    for (auto& station : stations_) station.reset();
    for (auto& station : stations_) station = std::make_unique<Station>();
  }
}

}  // namespace
}  // namespace npu::test
