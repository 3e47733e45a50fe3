// SPDX-License-Identifier: Apache-2.0
// Trees for rooted operations: binomial ones around the root where blocks are only copied, the canonical one where they are reduced.
#include "libnpu/ccl/schedule/algorithms/generators.h"

#include <bit>

namespace npu::ccl {
namespace {

// Number 0 is the root. The subtree of number v is v, v + 1, ..., as many as its lowest set bit says, cut at |ranks|.
struct Binomial {
  uint32_t ranks;
  uint32_t size(uint32_t v) const {
    const uint32_t full = v == 0 ? std::bit_ceil(ranks) : v & (~v + 1);
    return std::min(full, ranks - v);
  }
  uint32_t parent(uint32_t v) const { return v & (v - 1); }
  // Its children are v + 1, v + 2, v + 4, ... below this.
  uint32_t end(uint32_t v) const { return v + size(v); }
};

// Where a rank keeps the blocks of its subtree in gather and scatter: the root in the user's buffer, inner ranks in scratch, leaves nowhere.
class SubtreeStore {
 public:
  SubtreeStore(Task& task, Buffer root_buffer, Buffer leaf_buffer)
      : task_(task), order_{task.problem.ranks, task.problem.root} {
    const Binomial tree{order_.ranks};
    me_ = order_.number_of(task.rank);
    if (me_ == 0) {
      for (uint32_t v = 0; v < order_.ranks; v++) places_.push_back({root_buffer, block(v).offset});
    } else if (tree.size(me_) == 1) {
      places_.push_back({leaf_buffer, own_offset()});
    } else {
      uint64_t total = 0;
      for (uint32_t v = me_; v < tree.end(me_); v++) total += block(v).count;
      Place next = task.out.scratch(total);
      for (uint32_t v = me_; v < tree.end(me_); v++) {
        places_.push_back(next);
        next = next.at(block(v).count);
      }
    }
  }

  struct Run {
    Place place;
    uint64_t count;
  };
  // Blocks of the subtree of |v|, as messages that are contiguous in the root's buffer, and so in everybody's.
  std::vector<Run> runs(uint32_t v) const {
    std::vector<Run> found;
    const BlockOf by_number = [&](uint32_t number) { return block(number); };
    Place next = place(v);
    for (const Block& run : runs_of(by_number, v, Binomial{order_.ranks}.size(v), order_.ranks)) {
      if (me_ == 0) next = {places_[0].buffer, run.offset};
      found.push_back({next, run.count});
      next = next.at(run.count);
    }
    return found;
  }
  Place place(uint32_t v) const { return places_[v - me_]; }
  Block block(uint32_t v) const { return task_.block(order_.rank_of(v)); }
  uint64_t own_offset() const { return task_.own_offset(); }
  uint32_t me() const { return me_; }
  uint32_t rank_of(uint32_t v) const { return order_.rank_of(v); }

