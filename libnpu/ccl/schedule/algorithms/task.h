// SPDX-License-Identifier: Apache-2.0
// Task: one slice of one rank's part; what a generator works on.
#pragma once

#include <functional>
#include <vector>

#include "libnpu/ccl/schedule/builder.h"
#include "libnpu/ccl/schedule/canonical.h"

namespace npu::ccl {

// The blocks of the larger buffer; sums are made once, not for every block.
class BlockTable {
 public:
  explicit BlockTable(const Problem& problem);
  Block operator[](uint32_t rank) const;

 private:
  uint64_t count_;
  std::vector<uint64_t> starts_;  // of the v-forms, with the end
};

struct Task {
  const Problem& problem;
  const BlockTable& blocks;
  uint32_t rank;
  uint32_t chunk;
  Builder& out;

  Block slice(Block whole) const { return part_of(whole, problem.chunks, chunk); }
  Block vector() const { return slice({0, problem.count}); }
  Block block(uint32_t rank_of_block) const { return slice(blocks[rank_of_block]); }
  // Of the own block, in a buffer that holds no other.
  uint64_t own_offset() const { return block(rank).offset - blocks[rank].offset; }
};

using BlockOf = std::function<Block(uint32_t)>;

inline Place input(uint64_t offset) { return {Buffer::kInput, offset}; }
inline Place output(uint64_t offset) { return {Buffer::kOutput, offset}; }

// Ranks counted from |base|, so that the root of a rooted operation is number 0.
struct Rotation {
  uint32_t ranks;
  uint32_t base;
  uint32_t rank_of(uint32_t number) const { return (number + base) % ranks; }
  uint32_t number_of(uint32_t rank) const { return (rank + ranks - base) % ranks; }
};

// Blocks first, first + 1, ... (|number| of them, cyclic in |total|) as few contiguous runs.
std::vector<Block> runs_of(const BlockOf& block, uint32_t first, uint32_t number, uint32_t total);

}  // namespace npu::ccl
