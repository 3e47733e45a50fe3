// SPDX-License-Identifier: Apache-2.0
// npu_semaphore.h: check, call, translate.
#include "libnpu/src/core/semaphore.h"

#include <npu/npu_semaphore.h>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/validation.h"

using namespace npu;
using api::guard;

namespace {

Status create(npuContext context, uint64_t initial, bool shared, npuSemaphore* out_semaphore) {
  NPU_TRY(api::need(out_semaphore, "out_semaphore"));
  *out_semaphore = nullptr;
  Pin<Context> pin;
  NPU_TRY(api::take(pin, context, "context"));
  NPU_TRY_ASSIGN(Ref<Semaphore> semaphore, Semaphore::create(pin.ref(), initial, shared));
  return api::publish(Ref<Object>::adopt(semaphore.leak()), pin->children(), out_semaphore);
}

}  // namespace

extern "C" {

npuResult npuSemaphoreCreate(npuContext context, uint64_t initial, npuSemaphore* out_semaphore) {
  return guard(__func__, NPU_ARGS(context, initial, out_semaphore),
               [&] { return create(context, initial, false, out_semaphore); });
}

npuResult npuSemaphoreCreateShared(npuContext context, uint64_t initial,
                                   npuSemaphore* out_semaphore) {
  return guard(__func__, NPU_ARGS(context, initial, out_semaphore),
               [&] { return create(context, initial, true, out_semaphore); });
}

npuResult npuSemaphoreExportFd(npuSemaphore semaphore, int* out_fd) {
  return guard(__func__, NPU_ARGS(semaphore, out_fd), [&]() -> Status {
    NPU_TRY(api::need(out_fd, "out_fd"));
    *out_fd = -1;
    Pin<Semaphore> pin;
    NPU_TRY(api::take(pin, semaphore, "semaphore"));
    return pin->export_fd(out_fd);
  });
}

npuResult npuSemaphoreImportFd(npuContext context, int fd, npuSemaphore* out_semaphore) {
  return guard(__func__, NPU_ARGS(context, fd, out_semaphore), [&]() -> Status {
    NPU_TRY(api::need(out_semaphore, "out_semaphore"));
    *out_semaphore = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY_ASSIGN(Ref<Semaphore> semaphore, Semaphore::import(pin.ref(), fd));
    return api::publish(Ref<Object>::adopt(semaphore.leak()), pin->children(), out_semaphore);
  });
}

npuResult npuSemaphoreDestroy(npuSemaphore semaphore) {
  return guard(__func__, NPU_ARGS(semaphore), [&]() -> Status {
    if (Hooks::has(Hook::kValidation) && semaphore != nullptr) {
      Pin<Semaphore> pin;
      NPU_TRY(api::take(pin, semaphore, "semaphore"));
      NPU_TRY(Validation::check_semaphore_end(pin->context(), pin->dva()));
    }
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(semaphore), Kind::kSemaphore, "semaphore", &object));
    if (!object) return Status::ok();
    auto& ended = static_cast<Semaphore&>(*object);
    ended.context().children().remove(&ended);
    ended.close();
    return Status::ok();
  });
}

npuResult npuSemaphoreGetAddress(npuSemaphore semaphore, npuDevPtr* out_address) {
  return guard(__func__, NPU_ARGS(semaphore, out_address), [&]() -> Status {
    NPU_TRY(api::need(out_address, "out_address"));
    *out_address = 0;
    Pin<Semaphore> pin;
    NPU_TRY(api::take(pin, semaphore, "semaphore"));
    *out_address = pin->dva();
    return Status::ok();
  });
}

npuResult npuSemaphoreSignal(npuSemaphore semaphore, uint64_t value) {
  return guard(__func__, NPU_ARGS(semaphore, value), [&]() -> Status {
    Pin<Semaphore> pin;
    NPU_TRY(api::take(pin, semaphore, "semaphore"));
    return pin->signal(value);
  });
}

npuResult npuSemaphoreWait(npuSemaphore semaphore, uint64_t value, int64_t timeout_ns) {
  return guard(__func__, NPU_ARGS(semaphore, value, timeout_ns), [&]() -> Status {
    Pin<Semaphore> pin;
    NPU_TRY(api::take(pin, semaphore, "semaphore"));
    NPU_TRY(api::check_timeout(timeout_ns));
    return pin->wait(value, Deadline::in(timeout_ns));
  });
}

npuResult npuSemaphoreQuery(npuSemaphore semaphore, uint64_t* out_value) {
  return guard(__func__, NPU_ARGS(semaphore, out_value), [&]() -> Status {
    NPU_TRY(api::need(out_value, "out_value"));
    *out_value = 0;
    Pin<Semaphore> pin;
    NPU_TRY(api::take(pin, semaphore, "semaphore"));
    return pin->query(out_value);
  });
}

}  // extern "C"
