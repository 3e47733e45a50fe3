// SPDX-License-Identifier: Apache-2.0
// npu_queue.h: check, call, translate.
#include <npu/npu_queue.h>

#include <bit>

#include "libnpu/src/api/explain.h"
#include "libnpu/src/api/fault.h"
#include "libnpu/src/api/submission.h"
#include "libnpu/src/core/net.h"
#include "libnpu/src/core/prepared_launch.h"
#include "libnpu/src/core/validation.h"
#include "libnpu/src/core/wait_many.h"
#include "uapi/npu_accel.h"

using namespace npu;
using api::guard;

namespace {

constexpr uint32_t kRingEntriesDefault = 1024;
constexpr uint32_t kLongBatch = 64;
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
  if (info.queue_class < NPU_QUEUE_CLASS_COMPUTE || info.queue_class > NPU_QUEUE_CLASS_NET) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "queue_class is %d, it must be 0, 1 or 2",
                info.queue_class);
  }
  if (info.error_policy != NPU_ON_ERROR_STOP && info.error_policy != NPU_ON_ERROR_CONTINUE) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "error_policy is %d, it must be 0 or 1",
                info.error_policy);
  }
  static_assert(int{NPU_QUEUE_COMPUTE} == int{NPU_QUEUE_CLASS_COMPUTE} &&
                int{NPU_QUEUE_COPY} == int{NPU_QUEUE_CLASS_COPY} &&
                int{NPU_QUEUE_NET} == int{NPU_QUEUE_CLASS_NET});
  out->queue_class = static_cast<uint32_t>(info.queue_class);
  out->goes_on = info.error_policy == NPU_ON_ERROR_CONTINUE;
  return Status::ok();
}

Status translate_net(Context& context, const npuQueueInfo& info, RingOptions* out) {
  if (info.reserved != 0) {
    return fail(NPU_ERROR_RESERVED_NOT_ZERO, "reserved of npuQueueInfo must be 0");
  }
  if (info.queue_class != NPU_QUEUE_CLASS_NET) {
    if (info.peer == nullptr && info.port_mask == 0 && info.mtu_bytes == 0) return Status::ok();
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "peer, port_mask and mtu_bytes belong to queues of class NET, and must be 0");
  }
  Pin<Device> peer;
  NPU_TRY(api::take(peer, info.peer, "peer"));
  NPU_TRY_ASSIGN(out->net, net_parameters(context.device(), *peer, info.port_mask, info.mtu_bytes));
  return Status::ok();
}

Status submit(Queue& queue, std::span<const Submission> batch, uint64_t* out_value) {
  uint64_t value = 0;
  NPU_TRY(queue.submit(batch, &value));
  if (out_value != nullptr) *out_value = value;
  return Status::ok();
}

// What kernels printed comes before the result of the wait for them.
Status deliver_prints(Queue& queue, Status status) {
  if (!queue.may_print()) return status;
  // The user's function may call the library, which forgets the detail.
  const std::string detail = status.code() < 0 ? pending_text() : "";
  queue.deliver_prints();
  return status.code() < 0 ? fail(status.code(), "%s", detail.c_str()) : status;
}

Status after_wait(Queue& queue, const Status& status, uint64_t value) {
  return api::explain(queue, deliver_prints(queue, status), value);
}

// |make|(context, &submission) checks the arguments.
template <typename Make>
Status submit_made(Queue& queue, uint64_t* out_value, Make&& make) {
  Submission one;
  NPU_TRY(make(queue.context(), &one));
  return submit(queue, {&one, 1}, out_value);
}

// Start of every submission function: the outputs are written on failure too.
Status begin(Pin<Queue>& pin, npuQueue queue, uint64_t* out_value) {
  if (out_value != nullptr) *out_value = 0;
  return api::take(pin, queue, "queue");
}

}  // namespace

extern "C" {

npuResult npuQueueCreate(npuContext context, const npuQueueInfo* info, npuQueue* out_queue) {
  return guard(__func__, NPU_ARGS(context, info, out_queue), [&]() -> Status {
    NPU_TRY(api::need(out_queue, "out_queue"));
    *out_queue = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    npuQueueInfo asked{};
    if (info != nullptr) NPU_TRY(api::read_struct(info, "info", &asked));
    RingOptions options;
    NPU_TRY(translate(asked, &options));
    NPU_TRY(translate_net(*pin, asked, &options));
    NPU_TRY_ASSIGN(Ref<Queue> queue, pin->create_queue(options));
    return api::publish(Ref<Object>::adopt(queue.leak()), pin->children(), out_queue);
  });
}

npuResult npuQueueDestroy(npuQueue queue) {
  return guard(__func__, NPU_ARGS(queue), [&]() -> Status {
    if (Call::in_callback()) {
      return fail(NPU_ERROR_IN_CALLBACK, "a callback of a subscriber cannot end a queue");
    }
    if (Hooks::has(Hook::kValidation) && queue != nullptr) {
      Pin<Queue> pin;
      NPU_TRY(api::take(pin, queue, "queue"));
      NPU_TRY(Validation::check_queue_end(*pin));
    }
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
  return guard(__func__, NPU_ARGS(queue, kernel, info, out_value), [&]() -> Status {
    Pin<Queue> pin;
    Pin<Kernel> kernel_pin;
    NPU_TRY(begin(pin, queue, out_value));
    NPU_TRY(api::take(kernel_pin, kernel, "kernel"));
    return submit_made(*pin, out_value, [&](Context& context, Submission* out) {
      return api::make_launch(context, *kernel_pin, info, out);
    });
  });
}

npuResult npuQueueCopy(npuQueue queue, npuDevPtr dst, npuDevPtr src, uint64_t size_bytes,
                       uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, dst, src, size_bytes, out_value), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit_made(*pin, out_value, [&](Context& context, Submission* out) {
      return api::make_copy(context, dst, src, size_bytes, out);
    });
  });
}

