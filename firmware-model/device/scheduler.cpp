// SPDX-License-Identifier: Apache-2.0
// The loop of the command-processor thread.
#include "firmware-model/device/scheduler.h"

#include <algorithm>

#include "firmware-model/device/shared_memory.h"
#include "firmware-model/device/thread.h"

namespace npu::model {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kLooksPerClockRead = 16;
// So often a command that runs looks for more urgent ones: looking costs about a hundredth of this.
constexpr auto kUrgentLook = std::chrono::microseconds(10);
// A queue's turn when no other one is ready, and none that is more urgent is parked: so many commands, or so much work. Between two of them nothing but those who want in is looked at, as in a list.
constexpr unsigned kTurnCommands = 16;
constexpr uint64_t kTurnWork = GuestCredit::kShortTurn / 2;
// After so long a look gives the CPU away between two looks: the client, or the other device, that is to go on may need this very one.
constexpr auto kSelfishLook = std::chrono::nanoseconds(500);
// How long the thread stands back for those who want the mutex.
constexpr unsigned kYields = 64;

// When the host of the crew has not come by for so long, a guest looks after itself.
constexpr std::chrono::milliseconds kHostLate{1};

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now().time_since_epoch()).count());
}

bool dead(npu_queue_state state) { return state >= NPU_QUEUE_STATE_FAULTED; }

}  // namespace

Scheduler::Lock::Lock(Scheduler& scheduler) {
  scheduler.wanted_.fetch_add(1);
  scheduler.entries_.fetch_add(1);
  lock_ = std::unique_lock(scheduler.mutex_);
  scheduler.wanted_.fetch_sub(1);
}

Scheduler::Scheduler(CommandProcessor& processor, RegisterFile& registers, bool shares)
    : processor_(processor), registers_(registers), shares_(shares), cpus_(usable_cpus()) {}

void Scheduler::stop() {
  std::thread thread;
  {
    std::unique_lock lock(mutex_);
    if (!thread_.joinable()) return;
    stop_ = true;
    for (const auto& running : running_) running->end();
    waker_.wake();
    // No other thread is here from then on, nor will threads change places any more.
    ended_.wait(lock, [this] { return visitor_ == nullptr && !is_away_; });
    thread = std::move(thread_);
  }
  thread.join();
}

std::unique_lock<std::mutex> Scheduler::try_enter() {
  if (wanted_.load(std::memory_order_relaxed) != 0) return {};
  std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() ? std::move(lock) : std::unique_lock<std::mutex>();
}

void Scheduler::kick(Lock&) {
  kicked_ = true;
  if (asleep_) waker_.wake();
}

bool Scheduler::add(Lock& lock, Queue& queue) {
  if (!doorbells_.bind(queue.config.doorbell_page, queue.config.doorbell_slot, &queue)) {
    return false;
  }
  if (!thread_.joinable()) {
    thread_ = start_device_thread("npu-command", [this] {
      for (Scheduler* home = this; home != nullptr;) home = home->loop();
    });
  }
  // A page that has become active while the thread sleeps is not marked as sleeping yet.
  kick(lock);
  return true;
}

void Scheduler::remove(Lock&, Queue& queue, npu_queue_state state) {
  unlist(queue);
  queue.schedule.state = state;
  queue.end();
  doorbells_.unbind(queue.config.doorbell_page, queue.config.doorbell_slot);
}

void Scheduler::suspend(Lock&, Queue& queue) {
  if (dead(queue.schedule.state)) return;
  unlist(queue);
  queue.schedule.state = NPU_QUEUE_STATE_SUSPENDED;
}

void Scheduler::resume(Lock& lock, Queue& queue) {
  if (queue.schedule.state != NPU_QUEUE_STATE_SUSPENDED) return;
  queue.schedule.state = NPU_QUEUE_STATE_READY;
  if (runs(queue)) return;
  if (has_work(queue)) make_ready(queue);
  kick(lock);
}

void Scheduler::set_priority(Lock&, Queue& queue, uint32_t priority) {
  const bool was_listed = queue.schedule.listed;
  if (was_listed) unlist(queue);
  queue.schedule.priority = priority;
  if (was_listed) make_ready(queue);
}

