// SPDX-License-Identifier: Apache-2.0
// Descriptors that tell of a queue's values.
//
// A value is reached when the queue's count says so, which the driver tells of by itself, as it does of the queue's death. But a queue that waits on the device for another one that died
// moves no more and knows of nothing: so the deaths of all queues that it waits for, directly or not, are asked for too. Who is woken then looks, and the look decides (settle()).
#include <atomic>
#include <map>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/backend/event_fd.h"
#include "libnpu/src/core/capture.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/queue.h"

namespace npu {

uint64_t take_notify_cookie() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
}

int request_notify(Backend& backend, uint32_t bo_handle, uint32_t queue_id, uint64_t offset,
                   uint64_t value, int fd, uint64_t cookie) {
  npu_notify args{};
  args.flags = NPU_NOTIFY_ADD | NPU_NOTIFY_ONESHOT;
  args.fd = fd;
  args.cookie = cookie;
  args.cond.op = NPU_COND_GE;
  args.cond.bo_handle = bo_handle;
  args.cond.queue_id = queue_id;
  args.cond.offset = offset;
  args.cond.value = value;
  args.cond.mask = ~uint64_t{0};
  return call_notify(backend, args);
}

void forget_notify(Backend& backend, uint64_t cookie) {
  npu_notify args{};
  args.flags = NPU_NOTIFY_REMOVE;
  args.fd = -1;
  args.cookie = cookie;
  [[maybe_unused]] const int error = call_notify(backend, args);
}

Watch::~Watch() {
  for (const Request& request : requests_) {
    if (request.backend != nullptr) {
      npu::forget_notify(*request.backend, request.cookie);
    } else if (const std::shared_ptr<Ring> ring = request.ring.lock()) {
      ring->forget_notify(request.cookie);
    }
  }
}

bool Queue::ring_again() {
  std::lock_guard lock(mutex_);
  if (is_stopped_locked()) return false;
  ring_->bell();
  return true;
}

void Queue::watch_word(uint32_t bo_handle, uint64_t offset, uint64_t value, int fd, Watch* watch) {
  std::lock_guard lock(mutex_);
  if (is_stopped_locked()) return;
  uint64_t cookie = 0;
  // Without it the sleeper is woken later.
  if (ring_->notify_word(bo_handle, offset, value, fd, &cookie).is_ok()) watch->add(ring_, cookie);
}

Status Queue::notify_locked(uint64_t count, int fd, Watch* watch) {
  uint64_t cookie = 0;
  NPU_TRY(ring_->notify(count, fd, &cookie));
  watch->add(ring_, cookie);
  return Status::ok();
}

// Of a queue that is waited for only the death matters: its count is the device's affair.
Status Queue::watch_here(uint64_t value, bool death_only, int fd, Watch* watch,
                         std::vector<Dependency>* out_next) {
  std::lock_guard lock(mutex_);
  const Status now = look_locked(value);
  if (now.code() != NPU_NOT_READY) return now;
  for (const Dependency& dependency : dependencies_) {
    if (dependency.own_value > value) break;
    out_next->push_back(dependency);
  }
  NPU_TRY(notify_locked(death_only ? UINT64_MAX : value - base_, fd, watch));
  return now;
}

Status Queue::watch(uint64_t value, int fd, Watch* watch) {
  const Status now = poll(value);
  if (now.code() != NPU_NOT_READY) return now;
  std::vector<Dependency> next;
  const Status own = watch_here(value, false, fd, watch, &next);
  if (own.code() != NPU_NOT_READY) return own;
  std::map<Queue*, uint64_t> seen{{this, value}};
  while (!next.empty()) {
    const Dependency dependency = std::move(next.back());
    next.pop_back();
    uint64_t& known = seen[dependency.other.get()];
    if (known >= dependency.value) continue;
    known = dependency.value;
    const Status other = dependency.other->watch_here(dependency.value, true, fd, watch, &next);
    const bool ended = other.is_ok() || other.code() == NPU_NOT_READY;
    if (ended || dependency.own_value <= 1) continue;
    // Failed already, and this queue has not come to its wait: that it does is the next thing to hear of.
    std::vector<Dependency> known_ones;
    const Status before = watch_here(dependency.own_value - 1, false, fd, watch, &known_ones);
    if (before.code() != NPU_NOT_READY && !before.is_ok()) return before;
  }
  // What happened before a request was made is seen here, what happens later by the driver.
  return poll(value);
}

Result<int> Queue::make_fd(uint64_t value) {
  if (Capture::is_value(value)) NPU_TRY(refuse_in_capture("a wait of the host"));
  NPU_TRY_ASSIGN(EventFd event, EventFd::create());
  Watch fresh;
  const Status now = watch(value, event.get(), &fresh);
  if (now.code() == NPU_ERROR_INVALID_ARGUMENT || now.code() == NPU_ERROR_QUOTA) return now;
  if (now.code() != NPU_NOT_READY) {
    event.add();
    return event.release();
  }
  std::vector<Watch> spent;  // ends after the lock: each is a call to the driver
  std::lock_guard lock(mutex_);
  const uint64_t ended = ended_locked();
  std::erase_if(watches_, [&](auto& entry) {
    if (entry.first > ended) return false;
    spent.push_back(std::move(entry.second));
    return true;
  });
  watches_.emplace_back(value, std::move(fresh));
  return event.release();
}

}  // namespace npu
