// SPDX-License-Identifier: Apache-2.0
// npu_memory.h: check, call, translate.
#include <npu/npu_memory.h>

#include <atomic>
#include <cstring>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/device.h"

using namespace npu;
using api::guard;

namespace {

Status region_of(npuMemKind kind, Region* out) {
  if (kind != NPU_MEM_DEVICE && kind != NPU_MEM_HOST) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "kind is %d, it must be NPU_MEM_DEVICE or NPU_MEM_HOST",
                kind);
  }
  *out = kind == NPU_MEM_DEVICE ? Region::kHbm : Region::kSystem;
  return Status::ok();
}

}  // namespace

extern "C" {

npuResult npuMemAlloc(npuContext context, npuMemKind kind, uint64_t size_bytes,
                      npuDevPtr* out_ptr) {
  return guard(__func__, [&]() -> Status {
    NPU_TRY(api::need(out_ptr, "out_ptr"));
    *out_ptr = 0;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    Region region = Region::kHbm;
    NPU_TRY(region_of(kind, &region));
    pin->collect();
    NPU_TRY_ASSIGN(*out_ptr, pin->memory().allocate(region, size_bytes));
    return Status::ok();
  });
}

npuResult npuMemFree(npuContext context, npuDevPtr ptr) {
  return guard(__func__, [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (ptr == 0) return Status::ok();
    NPU_TRY_ASSIGN(Memory::Detached detached, pin->memory().detach(ptr));
    pin->retire(std::move(detached));
    return Status::ok();
  });
}

npuResult npuMemMap(npuContext context, npuDevPtr ptr, uint64_t size_bytes, void** out_host) {
  return guard(__func__, [&]() -> Status {
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
  return guard(__func__, [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::check_out_struct(inout_info, "inout_info"));
    const Memory::Info found = pin->memory().query(ptr);
    npuMemInfo info{};
    if (found.known) {
      info.kind = found.region == Region::kHbm ? NPU_MEM_DEVICE : NPU_MEM_HOST;
      info.base = found.base;
      info.size_bytes = found.size_bytes;
      info.allocation_id = found.id;
    }
    api::write_struct(inout_info, info);
    return Status::ok();
  });
}

npuResult npuMemGetInfo(npuContext context, uint64_t* out_free_bytes, uint64_t* out_total_bytes) {
  return guard(__func__, [&]() -> Status {
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
  return guard(__func__, [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (size_bytes == 0) return pin->memory().check(dst, 0, "dst");
    NPU_TRY(api::need(src, "src"));
    NPU_TRY_ASSIGN(std::byte * host, pin->memory().host(dst, size_bytes, "dst"));
    std::memcpy(host, src, size_bytes);
    // Device memory may be mapped with write combining: what this CPU holds back leaves it before another thread can ring for it.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return Status::ok();
  });
}

npuResult npuMemCopyToHost(npuContext context, void* dst, npuDevPtr src, uint64_t size_bytes) {
  return guard(__func__, [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (size_bytes == 0) return pin->memory().check(src, 0, "src");
    NPU_TRY(api::need(dst, "dst"));
    NPU_TRY_ASSIGN(std::byte * host, pin->memory().host(src, size_bytes, "src"));
    std::memcpy(dst, host, size_bytes);
    return Status::ok();
  });
}

}  // extern "C"
