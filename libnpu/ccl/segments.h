// SPDX-License-Identifier: Apache-2.0
// Segments: a large message goes over several rails at once, one piece on each. Both sides cut it by the same rule from its size and the number of pieces, so that no piece can lie where it does not belong. Pure
// logic: what comes is hostile, and nothing here touches memory of slots.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "libnpu/ccl/address.h"
#include "libnpu/ccl/shared_memory.h"

namespace npu::ccl {

// Messages from here on are cut: below, a second write and message cost more than they save.
inline constexpr uint64_t kCutBytesMin = 128 << 10;

struct Piece {
  uint64_t offset;
  uint64_t bytes;
};
// In how many pieces a message of |bytes| goes when |rails| are up.
uint32_t pieces_of(uint64_t bytes, uint32_t rails);
// Piece |index| of |count|: sizes differ by a page at most, and pieces begin at pages.
Piece piece_of(uint64_t bytes, uint32_t index, uint32_t count);

// What a message about a segment says.
struct Segment {
  uint64_t sequence;  // of the message: 1, 2, ...
  uint64_t bytes;     // of the message
  uint32_t index, count;
  uint64_t records;  // the message is not shown before so many are known
};

// Puts the messages of one peer together. Segments come in any order; messages count as arrived one after the other, when all of theirs is there.
class Reassembly {
 public:
  // What is wrong with |segment|; empty: it may be written into its slot. |last|: the last message that there is a slot for.
  std::string fault_of(const Segment& segment, uint64_t last, uint64_t bytes_max) const;
  // One without a fault is there. True: the message is whole now.
  bool add(const Segment& segment);
  // Looks for messages that have arrived when |records| are known. True: there were some.
  bool advance(uint64_t records);

  uint64_t arrived() const { return arrived_; }
  // Which segments of the messages behind arrived() are there: a byte for each, the next one lowest.
  uint32_t parts() const;

 private:
  struct Slot {
    uint64_t sequence = 0;
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint64_t records = 0;
    uint32_t have = 0;  // a bit for each segment

    bool is_whole() const { return have == (1u << count) - 1; }
  };
  const Slot& slot(uint64_t sequence) const { return slots_[sequence % kSlots]; }

  std::array<Slot, kSlots> slots_;
  uint64_t arrived_ = 0;
};
static_assert(kRailsMax * kSlots <= 32);  // parts()

}  // namespace npu::ccl
