// SPDX-License-Identifier: Apache-2.0
// npu_queue.h: check, call, translate.
#include <npu/npu_queue.h>

#include <bit>
#include <cstdio>

#include "libnpu/src/api/explain.h"
#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/command.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/module.h"
#include "libnpu/src/core/queue.h"

using namespace npu;
using api::guard;

namespace {

constexpr uint32_t kRingEntriesDefault = 1024;
constexpr uint32_t kRingEntriesMin = 1u << NPU_RING_LOG2_MIN;
constexpr uint32_t kRingEntriesMax = 1u << NPU_RING_LOG2_MAX;

Status translate(const npuQueueInfo& info, RingOptions* out) {
  if (info.priority < NPU_PRIORITY_LOW || info.priority > NPU_PRIORITY_HIGH) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "priority is %d, it must be -1, 0 or 1", info.priority);
  }
  const uint32_t entries = info.ring_entries == 0 ? kRingEntriesDefault : info.ring_entries;
  if (!std::has_single_bit(entries) || entries < kRingEntriesMin || entries > kRingEntriesMax) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "ring_entries is %u, it must be a power of two from %u to %u", entries,
                kRingEntriesMin, kRingEntriesMax);
  }
  out->priority = static_cast<uint32_t>(info.priority + 1);  // the uapi counts from 0
  out->entries_log2 = static_cast<uint32_t>(std::countr_zero(entries));
  out->timeout_ms = info.timeout_ms;
  return Status::ok();
}

Status submit(Queue& queue, Result<npu_cmd> command, const void* args, uint32_t args_bytes,
              uint64_t* out_value) {
  if (!command.is_ok()) return command.status();
  uint64_t value = 0;
  NPU_TRY(queue.submit(command.value(), args, args_bytes, &value));
  if (out_value != nullptr) *out_value = value;
  return Status::ok();
}

// Start of every submission function: the outputs are written on failure too.
Status begin(Pin<Queue>& pin, npuQueue queue, uint64_t* out_value) {
  if (out_value != nullptr) *out_value = 0;
  return api::take(pin, queue, "queue");
}

npuFault translate(const Fault& fault, const FaultPlace& place) {
  npuFault out{};
  out.code = fault.code;
  out.value = fault.value;
  std::snprintf(out.kernel, sizeof out.kernel, "%s", place.kernel.c_str());
  out.pc = fault.record.pc;
  out.source_line = place.line;
  std::snprintf(out.source_file, sizeof out.source_file, "%s", place.file.c_str());
  out.tile = fault.record.tile;
  out.access = fault.record.access;
  out.group = fault.record.group;
  out.address = fault.record.result;
  return out;
}

}  // namespace

extern "C" {

npuResult npuQueueCreate(npuContext context, const npuQueueInfo* info, npuQueue* out_queue) {
  return guard(__func__, [&]() -> Status {
    NPU_TRY(api::need(out_queue, "out_queue"));
    *out_queue = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    npuQueueInfo asked{};
    if (info != nullptr) NPU_TRY(api::read_struct(info, "info", &asked));
    RingOptions options;
    NPU_TRY(translate(asked, &options));
    NPU_TRY_ASSIGN(Ref<Queue> queue, pin->create_queue(options));
    return api::publish(Ref<Object>::adopt(queue.leak()), pin->children(), out_queue);
  });
}

npuResult npuQueueDestroy(npuQueue queue) {
  return guard(__func__, [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(queue), Kind::kQueue, "queue", &object));
    if (!object) return Status::ok();
    auto& ended = static_cast<Queue&>(*object);
    ended.context().children().remove(&ended);
    ended.close();
    return Status::ok();
  });
}

npuResult npuQueueLaunch(npuQueue queue, npuKernel kernel, const npuLaunchInfo* info,
                         uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    Pin<Kernel> kernel_pin;
    NPU_TRY(begin(pin, queue, out_value));
    NPU_TRY(api::take(kernel_pin, kernel, "kernel"));
    npuLaunchInfo launch{};
    NPU_TRY(api::read_struct(info, "info", &launch));
    if (launch.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info->reserved is not 0");
    if (&kernel_pin->module().context() != &pin->context()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT,
                  "kernel '%s' was loaded in another context than the queue's",
                  kernel_pin->image().note.name);
    }
    return submit(*pin,
                  make_launch(*kernel_pin, {launch.grid_x, launch.grid_y, launch.grid_z},
                              launch.args, launch.args_bytes),
                  launch.args, launch.args_bytes, out_value);
  });
}

