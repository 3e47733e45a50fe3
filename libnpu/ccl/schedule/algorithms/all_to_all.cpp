// SPDX-License-Identifier: Apache-2.0
// All-to-all, each block straight to its target: all at once, or one partner at a time. Also the barrier.
#include "libnpu/ccl/schedule/algorithms/generators.h"

#include <bit>

namespace npu::ccl {
namespace {

void keep_own(Task& task) {
  const Block from = task.slice(task.problem.outgoing(task.rank, task.rank));
  const Block to = task.slice(task.problem.incoming(task.rank, task.rank));
  task.out.copy(input(from.offset), output(to.offset), to.count);
}

uint32_t send_to(Task& task, uint32_t target) {
  const Block block = task.slice(task.problem.outgoing(task.rank, target));
  return task.out.send(target, input(block.offset), block.count);
}

uint32_t recv_from(Task& task, uint32_t source) {
  const Block block = task.slice(task.problem.incoming(source, task.rank));
  return task.out.recv(source, output(block.offset), block.count);
}

}  // namespace

void all_to_all_direct(Task& task) {
  const uint32_t p = task.problem.ranks;
  for (uint32_t t = 1; t < p; t++) send_to(task, (task.rank + t) % p);
  keep_own(task);  // nobody waits for it
  for (uint32_t t = 1; t < p; t++) recv_from(task, (task.rank + p - t) % p);
}

// Partners are rank xor t where that pairs everybody, else rank + t and rank - t. A round starts when the one before is over.
void all_to_all_pairwise(Task& task) {
  const uint32_t p = task.problem.ranks;
  const bool pairs = std::has_single_bit(p);
  keep_own(task);
  uint32_t sent = Builder::kNoStep;
  uint32_t received = Builder::kNoStep;
  for (uint32_t t = 1; t < p; t++) {
    task.out.after(sent);
    task.out.after(received);
    const uint32_t next_sent = send_to(task, pairs ? task.rank ^ t : (task.rank + t) % p);
    task.out.after(sent);
    task.out.after(received);
    const uint32_t next_received = recv_from(task, pairs ? task.rank ^ t : (task.rank + p - t) % p);
    if (next_sent != Builder::kNoStep) sent = next_sent;
    if (next_received != Builder::kNoStep) received = next_received;
  }
}

void barrier_dissemination(Task& task) {
  const uint32_t p = task.problem.ranks;
  uint32_t heard = Builder::kNoStep;
  for (uint32_t distance = 1; distance < p; distance *= 2) {
    task.out.after(heard);
    task.out.signal((task.rank + distance) % p);
    task.out.after(heard);
    heard = task.out.wait((task.rank + p - distance) % p);
  }
}

}  // namespace npu::ccl
