// SPDX-License-Identifier: Apache-2.0
// Queues at their end, and what a device reset of any cause does to everybody who holds or waits for something.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <thread>

#include "tests/driver/guest.h"
#include "uapi/npu_metrics.h"
#include "uapi/npu_status.h"

namespace npu::driver_test {
namespace {

constexpr int64_t kForeverMs = 120'000;  // longer than the driver waits for a device that is silent
constexpr int64_t kSoonMs = 5000;        // on a virtual machine that others slow down

// A thread in WAIT for command `count` of a queue.
class Waiter {
 public:
  Waiter(File* file, const QueueParts* queue, uint64_t count)
      : thread_([this, file, queue, count] {
          err_ = file->wait_completed(*queue, count, &out_, kForeverMs);
        }) {}
  ~Waiter() {
    if (thread_.joinable()) thread_.join();
  }
  int join() {
    thread_.join();
    return err_;
  }
  int status() const { return out_.status; }

 private:
  int err_ = 0;
  npu_wait out_{};
  std::thread thread_;
};

void let_threads_sleep() { std::this_thread::sleep_for(std::chrono::milliseconds(200)); }

class Queue : public GuestTest {
 protected:
  File file_;
};

TEST_F(Queue, DestroyWakesWhoWaits) {
  QueueParts queue = file_.queue(file_.vm());
  file_.submit_endless(&queue);
  Waiter waiter(&file_, &queue, 1);
  let_threads_sleep();
  EXPECT_EQ(file_.destroy_queue(queue.id), 0);
  EXPECT_EQ(waiter.join(), ECANCELED);
  EXPECT_EQ(waiter.status(), NPU_ST_CANCELED);
}

TEST_F(Queue, StopsAndGoesOnBetweenCommands) {
  QueueParts queue = file_.queue(file_.vm());
  npu_queue_set set{};
  set.queue_id = queue.id;
  set.what = NPU_QUEUE_SET_SUSPEND;
  ASSERT_EQ(file_.silent(NPU_CALL_QUEUE_SET, &set), 0);
  file_.submit_nop(&queue);
  let_threads_sleep();
  npu_queue_query state{};
  ASSERT_EQ(file_.query_queue(queue.id, &state), 0);
  EXPECT_EQ(state.state, static_cast<uint32_t>(NPU_QUEUE_STATE_SUSPENDED));
  EXPECT_EQ(state.completed, 0u);
  set = {};
  set.queue_id = queue.id;
  set.what = NPU_QUEUE_SET_RUN;
  ASSERT_EQ(file_.silent(NPU_CALL_QUEUE_SET, &set), 0);
  EXPECT_EQ(file_.wait_completed(queue, 1), 0);
}

TEST_F(Queue, AKilledOwnerGoesAtOnceWhateverRuns) {
  for (const bool hangs : {false, true}) {
    if (hangs) inject("hang -1");
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      File own;
      QueueParts queue = own.queue(own.vm());
      if (hangs) {
        own.submit_nop(&queue);
      } else {
        own.submit_endless(&queue);
      }
      if (write(ready[1], "", 1) != 1) _exit(1);
      own.wait_completed(queue, 1);
      _exit(0);
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    let_threads_sleep();
    const int64_t begin = now_ms();
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_LT(now_ms() - begin, kSoonMs);
    close(ready[0]);
    close(ready[1]);
    expect_works();
  }
}

TEST_F(Queue, ALostInterruptCostsALook) {
  QueueParts queue = file_.queue(file_.vm());
  inject("lost-irq 0 3");
  Waiter waiter(&file_, &queue, 1);
  let_threads_sleep();
  const int64_t begin = now_ms();
  file_.submit_nop(&queue);
  EXPECT_EQ(waiter.join(), 0);
  EXPECT_LT(now_ms() - begin, kSoonMs);
  inject("lost-irq 0 0");
}

TEST_F(Queue, TheClientsRowCountsItsPageTables) {
  const auto row = [&] {
    npu_dev_query args{};
    args.type = NPU_QUERY_CLIENTS;
    const auto array = parity::make_array(&args.out, &args, std::vector<npu_client_info>(64), true);
    file_.must(NPU_CALL_DEV_QUERY, &args, {array});
    for (uint32_t i = 0; i < args.out.count; ++i) {
      npu_client_info client{};
      std::memcpy(&client, array.memory->data() + i * sizeof client, sizeof client);
      if (client.pid == static_cast<uint32_t>(getpid())) return client.hbm_bytes;
    }
    ADD_FAILURE() << "no row of this process";
    return __u64{0};
  };
  EXPECT_EQ(row(), 0u);
  const uint32_t vm = file_.vm();
  const npu_bo_create object = file_.object(NPU_PAGE_4K, NPU_REGION_SYSTEM);
  ASSERT_EQ(file_.bind(vm, object.handle, 0x10000000, NPU_PAGE_4K), 0);
  npu_vm_query query{};
  ASSERT_EQ(file_.query_vm(vm, &query), 0);
  EXPECT_GT(query.table_bytes, 3 * NPU_PAGE_4K);
  EXPECT_EQ(row(), query.table_bytes);
}

TEST_F(Queue, AStreamOfSamplesTellsWhatItDropped) {
  npu_perf_open args{};
  args.fd = -1;
  args.period_ns = 5'000'000;
  const std::vector<npu_perf_counter> counters = {{NPU_METRIC_TEMP_DIE, 0},
                                                  {NPU_METRIC_COMMANDS, 0}};
  const auto array = parity::make_array(&args.counters, &args, counters);
  ASSERT_EQ(file_.silent(NPU_CALL_PERF_OPEN, &args, {array}), 0);
  std::vector<uint8_t> bytes(4096);
  npu_perf_record record{};
  ASSERT_GT(read(args.fd, bytes.data(), bytes.size()), 0);
  std::memcpy(&record, bytes.data(), sizeof record);
  EXPECT_EQ(record.valid, 3u);
  EXPECT_EQ(record.bytes, args.record_bytes);
  uint64_t lost = 0;
  // Nobody reads: the stream's own memory fills up.
  EXPECT_TRUE(becomes(
      [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1000));
        const ssize_t got = read(args.fd, bytes.data(), bytes.size());
        for (ssize_t at = 0; at < got; at += args.record_bytes) {
          std::memcpy(&record, bytes.data() + at, sizeof record);
          lost += record.lost;
        }
        return lost > 0;
      },
      60));
  close(args.fd);
}

