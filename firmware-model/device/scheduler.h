// SPDX-License-Identifier: Apache-2.0
// The command-processor thread: which queue runs next, when it sleeps, and what it takes to stop a
// queue.
//
// One command at a time, from the highest priority that has work, in turn within a priority. A
// launch or a list stops between two work-groups or commands when a queue of a higher priority has
// work, and goes on after it. Idle means asleep: no CPU is used.
//
// The thread may leave short commands to that of another device while it sleeps (Crew), and two threads may change devices: so a thread that is kept for long by a command of a guest does not keep its own device waiting.
// Thread safety: any thread; functions that take a Lock want it held.
// Memory ordering: before it sleeps the thread sets device_sleeping in all doorbell pages, fences,
// and looks once more (uapi/npu_wire.h).
#ifndef NPU_MODEL_DEVICE_SCHEDULER_H_
#define NPU_MODEL_DEVICE_SCHEDULER_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "firmware-model/device/command_processor.h"
#include "firmware-model/device/crew.h"
#include "firmware-model/device/doorbell.h"
#include "firmware-model/device/guest_credit.h"
#include "firmware-model/device/look_budget.h"
#include "firmware-model/device/queue.h"
#include "firmware-model/device/registers.h"
#include "firmware-model/device/thread.h"
#include "firmware-model/device/waker.h"

namespace npu::model {

class Scheduler {
 public:
  // The scheduler's mutex. Tells the thread that somebody wants in, so that it stops spinning.
  class Lock {
   public:
    explicit Lock(Scheduler& scheduler);
    std::unique_lock<std::mutex>& get() { return lock_; }

   private:
    std::unique_lock<std::mutex> lock_;
  };

  // |shares|: threads of other devices may run commands of this one.
  Scheduler(CommandProcessor& processor, RegisterFile& registers, bool shares);
  ~Scheduler() { stop(); }
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // An empty string, or what failed.
  std::string open() { return waker_.open(); }
  // Cancels the running command and ends the thread.
  void stop();
  Doorbells& doorbells() { return doorbells_; }
  Waker& waker() { return waker_; }
  // Whether who rings must wake the thread.
  bool asleep() const { return asleep_ && !is_guest_; }
  // The mutex, where it is free and nobody waits for it.
  std::unique_lock<std::mutex> try_enter();

  // False: the doorbell slot is taken. Starts the thread if need be. The queue must be removed
  // before it dies.
  bool add(Lock& lock, Queue& queue);
  // The queue runs nothing any more from here on, apart from the command that runs now, which is
  // cancelled. It enters |state|.
  void remove(Lock& lock, Queue& queue, npu_queue_state state);
  void suspend(Lock& lock, Queue& queue);
  void resume(Lock& lock, Queue& queue);
  void set_priority(Lock& lock, Queue& queue, uint32_t priority);

  // Also of one that has stepped aside.
  bool runs(const Queue& queue) const {
    return std::any_of(running_.begin(), running_.end(),
                       [&](const auto& running) { return running.get() == &queue; });
  }
  bool idle() const { return running_.empty(); }
  // Nothing of a queue that was removed or suspended touches memory any more. A removed one that has stepped aside need not be waited for, which could take as long as the urgent work
  // of others: it sees `cancel` before it does anything else.
  bool stopped(const Queue& queue) const {
    if (!queue.cancel.load(std::memory_order_relaxed)) return !runs(queue);
    return idle() || running_.back().get() != &queue;
  }
  // Waits with the lock given up meanwhile.
  template <typename Condition>
  void wait(Lock& lock, Condition&& condition) {
    ++waiters_;
    ended_.wait(lock.get(), condition);
    --waiters_;
  }
  // Called by the thread with the mutex held after each command.
  void set_after_command(std::function<void()> hook) { after_command_ = std::move(hook); }

  // By the command that runs, without the lock: whether a queue of a higher priority has work; and
  // to run all of it now.
  bool urgent(const Queue& queue);
  void step_aside(const Queue& queue);

