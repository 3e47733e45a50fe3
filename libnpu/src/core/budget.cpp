// SPDX-License-Identifier: Apache-2.0
// Limits and usage of one context.
#include "libnpu/src/core/budget.h"

#include <algorithm>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

using Ull = unsigned long long;

bool take(Budget::Total* total, uint64_t amount) {
  if (total->used > total->limit || amount > total->limit - total->used) return false;
  total->used += amount;
  total->peak = std::max(total->peak, total->used);
  return true;
}

}  // namespace

Status Budget::charge(Region region, Use use, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  Total& total = totals_[index(region)];
  if (!take(&total, bytes)) {
    const Status status = fail(
        NPU_ERROR_QUOTA,
        "%llu bytes of %s memory more would pass the context's limit: %llu of %llu", Ull{bytes},
        region == Region::kHbm ? "device" : "host", Ull{total.used}, Ull{total.limit});
    set_remedy("Free memory of the context, or raise its limit with npuContextSetLimit.");
    return status;
  }
  Usage& usage = usage_[index(region)][static_cast<size_t>(use)];
  usage.bytes += bytes;
  usage.peak_bytes = std::max(usage.peak_bytes, usage.bytes);
  usage.objects++;
  return Status::ok();
}

void Budget::refund(Region region, Use use, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  totals_[index(region)].used -= bytes;
  Usage& usage = usage_[index(region)][static_cast<size_t>(use)];
  usage.bytes -= bytes;
  usage.objects--;
}

Status Budget::charge_queue() {
  std::lock_guard lock(mutex_);
  if (take(&queues_, 1)) return Status::ok();
  const Status status = fail(NPU_ERROR_QUOTA, "the context has %llu queues, its limit is %llu",
                             Ull{queues_.used}, Ull{queues_.limit});
  set_remedy("Destroy a queue of the context, or raise its limit with npuContextSetLimit.");
  return status;
}

void Budget::refund_queue() {
  std::lock_guard lock(mutex_);
  queues_.used--;
}

void Budget::limit_memory(Region region, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  totals_[index(region)].limit = bytes;
}

void Budget::limit_queues(uint64_t count) {
  std::lock_guard lock(mutex_);
  queues_.limit = count;
}

Budget::Usage Budget::usage(Region region, Use use) {
  std::lock_guard lock(mutex_);
  return usage_[index(region)][static_cast<size_t>(use)];
}

Budget::Total Budget::memory(Region region) {
  std::lock_guard lock(mutex_);
  return totals_[index(region)];
}

Budget::Total Budget::queues() {
  std::lock_guard lock(mutex_);
  return queues_;
}

}  // namespace npu