npuResult npuQueueCopyStrided(npuQueue queue, const npuCopyInfo* info, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, info, out_value), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit_made(*pin, out_value, [&](Context& context, Submission* out) {
      return api::make_copy(context, info, out);
    });
  });
}

npuResult npuQueueFill(npuQueue queue, npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes,
                       uint64_t size_bytes, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, dst, pattern, pattern_bytes, size_bytes, out_value),
               [&]() -> Status {
                 Pin<Queue> pin;
                 NPU_TRY(begin(pin, queue, out_value));
                 return submit_made(*pin, out_value, [&](Context& context, Submission* out) {
                   return api::make_fill(context, dst, pattern, pattern_bytes, size_bytes, out);
                 });
               });
}

npuResult npuQueueWaitQueue(npuQueue queue, npuQueue other, uint64_t value, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, other, value, out_value), [&]() -> Status {
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
  return guard(__func__, NPU_ARGS(queue, semaphore, value, out_value), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit_made(*pin, out_value, [&](Context& context, Submission* out) {
      return api::make_signal(context, semaphore, value, out);
    });
  });
}

npuResult npuQueueWaitSemaphore(npuQueue queue, npuDevPtr semaphore, uint64_t value,
                                uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, semaphore, value, out_value), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    return submit_made(*pin, out_value, [&](Context& context, Submission* out) {
      return api::make_wait(context, semaphore, value, out);
    });
  });
}

npuResult npuSubmitBatch(npuQueue queue, uint32_t count, const npuCommand* commands,
                         uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, count, commands, out_value), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    // A device that sleeps wakes up while a long batch is checked. It finds nothing new until all of it is good.
    if (count >= kLongBatch) pin->ring_again();
    api::Batch batch(pin->take_batch_memory());
    Status status = batch.read(pin->context(), count, commands);
    if (status.is_ok()) status = submit(*pin, batch.submissions(), out_value);
    pin->keep_batch_memory(batch.take_memory());
    return status;
  });
}

npuResult npuLaunchPrepare(npuKernel kernel, const npuLaunchInfo* info,
                           npuPreparedLaunch* out_prepared) {
  return guard(__func__, NPU_ARGS(kernel, info, out_prepared), [&]() -> Status {
    NPU_TRY(api::need(out_prepared, "out_prepared"));
    *out_prepared = nullptr;
    Pin<Kernel> pin;
    NPU_TRY(api::take(pin, kernel, "kernel"));
    Context& context = pin->module().context();
    Submission checked;
    NPU_TRY(api::make_launch(context, *pin, info, &checked));
    Ref<PreparedLaunch> prepared = make_ref<PreparedLaunch>(pin.ref(), checked);
    return api::publish(Ref<Object>::adopt(prepared.leak()), context.children(), out_prepared);
  });
}

npuResult npuPreparedLaunchSetArgs(npuPreparedLaunch prepared, uint32_t offset_bytes,
                                   const void* data, uint32_t size_bytes) {
  return guard(__func__, NPU_ARGS(prepared, offset_bytes, data, size_bytes), [&]() -> Status {
    Pin<PreparedLaunch> pin;
    NPU_TRY(api::take(pin, prepared, "prepared"));
    NPU_TRY(api::need(data, "data"));
    return pin->set_args(offset_bytes, data, size_bytes);
  });
}

npuResult npuQueueLaunchPrepared(npuQueue queue, npuPreparedLaunch prepared, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, prepared, out_value), [&]() -> Status {
    Pin<Queue> pin;
    Pin<PreparedLaunch> prepared_pin;
    NPU_TRY(begin(pin, queue, out_value));
    NPU_TRY(api::take(prepared_pin, prepared, "prepared"));
    Kernel& kernel = prepared_pin->kernel();
    if (&kernel.module().context() != &pin->context()) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "the launch was prepared in another context");
    }
    Pin<Kernel> still_loaded;
    NPU_TRY(still_loaded.take(prepared_pin->kernel_handle(), "the prepared launch's kernel"));
    uint64_t value = 0;
    NPU_TRY(prepared_pin->submit(*pin, &value));
    if (out_value != nullptr) *out_value = value;
    return Status::ok();
  });
}