uint64_t Scheduler::take_ticket(Lock&) {
  const uint64_t ticket = ticket_.fetch_add(1) + 1;
  if (idle()) quiet();
  return ticket;
}

uint64_t Scheduler::busy_wall_ns() const {
  const uint64_t since = busy_since_ns_.load();
  return busy_total_ns_.load() + (since == 0 ? 0 : now_ns() - since);
}

void Scheduler::set_busy(bool busy) {
  const uint64_t since = busy_since_ns_.load(std::memory_order_relaxed);
  if (busy == (since != 0)) return;
  if (busy) {
    busy_since_ns_.store(now_ns());
  } else {
    busy_since_ns_.store(0);
    busy_total_ns_.fetch_add(now_ns() - since);
  }
}

bool Scheduler::has_work(const Queue& queue) const {
  const Queue::Schedule& schedule = queue.schedule;
  if (schedule.state != NPU_QUEUE_STATE_READY) return false;
  return schedule.pending_fault != NPU_ST_OK || queue.has_command ||
         queue.fetched < schedule.write_index;
}

void Scheduler::make_ready(Queue& queue) {
  if (queue.schedule.listed || runs(queue)) return;
  if (queue.schedule.parked) {
    std::erase(parked_, &queue);
    queue.schedule.parked = false;
  }
  queue.schedule.listed = true;
  ready_[queue.schedule.priority].push_back(&queue);
}

void Scheduler::unlist(Queue& queue) {
  if (queue.schedule.listed) std::erase(ready_[queue.schedule.priority], &queue);
  if (queue.schedule.parked) std::erase(parked_, &queue);
  queue.schedule.listed = false;
  queue.schedule.parked = false;
}

Queue* Scheduler::pick(size_t least_priority) {
  for (size_t priority = ready_.size(); priority-- > least_priority;) {
    auto& list = ready_[priority];
    if (list.empty()) continue;
    Queue* queue = list.front();
    list.pop_front();
    queue->schedule.listed = false;
    return queue;
  }
  return nullptr;
}

bool Scheduler::has_news() const {
  const bool ready =
      std::any_of(ready_.begin(), ready_.end(), [](const auto& list) { return !list.empty(); });
  return ready || kicked_ || stop_ || doorbells_.any_pending();
}

void Scheduler::ring(Queue& queue, uint64_t value) {
  Queue::Schedule& schedule = queue.schedule;
  if (dead(schedule.state) || value == schedule.write_index) return;
  // Whoever rings for a slot has seen its last command completed, and `progress` is stored before
  // that is published.
  const uint64_t completed = queue.progress.load(std::memory_order_relaxed);
  if (value < schedule.write_index || value - completed > queue.entries()) {
    schedule.pending_fault = NPU_ST_BAD_DOORBELL;
  } else {
    schedule.write_index = value;
  }
  if (schedule.parked && schedule.pending_fault == NPU_ST_OK) return;
  // What the queue has left belongs to the command thread as long as it runs; run_one() looks.
  if (!runs(queue) && has_work(queue)) make_ready(queue);
}

void Scheduler::take_rung(Lock& lock) {
  take_doorbells();
  kick(lock);
}

void Scheduler::take_doorbells() {
  doorbells_.collect([this](Queue& queue, uint64_t value) { ring(queue, value); });
}

// What a queue waits for. The word may be read under this mutex as long as nothing was flushed: memory is given away after a flush and a ticket only.
bool Scheduler::has_come(const Queue& parked) {
  const ParkedWait& wait = parked.parked_wait;
  return parked.space().generation() != wait.generation ||
         wait_holds(wait.op, load_word(wait.word, std::memory_order_acquire), wait.value);
}

void Scheduler::look_at_parked() {
  for (size_t i = 0; i < parked_.size();) {
    if (has_come(*parked_[i])) {
      make_ready(*parked_[i]);
    } else {
      ++i;
    }
  }
}

// By the thread of another device, which has written memory. Also where it is not known at this moment.
bool Scheduler::must_look() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return !lock || std::any_of(parked_.begin(), parked_.end(),
                              [](const Queue* queue) { return has_come(*queue); });
}

