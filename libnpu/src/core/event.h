// SPDX-License-Identifier: Apache-2.0
// Event: a name for a point on the timeline of a queue.
// Thread safety: all functions.
#pragma once

#include <memory>
#include <mutex>

#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Event final : public Object {
 public:
  static constexpr Kind kKind = Kind::kEvent;

  explicit Event(Ref<Context> context) : Object(kKind), context_(std::move(context)) {}

  Context& context() const { return *context_; }

  Status record(Queue& queue);
  // NPU_OK, NPU_NOT_READY or the queue's error.
  Status query();
  Status wait(const Deadline& deadline);
  // Later commands of |queue| start after the event was passed.
  Status hold(Queue& queue);
  Status elapsed_since(Event& start, uint64_t* out_ps);

 private:
  struct Mark {
    Ref<Queue> queue;  // empty: never recorded
    std::shared_ptr<Point> point;
  };
  ~Event() override = default;
  Mark mark();
  static Status check_not_captured(const Mark& mark);

  const Ref<Context> context_;
  std::mutex mutex_;
  Mark mark_;
};

}  // namespace npu
