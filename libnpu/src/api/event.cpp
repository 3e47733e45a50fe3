// SPDX-License-Identifier: Apache-2.0
// npu_event.h: check, call, translate.
#include "libnpu/src/core/event.h"

#include <npu/npu_event.h>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/context.h"

using namespace npu;
using api::guard;

extern "C" {

npuResult npuEventCreate(npuContext context, npuEvent* out_event) {
  return guard(__func__, NPU_ARGS(context, out_event), [&]() -> Status {
    NPU_TRY(api::need(out_event, "out_event"));
    *out_event = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    Ref<Event> event = make_ref<Event>(pin.ref());
    return api::publish(Ref<Object>::adopt(event.leak()), pin->children(), out_event);
  });
}

npuResult npuEventDestroy(npuEvent event) {
  return guard(__func__, NPU_ARGS(event), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(event), Kind::kEvent, "event", &object));
    if (object) static_cast<Event&>(*object).context().children().remove(object.get());
    return Status::ok();
  });
}

npuResult npuEventRecord(npuEvent event, npuQueue queue) {
  return guard(__func__, NPU_ARGS(event, queue), [&]() -> Status {
    Pin<Event> pin;
    Pin<Queue> queue_pin;
    NPU_TRY(api::take(pin, event, "event"));
    NPU_TRY(api::take(queue_pin, queue, "queue"));
    return pin->record(*queue_pin);
  });
}

npuResult npuEventQuery(npuEvent event) {
  return guard(__func__, NPU_ARGS(event), [&]() -> Status {
    Pin<Event> pin;
    NPU_TRY(api::take(pin, event, "event"));
    return pin->query();
  });
}

npuResult npuEventWait(npuEvent event, int64_t timeout_ns) {
  return guard(__func__, NPU_ARGS(event, timeout_ns), [&]() -> Status {
    Pin<Event> pin;
    NPU_TRY(api::take(pin, event, "event"));
    NPU_TRY(api::check_timeout(timeout_ns));
    return pin->wait(Deadline::in(timeout_ns));
  });
}

npuResult npuQueueWaitEvent(npuQueue queue, npuEvent event) {
  return guard(__func__, NPU_ARGS(queue, event), [&]() -> Status {
    Pin<Queue> queue_pin;
    Pin<Event> pin;
    NPU_TRY(api::take(queue_pin, queue, "queue"));
    NPU_TRY(api::take(pin, event, "event"));
    return pin->hold(*queue_pin);
  });
}

npuResult npuEventGetElapsed(npuEvent start, npuEvent end, uint64_t* out_elapsed_ps) {
  return guard(__func__, NPU_ARGS(start, end, out_elapsed_ps), [&]() -> Status {
    NPU_TRY(api::need(out_elapsed_ps, "out_elapsed_ps"));
    *out_elapsed_ps = 0;
    Pin<Event> start_pin;
    Pin<Event> end_pin;
    NPU_TRY(api::take(start_pin, start, "start"));
    NPU_TRY(api::take(end_pin, end, "end"));
    return end_pin->elapsed_since(*start_pin, out_elapsed_ps);
  });
}

}  // extern "C"