// One that is parked and as urgent as |queue| waits for the end of its turn, which is short: less than finding a queue again takes for each of its commands.
bool Scheduler::others_wait(const Queue& queue) const {
  const auto is_urgent = [&](const Queue* parked) {
    return parked->schedule.priority > queue.schedule.priority;
  };
  return std::any_of(parked_.begin(), parked_.end(), is_urgent) ||
         std::any_of(ready_.begin(), ready_.end(), [](const auto& list) { return !list.empty(); });
}

// Commands up to |rung|. Taking and giving the mutex, and finding the queue again, cost more than a short command.
StepResult Scheduler::run_turn(Queue& queue, const Turn& turn) {
  queue.turn_work = 0;
  for (unsigned left = kTurnCommands; left != 0; --left) {
    const StepResult result = processor_.step(queue, turn.scope);
    if (result != StepResult::kDone) return result;
    // The command ended with a fence (CommandProcessor::interrupt_when_asked).
    waker_.wake_fenced_watchers();
    if (queue.fetched >= turn.rung || queue.turn_work > kTurnWork ||
        entries_.load(std::memory_order_relaxed) != turn.entries) {
      break;
    }
  }
  return StepResult::kDone;
}

// kLong: of this queue nothing is left to do that is in |scope|.
StepResult Scheduler::run_one(std::unique_lock<std::mutex>& lock, Queue& queue, StepScope scope) {
  running_.push_back(queue.shared_from_this());
  const npu_status pending_fault = queue.schedule.pending_fault;
  // Whoever has come in since, and wants this queue to stop, may have to wait for one command more.
  const Turn turn{others_wait(queue) ? 0 : queue.schedule.write_index,
                  entries_.load(std::memory_order_relaxed), scope};
  lock.unlock();
  StepResult result = StepResult::kFaulted;
  if (pending_fault != NPU_ST_OK) {
    processor_.stop(queue, Outcome::error(pending_fault));
  } else {
    result = run_turn(queue, turn);
  }
  if (result != StepResult::kDone) waker_.wake_watchers();
  lock.lock();
  const std::shared_ptr<Queue> finished = std::move(running_.back());
  running_.pop_back();
  last_work_ = queue.turn_work;
  quiet();
  if (!dead(queue.schedule.state)) {
    if (result == StepResult::kFaulted) queue.schedule.state = NPU_QUEUE_STATE_FAULTED;
    if (result == StepResult::kParked && queue.schedule.state == NPU_QUEUE_STATE_READY) {
      queue.schedule.parked = true;
      parked_.push_back(&queue);
    } else if (has_work(queue)) {
      make_ready(queue);
    }
  }
  if (after_command_) after_command_();
  if (waiters_ != 0) ended_.notify_all();
  return result;
}

bool Scheduler::urgent(const Queue& queue) {
  const auto now = Clock::now();
  if (now - urgent_look_ < kUrgentLook) return false;
  urgent_look_ = now;
  std::lock_guard lock(mutex_);
  take_doorbells();
  look_at_parked();
  for (size_t priority = queue.schedule.priority + 1; priority < ready_.size(); ++priority) {
    if (!ready_[priority].empty()) return true;
  }
  return false;
}

void Scheduler::step_aside(const Queue& queue) {
  std::unique_lock lock(mutex_);
  while (!stop_ && !queue.cancel.load(std::memory_order_relaxed)) {
    let_others_in(lock);
    take_doorbells();
    look_at_parked();
    Queue* next = pick(queue.schedule.priority + 1);
    if (next == nullptr) return;
    run_one(lock, *next, StepScope::kAll);
  }
}

void Scheduler::let_others_in(std::unique_lock<std::mutex>& lock) {
  if (wanted_.load() == 0) return;
  lock.unlock();
  for (unsigned i = 0; i < kYields && wanted_.load() != 0; ++i) std::this_thread::yield();
  lock.lock();
}

Scheduler* Scheduler::loop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    let_others_in(lock);
    kicked_ = false;
    take_doorbells();
    look_at_parked();
    Queue* queue = pick(0);
    Scheduler* moved = nullptr;
    if (queue != nullptr) {
      set_busy(true);
      doorbells_.show_cpu(present_cpu());
      moved = run_own(lock, *queue);
    } else {
      set_busy(false);
      moved = idle_wait(lock);
    }
    if (moved != nullptr) return moved;
  }
  set_busy(false);
  release_guests(lock);
  return nullptr;
}

