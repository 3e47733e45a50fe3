// SPDX-License-Identifier: Apache-2.0
// Problem: one collective as all ranks see it. Everything that a schedule depends on, and nothing else.
//
// Counts are elements. What |count| counts, and how long the buffers are, follows NCCL:
//
//   op              |count| is                     input            output
//   all-reduce      the vector                     count            count
//   all-gather      one rank's contribution        count            count * ranks
//   reduce-scatter  one rank's result              count * ranks    count
//   broadcast       the vector                     count (root)     count
//   reduce          the vector                     count            count (root)
//   gather          one rank's contribution        count            count * ranks (root)
//   scatter         one rank's result              count * ranks    count            (input: root)
//   all-to-all      from one rank to another       count * ranks    count * ranks
//   barrier         nothing, must be 0             0                0
//   send-recv       the message root -> peer       count (root)     count (peer)
//
// With |counts| (the v-forms) block r has counts[r] elements, blocks lie one after another. All-to-all takes ranks * ranks counts, row by
// row: counts[s * ranks + d] elements go from s to d.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace npu::ccl {

enum class Op : uint8_t {
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kReduce,
  kGather,
  kScatter,
  kAllToAll,
  kBarrier,
  kSendRecv,
};
inline constexpr uint32_t kOpCount = 10;
const char* name_of(Op op);
bool reduces(Op op);

// Which buffers of a rank the others touch when the operation goes through windows. Neither: it has no such form. Of gather and scatter the root's
// buffer would have to lie where all others' do, which it does not in place.
struct Reach {
  bool input;   // is read
  bool output;  // is written
};
Reach reach_of(Op op);

// What a reduction promises. Canonical: the one tree of canonical.h. Any: the operation is associative and commutative on its type
// (integers, min, max), so every tree has the same bits.
enum class Order : uint8_t { kCanonical, kAny };

struct Block {
  uint64_t offset = 0;
  uint64_t count = 0;
  uint64_t end() const { return offset + count; }
  bool operator==(const Block&) const = default;
};

// The |index|-th of |parts| pieces that differ by one element at most; longer pieces come first.
Block part_of(Block whole, uint32_t parts, uint32_t index);

struct Problem {
  static constexpr uint32_t kRanksMax = 1u << 16;
  static constexpr uint64_t kElementsMax = 1ull << 56;  // of any buffer
  static constexpr uint32_t kChunksMax = 1u << 12;

  Op op = Op::kAllReduce;
  uint32_t ranks = 1;
  uint64_t count = 0;
  uint32_t root = 0;
  uint32_t peer = 0;             // receiver of send-recv
  std::vector<uint64_t> counts;  // v-forms; empty: |count| each
  std::vector<uint32_t> nodes;   // ranks of each node, in rank order; empty: one node
  Order order = Order::kCanonical;
  // NCCL's rules: the smaller of the two buffers is the own block of the larger one.
  bool in_place = false;
  // What other ranks touch of the buffers (reach_of) lies in windows that all ranks map.
  bool in_windows = false;
  // Every block is cut in |chunks| slices that travel independently; slice c uses channel c % channels and scratch slot c % slots.
  uint32_t chunks = 1;
  uint32_t channels = 1;
  uint32_t slots = 0;  // 0: as many as chunks

  // Why nobody can do this; empty: well-formed.
  std::string refuse() const;
  uint64_t input_count(uint32_t rank) const;
  uint64_t output_count(uint32_t rank) const;
  // Block |rank| of the larger buffer (all-gather, reduce-scatter, gather, scatter).
  Block block(uint32_t rank) const;
  // All-to-all: what |source| keeps for |target|, and where |target| puts it.
  Block outgoing(uint32_t source, uint32_t target) const;
  Block incoming(uint32_t source, uint32_t target) const;
  uint32_t node_count() const { return nodes.empty() ? 1 : static_cast<uint32_t>(nodes.size()); }
};

}  // namespace npu::ccl