// How a reset comes about.
enum class Cause { kAdmin, kBus, kAssert, kStall };

class Reset : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    queue_ = file_.queue(file_.vm());
    idle_ = other_.queue(other_.vm());
    hbm_ = file_.object(NPU_PAGE_64K, NPU_REGION_HBM);
    memory_ = file_.map(hbm_);
    memory_->data()[0] = 42;
    npu_event_mask mask{};
    mask.mask = NPU_EVENT_MASK_ALL;
    file_.must(NPU_CALL_EVENT_MASK, &mask);
    epoch_ = file_.epoch();
  }

  void reset(Cause cause) {
    npu_queue_query ignored{};
    switch (cause) {
      case Cause::kAdmin:
        EXPECT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
        break;
      case Cause::kBus:
        EXPECT_EQ(write_file(sysfs("reset"), "1"), 0);
        break;
      case Cause::kAssert:
        inject("fw-assert");
        break;
      case Cause::kStall:
        inject("mbox-stall 0 1");
        file_.query_queue(queue_.id, &ignored);  // meets the silence
        break;
    }
    EXPECT_TRUE(becomes(
        [&] {
          npu_dev_info info{};
          return file_.device_info(&info) == 0 && info.health <= NPU_HEALTH_DEGRADED &&
                 info.epoch > epoch_;
        },
        60));
  }

  void play(Cause cause) {
    file_.submit_endless(&queue_);
    Waiter works(&file_, &queue_, 1), idles(&other_, &idle_, 1);
    const int notified = notify();
    let_threads_sleep();
    reset(cause);
    EXPECT_EQ(works.join(), ECANCELED);
    EXPECT_EQ(idles.join(), ECANCELED);
    pollfd ready{notified, POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, kSoonMs), 1);
    close(notified);
    expect_lost();
    expect_event();
    expect_objects_can_go();
  }

  int notify() {
    npu_notify args{};
    args.flags = NPU_NOTIFY_ADD;
    args.fd = eventfd(0, EFD_CLOEXEC);
    args.cookie = 7;
    args.cond.op = NPU_COND_QUEUE_IDLE;
    args.cond.queue_id = queue_.id;
    const int fd = args.fd;
    EXPECT_EQ(file_.silent(NPU_CALL_NOTIFY, &args, {}, fd), 0);
    return fd;
  }

  void expect_lost() {
    npu_queue_query state{};
    EXPECT_EQ(file_.query_queue(queue_.id, &state), 0);
    EXPECT_EQ(state.state, static_cast<uint32_t>(NPU_QUEUE_STATE_LOST));
    uint64_t live = NPU_QUEUE_LIVE;
    std::memcpy(&live, queue_.ctrl->data() + offsetof(npu_queue_ctrl, live), sizeof live);
    EXPECT_EQ(live, 0u);
    uint32_t object = 0;
    EXPECT_EQ(file_.bo_state(hbm_.handle, &object), 0);
    EXPECT_EQ(object, static_cast<uint32_t>(NPU_BO_LOST));
    EXPECT_EQ(file_.copy({fill_op(hbm_.handle, 0, 8, 0)}, NPU_COPY_WAIT), ECANCELED);
    EXPECT_EQ(file_.bind(queue_.args.vm_id, hbm_.handle, 0x10000000, NPU_PAGE_64K), ECANCELED);
    // Mappings stay usable, whatever they show.
    memory_->data()[0] = 1;
    file_.submit_nop(&queue_);
  }

  void expect_event() {
    bool told = false;
    for (parity::Bytes event = file_.file().read_event(kSoonMs); !event.empty() && !told;
         event = told ? event : file_.file().read_event(kSoonMs)) {
      npu_event_device_reset reset{};
      std::memcpy(&reset, event.data(), std::min(event.size(), sizeof reset));
      told = reset.base.type == NPU_EVENT_TYPE_DEVICE_RESET;
      if (told) {
        EXPECT_EQ(reset.old_epoch, epoch_);
      }
    }
    EXPECT_TRUE(told);
  }

  void expect_objects_can_go() {
    EXPECT_EQ(file_.destroy_queue(queue_.id), 0);
    EXPECT_EQ(file_.destroy_vm(queue_.args.vm_id), 0);
    QueueParts fresh = file_.queue(file_.vm());
    file_.submit_nop(&fresh);
    EXPECT_EQ(file_.wait_completed(fresh, 1), 0);
    EXPECT_EQ(file_.destroy_queue(fresh.id), 0);
    const npu_bo_create clean = file_.object(NPU_PAGE_64K, NPU_REGION_HBM);
    EXPECT_EQ(file_.map(clean)->data()[0], 0);
  }

  File file_, other_;
  QueueParts queue_, idle_;
  npu_bo_create hbm_{};
  std::unique_ptr<Memory> memory_;
  uint64_t epoch_ = 0;
};

