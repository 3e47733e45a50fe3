// SPDX-License-Identifier: Apache-2.0
// Window algorithms: each rank works straight in the memory of the others. First all say that theirs may be touched, then each does its part, then all say that they are done.
//
// In place is right without more: an element that a rank writes, in whichever memory, is read by that rank alone. All-reduce: part r of all inputs is read by rank r, which writes
// part r of all outputs. Reduce-scatter: block r of all inputs is read by rank r, which keeps it. All-gather: rank r reads its input, and writes block r of all outputs. Broadcast and reduce: the root
// reads and writes everything.
#include "libnpu/ccl/schedule/algorithms/generators.h"

namespace npu::ccl {
namespace {

// The two rounds of signals, and what is done between them.
class Rounds {
 public:
  explicit Rounds(Task& task)
      : task_(task),
        ready_(task.problem.ranks, Builder::kNoStep),
        done_(task.problem.ranks, Builder::kNoStep) {
    for (uint32_t t = 1; t < ranks(); t++) task_.out.signal(peer(t));
    for (uint32_t t = 1; t < ranks(); t++) ready_[peer(t)] = task_.out.wait(peer(t));
  }
  // |work| touches memory of |rank|, or of all.
  template <typename Work>
  void with(uint32_t rank, const Work& work) {
    task_.out.after(ready_[rank]);
    done_[rank] = work();
  }
  template <typename Work>
  void with_all(const Work& work) {
    for (uint32_t step : ready_) task_.out.after(step);
    done_.assign(ranks(), work());
  }
  void close() {
    for (uint32_t t = 1; t < ranks(); t++) {
      task_.out.after(done_[peer(t)]);
      task_.out.signal(peer(t));
    }
    for (uint32_t t = 1; t < ranks(); t++) task_.out.wait(peer(t));
  }

 private:
  uint32_t ranks() const { return task_.problem.ranks; }
  uint32_t peer(uint32_t t) const { return (task_.rank + t) % ranks(); }

  Task& task_;
  std::vector<uint32_t> ready_, done_;  // by rank
};

// The root alone works: one round of signals to it, one from it.
template <typename Work>
void at_root(Task& task, const Work& work) {
  const Problem& problem = task.problem;
  if (task.rank != problem.root) {
    task.out.signal(problem.root);
    task.out.wait(problem.root);
    return;
  }
  std::vector<uint32_t> ready;
  for (uint32_t t = 1; t < problem.ranks; t++) {
    ready.push_back(task.out.wait((task.rank + t) % problem.ranks));
  }
  for (uint32_t step : ready) task.out.after(step);
  const uint32_t done = work();
  for (uint32_t t = 1; t < problem.ranks; t++) {
    task.out.after(done);
    task.out.signal((task.rank + t) % problem.ranks);
  }
}

Place place_of(const Task& task, uint32_t owner, Buffer buffer, uint64_t offset) {
  return {buffer, offset, owner == task.rank ? Place::kOwn : owner};
}

std::vector<Place> inputs_of_all(const Task& task, uint64_t offset) {
  std::vector<Place> operands;
  for (uint32_t rank = 0; rank < task.problem.ranks; rank++) {
    operands.push_back(place_of(task, rank, Buffer::kInput, offset));
  }
  return operands;
}

}  // namespace

void all_reduce_window(Task& task) {
  const Block part = part_of(task.vector(), task.problem.ranks, task.rank);
  Rounds rounds(task);
  rounds.with_all([&] {
    return task.out.reduce_to_all(inputs_of_all(task, part.offset), output(part.offset),
                                  part.count);
  });
  rounds.close();
}

void reduce_scatter_window(Task& task) {
  const Block own = task.block(task.rank);
  Rounds rounds(task);
  rounds.with_all([&] {
    return task.out.reduce(inputs_of_all(task, own.offset), output(task.own_offset()), own.count);
  });
  rounds.close();
}

void all_gather_window(Task& task) {
  const Block own = task.block(task.rank);
  Rounds rounds(task);
  rounds.with_all([&] {
    return task.out.copy_to_all(input(task.own_offset()), output(own.offset), own.count);
  });
  rounds.close();
}

void all_to_all_window(Task& task) {
  const Problem& problem = task.problem;
  Rounds rounds(task);
  for (uint32_t t = 0; t < problem.ranks; t++) {
    const uint32_t target = (task.rank + t) % problem.ranks;
    const Block from = task.slice(problem.outgoing(task.rank, target));
    const Block to = task.slice(problem.incoming(task.rank, target));
    rounds.with(target, [&] {
      return task.out.copy(input(from.offset), place_of(task, target, Buffer::kOutput, to.offset),
                           from.count);
    });
  }
  rounds.close();
}

void broadcast_window(Task& task) {
  const Block vector = task.vector();
  at_root(task, [&] {
    return task.out.copy_to_all(input(vector.offset), output(vector.offset), vector.count);
  });
}

void reduce_window(Task& task) {
  const Block vector = task.vector();
  at_root(task, [&] {
    return task.out.reduce(inputs_of_all(task, vector.offset), output(vector.offset), vector.count);
  });
}

}  // namespace npu::ccl