 private:
  Task& task_;
  Rotation order_;
  uint32_t me_ = 0;
  std::vector<Place> places_;  // of blocks me, me + 1, ...
};

}  // namespace

void gather_tree(Task& task) {
  const SubtreeStore store(task, Buffer::kOutput, Buffer::kInput);
  const Binomial tree{task.problem.ranks};
  const uint32_t me = store.me();
  task.out.copy(input(store.own_offset()), store.place(me), store.block(me).count);
  for (uint32_t d = 1; me + d < tree.end(me); d *= 2) {
    for (const auto& run : store.runs(me + d)) {
      task.out.recv(store.rank_of(me + d), run.place, run.count);
    }
  }
  if (me == 0) return;
  for (const auto& run : store.runs(me)) {
    task.out.send(store.rank_of(tree.parent(me)), run.place, run.count);
  }
}

void scatter_tree(Task& task) {
  const SubtreeStore store(task, Buffer::kInput, Buffer::kOutput);
  const Binomial tree{task.problem.ranks};
  const uint32_t me = store.me();
  if (me != 0) {
    for (const auto& run : store.runs(me)) {
      task.out.recv(store.rank_of(tree.parent(me)), run.place, run.count);
    }
  }
  for (uint32_t d = std::bit_ceil(tree.size(me)) / 2; d > 0; d /= 2) {
    for (const auto& run : store.runs(me + d)) {
      task.out.send(store.rank_of(me + d), run.place, run.count);
    }
  }
  task.out.copy(store.place(me), output(store.own_offset()), store.block(me).count);
}

void broadcast_tree(Task& task) {
  const Rotation order{task.problem.ranks, task.problem.root};
  const Binomial tree{order.ranks};
  const Block vector = task.vector();
  const uint32_t me = order.number_of(task.rank);
  const Place from = me == 0 ? input(vector.offset) : output(vector.offset);
  if (me != 0) task.out.recv(order.rank_of(tree.parent(me)), from, vector.count);
  for (uint32_t d = std::bit_ceil(tree.size(me)) / 2; d > 0; d /= 2) {
    task.out.send(order.rank_of(me + d), from, vector.count);
  }
  if (me == 0) task.out.copy(from, output(vector.offset), vector.count);
}

void broadcast_chain(Task& task) {
  const Rotation order{task.problem.ranks, task.problem.root};
  const Block vector = task.vector();
  const uint32_t me = order.number_of(task.rank);
  const Place from = me == 0 ? input(vector.offset) : output(vector.offset);
  if (me != 0) task.out.recv(order.rank_of(me - 1), from, vector.count);
  if (me + 1 < order.ranks) task.out.send(order.rank_of(me + 1), from, vector.count);
  if (me == 0) task.out.copy(from, output(vector.offset), vector.count);
}

// The root scatters the pieces of the vector down a binomial tree, then all gather them.
void broadcast_scatter_gather(Task& task) {
  const Rotation order{task.problem.ranks, task.problem.root};
  const Binomial tree{order.ranks};
  const Block vector = task.vector();
  const uint32_t me = order.number_of(task.rank);
  const BlockOf piece = [&](uint32_t v) { return part_of(vector, order.ranks, v); };
  const auto subtree = [&](uint32_t v) {
    const uint64_t first = piece(v).offset;
    return Block{first, piece(tree.end(v) - 1).end() - first};
  };
  if (me == 0) {
    task.out.copy(input(vector.offset), output(vector.offset), vector.count);
  } else {
    task.out.recv(order.rank_of(tree.parent(me)), output(subtree(me).offset), subtree(me).count);
  }
  for (uint32_t d = std::bit_ceil(tree.size(me)) / 2; d > 0; d /= 2) {
    task.out.send(order.rank_of(me + d), output(subtree(me + d).offset), subtree(me + d).count);
  }
  gather_phase_bruck(task, piece, order);
}

// A subtree's partial is made at the root of the operation if that is one of its ranks, else at its first rank: the result needs no further hop.
void reduce_tree(Task& task) {
  const Block vector = task.vector();
  const auto owner = [&](RankRange ranks) {
    return ranks.contains(task.problem.root) ? task.problem.root : ranks.first;
  };
  Place mine = input(vector.offset);
  std::vector<RankRange> path;  // from the whole down to this rank
  for (RankRange ranks{0, task.problem.ranks}; ranks.size() > 1;) {
    path.push_back(ranks);
    const bool left = task.rank < ranks.middle();
    ranks = left ? RankRange{ranks.first, ranks.middle()} : RankRange{ranks.middle(), ranks.end};
  }
  for (size_t i = path.size(); i-- > 0;) {
    const RankRange ranks = path[i];
    const bool left = task.rank < ranks.middle();
    const RankRange other =
        left ? RankRange{ranks.middle(), ranks.end} : RankRange{ranks.first, ranks.middle()};
    if (owner(ranks) != task.rank) {
      task.out.send(owner(ranks), mine, vector.count);
      return;
    }
    const Place theirs = task.out.room(other.size(), vector.count);
    task.out.recv(owner(other), theirs, vector.count);
    const Place sum = i == 0 ? output(vector.offset) : task.out.partial(vector.count);
    const Place operands[] = {left ? mine : theirs, left ? theirs : mine};
    task.out.reduce(operands, sum, vector.count);
    mine = sum;
  }
  if (path.empty()) task.out.copy(mine, output(vector.offset), vector.count);
}

// Each rank reduces a piece, the root collects them.
void reduce_scatter_gather(Task& task) {
  const uint32_t p = task.problem.ranks;
  const uint32_t root = task.problem.root;
  const Block vector = task.vector();
  const BlockOf piece = [&](uint32_t r) { return part_of(vector, p, r); };
  const Block own = piece(task.rank);
  const bool is_root = task.rank == root;
  const Place to = is_root ? output(own.offset) : task.out.scratch(own.count);
  scatter_phase_direct(task, piece, to);
  if (!is_root) {
    task.out.send(root, to, own.count);
    return;
  }
  for (uint32_t t = 1; t < p; t++) {
    const uint32_t source = (root + p - t) % p;
    task.out.recv(source, output(piece(source).offset), piece(source).count);
  }
}

}  // namespace npu::ccl
