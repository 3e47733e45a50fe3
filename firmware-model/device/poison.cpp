// SPDX-License-Identifier: Apache-2.0
// The set of poisoned granules.
#include "firmware-model/device/poison.h"

#include <algorithm>

namespace npu::model {

bool PoisonMap::add(uint64_t offset) {
  std::lock_guard lock(mutex_);
  if (granules_.size() >= kMaxGranules) return granules_.contains(offset / kGranuleBytes);
  granules_.insert(offset / kGranuleBytes);
  count_.store(granules_.size(), std::memory_order_relaxed);
  return true;
}

void PoisonMap::mend(uint64_t offset, uint64_t bytes) {
  const uint64_t first = offset / kGranuleBytes + (offset % kGranuleBytes != 0 ? 1 : 0);
  const uint64_t end = (offset + bytes) / kGranuleBytes;
  if (first >= end) return;
  std::lock_guard lock(mutex_);
  granules_.erase(granules_.lower_bound(first), granules_.lower_bound(end));
  count_.store(granules_.size(), std::memory_order_relaxed);
}

bool PoisonMap::holds(uint64_t offset) const {
  std::lock_guard lock(mutex_);
  return granules_.contains(offset / kGranuleBytes);
}

uint64_t PoisonMap::run(uint64_t offset, uint64_t bytes, bool* poisoned) const {
  std::lock_guard lock(mutex_);
  uint64_t granule = offset / kGranuleBytes;
  auto at = granules_.lower_bound(granule);
  *poisoned = at != granules_.end() && *at == granule;
  if (!*poisoned) {
    return at == granules_.end() ? bytes : std::min(bytes, *at * kGranuleBytes - offset);
  }
  for (; at != granules_.end() && *at == granule; ++at) ++granule;
  return std::min(bytes, granule * kGranuleBytes - offset);
}

}  // namespace npu::model
