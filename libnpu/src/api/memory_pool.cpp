// SPDX-License-Identifier: Apache-2.0
// npu_memory.h, pools: check, call, translate.
#include "libnpu/src/api/guard.h"
#include "libnpu/src/api/memory.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/mem_pool.h"

using namespace npu;
using api::guard;

namespace {

constexpr uint64_t kThresholdDefault = 32 << 20;

Status translate(const npuMemPoolInfo& info, OrderedPoolOptions* out) {
  NPU_TRY(api::region_of(info.kind, &out->region));
  if (info.max_bytes != 0) out->max_bytes = info.max_bytes;
  out->release_threshold = info.release_threshold != 0 ? info.release_threshold : kThresholdDefault;
  return Status::ok();
}

}  // namespace

extern "C" {

npuResult npuMemPoolCreate(npuContext context, const npuMemPoolInfo* info, npuMemPool* out_pool) {
  return guard(__func__, NPU_ARGS(context, info, out_pool), [&]() -> Status {
    NPU_TRY(api::need(out_pool, "out_pool"));
    *out_pool = nullptr;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    npuMemPoolInfo asked{};
    asked.kind = NPU_MEM_DEVICE;
    if (info != nullptr) NPU_TRY(api::read_struct(info, "info", &asked));
    OrderedPoolOptions options;
    NPU_TRY(translate(asked, &options));
    Ref<MemPool> pool = make_ref<MemPool>(pin.ref(), options);
    return api::publish(Ref<Object>::adopt(pool.leak()), pin->children(), out_pool);
  });
}

npuResult npuMemPoolDestroy(npuMemPool pool) {
  return guard(__func__, NPU_ARGS(pool), [&]() -> Status {
    Ref<Object> object;
    NPU_TRY(api::retract(api::number_of(pool), Kind::kMemPool, "pool", &object));
    if (!object) return Status::ok();
    NPU_TRY_ASSIGN(Library * library, Library::get());
    static_cast<MemPool&>(*object).context().children().remove(object.get());
    object->end(library->handles());
    return Status::ok();
  });
}

npuResult npuMemAllocAsync(npuMemPool pool, npuQueue queue, uint64_t size_bytes,
                           npuDevPtr* out_ptr) {
  return guard(__func__, NPU_ARGS(pool, queue, size_bytes, out_ptr), [&]() -> Status {
    NPU_TRY(api::need(out_ptr, "out_ptr"));
    *out_ptr = 0;
    Pin<MemPool> pin;
    Pin<Queue> queue_pin;
    NPU_TRY(api::take(pin, pool, "pool"));
    NPU_TRY(api::take(queue_pin, queue, "queue"));
    NPU_TRY_ASSIGN(*out_ptr, pin->allocate(*queue_pin, size_bytes));
    return Status::ok();
  });
}

npuResult npuMemFreeAsync(npuDevPtr ptr, npuQueue queue) {
  return guard(__func__, NPU_ARGS(ptr, queue), [&]() -> Status {
    Pin<Queue> pin;
    NPU_TRY(api::take(pin, queue, "queue"));
    if (ptr == 0) return Status::ok();
    NPU_TRY_ASSIGN(Memory::Detached detached, pin->context().memory().detach_pooled(ptr));
    Allocation& allocation = detached.mapped();
    allocation.pool->give_back_on(*pin, allocation.block);
    return Status::ok();
  });
}

npuResult npuMemPoolTrim(npuMemPool pool, uint64_t keep_bytes) {
  return guard(__func__, NPU_ARGS(pool, keep_bytes), [&]() -> Status {
    Pin<MemPool> pin;
    NPU_TRY(api::take(pin, pool, "pool"));
    pin->context().collect();
    pin->pool().trim(keep_bytes);
    return Status::ok();
  });
}

npuResult npuMemPoolGetStats(npuMemPool pool, npuMemPoolStats* inout_stats) {
  return guard(__func__, NPU_ARGS(pool, inout_stats), [&]() -> Status {
    Pin<MemPool> pin;
    NPU_TRY(api::take(pin, pool, "pool"));
    NPU_TRY(api::check_out_struct(inout_stats, "inout_stats"));
    pin->context().collect();
    const OrderedPool::Stats from = pin->pool().stats();
    npuMemPoolStats stats{};
    stats.reserved_bytes = from.reserved_bytes;
    stats.reserved_high_bytes = from.reserved_high_bytes;
    stats.used_bytes = from.used_bytes;
    stats.used_high_bytes = from.used_high_bytes;
    stats.pending_bytes = from.pending_bytes;
    stats.live_count = from.live;
    stats.allocation_count = from.allocations;
    stats.free_count = from.frees;
    stats.reuse_count = from.reuses;
    api::write_struct(inout_stats, stats);
    return Status::ok();
  });
}

}  // extern "C"
