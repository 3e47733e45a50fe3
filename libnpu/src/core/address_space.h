// SPDX-License-Identifier: Apache-2.0
// AddressSpace: which ranges of a VM's device addresses are free. Pure; cost O(log of the number of free ranges).
//
// All ranges are whole pages of 2 MiB: addresses are plentiful, and ranges of one granule never leave holes that fit nothing.
// Thread safety: none, the Vm locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace npu {

class AddressSpace {
 public:
  static constexpr uint64_t kGranuleBytes = 2 << 20;

  AddressSpace(uint64_t begin, uint64_t end);
  // The lowest of the smallest free ranges that hold |size_bytes|; 0: there is none.
  uint64_t take(uint64_t size_bytes);
  // Gives back what take() returned for the same size.
  void give_back(uint64_t dva, uint64_t size_bytes);
  uint64_t free_bytes() const { return free_bytes_; }
  size_t free_ranges() const { return by_start_.size(); }

 private:
  void insert(uint64_t start, uint64_t size);
  void erase(std::map<uint64_t, uint64_t>::iterator range);

  std::map<uint64_t, uint64_t> by_start_;            // start -> size
  std::set<std::pair<uint64_t, uint64_t>> by_size_;  // (size, start)
  uint64_t free_bytes_ = 0;
};

}  // namespace npu