npuResult npuQueueCopy(npuQueue queue, npuDevPtr dst, npuDevPtr src, uint64_t size_bytes,
                       uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    CopyShape shape;
    shape.dst = dst;
    shape.src = src;
    shape.width_bytes = size_bytes;
    return submit(*pin, make_copy(pin->context(), shape), nullptr, 0, out_value);
  });
}

npuResult npuQueueCopyStrided(npuQueue queue, const npuCopyInfo* info, uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    npuCopyInfo copy{};
    NPU_TRY(api::read_struct(info, "info", &copy));
    if (copy.reserved != 0) return fail(NPU_ERROR_RESERVED_NOT_ZERO, "info->reserved is not 0");
    const CopyShape shape{.dst = copy.dst,
                          .src = copy.src,
                          .width_bytes = copy.width_bytes,
                          .height = copy.height,
                          .depth = copy.depth,
                          .dst_pitch = copy.dst_pitch_bytes,
                          .src_pitch = copy.src_pitch_bytes,
                          .dst_slice_pitch = copy.dst_slice_pitch_bytes,
                          .src_slice_pitch = copy.src_slice_pitch_bytes};
    return submit(*pin, make_copy(pin->context(), shape), nullptr, 0, out_value);
  });
}

npuResult npuQueueFill(npuQueue queue, npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes,
                       uint64_t size_bytes, uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit(*pin, make_fill(pin->context(), dst, pattern, pattern_bytes, size_bytes), nullptr,
                  0, out_value);
  });
}

npuResult npuQueueWaitQueue(npuQueue queue, npuQueue other, uint64_t value, uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    Pin<Queue> other_pin;
    NPU_TRY(begin(pin, queue, out_value));
    NPU_TRY(api::take(other_pin, other, "other"));
    if (&other_pin->context() != &pin->context()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "the queues belong to different contexts");
    }
    uint64_t own = 0;
    NPU_TRY(pin->submit_wait(other_pin.ref(), value, &own));
    if (out_value != nullptr) *out_value = own;
    return Status::ok();
  });
}

npuResult npuQueueSignal(npuQueue queue, npuDevPtr semaphore, uint64_t value, uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit(*pin, make_semaphore(pin->context(), NPU_CMD_SEM_SIGNAL, semaphore, value),
                  nullptr, 0, out_value);
  });
}

npuResult npuQueueWaitSemaphore(npuQueue queue, npuDevPtr semaphore, uint64_t value,
                                uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit(*pin, make_semaphore(pin->context(), NPU_CMD_SEM_WAIT, semaphore, value), nullptr,
                  0, out_value);
  });
}

npuResult npuQueueGetCompleted(npuQueue queue, uint64_t* out_value) {
  return guard(__func__, [&]() -> Status {
    NPU_TRY(api::need(out_value, "out_value"));
    *out_value = 0;
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    return pin->completed(out_value);
  });
}

npuResult npuQueueWait(npuQueue queue, uint64_t value, int64_t timeout_ns) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_timeout(timeout_ns));
    return api::explain(*pin, pin->wait(value, Deadline::in(timeout_ns)));
  });
}

npuResult npuQueueSync(npuQueue queue, int64_t timeout_ns) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_timeout(timeout_ns));
    return api::explain(*pin, pin->wait_all(Deadline::in(timeout_ns)));
  });
}

npuResult npuQueueGetTiming(npuQueue queue, uint64_t value, npuTiming* inout_timing) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_out_struct(inout_timing, "inout_timing"));
    npuTiming timing{};
    NPU_TRY(pin->timing(value, &timing.start_ps, &timing.end_ps));
    api::write_struct(inout_timing, timing);
    return Status::ok();
  });
}

npuResult npuQueueGetFaults(npuQueue queue, uint32_t* inout_count, npuFault* array) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::need(inout_count, "inout_count"));
    const uint32_t room = array != nullptr ? *inout_count : 0;
    if (room > 0) NPU_TRY(api::check_out_struct(array, "array"));
    const auto fault = pin->fault();
    *inout_count = fault.has_value() ? 1 : 0;
    if (!fault.has_value() || array == nullptr) return Status::ok();
    if (room == 0) return Status(NPU_INCOMPLETE);
    api::write_struct(array, translate(*fault, pin->context().place_of(*fault)));
    return Status::ok();
  });
}

npuResult npuQueueReset(npuQueue queue, int64_t timeout_ns) {
  return guard(__func__, [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_timeout(timeout_ns));
    return pin->reset();
  });
}

}  // extern "C"
