// SPDX-License-Identifier: Apache-2.0
// npu_memory.h, limits and statistics: check, call, translate.
#include "libnpu/src/api/guard.h"
#include "libnpu/src/api/memory.h"
#include "libnpu/src/core/context.h"

using namespace npu;
using api::guard;

namespace {

static_assert(static_cast<int>(Use::kCount) <= NPU_MEM_USE_SLOTS);
static_assert(static_cast<int>(Use::kAllocations) == NPU_MEM_USE_ALLOCATIONS);
static_assert(static_cast<int>(Use::kPools) == NPU_MEM_USE_POOLS);
static_assert(static_cast<int>(Use::kHandles) == NPU_MEM_USE_HANDLES);
static_assert(static_cast<int>(Use::kImports) == NPU_MEM_USE_IMPORTS);
static_assert(static_cast<int>(Use::kRegistered) == NPU_MEM_USE_REGISTERED);
static_assert(static_cast<int>(Use::kQueues) == NPU_MEM_USE_QUEUES);

Status no_such_limit(npuLimit limit) {
  return fail(NPU_ERROR_INVALID_ARGUMENT, "limit is %d, which is none", limit);
}

npuMemUsage translate(const Budget::Usage& from) {
  return {from.bytes, from.peak_bytes, from.objects};
}

}  // namespace

extern "C" {

npuResult npuContextSetLimit(npuContext context, npuLimit limit, uint64_t value) {
  return guard(__func__, NPU_ARGS(context, limit, value), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    Budget& budget = pin->vm().budget();
    switch (limit) {
      case NPU_LIMIT_DEVICE_BYTES:
        budget.limit_memory(Region::kHbm, value);
        return Status::ok();
      case NPU_LIMIT_HOST_BYTES:
        budget.limit_memory(Region::kSystem, value);
        return Status::ok();
      case NPU_LIMIT_QUEUES:
        budget.limit_queues(value);
        return Status::ok();
      default:
        return no_such_limit(limit);
    }
  });
}

npuResult npuContextGetLimit(npuContext context, npuLimit limit, uint64_t* out_value,
                             uint64_t* out_used) {
  return guard(__func__, NPU_ARGS(context, limit, out_value, out_used), [&]() -> Status {
    if (out_used != nullptr) *out_used = 0;
    NPU_TRY(api::need(out_value, "out_value"));
    *out_value = 0;
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    if (limit < NPU_LIMIT_DEVICE_BYTES || limit > NPU_LIMIT_QUEUES) return no_such_limit(limit);
    Budget& budget = pin->vm().budget();
    const Budget::Total total =
        limit == NPU_LIMIT_QUEUES
            ? budget.queues()
            : budget.memory(limit == NPU_LIMIT_DEVICE_BYTES ? Region::kHbm : Region::kSystem);
    *out_value = total.limit;
    if (out_used != nullptr) *out_used = total.used;
    return Status::ok();
  });
}

npuResult npuMemGetStats(npuContext context, npuMemStats* inout_stats) {
  return guard(__func__, NPU_ARGS(context, inout_stats), [&]() -> Status {
    Pin<Context> pin;
    NPU_TRY(api::take(pin, context, "context"));
    NPU_TRY(api::check_out_struct(inout_stats, "inout_stats"));
    pin->collect();
    Budget& budget = pin->vm().budget();
    npuMemStats stats{};
    const Budget::Total device = budget.memory(Region::kHbm);
    const Budget::Total host = budget.memory(Region::kSystem);
    stats.device_bytes = device.used;
    stats.device_peak_bytes = device.peak;
    stats.host_bytes = host.used;
    stats.host_peak_bytes = host.peak;
    for (int use = 0; use < static_cast<int>(Use::kCount); use++) {
      stats.device[use] = translate(budget.usage(Region::kHbm, static_cast<Use>(use)));
      stats.host[use] = translate(budget.usage(Region::kSystem, static_cast<Use>(use)));
    }
    api::write_struct(inout_stats, stats);
    return Status::ok();
  });
}

}  // extern "C"
