// SPDX-License-Identifier: Apache-2.0
// Who looks after whom.
#include "firmware-model/device/crew.h"

#include <algorithm>

#include "firmware-model/device/scheduler.h"
#include "firmware-model/device/thread.h"

namespace npu::model {

// Never destroyed: a program that ends with a device open has threads that end after its static objects.
Crew& Crew::of_process() {
  static auto* const crew = new Crew;
  return *crew;
}

void Crew::open(Scheduler& host) {
  if (host_.load(std::memory_order_relaxed) != nullptr) return;
  std::lock_guard lock(mutex_);
  if (host_.load() == nullptr) host_.store(&host);
}

Crew::Guest Crew::guest(size_t index) {
  std::lock_guard lock(mutex_);
  if (index >= guests_.size()) return {};
  // It cannot go as long as it is listed here, nor once its mutex is held.
  return {guests_[index], guests_[index]->try_enter()};
}

void Crew::drop(size_t index) {
  guests_.erase(guests_.begin() + static_cast<std::ptrdiff_t>(index));
  guest_count_.store(static_cast<uint32_t>(guests_.size()), std::memory_order_relaxed);
}

void Crew::close(Scheduler& host) {
  if (!is_host(host)) return;
  std::lock_guard lock(mutex_);
  host_.store(nullptr);
}

Crew::Guest Crew::take() {
  std::lock_guard lock(mutex_);
  while (host_.load() == nullptr && !guests_.empty()) {
    Guest last{guests_.back(), guests_.back()->try_enter()};
    if (!last.lock) last.scheduler->waker().wake();
    drop(guests_.size() - 1);
    if (last.lock) return last;
  }
  return {};
}

bool Crew::join(Scheduler& guest) {
  if (host_.load(std::memory_order_relaxed) == nullptr) return false;
  std::lock_guard lock(mutex_);
  if (host_.load() == nullptr || host_.load() == &guest) return false;
  guests_.push_back(&guest);
  guest_count_.store(static_cast<uint32_t>(guests_.size()), std::memory_order_relaxed);
  return true;
}

void Crew::leave(Scheduler& guest) {
  std::lock_guard lock(mutex_);
  const auto found = std::find(guests_.begin(), guests_.end(), &guest);
  if (found != guests_.end()) drop(static_cast<size_t>(found - guests_.begin()));
}

unsigned Crew::awake() const {
  return Apart::awake() + guest_count_.load(std::memory_order_relaxed);
}

}  // namespace npu::model
