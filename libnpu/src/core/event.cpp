// SPDX-License-Identifier: Apache-2.0
// Events over points of queues.
#include "libnpu/src/core/event.h"

#include "libnpu/src/core/capture.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/error.h"

namespace npu {

Event::Mark Event::mark() {
  std::lock_guard lock(mutex_);
  return mark_;
}

Status Event::record(Queue& queue) {
  if (&queue.context() != context_.get()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "event and queue belong to different contexts");
  }
  Mark fresh;
  NPU_TRY_ASSIGN(fresh.point, queue.mark());
  fresh.queue = Ref<Queue>::share(&queue);
  Mark old;  // ends after the lock: it may hold the last reference to a queue
  {
    std::lock_guard lock(mutex_);
    old = std::exchange(mark_, std::move(fresh));
  }
  return Status::ok();
}

// What a captured event stands for has no time and no state on the host.
Status Event::check_not_captured(const Mark& mark) {
  if (!mark.queue || !mark.point->is_captured) return Status::ok();
  return fail(NPU_ERROR_CAPTURE_UNSUPPORTED,
              "the event was recorded in a capture: only queues can wait for it");
}

Status Event::query() {
  const Mark now = mark();
  NPU_TRY(check_not_captured(now));
  return now.queue ? now.queue->poll(now.point->value) : Status::ok();
}

Status Event::wait(const Deadline& deadline) {
  const Mark now = mark();
  NPU_TRY(check_not_captured(now));
  return now.queue ? now.queue->wait(now.point->value, deadline) : Status::ok();
}

Status Event::hold(Queue& queue) {
  if (&queue.context() != context_.get()) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "event and queue belong to different contexts");
  }
  const Mark now = mark();
  if (!now.queue) return Status::ok();
  if (now.point->is_captured) {
    const auto capture = now.point->capture.lock();
    if (capture == nullptr) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "the event was recorded in a capture that has ended");
    }
    return queue.join_capture(capture, now.point->nodes);
  }
  uint64_t value = 0;
  return queue.submit_wait(now.queue, now.point->value, &value);
}

Status Event::elapsed_since(Event& start, uint64_t* out_ps) {
  const Mark first = start.mark();
  const Mark second = mark();
  if (!first.queue || !second.queue) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "an event was never recorded");
  }
  NPU_TRY(check_not_captured(first));
  NPU_TRY(check_not_captured(second));
  if (first.queue.get() != second.queue.get() ||
      first.point->incarnation != second.point->incarnation) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "the events are not of the same queue between two resets");
  }
  if (first.point->value > second.point->value) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "the start event was recorded after the end event");
  }
  NPU_TRY(second.queue->poll(second.point->value));
  uint64_t from_ps = 0;
  uint64_t to_ps = 0;
  NPU_TRY(first.queue->time_of(*first.point, &from_ps));
  NPU_TRY(second.queue->time_of(*second.point, &to_ps));
  *out_ps = to_ps - from_ps;
  return Status::ok();
}

}  // namespace npu
