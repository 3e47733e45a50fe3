// SPDX-License-Identifier: Apache-2.0
// npu_memory.h, reservations: check, call, translate.
#include "libnpu/src/api/guard.h"
#include "libnpu/src/api/memory.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/mem_pool.h"
#include "libnpu/src/core/validation.h"

using namespace npu;
using api::guard;

extern "C" {

npuResult npuMemReserve(npuContext context, uint64_t size_bytes, uint64_t align_bytes,
                        npuDevPtr* out_dva) {
  return guard(__func__, NPU_ARGS(context, size_bytes, align_bytes, out_dva), [&]() -> Status {
    NPU_TRY(api::need(out_dva, "out_dva"));
    *out_dva = 0;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY_ASSIGN(*out_dva, pin->memory().reserve(size_bytes, align_bytes));
    return Status::ok();
  });
}

npuResult npuMemReleaseReservation(npuContext context, npuDevPtr dva) {
  return guard(__func__, NPU_ARGS(context, dva), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    return pin->memory().release_reservation(dva);
  });
}

npuResult npuMemCreate(npuContext context, npuMemKind kind, uint64_t size_bytes,
                       npuMemHandle* out_handle) {
  return guard(__func__, NPU_ARGS(context, kind, size_bytes, out_handle), [&]() -> Status {
    NPU_TRY(api::need(out_handle, "out_handle"));
    *out_handle = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    StorageInfo info;
    NPU_TRY(api::region_of(kind & ~NPU_MEM_EXPORTABLE, &info.region));
    NPU_TRY(Memory::check_size(size_bytes));
    if (size_bytes % NPU_MEM_GRANULE_BYTES != 0) {
      return fail(NPU_ERROR_UNALIGNED, "size_bytes %llu is no multiple of 64 KiB",
                  static_cast<unsigned long long>(size_bytes));
    }
    info.use = Use::kHandles;
    info.size_bytes = size_bytes;
    info.exportable = (kind & NPU_MEM_EXPORTABLE) != 0;
    pin->collect();
    NPU_TRY_ASSIGN(std::shared_ptr<Storage> storage, Storage::create(pin->vm(), info));
    Ref<MemHandle> handle = make_ref<MemHandle>(pin.ref(), std::move(storage));
    return api::publish(Ref<Object>::adopt(handle.leak()), pin->children(), out_handle);
  });
}

npuResult npuMemDestroy(npuMemHandle handle) {
  return guard(__func__, NPU_ARGS(handle), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(handle), Kind::kMemHandle, "handle", &object));
    if (!object) return Status::ok();
    static_cast<MemHandle&>(*object).context().children().remove(object.get());
    return Status::ok();
  });
}

npuResult npuMemMapAt(npuContext context, npuDevPtr dva, npuMemHandle handle, uint64_t offset,
                      uint64_t size_bytes, uint32_t flags) {
  return guard(__func__, NPU_ARGS(context, dva, handle, offset, size_bytes, flags),
               [&]() -> Status {
                 Pin<Context> pin;
                 Pin<MemHandle> handle_pin;
                 NPU_TRY(api::take(pin, context, "context"));
                 NPU_TRY(api::take(handle_pin, handle, "handle"));
                 NPU_TRY(api::check_flags(flags, NPU_MEM_READONLY));
                 if (&handle_pin->context() != pin.get()) {
                   return fail(NPU_ERROR_INVALID_ARGUMENT, "the memory belongs to another context");
                 }
                 return pin->memory().map_at(dva, handle_pin->storage(), offset, size_bytes,
                                             (flags & NPU_MEM_READONLY) != 0);
               });
}

npuResult npuMemUnmapAt(npuContext context, npuDevPtr dva, uint64_t size_bytes) {
  return guard(__func__, NPU_ARGS(context, dva, size_bytes), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(Validation::check_unmap(*pin, dva, size_bytes));
    return pin->memory().unmap_at(dva, size_bytes);
  });
}

}  // extern "C"
