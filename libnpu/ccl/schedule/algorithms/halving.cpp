// SPDX-License-Identifier: Apache-2.0
// Recursive halving and doubling (Rabenseifner), in the order that keeps the canonical tree: neighbours exchange first, so that what a rank holds
// after k rounds is the partial of an aligned run of 2^k ranks. The price is that rank r ends with the piece whose number is r with its bits reversed.
//
// A number of ranks that is no power of two folds: the right child of the tree reduces for itself, its owners hand their partials to the
// left child's, and get the result back in one message.
#include "libnpu/ccl/schedule/algorithms/generators.h"

#include <bit>

namespace npu::ccl {
namespace {

uint32_t reversed(uint32_t value, uint32_t bits) {
  uint32_t result = 0;
  for (uint32_t i = 0; i < bits; i++) result |= (value >> i & 1) << (bits - 1 - i);
  return result;
}

// Pieces [first, end) of the vector.
struct Pieces {
  uint32_t first;
  uint32_t end;
  uint32_t middle() const { return first + (end - first) / 2; }
};

class Halving {
 public:
  // |piece| cuts the vector into |pieces|, a power of two; |source| is where this rank's vector begins.
  Halving(Task& task, uint32_t pieces, BlockOf piece, Place source)
      : task_(task), pieces_(pieces), piece_(std::move(piece)), source_(source) {}

  // Partial of |ranks| over the pieces that this rank owns, or nothing if it owns none; the last step writes to |to| if given.
  void scatter(RankRange ranks, const Place* to) {
    if (std::has_single_bit(ranks.size())) return halve(ranks, to);
    const RankRange left{ranks.first, ranks.middle()};
    const RankRange right{ranks.middle(), ranks.end};
    if (left.contains(task_.rank)) {
      halve(left, nullptr);
      add_right(left, right, to);
    } else {
      scatter(right, nullptr);
      hand_over(left, right);
    }
  }

  // The owned pieces of the output are complete; afterwards the whole output is.
  void gather(RankRange ranks) {
    const uint32_t owners = std::bit_floor(ranks.size());
    const uint32_t me = task_.rank - ranks.first;
    if (me >= owners) {
      const Block whole = span({0, pieces_});
      task_.out.recv(task_.rank - owners, output(whole.offset), whole.count);
      return;
    }
    for (uint32_t distance = owners / 2; distance > 0; distance /= 2) {
      const uint32_t partner = ranks.first + (me ^ distance);
      const Block mine = span(owned(me, distance * 2));
      const Block theirs = span(owned(me ^ distance, distance * 2));
      task_.out.send(partner, output(mine.offset), mine.count);
      task_.out.recv(partner, output(theirs.offset), theirs.count);
    }
    if (me + owners < ranks.size()) {
      const Block whole = span({0, pieces_});
      task_.out.send(task_.rank + owners, output(whole.offset), whole.count);
    }
  }

 private:
  // What number |me| of a group keeps after the rounds at distances below |distance|.
  Pieces owned(uint32_t me, uint32_t distance) const {
    Pieces pieces{0, pieces_};
    for (uint32_t d = 1; d < distance; d *= 2) {
      (me & d ? pieces.first : pieces.end) = pieces.middle();
    }
    return pieces;
  }

  Block span(Pieces pieces) const {
    const uint64_t first = piece_(pieces.first).offset;
    return {first, piece_(pieces.end - 1).end() - first};
  }

  // Where element |offset| of the vector is in the current partial.
  Place at(uint64_t offset) const { return partial_.at(offset - partial_first_); }

  void halve(RankRange ranks, const Place* to) {
    const uint32_t me = task_.rank - ranks.first;
    partial_ = source_;
    partial_first_ = span({0, pieces_}).offset;
    for (uint32_t d = 1; d < ranks.size(); d *= 2) {
      const uint32_t partner = me ^ d;
      const Block kept = span(owned(me, d * 2));
      const Block leaving = span(owned(partner, d * 2));
      const Place theirs = task_.out.room(d, kept.count);
      task_.out.send(ranks.first + partner, at(leaving.offset), leaving.count);
      task_.out.recv(ranks.first + partner, theirs, kept.count);
      const bool last = d * 2 == ranks.size();
      merge(at(kept.offset), theirs, me < partner, kept, last ? to : nullptr);
    }
  }

  void merge(Place mine, Place theirs, bool mine_first, Block range, const Place* to) {
    const Place sum = to != nullptr ? *to : task_.out.partial(range.count);
    const Place operands[] = {mine_first ? mine : theirs, mine_first ? theirs : mine};
    task_.out.reduce(operands, sum, range.count);
    partial_ = sum;
    partial_first_ = range.offset;
  }

  // Each piece set that a left owner holds lies in that of one right owner, the one with the same low bits.
  void add_right(RankRange left, RankRange right, const Place* to) {
    const uint32_t owners = std::bit_floor(right.size());
    const Block mine = span(owned(task_.rank - left.first, left.size()));
    const Place theirs = task_.out.room(right.size(), mine.count);
    task_.out.recv(right.first + (task_.rank - left.first) % owners, theirs, mine.count);
    merge(at(mine.offset), theirs, true, mine, to);
  }

  void hand_over(RankRange left, RankRange right) {
    const uint32_t owners = std::bit_floor(right.size());
    const uint32_t me = task_.rank - right.first;
    if (me >= owners) return;
    for (uint32_t number = me; number < left.size(); number += owners) {
      const Block theirs = span(owned(number, left.size()));
      task_.out.send(left.first + number, at(theirs.offset), theirs.count);
    }
  }

  Task& task_;
  uint32_t pieces_;
  BlockOf piece_;
  Place source_;
  Place partial_;
  uint64_t partial_first_ = 0;
};

}  // namespace

void all_reduce_halving(Task& task) {
  const RankRange all{0, task.problem.ranks};
  const Block vector = task.vector();
  if (all.size() == 1) {
    task.out.copy(input(vector.offset), output(vector.offset), vector.count);
    return;
  }
  const uint32_t owners = std::bit_floor(all.size());
  const BlockOf piece = [&](uint32_t index) { return part_of(vector, owners, index); };
  Halving halving(task, owners, piece, input(vector.offset));
  const Block own = piece(reversed(task.rank % owners, std::bit_width(owners) - 1));
  const Place to = output(own.offset);
  halving.scatter(all, &to);
  halving.gather(all);
}

// Blocks are first put in bit-reversed order, so that each half is one run and rank r ends with block r.
void reduce_scatter_halving(Task& task) {
  const uint32_t p = task.problem.ranks;
  const uint32_t bits = std::bit_width(p) - 1;
  const Block own = task.block(task.rank);
  const Place to = output(task.own_offset());
  if (p == 1) {
    task.out.copy(input(own.offset), to, own.count);
    return;
  }
  std::vector<Block> pieces;
  uint64_t total = 0;
  for (uint32_t i = 0; i < p; i++) {
    pieces.push_back({total, task.block(reversed(i, bits)).count});
    total += pieces.back().count;
  }
  const Place packed = task.out.scratch(total);
  for (uint32_t i = 0; i < p; i++) {
    task.out.copy(input(task.block(reversed(i, bits)).offset), packed.at(pieces[i].offset),
                  pieces[i].count);
  }
  Halving halving(
      task, p, [&](uint32_t index) { return pieces[index]; }, packed);
  halving.scatter({0, p}, &to);
}

}  // namespace npu::ccl
