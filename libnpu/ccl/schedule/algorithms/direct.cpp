// SPDX-License-Identifier: Apache-2.0
// Direct algorithms: each pair of ranks exchanges once. Partners start at the own rank + 1, so that nobody is everybody's first.
#include "libnpu/ccl/schedule/algorithms/generators.h"

namespace npu::ccl {

void scatter_phase_direct(Task& task, const BlockOf& block, Place to) {
  const uint32_t p = task.problem.ranks;
  const Block own = block(task.rank);
  for (uint32_t t = 1; t < p; t++) {
    const uint32_t target = (task.rank + t) % p;
    task.out.send(target, input(block(target).offset), block(target).count);
  }
  std::vector<Place> operands(p);
  operands[task.rank] = input(own.offset);
  for (uint32_t t = 1; t < p; t++) {
    const uint32_t source = (task.rank + p - t) % p;
    operands[source] = task.out.scratch(own.count);
    task.out.recv(source, operands[source], own.count);
  }
  task.out.reduce(operands, to, own.count);
}

void gather_phase_direct(Task& task, const BlockOf& block) {
  const uint32_t p = task.problem.ranks;
  const Block own = block(task.rank);
  for (uint32_t t = 1; t < p; t++) {
    task.out.send((task.rank + t) % p, output(own.offset), own.count);
  }
  for (uint32_t t = 1; t < p; t++) {
    const uint32_t source = (task.rank + p - t) % p;
    task.out.recv(source, output(block(source).offset), block(source).count);
  }
}

void all_reduce_direct(Task& task) {
  const Block vector = task.vector();
  const BlockOf block = [&](uint32_t r) { return part_of(vector, task.problem.ranks, r); };
  scatter_phase_direct(task, block, output(block(task.rank).offset));
  gather_phase_direct(task, block);
}

void all_reduce_flood(Task& task) {
  const Block vector = task.vector();
  scatter_phase_direct(
      task, [&](uint32_t) { return vector; }, output(vector.offset));
}

void reduce_scatter_direct(Task& task) {
  const BlockOf block = [&](uint32_t r) { return task.block(r); };
  scatter_phase_direct(task, block, output(task.own_offset()));
}

void all_gather_direct(Task& task) {
  const uint32_t p = task.problem.ranks;
  const Block own = task.block(task.rank);
  const Place mine = input(task.own_offset());
  for (uint32_t t = 1; t < p; t++) task.out.send((task.rank + t) % p, mine, own.count);
  task.out.copy(mine, output(own.offset), own.count);  // nobody waits for it
  for (uint32_t t = 1; t < p; t++) {
    const uint32_t source = (task.rank + p - t) % p;
    task.out.recv(source, output(task.block(source).offset), task.block(source).count);
  }
}

void gather_direct(Task& task) {
  const Problem& problem = task.problem;
  const Block own = task.block(task.rank);
  const Place mine = input(task.own_offset());
  if (task.rank != problem.root) {
    task.out.send(problem.root, mine, own.count);
    return;
  }
  task.out.copy(mine, output(own.offset), own.count);
  for (uint32_t t = 1; t < problem.ranks; t++) {
    const uint32_t source = (task.rank + t) % problem.ranks;
    task.out.recv(source, output(task.block(source).offset), task.block(source).count);
  }
}

void scatter_direct(Task& task) {
  const Problem& problem = task.problem;
  const Block own = task.block(task.rank);
  const Place mine = output(task.own_offset());
  if (task.rank != problem.root) {
    task.out.recv(problem.root, mine, own.count);
    return;
  }
  task.out.copy(input(own.offset), mine, own.count);
  for (uint32_t t = 1; t < problem.ranks; t++) {
    const uint32_t target = (task.rank + t) % problem.ranks;
    task.out.send(target, input(task.block(target).offset), task.block(target).count);
  }
}

void barrier_direct(Task& task) {
  const uint32_t p = task.problem.ranks;
  for (uint32_t t = 1; t < p; t++) task.out.signal((task.rank + t) % p);
  for (uint32_t t = 1; t < p; t++) task.out.wait((task.rank + p - t) % p);
}

void send_recv(Task& task) {
  const Problem& problem = task.problem;
  const Block vector = task.vector();
  if (problem.root == problem.peer) {
    if (task.rank == problem.root) {
      task.out.copy(input(vector.offset), output(vector.offset), vector.count);
    }
  } else if (task.rank == problem.root) {
    task.out.send(problem.peer, input(vector.offset), vector.count);
  } else if (task.rank == problem.peer) {
    task.out.recv(problem.root, output(vector.offset), vector.count);
  }
}

}  // namespace npu::ccl
