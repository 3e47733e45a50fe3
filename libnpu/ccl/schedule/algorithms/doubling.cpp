// SPDX-License-Identifier: Apache-2.0
// Recursive doubling. The all-reduce climbs the canonical tree: at each node the ranks of the left child exchange partials with those of the right
// one. A right child with fewer ranks hands its partial to as many ranks on the left, which pass it on among themselves while the left child is
// still at work.
#include "libnpu/ccl/schedule/algorithms/generators.h"

namespace npu::ccl {
namespace {

class Climb {
 public:
  Climb(Task& task, Block vector) : task_(task), vector_(vector) {}

  // The partial of |ranks|, which include this one, at |to|; returns where it is (a single rank's input stays in place).
  Place run(RankRange ranks, const Place* to) {
    if (ranks.size() == 1) return input(vector_.offset);
    const RankRange left{ranks.first, ranks.middle()};
    const RankRange right{ranks.middle(), ranks.end};
    const bool in_left = left.contains(task_.rank);
    const Place mine = run(in_left ? left : right, nullptr);
    const Place other = in_left ? take_right(left, right, mine) : take_left(left, right, mine);
    const Place sum = to != nullptr ? *to : task_.out.partial(vector_.count);
    const Place operands[] = {in_left ? mine : other, in_left ? other : mine};
    task_.out.reduce(operands, sum, vector_.count);
    return sum;
  }

 private:
  Place take_left(RankRange left, RankRange right, Place mine) {
    const uint32_t partner = left.first + (task_.rank - right.first);
    const Place other = task_.out.room(left.size(), vector_.count);
    task_.out.send(partner, mine, vector_.count);
    task_.out.recv(partner, other, vector_.count);
    return other;
  }

  Place take_right(RankRange left, RankRange right, Place mine) {
    const uint32_t me = task_.rank - left.first;
    const Place other = task_.out.room(right.size(), vector_.count);
    uint32_t holders = right.size();  // the first ranks on the left that have it already
    if (me < holders) {
      task_.out.send(right.first + me, mine, vector_.count);
      task_.out.recv(right.first + me, other, vector_.count);
    } else {
      while (me >= 2 * holders) holders *= 2;
      task_.out.recv(task_.rank - holders, other, vector_.count);
      holders *= 2;
    }
    for (; me + holders < left.size(); holders *= 2) {
      task_.out.send(task_.rank + holders, other, vector_.count);
    }
    return other;
  }

  Task& task_;
  Block vector_;
};

}  // namespace

void all_reduce_doubling(Task& task) {
  const Block vector = task.vector();
  const Place to = output(vector.offset);
  if (task.problem.ranks == 1) {
    task.out.copy(input(vector.offset), to, vector.count);
    return;
  }
  Climb(task, vector).run({0, task.problem.ranks}, &to);
}

void all_gather_doubling(Task& task) {
  const uint32_t p = task.problem.ranks;
  const BlockOf block = [&](uint32_t r) { return task.block(r); };
  const Block own = block(task.rank);
  task.out.copy(input(task.own_offset()), output(own.offset), own.count);
  for (uint32_t size = 1; size < p; size *= 2) {
    const uint32_t mine = task.rank / size * size;
    const uint32_t partner = task.rank ^ size;
    for (const Block& run : runs_of(block, mine, size, p)) {
      task.out.send(partner, output(run.offset), run.count);
    }
    for (const Block& run : runs_of(block, mine ^ size, size, p)) {
      task.out.recv(partner, output(run.offset), run.count);
    }
  }
}

}  // namespace npu::ccl