TEST_F(Reset, ByAnAdministrator) { play(Cause::kAdmin); }
TEST_F(Reset, OfTheBus) { play(Cause::kBus); }
TEST_F(Reset, AfterFirmwareDied) { play(Cause::kAssert); }
TEST_F(Reset, AfterTheMailboxFellSilent) { play(Cause::kStall); }

TEST_F(Reset, CopiesUnderWayEndAndObjectsAreMadeAllTheSame) {
  // Clears of large objects are what a reset cuts most often.
  std::atomic<bool> stop{false};
  std::vector<std::thread> makers;
  std::atomic<int> wrong{0}, made{0};
  for (int i = 0; i < 3; ++i) {
    makers.emplace_back([&] {
      File own;
      while (!stop) {
        npu_bo_create args{};
        args.size_bytes = 24 << 20;
        args.region = NPU_REGION_HBM;
        const int err = own.silent(NPU_CALL_BO_CREATE, &args);
        if (err != 0) {
          fprintf(stderr, "BO_CREATE: errno %d\n", err);
          ++wrong;
          continue;
        }
        ++made;
        const int copied = own.copy({fill_op(args.handle, 0, 24 << 20, 1)}, NPU_COPY_WAIT);
        if (copied != 0 && copied != ECANCELED) ++wrong;
        own.close_object(args.handle);
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    const int before = made;
    becomes([&] { return made > before; });
    EXPECT_EQ(write_file(sysfs("npu/reset"), "1"), 0);
  }
  stop = true;
  for (std::thread& maker : makers) maker.join();
  EXPECT_EQ(wrong, 0);
}

class Unplug : public GuestTest {};

TEST_F(Unplug, EverybodyIsToldAndNothingOfTheDeviceIsTouched) {
  std::optional<File> file;
  file.emplace();
  QueueParts queue = file->queue(file->vm());
  const npu_bo_create hbm = file->object(NPU_PAGE_64K, NPU_REGION_HBM);
  auto memory = file->map(hbm);
  file->submit_endless(&queue);
  const std::string address = pci_address(), remove = sysfs("remove");
  int readers[2] = {0, 0};
  std::vector<std::thread> threads;
  for (int& result : readers) {
    threads.emplace_back([&result, &file] {
      char event[NPU_EVENT_MAX_BYTES];
      result = read(file->descriptor(), event, sizeof event) < 0 ? errno : -1;
    });
  }
  Waiter waiter(&*file, &queue, 1);
  let_threads_sleep();
  ASSERT_EQ(write_file(remove, "1"), 0);
  const int waited = waiter.join();
  EXPECT_TRUE(waited == ECANCELED || waited == ENODEV) << waited;
  for (std::thread& thread : threads) thread.join();  // both readers, though nothing came
  EXPECT_EQ(readers[0], ENODEV);
  EXPECT_EQ(readers[1], ENODEV);
  memory->data()[0] = 1;
  queue.ctrl->data()[0] = 1;
  npu_queue_query state{};
  EXPECT_EQ(file->query_queue(queue.id, &state), ENODEV);
  npu_dev_info info{};
  EXPECT_EQ(file->device_info(&info), ENODEV);
  // A mapping keeps the file open, and an open file the number of the node.
  memory.reset();
  queue = {};
  file.reset();
  ASSERT_EQ(write_file("/sys/bus/pci/rescan", "1"), 0);
  EXPECT_TRUE(
      becomes([&] { return pci_address() == address && access("/dev/accel/accel0", R_OK) == 0; }));
}

}  // namespace
}  // namespace npu::driver_test