npuResult npuPreparedLaunchDestroy(npuPreparedLaunch prepared) {
  return guard(__func__, NPU_ARGS(prepared), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(prepared), Kind::kPreparedLaunch, "prepared", &object));
    if (!object) return Status::ok();
    auto& ended = static_cast<PreparedLaunch&>(*object);
    ended.kernel().module().context().children().remove(&ended);
    return Status::ok();
  });
}

npuResult npuQueueCallHost(npuQueue queue, npuHostFunction function, void* user_data,
                           uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, function, user_data, out_value), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(begin(pin, queue, out_value));
    if (function == nullptr) return fail(NPU_ERROR_INVALID_ARGUMENT, "function is NULL");
    Submission one;
    one.host = {function, user_data};
    return submit(*pin, {&one, 1}, out_value);
  });
}

npuResult npuQueueGetCompleted(npuQueue queue, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, out_value), [&]() -> Status {
    NPU_TRY(api::need(out_value, "out_value"));
    *out_value = 0;
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    const Status status = pin->completed(out_value);
    pin->deliver_prints();
    return status;
  });
}

npuResult npuQueueGetSubmitted(npuQueue queue, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(queue, out_value), [&]() -> Status {
    NPU_TRY(api::need(out_value, "out_value"));
    *out_value = 0;
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    *out_value = pin->submitted();
    return Status::ok();
  });
}

npuResult npuQueueWait(npuQueue queue, uint64_t value, int64_t timeout_ns) {
  return guard(__func__, NPU_ARGS(queue, value, timeout_ns), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_timeout(timeout_ns));
    const Status status = pin->wait(value, Deadline::in(timeout_ns));
    return after_wait(*pin, status, value);
  });
}

npuResult npuQueueSync(npuQueue queue, int64_t timeout_ns) {
  return guard(__func__, NPU_ARGS(queue, timeout_ns), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_timeout(timeout_ns));
    const Status status = pin->wait_all(Deadline::in(timeout_ns));
    return after_wait(*pin, status, UINT64_MAX);
  });
}

npuResult npuWaitMany(uint32_t count, const npuWaitItem* items, npuWaitMode mode,
                      int64_t timeout_ns, uint32_t* out_index) {
  return guard(__func__, NPU_ARGS(count, items, mode, timeout_ns, out_index), [&]() -> Status {
    if (out_index != nullptr) *out_index = 0;
    NPU_TRY(api::need(items, "items"));
    NPU_TRY(api::check_timeout(timeout_ns));
    if (count == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "count is 0");
    if (mode != NPU_WAIT_ANY && mode != NPU_WAIT_ALL) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "mode is %d, it must be 0 (any) or 1 (all)", mode);
    }
    std::vector<Ref<Queue>> queues;
    std::vector<WaitItem> waits;
    for (uint32_t i = 0; i < count; i++) {
      Pin<Queue> pin;
      NPU_TRY(api::take(pin, items[i].queue, "items[...].queue"));
      queues.push_back(pin.ref());
      waits.push_back({queues.back().get(), items[i].value});
    }
    uint32_t index = 0;
    Status status = wait_many(waits, mode == NPU_WAIT_ALL, Deadline::in(timeout_ns), &index);
    if (out_index != nullptr) *out_index = index;
    for (const Ref<Queue>& queue : queues) status = deliver_prints(*queue, status);
    return api::explain(*waits[index].queue, status, waits[index].value);
  });
}

npuResult npuQueueGetFd(npuQueue queue, uint64_t value, int* out_fd) {
  return guard(__func__, NPU_ARGS(queue, value, out_fd), [&]() -> Status {
    NPU_TRY(api::need(out_fd, "out_fd"));
    *out_fd = -1;
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY_ASSIGN(*out_fd, pin->make_fd(value));
    return Status::ok();
  });
}

npuResult npuQueueGetTiming(npuQueue queue, uint64_t value, npuTiming* inout_timing) {
  return guard(__func__, NPU_ARGS(queue, value, inout_timing), [&]() -> Status {
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
  return guard(__func__, NPU_ARGS(queue, inout_count, array), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::need(inout_count, "inout_count"));
    const uint32_t room = array != nullptr ? *inout_count : 0;
    if (room > 0) NPU_TRY(api::check_out_struct(array, "array"));
    const std::vector<Fault> faults = pin->faults();
    pin->deliver_prints();
    *inout_count = static_cast<uint32_t>(faults.size());
    if (array == nullptr) return Status::ok();
    const uint32_t stride = room > 0 ? array->struct_size : 0;
    auto* at = reinterpret_cast<unsigned char*>(array);
    for (uint32_t i = 0; i < room && i < faults.size(); i++, at += stride) {
      auto* element = reinterpret_cast<npuFault*>(at);
      element->struct_size = stride;
      api::write_struct(element, api::translate_fault(pin->context(), faults[i]));
    }
    return faults.size() > room ? Status(NPU_INCOMPLETE) : Status::ok();
  });
}

npuResult npuQueueReset(npuQueue queue, int64_t timeout_ns) {
  return guard(__func__, NPU_ARGS(queue, timeout_ns), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    NPU_TRY(api::check_timeout(timeout_ns));
    return pin->reset();
  });
}

}  // extern "C"
