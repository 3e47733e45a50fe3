// SPDX-License-Identifier: Apache-2.0
// Pool: gives out pieces of address ranges ("chunks"). Two-level segregated fit with its records outside of the memory: constant cost however many pieces
// there are. Pure. Thread safety: none, Memory locks.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

namespace npu {

struct PoolChunk;

struct PoolBlock {
  uint64_t dva = 0;
  uint64_t size_bytes = 0;
  PoolChunk* chunk = nullptr;
  PoolBlock* before = nullptr;  // neighbours in the chunk
  PoolBlock* after = nullptr;
  PoolBlock* free_before = nullptr;  // neighbours in the free list
  PoolBlock* free_after = nullptr;
  bool is_free = false;
  uint64_t dirty_bytes =
      0;  // of a piece that was taken: so many from its start may not read as zero
};

struct PoolChunk {
  uint64_t dva = 0;
  uint64_t size_bytes = 0;
  uint64_t used_end = 0;  // beyond this address nothing was ever given out
};

class Pool {
 public:
  static constexpr uint64_t kAlignBytes = 256;

  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Adds a chunk of zeros. |chunk| lives until remove_chunk() returned.
  void add_chunk(PoolChunk* chunk);
  // Takes an empty chunk (is_whole()) out again.
  void remove_chunk(PoolBlock* whole);

  // Forgets all chunks.
  void clear();

  // A piece of at least |size_bytes|, or nullptr when no chunk has one.
  PoolBlock* take(uint64_t size_bytes);
  // Returns the free block that the piece became part of.
  PoolBlock* give_back(PoolBlock* block);

  static bool is_whole(const PoolBlock* block) {
    return block->is_free && block->before == nullptr && block->after == nullptr;
  }

 private:
  static constexpr uint32_t kSecondLog2 = 3;
  static constexpr uint32_t kSecond = 1u << kSecondLog2;
  static constexpr uint32_t kFirst = 40;

  PoolBlock* new_block();
  void put_free(PoolBlock* block);
  void drop_free(PoolBlock* block);
  void join_next(PoolBlock* block);

  std::deque<PoolBlock> blocks_;
  std::vector<PoolBlock*> spare_;
  uint64_t first_map_ = 0;
  std::array<uint32_t, kFirst> second_map_{};
  std::array<std::array<PoolBlock*, kSecond>, kFirst> lists_{};
};

}  // namespace npu
