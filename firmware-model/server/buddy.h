// SPDX-License-Identifier: Apache-2.0
// Buddy allocator over a range of offsets: who owns which 64 KiB granule of the device memory.
//
// It hands out blocks of a power of two, aligned to their size, always the one with the lowest
// offset, so that equal sequences of calls give equal addresses. Any part of a block may be given
// back alone. Thread safety: none, one owner.
#ifndef NPU_MODEL_SERVER_BUDDY_H_
#define NPU_MODEL_SERVER_BUDDY_H_

#include <cstdint>
#include <set>
#include <vector>

namespace npu::model::server {

class Buddy {
 public:
  static constexpr unsigned kGranuleLog2 = 16;
  static constexpr uint64_t kGranuleBytes = 1ull << kGranuleLog2;

  // |bytes| is rounded down to whole granules; it need not be a power of two.
  explicit Buddy(uint64_t bytes);

  // A free block of 2^|log2| bytes; smaller than a granule counts as one. False: there is none.
  bool allocate(unsigned log2, uint64_t* out_offset);

  // Gives back a range of whole granules. False, and nothing changes, when part of it is not
  // allocated: the caller has lost track of its memory.
  bool release(uint64_t offset, uint64_t bytes);

  uint64_t total_bytes() const { return granules_ << kGranuleLog2; }
  uint64_t free_bytes() const { return free_granules_ << kGranuleLog2; }
  // The largest block that allocate() would find; 0: none.
  uint64_t largest_block_bytes() const;

 private:
  void insert_range(uint64_t granule, uint64_t count);
  void insert(unsigned order, uint64_t granule);
  void mark(uint64_t granule, uint64_t count, bool used);

  uint64_t granules_;
  uint64_t free_granules_ = 0;
  std::vector<std::set<uint64_t>> free_;  // by order: first granules of free blocks
  std::vector<bool> used_;                // by granule
};

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_BUDDY_H_
