// SPDX-License-Identifier: Apache-2.0
// Buddy allocator: splitting and joining of free blocks.
#include "firmware-model/server/buddy.h"

#include <algorithm>
#include <bit>
#include <cstddef>

namespace npu::model::server {

// Free from the start, and not given back granule by granule: that is a good part of a device's start.
Buddy::Buddy(uint64_t bytes) : granules_(bytes >> kGranuleLog2), used_(granules_, false) {
  free_.resize(granules_ == 0 ? 1 : static_cast<size_t>(std::bit_width(granules_)));
  insert_range(0, granules_);
}

bool Buddy::allocate(unsigned log2, uint64_t* out_offset) {
  const unsigned order = log2 > kGranuleLog2 ? log2 - kGranuleLog2 : 0;
  // Of the smallest blocks that fit, the lowest: large ones stay whole as long as possible.
  unsigned found = order;
  while (found < free_.size() && free_[found].empty()) ++found;
  if (found >= free_.size()) return false;
  const uint64_t granule = *free_[found].begin();
  free_[found].erase(free_[found].begin());
  while (found > order) {
    --found;
    free_[found].insert(granule + (1ull << found));
  }
  mark(granule, 1ull << order, true);
  free_granules_ -= 1ull << order;
  *out_offset = granule << kGranuleLog2;
  return true;
}

bool Buddy::release(uint64_t offset, uint64_t bytes) {
  if (((offset | bytes) & (kGranuleBytes - 1)) != 0) return false;
  const uint64_t granule = offset >> kGranuleLog2;
  const uint64_t count = bytes >> kGranuleLog2;
  if (granule > granules_ || count > granules_ - granule) return false;
  for (uint64_t i = 0; i < count; ++i) {
    if (!used_[granule + i]) return false;
  }
  mark(granule, count, false);
  insert_range(granule, count);
  return true;
}

uint64_t Buddy::largest_block_bytes() const {
  for (size_t order = free_.size(); order-- > 0;) {
    if (!free_[order].empty()) return kGranuleBytes << order;
  }
  return 0;
}

void Buddy::insert_range(uint64_t granule, uint64_t count) {
  free_granules_ += count;
  while (count > 0) {
    unsigned order = static_cast<unsigned>(std::bit_width(count)) - 1;
    if (granule != 0) order = std::min(order, static_cast<unsigned>(std::countr_zero(granule)));
    insert(order, granule);
    granule += 1ull << order;
    count -= 1ull << order;
  }
}

void Buddy::insert(unsigned order, uint64_t granule) {
  while (order + 1 < free_.size()) {
    const uint64_t buddy = granule ^ (1ull << order);
    if (free_[order].erase(buddy) == 0) break;
    granule = std::min(granule, buddy);
    ++order;
  }
  free_[order].insert(granule);
}

void Buddy::mark(uint64_t granule, uint64_t count, bool used) {
  const auto begin = used_.begin() + static_cast<ptrdiff_t>(granule);
  std::fill(begin, begin + static_cast<ptrdiff_t>(count), used);
}

}  // namespace npu::model::server
