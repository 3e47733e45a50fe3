// SPDX-License-Identifier: Apache-2.0
// Best-fit allocation of device address ranges, with immediate joining of neighbours.
#include "libnpu/src/core/address_space.h"

#include <iterator>

namespace npu {
namespace {

// 0 when rounding up overflows.
uint64_t round_up(uint64_t bytes) {
  return (bytes + AddressSpace::kGranuleBytes - 1) & ~(AddressSpace::kGranuleBytes - 1);
}

}  // namespace

AddressSpace::AddressSpace(uint64_t begin, uint64_t end) {
  begin = round_up(begin);
  end &= ~(kGranuleBytes - 1);
  if (begin < end) insert(begin, end - begin);
}

void AddressSpace::insert(uint64_t start, uint64_t size) {
  by_start_.emplace(start, size);
  by_size_.emplace(size, start);
  free_bytes_ += size;
}

void AddressSpace::erase(std::map<uint64_t, uint64_t>::iterator range) {
  by_size_.erase({range->second, range->first});
  free_bytes_ -= range->second;
  by_start_.erase(range);
}

uint64_t AddressSpace::take(uint64_t size_bytes) {
  const uint64_t size = round_up(size_bytes);
  if (size == 0) return 0;
  const auto fit = by_size_.lower_bound({size, 0});
  if (fit == by_size_.end()) return 0;
  const auto [room, start] = *fit;
  erase(by_start_.find(start));
  if (room > size) insert(start + size, room - size);
  return start;
}

void AddressSpace::give_back(uint64_t dva, uint64_t size_bytes) {
  uint64_t start = dva;
  uint64_t size = round_up(size_bytes);
  auto after = by_start_.lower_bound(start);
  if (after != by_start_.end() && after->first == start + size) {
    size += after->second;
    const auto next = std::next(after);
    erase(after);
    after = next;
  }
  if (after != by_start_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == start) {
      start = before->first;
      size += before->second;
      erase(before);
    }
  }
  insert(start, size);
}

}  // namespace npu
