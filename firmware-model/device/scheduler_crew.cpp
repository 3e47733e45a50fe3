// SPDX-License-Identifier: Apache-2.0
// Command threads that do the work of each other's devices.
#include "firmware-model/device/scheduler.h"
#include "firmware-model/device/thread.h"

namespace npu::model {
namespace {

constexpr unsigned kVisitTurns = 4;  // of a guest

}  // namespace

// The thread is about to sleep, and leaves the device to the one that looks for work. Where there are CPUs for all and for their clients it looks for itself.
bool Scheduler::becomes_guest() {
  if (!spinning_helps()) return false;
  apart_.from_others();
  if (!shares_ || !credit_.is_good() || stop_ || 2 * Apart::awake() <= cpus_) return false;
  is_guest_ = crew_.join(*this);
  return is_guest_;
}

void Scheduler::stop_being_guest() {
  is_guest_ = false;
  crew_.leave(*this);
}

// The mutex is given up meanwhile. The device cannot go as long as its thread is away.
Scheduler::Looked Scheduler::visit_guests(std::unique_lock<std::mutex>& lock) {
  if (stop_) return {};
  is_away_ = true;
  lock.unlock();
  Looked all;
  crew_.went_round();
  for (size_t i = 0;; ++i) {
    Crew::Guest guest = crew_.guest(i);
    if (guest.scheduler == nullptr) break;
    if (!guest.lock) continue;
    const Looked looked = guest.scheduler->be_visited(*this, guest.lock);
    // This device has another thread, and may be gone.
    if (looked.moved != nullptr) return looked;
    all.has_seen |= looked.has_seen;
  }
  lock.lock();
  is_away_ = false;
  if (stop_) ended_.notify_all();
  return all;
}

// By the thread of |host|.
Scheduler::Looked Scheduler::be_visited(Scheduler& host, std::unique_lock<std::mutex>& lock) {
  if (stop_ || !is_guest_) return {};
  Looked looked;
  StepResult result = StepResult::kDone;
  unsigned turns = kVisitTurns;
  for (; turns != 0 && result != StepResult::kLong && !stop_ && !kicked_; --turns) {
    take_doorbells();
    look_at_parked();
    Queue* const queue = pick(0);
    if (queue == nullptr) break;
    looked.has_seen = true;
    visitor_ = &host;
    set_busy(true);
    doorbells_.show_cpu(present_cpu());
    result = run_one(lock, *queue, StepScope::kShort);
    // It took so long that the threads have changed places.
    if (visitor_ != &host) return {true, this};
  }
  if (!looked.has_seen) return {};
  visitor_ = nullptr;
  set_busy(false);
  end_visit(result, turns != 0);
  return looked;
}

void Scheduler::end_visit(StepResult result, bool to_the_end) {
  bool stays = credit_.visited(last_work_, to_the_end);
  if (result == StepResult::kLong) {
    credit_.end();
    stays = false;
  }
  if (stays && !stop_ && !kicked_) return;
  stop_being_guest();
  waker_.wake();
  if (stop_) ended_.notify_all();
}

// Before the thread sleeps, or does what may take long. The mutex is given up meanwhile.
void Scheduler::release_guests(std::unique_lock<std::mutex>& lock) {
  if (!crew_.is_host(*this)) return;
  crew_.close(*this);
  lock.unlock();
  for (Crew::Guest guest = crew_.take(); guest.scheduler != nullptr; guest = crew_.take()) {
    guest.scheduler->is_guest_ = false;
    if (guest.scheduler->settle()) guest.scheduler->waker_.wake();
  }
  lock.lock();
}

// By the thread that belongs to this device, while that of |visitor_| is kept here by a command: it goes on as the other one's, and the other one stays. nullptr: not now.
Scheduler* Scheduler::change_places() {
  Scheduler& host = *visitor_;
  // Only tried: the other one's mutex is not to be waited for with this one held.
  const std::unique_lock theirs(host.mutex_, std::try_to_lock);
  if (!theirs) return nullptr;
  std::swap(thread_, host.thread_);
  crew_.count_change();
  host.is_away_ = false;
  host.ended_.notify_all();
  visitor_ = nullptr;
  ended_.notify_all();
  if (is_guest_) stop_being_guest();
  credit_.hold_up();
  asleep_ = false;
  doorbells_.set_sleeping(false);
  return &host;
}

}  // namespace npu::model
