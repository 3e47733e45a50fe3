// SPDX-License-Identifier: Apache-2.0
// npu_memory.h: check, call, translate.
#include <npu/npu_memory.h>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/api/memory.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"
#include "libnpu/src/core/validation.h"
#include "uapi/npu_accel.h"

using namespace npu;
using api::guard;

namespace {

uint32_t flags_of(const Memory::Info& info) {
  uint32_t flags = info.readonly ? NPU_MEM_IS_READONLY : 0;
  switch (info.origin) {
    case Origin::kAllocated:
      return flags;
    case Origin::kPool:
      return flags | NPU_MEM_IS_POOLED;
    case Origin::kMapped:
      return flags | NPU_MEM_IS_MAPPED;
    case Origin::kImported:
      return flags | NPU_MEM_IS_IMPORTED;
    case Origin::kRegistered:
      return flags | NPU_MEM_IS_REGISTERED;
  }
  return flags;
}

npuMemInfo describe(Context& context, const Memory::Info& found) {
  npuMemInfo info{};
  if (!found.known) return info;
  info.kind = found.region == Region::kHbm ? NPU_MEM_DEVICE : NPU_MEM_HOST;
  info.base = found.base;
  info.size_bytes = found.size_bytes;
  info.allocation_id = found.id;
  std::byte* host = found.storage->known_host();
  if (host != nullptr) info.host = host + (found.base - found.storage_dva);
  info.shared_id = found.shared_id;
  info.flags = flags_of(found);
  info.device_index = context.device().info().index;
  return info;
}

}  // namespace

extern "C" {

npuResult npuMemAlloc(npuContext context, npuMemKind kind, uint64_t size_bytes,
                      npuDevPtr* out_ptr) {
  return guard(__func__, NPU_ARGS(context, kind, size_bytes, out_ptr), [&]() -> Status {
    NPU_TRY(api::need(out_ptr, "out_ptr"));
    *out_ptr = 0;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    Region region = Region::kHbm;
    const bool exportable = (kind & NPU_MEM_EXPORTABLE) != 0;
    NPU_TRY(api::region_of(kind & ~NPU_MEM_EXPORTABLE, &region));
    pin->collect();
    NPU_TRY_ASSIGN(*out_ptr, pin->memory().allocate(region, size_bytes, exportable));
    return Status::ok();
  });
}

npuResult npuMemFree(npuContext context, npuDevPtr ptr) {
  return guard(__func__, NPU_ARGS(context, ptr), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (ptr == 0) return Status::ok();
    NPU_TRY_ASSIGN(Memory::Detached detached, pin->memory().detach(ptr));
    pin->retire(std::move(detached));
    return Status::ok();
  });
}

npuResult npuMemMap(npuContext context, npuDevPtr ptr, uint64_t size_bytes, void** out_host) {
  return guard(__func__, NPU_ARGS(context, ptr, size_bytes, out_host), [&]() -> Status {
    NPU_TRY(api::need(out_host, "out_host"));
    *out_host = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY_ASSIGN(std::byte * host, pin->memory().host(ptr, size_bytes, "the range"));
    *out_host = host;
    return Status::ok();
  });
}

npuResult npuMemQuery(npuContext context, npuDevPtr ptr, npuMemInfo* inout_info) {
  return guard(__func__, NPU_ARGS(context, ptr, inout_info), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::check_out_struct(inout_info, "inout_info"));
    api::write_struct(inout_info, describe(*pin, pin->memory().query(ptr)));
    return Status::ok();
  });
}

npuResult npuMemQueryHost(npuContext context, const void* host, npuMemInfo* inout_info) {
  return guard(__func__, NPU_ARGS(context, host, inout_info), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::check_out_struct(inout_info, "inout_info"));
    uint64_t dva = pin->memory().registered_dva(host);
    if (dva == 0) dva = pin->vm().dva_of_host(host);
    const Memory::Info found = dva != 0 ? pin->memory().query(dva) : Memory::Info{};
    api::write_struct(inout_info, describe(*pin, found));
    return Status::ok();
  });
}

npuResult npuMemGetInfo(npuContext context, uint64_t* out_free_bytes, uint64_t* out_total_bytes) {
  return guard(__func__, NPU_ARGS(context, out_free_bytes, out_total_bytes), [&]() -> Status {
    if (out_free_bytes != nullptr) *out_free_bytes = 0;
    if (out_total_bytes != nullptr) *out_total_bytes = 0;
    NPU_TRY(api::need(out_free_bytes, "out_free_bytes"));
    NPU_TRY(api::need(out_total_bytes, "out_total_bytes"));
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    pin->collect();
    return pin->device().memory_info(out_free_bytes, out_total_bytes);
  });
}

npuResult npuMemCopyToDevice(npuContext context, npuDevPtr dst, const void* src,
                             uint64_t size_bytes) {
  return guard(__func__, NPU_ARGS(context, dst, src, size_bytes), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (size_bytes == 0) return pin->memory().check(dst, 0, "dst");
    NPU_TRY(api::need(src, "src"));
    NPU_TRY_ASSIGN(const HostView view, pin->memory().view(dst, size_bytes, "dst"));
    if (view.readonly()) return fail(NPU_ERROR_PERMISSION, "dst may only be read");
    NPU_TRY(Validation::check_host_access(*pin, dst, size_bytes, true, "dst"));
    NPU_TRY(Validation::check_host_buffer(*pin, src, size_bytes, false, "src"));
    view.write(0, src, size_bytes);
    finish_host_writes();
    return Status::ok();
  });
}

npuResult npuMemCopyToHost(npuContext context, void* dst, npuDevPtr src, uint64_t size_bytes) {
  return guard(__func__, NPU_ARGS(context, dst, src, size_bytes), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (size_bytes == 0) return pin->memory().check(src, 0, "src");
    NPU_TRY(api::need(dst, "dst"));
    NPU_TRY_ASSIGN(const HostView view, pin->memory().view(src, size_bytes, "src"));
    NPU_TRY(Validation::check_host_access(*pin, src, size_bytes, false, "src"));
    NPU_TRY(Validation::check_host_buffer(*pin, dst, size_bytes, true, "dst"));
    view.read(0, dst, size_bytes);
    return Status::ok();
  });
}

}  // extern "C"
