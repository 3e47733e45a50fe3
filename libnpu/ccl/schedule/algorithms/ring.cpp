// SPDX-License-Identifier: Apache-2.0
// Ring algorithms. A ring adds in the order in which a block passes the ranks, which differs from block to block: reductions are offered only where
// every order has the same bits.
#include "libnpu/ccl/schedule/algorithms/generators.h"

namespace npu::ccl {
namespace {

// |place| names the accumulator of a block; that of the own block is complete at the end.
void scatter_phase_ring(Task& task, const BlockOf& block,
                        const std::function<Place(uint32_t)>& place) {
  const uint32_t p = task.problem.ranks;
  const uint32_t r = task.rank;
  for (uint32_t t = 1; t < p; t++) {
    const uint32_t leaving = (r + p - t) % p;
    const uint32_t coming = (r + p - t + p - 1) % p;
    const Place from = t == 1 ? input(block(leaving).offset) : place(leaving);
    task.out.send((r + 1) % p, from, block(leaving).count);
    task.out.recv_reduce((r + p - 1) % p, input(block(coming).offset), place(coming),
                         block(coming).count);
  }
}

}  // namespace

void gather_phase_ring(Task& task, const BlockOf& block) {
  const uint32_t p = task.problem.ranks;
  const uint32_t r = task.rank;
  for (uint32_t t = 1; t < p; t++) {
    const Block leaving = block((r + p - t + 1) % p);
    const Block coming = block((r + p - t) % p);
    task.out.send((r + 1) % p, output(leaving.offset), leaving.count);
    task.out.recv((r + p - 1) % p, output(coming.offset), coming.count);
  }
}

void all_gather_ring(Task& task) {
  const Block own = task.block(task.rank);
  const Place mine = input(task.own_offset());
  task.out.copy(mine, output(own.offset), own.count);
  gather_phase_ring(task, [&](uint32_t r) { return task.block(r); });
}

void all_reduce_ring(Task& task) {
  const Block vector = task.vector();
  if (task.problem.ranks == 1) {
    task.out.copy(input(vector.offset), output(vector.offset), vector.count);
    return;
  }
  const BlockOf block = [&](uint32_t r) { return part_of(vector, task.problem.ranks, r); };
  scatter_phase_ring(task, block, [&](uint32_t r) { return output(block(r).offset); });
  gather_phase_ring(task, block);
}

void reduce_scatter_ring(Task& task) {
  const BlockOf block = [&](uint32_t r) { return task.block(r); };
  const Block own = block(task.rank);
  const Place to = output(task.own_offset());
  if (task.problem.ranks == 1) {
    task.out.copy(input(own.offset), to, own.count);
    return;
  }
  std::vector<Place> places(task.problem.ranks);
  for (uint32_t r = 0; r < task.problem.ranks; r++) {
    places[r] = r == task.rank ? to : task.out.scratch(block(r).count);
  }
  scatter_phase_ring(task, block, [&](uint32_t r) { return places[r]; });
}

}  // namespace npu::ccl
