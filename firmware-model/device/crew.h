// SPDX-License-Identifier: Apache-2.0
// Crew: the command threads of a process that leave short work to each other (docs/decisions/0080).
//
// Of devices that have little to do each, one command thread looks for work for all: the host. The threads of its guests sleep, and nobody wakes them for what is short.
// Threads of silicon need no such thing: here they take turns on few CPUs, and a turn is longer than the work.
//
// Thread safety: any thread. Lock order: a scheduler's mutex, then the crew's; the crew only tries to lock those of schedulers.
#ifndef NPU_MODEL_DEVICE_CREW_H_
#define NPU_MODEL_DEVICE_CREW_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace npu::model {

class Scheduler;

class Crew {
 public:
  static Crew& of_process();

  // A guest, and its mutex where that was free.
  struct Guest {
    Scheduler* scheduler = nullptr;  // nullptr: there are no more
    std::unique_lock<std::mutex> lock;
  };

  // ---- The thread of |host| ----
  // From now on others may become its guests, unless there is a host.
  void open(Scheduler& host);
  bool has_guests() const { return guest_count_.load(std::memory_order_relaxed) != 0; }
  bool is_host(const Scheduler& scheduler) const {
    return host_.load(std::memory_order_relaxed) == &scheduler;
  }
  Guest guest(size_t index);
  void went_round() { rounds_.fetch_add(1, std::memory_order_relaxed); }
  // No more guests; those that are left are got by take(). Those whose mutex is not free are woken.
  void close(Scheduler& host);
  Guest take();

  // ---- A guest, with its mutex held ----
  // False: there is no host.
  bool join(Scheduler& guest);
  void leave(Scheduler& guest);
  // Changes as long as the host looks after its guests.
  uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

  // Times that a thread was kept by a guest's command and another one took its place.
  uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }
  void count_change() { changes_.fetch_add(1, std::memory_order_relaxed); }

  // Devices whose threads are awake, or would be if nobody did their work. A hint.
  unsigned awake() const;

 private:
  Crew() = default;
  void drop(size_t index);

  std::mutex mutex_;
  std::vector<Scheduler*> guests_;
  std::atomic<Scheduler*> host_{nullptr};  // written under the mutex
  std::atomic<uint32_t> guest_count_{0};   // likewise
  std::atomic<uint64_t> rounds_{0};
  std::atomic<uint64_t> changes_{0};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_CREW_H_