Scheduler* Scheduler::run_own(std::unique_lock<std::mutex>& lock, Queue& queue) {
  const bool is_host = crew_.has_guests() && crew_.is_host(*this);
  const StepResult result = run_one(lock, queue, is_host ? StepScope::kShort : StepScope::kAll);
  if (result == StepResult::kLong) {
    release_guests(lock);
    return nullptr;
  }
  credit_.ran(last_work_);
  if (!is_host) return nullptr;
  set_busy(false);
  return visit_guests(lock).moved;
}

Scheduler* Scheduler::idle_wait(std::unique_lock<std::mutex>& lock) {
  const auto begin = Clock::now();
  if (becomes_guest()) return sleep(lock);
  const Looked looked = spin(lock);
  if (looked.has_seen || looked.moved != nullptr) return looked.moved;
  release_guests(lock);
  Scheduler* const moved = sleep(lock);
  if (moved == nullptr) look_.slept(Clock::now() - begin);
  return moved;
}

Scheduler::Looked Scheduler::spin(std::unique_lock<std::mutex>& lock) {
  if (!spinning_helps()) return {};
  if (shares_) crew_.open(*this);
  auto begin = Clock::now();
  for (auto now = begin; now - begin < look_.budget(); now = Clock::now()) {
    const bool is_host = crew_.has_guests() && crew_.is_host(*this);
    if (is_host || now - begin >= kSelfishLook) std::this_thread::yield();
    for (unsigned i = is_host ? 1 : kLooksPerClockRead; i != 0; --i) {
      look_at_parked();
      if (has_news()) {
        look_.looked(Clock::now() - begin, true);
        return {true, nullptr};
      }
      if (is_host) {
        const Looked visited = visit_guests(lock);
        if (visited.moved != nullptr) return visited;
        if (visited.has_seen) {
          look_.looked(Clock::now() - begin, true);
          begin = Clock::now();
        }
      }
      let_others_in(lock);
      cpu_relax();
    }
  }
  look_.looked(Clock::now() - begin, false);
  return {};
}

// Before the thread sleeps: who rings has to wake it from now on. True: there is something to do after all.
bool Scheduler::settle() {
  if (!parked_.empty()) {
    waker_.watch_memory();
    look_at_parked();
  }
  doorbells_.set_sleeping(true);
  // pairs with doorbell.cpp : Doorbells::ring and with libnpu/src/backend/model.cpp :
  // ModelBackend::ring
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return has_news();
}

Scheduler* Scheduler::sleep(std::unique_lock<std::mutex>& lock) {
  constexpr std::chrono::milliseconds kForEver{-1};
  asleep_ = true;
  apart_.rest();
  uint64_t rounds = crew_.rounds();
  Clock::time_point came_by = Clock::now();  // the host, as far as is known
  for (bool is_woken = false;;) {
    const bool is_left_to_others = is_guest_ || visitor_ != nullptr;
    if (!is_left_to_others && (is_woken || settle())) break;
    lock.unlock();
    is_woken |= waker_.wait(is_left_to_others ? kHostLate : kForEver);
    lock.lock();
    const auto now = Clock::now();
    if (const uint64_t seen = crew_.rounds(); seen != rounds) {
      rounds = seen;
      came_by = now;
    }
    // By the clock: clients can wake this thread, and so end each wait before its time.
    const bool is_late = is_left_to_others && now - came_by >= kHostLate;
    if (visitor_ != nullptr) {
      Scheduler* const moved = is_late ? change_places() : nullptr;
      if (moved == nullptr) continue;
      lock.unlock();
      return moved;
    }
    if (is_guest_ && (is_woken || is_late)) {
      stop_being_guest();
      is_woken = true;
      // The host may be kept in a command of its own for long, and would be joined again and again.
      if (is_late) credit_.hold_up();
    }
  }
  apart_.from(doorbells_.waker_cpu());
  asleep_ = false;
  doorbells_.set_sleeping(false);
  return nullptr;
}

}  // namespace npu::model
