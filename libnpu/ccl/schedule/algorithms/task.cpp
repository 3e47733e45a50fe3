// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/algorithms/task.h"

namespace npu::ccl {

BlockTable::BlockTable(const Problem& problem) : count_(problem.count) {
  if (problem.counts.empty() || problem.op == Op::kAllToAll) return;
  starts_.push_back(0);
  for (uint64_t count : problem.counts) starts_.push_back(starts_.back() + count);
}

Block BlockTable::operator[](uint32_t rank) const {
  if (starts_.empty()) return {rank * count_, count_};
  return {starts_[rank], starts_[rank + 1] - starts_[rank]};
}

std::vector<Block> runs_of(const BlockOf& block, uint32_t first, uint32_t number, uint32_t total) {
  std::vector<Block> runs;
  for (uint32_t i = 0; i < number; i++) {
    const Block next = block((first + i) % total);
    if (next.count == 0) continue;
    if (!runs.empty() && runs.back().end() == next.offset) {
      runs.back().count += next.count;
    } else {
      runs.push_back(next);
    }
  }
  return runs;
}

}  // namespace npu::ccl
