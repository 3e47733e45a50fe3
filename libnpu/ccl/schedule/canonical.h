// SPDX-License-Identifier: Apache-2.0
// The canonical reduction tree: the one expression that every floating-point reduction evaluates, whatever the algorithm, chunking or node shape.
//
// The tree over ranks [first, end) is a leaf if it holds one rank; otherwise its left child covers the largest power of two below its size, its
// right child the rest. An aligned run of 2^k ranks below the last one is hence always a subtree, and the tree over m equal aligned groups of
// 2^k has the shape of the tree over m ranks.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

class Builder;

// Size of the left child of a tree of |size| > 1 ranks.
inline uint32_t left_size(uint32_t size) { return std::bit_floor(size - 1); }

struct RankRange {
  uint32_t first = 0;
  uint32_t end = 0;
  uint32_t size() const { return end - first; }
  uint32_t middle() const { return first + left_size(size()); }
  bool contains(uint32_t rank) const { return rank >= first && rank < end; }
  bool operator==(const RankRange&) const = default;
};

// The largest subtrees of the tree over |whole| that lie inside |part|, from left to right: the fewest partials from which the rest of the
// tree can be finished elsewhere.
std::vector<RankRange> subtrees_within(RankRange whole, RankRange part);

struct Subtree {
  RankRange ranks;
  Place place;
};

// Finishes the tree over |whole| from |known| subtrees that cover it (from left to right): one reduction where the shape allows it.
void reduce_subtrees(Builder& out, RankRange whole, std::span<const Subtree> known, Place to,
                     uint64_t count);

}  // namespace npu::ccl