  // Takes what was rung so far, so that an answer knows of it while a long command runs.
  void take_rung(Lock& lock);
  // A condition of wait() that no command changes may hold now.
  void notify(Lock&) { ended_.notify_all(); }

  uint64_t take_ticket(Lock& lock);
  // No access to memory is under way: tickets given out before are reached.
  void quiet() { registers_.raise_to(NPU_REG_QUIESCED, ticket_.load()); }
  // Something has changed that the thread must look at, doorbells or not.
  void kick(Lock& lock);
  uint64_t busy_wall_ns() const;

 private:
  struct Turn {
    uint64_t rung;     // commands up to this one
    uint32_t entries;  // as entries_ was when it began
    StepScope scope;
  };
  // These and what they call give the device that the thread belongs to from now on, with no lock held; nullptr: to this one, as before.
  Scheduler* loop();
  Scheduler* run_own(std::unique_lock<std::mutex>& lock, Queue& queue);
  Scheduler* idle_wait(std::unique_lock<std::mutex>& lock);
  Scheduler* sleep(std::unique_lock<std::mutex>& lock);
  StepResult run_one(std::unique_lock<std::mutex>& lock, Queue& queue, StepScope scope);
  StepResult run_turn(Queue& queue, const Turn& turn);
  bool others_wait(const Queue& queue) const;
  void let_others_in(std::unique_lock<std::mutex>& lock);
  void take_doorbells();
  void ring(Queue& queue, uint64_t value);
  static bool has_come(const Queue& parked);
  void look_at_parked();
  bool must_look();
  void make_ready(Queue& queue);
  void unlist(Queue& queue);
  bool has_work(const Queue& queue) const;
  Queue* pick(size_t least_priority);
  bool has_news() const;
  struct Looked {
    bool has_seen = false;
    Scheduler* moved = nullptr;
  };
  Looked spin(std::unique_lock<std::mutex>& lock);
  bool settle();
  void set_busy(bool busy);

  // scheduler_crew.cpp
  bool becomes_guest();
  Looked visit_guests(std::unique_lock<std::mutex>& lock);
  Looked be_visited(Scheduler& host, std::unique_lock<std::mutex>& lock);
  void end_visit(StepResult result, bool to_the_end);
  void stop_being_guest();
  void release_guests(std::unique_lock<std::mutex>& lock);
  Scheduler* change_places();

  CommandProcessor& processor_;
  RegisterFile& registers_;
  std::function<void()> after_command_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::atomic<uint32_t> wanted_{0};   // threads that wait for the mutex
  std::atomic<uint32_t> entries_{0};  // times that anybody but the thread has wanted it
  std::atomic<uint64_t> ticket_{0};
  uint32_t waiters_ = 0;
  bool stop_ = false;
  bool asleep_ = false;
  bool kicked_ = false;
  Doorbells doorbells_;
  std::array<std::deque<Queue*>, NPU_PRIO_COUNT> ready_;
  std::vector<Queue*> parked_;
  std::vector<std::shared_ptr<Queue>> running_;  // the last one runs, the others have stepped aside
  Waker waker_{[this] { return must_look(); }};  // ends before what others look at by it
  std::chrono::steady_clock::time_point
      urgent_look_;  // of the command thread: when urgent() looked last
  LookBudget look_;

  Crew& crew_ = Crew::of_process();
  const bool shares_;
  const unsigned cpus_;  // that this process may use
  // Guarded by the mutex, as all above.
  bool is_guest_ = false;         // another thread does what is short, as long as this one's sleeps
  bool is_away_ = false;          // the thread looks after guests
  Scheduler* visitor_ = nullptr;  // whose thread runs a command here
  uint64_t last_work_ = 0;        // of the last turn, as Queue::turn_work
  GuestCredit credit_;
  Apart apart_;  // of the thread from the client that has woken it, and from other devices'

  std::atomic<uint64_t> busy_total_ns_{0};
  std::atomic<uint64_t> busy_since_ns_{0};  // 0: idle
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_SCHEDULER_H_
