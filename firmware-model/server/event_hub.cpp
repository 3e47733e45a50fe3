// SPDX-License-Identifier: Apache-2.0
// The consumer of the device's event ring.
#include "firmware-model/server/event_hub.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace npu::model::server {

npu_event_record* EventHub::prepare(uint32_t queues, int io_event_fd) {
  std::lock_guard lock(mutex_);
  ring_.assign(kEntries, npu_event_record{});
  slots_.resize(queues);
  io_event_fd_ = io_event_fd;
  return ring_.data();
}

void EventHub::interrupt() {
  std::lock_guard lock(mutex_);
  drain_locked();
}

void EventHub::drain_locked() {
  for (;;) {
    npu_event_record* slot = &ring_[head_ % kEntries];
    // pairs with firmware-model/device/record_ring.cpp : RecordRing::write
    const uint64_t seq = __atomic_load_n(&slot->seq, __ATOMIC_ACQUIRE);
    if (seq == 0 || seq < head_ + 1) return;
    npu_event_record record;
    uint64_t words[sizeof(record) / 8];
    for (size_t i = 0; i < std::size(words); ++i) {
      words[i] = __atomic_load_n(reinterpret_cast<uint64_t*>(slot) + i, __ATOMIC_RELAXED);
    }
    std::memcpy(&record, words, sizeof(record));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    const bool torn = __atomic_load_n(&slot->seq, __ATOMIC_RELAXED) != seq;
    if (seq != head_ + 1 || torn) {
      // The ring went round: what was in between is lost, so every queue may have moved.
      head_ = seq - 1;
      npu_event_record overflow{};
      overflow.type = NPU_EVENT_OVERFLOW;
      handle_locked(overflow);
      if (torn) continue;
    }
    head_ = seq;
    handle_locked(record);
  }
}

void EventHub::handle_locked(const npu_event_record& record) {
  if (record.type == NPU_EVENT_OVERFLOW) {
    for (uint32_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].queue != nullptr) progress_locked(slots_[i], i);
    }
    news_.faults.push_back(record);
    tell_io_locked();
    return;
  }
  if (record.type == NPU_EVENT_PORT_STATE) {
    news_.faults.push_back(record);
    tell_io_locked();
    return;
  }
  if (record.queue >= slots_.size()) return;
  Slot& slot = slots_[record.queue];
  if (slot.queue == nullptr) return;
  if (record.type == NPU_EVENT_QUEUE_FAULT) {
    slot.queue->status.store(record.status, std::memory_order_relaxed);
    // pairs with condition.cpp : Condition::evaluate
    slot.queue->dead.store(true, std::memory_order_release);
  }
  if (record.type == NPU_EVENT_QUEUE_FAULT || record.type == NPU_EVENT_COMMAND_FAULT) {
    news_.faults.push_back(record);
    tell_io_locked();
  }
  progress_locked(slot, record.queue);
}

void EventHub::progress_locked(Slot& slot, uint32_t number) {
  wake_sleepers(slot.queue->ctrl);
  for (const auto& notification : slot.notifications) signal_locked(*notification);
  if (slot.watchers > 0 && !slot.reported) {
    slot.reported = true;
    news_.progressed.push_back(number);
    tell_io_locked();
  }
}

void EventHub::signal_locked(Notification& notification) {
  if (notification.spent) return;
  bool holds = notification.condition.evaluate() != CondState::kFalse;
  if (!holds && notification.condition.queue != nullptr) {
    const QueueView& queue = *notification.condition.queue;
    const uint64_t at = notification.condition.wake_at();
    arm_interrupt(queue.ctrl, at != 0 ? at : queue.completed() + 1);
    holds = notification.condition.evaluate() != CondState::kFalse;
  }
  if (holds && !notification.held) {
    // A full counter means that nobody has read for 2^64 signals: one more is not missed. The poll keeps a client that
    // has filled its own eventfd from stopping this thread.
    pollfd ready{notification.fd.get(), POLLOUT, 0};
    const uint64_t one = 1;
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0) {
      [[maybe_unused]] ssize_t n = write(notification.fd.get(), &one, sizeof(one));
    }
    notification.spent = notification.oneshot;
  }
  notification.held = holds;
}

void EventHub::tell_io_locked() {
  if (told_) return;
  told_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(io_event_fd_, &one, sizeof(one));
}

void EventHub::attach(std::shared_ptr<QueueView> queue) {
  std::lock_guard lock(mutex_);
  const uint32_t number = queue->number;
  slots_[number] = {
      .queue = std::move(queue), .watchers = 0, .reported = false, .notifications = {}};
}

void EventHub::detach(uint32_t number) {
  std::lock_guard lock(mutex_);
  drain_locked();
  slots_[number] = {};
  std::erase(news_.progressed, number);
  std::erase_if(news_.faults, [number](const npu_event_record& r) {
    return r.type != NPU_EVENT_OVERFLOW && r.type != NPU_EVENT_PORT_STATE && r.queue == number;
  });
}

void EventHub::watch(const std::shared_ptr<QueueView>& queue, int delta) {
  std::lock_guard lock(mutex_);
  // The number may belong to another queue by now.
  if (slots_[queue->number].queue == queue) slots_[queue->number].watchers += delta;
}

void EventHub::add(std::shared_ptr<Notification> notification) {
  std::lock_guard lock(mutex_);
  const auto& queue = notification->condition.queue;
  if (queue != nullptr && slots_[queue->number].queue == queue) {
    slots_[queue->number].notifications.push_back(notification);
  }
  signal_locked(*notification);
}

void EventHub::remove(const std::shared_ptr<Notification>& notification) {
  std::lock_guard lock(mutex_);
  const auto& queue = notification->condition.queue;
  if (queue != nullptr) std::erase(slots_[queue->number].notifications, notification);
}

void EventHub::look_at(const std::shared_ptr<Notification>& notification) {
  std::lock_guard lock(mutex_);
  signal_locked(*notification);
}

bool EventHub::spent(const std::shared_ptr<Notification>& notification) {
  std::lock_guard lock(mutex_);
  return notification->spent;
}

HubNews EventHub::take() {
  std::lock_guard lock(mutex_);
  drain_locked();
  HubNews news = std::exchange(news_, {});
  for (uint32_t number : news.progressed) slots_[number].reported = false;
  told_ = false;
  return news;
}

void EventHub::wake_sleepers(npu_queue_ctrl* ctrl) {
  // Little-endian: the low half lies first. Shared, not private: sleepers are in other processes.
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&ctrl->completed), FUTEX_WAKE, INT_MAX, nullptr,
          nullptr, 0);
}

}  // namespace npu::model::server
