// SPDX-License-Identifier: Apache-2.0
// Bruck's algorithms: log2(p) rounds for any p, at distances 1, 2, 4, ...
#include "libnpu/ccl/schedule/algorithms/generators.h"

#include <bit>

namespace npu::ccl {

// Number v holds blocks v, v + 1, ... of the rotated order and doubles what it holds in each round. Blocks lie at their final place from the start, so
// nothing is rotated afterwards; a run that wraps is two messages.
void gather_phase_bruck(Task& task, const BlockOf& block, Rotation order) {
  const uint32_t p = order.ranks;
  const uint32_t me = order.number_of(task.rank);
  for (uint32_t held = 1; held < p; held *= 2) {
    const uint32_t number = std::min(held, p - held);
    const uint32_t target = order.rank_of((me + p - held) % p);
    const uint32_t source = order.rank_of((me + held) % p);
    for (const Block& run : runs_of(block, me, number, p)) {
      task.out.send(target, output(run.offset), run.count);
    }
    for (const Block& run : runs_of(block, (me + held) % p, number, p)) {
      task.out.recv(source, output(run.offset), run.count);
    }
  }
}

void all_gather_bruck(Task& task) {
  const BlockOf block = [&](uint32_t r) { return task.block(r); };
  const Block own = block(task.rank);
  task.out.copy(input(task.own_offset()), output(own.offset), own.count);
  gather_phase_bruck(task, block, {task.problem.ranks, 0});
}

// The all-gather backwards: what was a copy of a block there is a summand of it here. The tree of a block starts at its owner, so its shape is not
// the canonical one.
void reduce_scatter_bruck(Task& task) {
  const uint32_t p = task.problem.ranks;
  const uint32_t r = task.rank;
  const Block own = task.block(r);
  const Place to = output(task.own_offset());
  std::vector<Place> sums(p);  // of block r + i
  for (uint32_t i = 0; i < p; i++) sums[i] = input(task.block((r + i) % p).offset);
  if (p == 1) task.out.copy(sums[0], to, own.count);
  for (uint32_t held = std::bit_floor(p - 1); held > 0; held /= 2) {
    const uint32_t number = std::min(held, p - held);
    const uint32_t target = (r + held) % p;
    const uint32_t source = (r + p - held) % p;
    for (uint32_t i = 0; i < number; i++) {
      task.out.send(target, sums[held + i], task.block((r + held + i) % p).count);
    }
    for (uint32_t i = 0; i < number; i++) {
      const uint64_t count = task.block((r + i) % p).count;
      const Place sum = held == 1 ? to : task.out.scratch(count);
      task.out.recv_reduce(source, sums[i], sum, count);
      sums[i] = sum;
    }
  }
}

// What goes i ranks further travels in the rounds of the bits of i. Blocks are packed for each round; what arrives stays where it landed until its next
// round or the end.
void all_to_all_bruck(Task& task) {
  const uint32_t p = task.problem.ranks;
  const uint32_t r = task.rank;
  const uint64_t count = task.slice({0, task.problem.count}).count;
  const uint64_t offset = task.slice({0, task.problem.count}).offset;
  std::vector<Place> at(p);
  for (uint32_t i = 0; i < p; i++) at[i] = input((r + i) % p * task.problem.count + offset);
  for (uint32_t distance = 1; distance < p; distance *= 2) {
    std::vector<uint32_t> moving;
    for (uint32_t i = distance; i < p; i++) {
      if (i & distance) moving.push_back(i);
    }
    const Place packed = task.out.scratch(moving.size() * count);
    const Place landed = task.out.scratch(moving.size() * count);
    for (size_t k = 0; k < moving.size(); k++) {
      task.out.copy(at[moving[k]], packed.at(k * count), count);
      at[moving[k]] = landed.at(k * count);
    }
    task.out.send((r + distance) % p, packed, moving.size() * count);
    task.out.recv((r + p - distance) % p, landed, moving.size() * count);
  }
  for (uint32_t i = 0; i < p; i++) {
    task.out.copy(at[i], output((r + p - i) % p * task.problem.count + offset), count);
  }
}

}  // namespace npu::ccl
