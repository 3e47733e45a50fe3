// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/symbolic_memory.h"

#include <algorithm>

namespace npu::ccl {
namespace {

ValueRun tail_of(const ValueRun& run, uint64_t skipped) {
  return {run.count - skipped, {run.value.formula, run.value.origin + skipped}};
}

}  // namespace

void SymbolicMemory::erase(Runs& runs, uint64_t begin, uint64_t end) {
  auto it = runs.lower_bound(begin);
  if (it != runs.begin()) {
    auto before = std::prev(it);
    const uint64_t before_end = before->first + before->second.count;
    if (before_end > end) runs.emplace(end, tail_of(before->second, end - before->first));
    if (before_end > begin) before->second.count = begin - before->first;
  }
  while (it != runs.end() && it->first < end) {
    const uint64_t it_end = it->first + it->second.count;
    if (it_end > end) runs.emplace(end, tail_of(it->second, end - it->first));
    it = runs.erase(it);
  }
}

void SymbolicMemory::write(Place place, const ValueRuns& values) {
  Runs& runs = runs_[static_cast<size_t>(place.buffer)];
  uint64_t at = place.offset;
  for (const ValueRun& value : values) at += value.count;
  erase(runs, place.offset, at);
  at = place.offset;
  for (const ValueRun& value : values) {
    runs.emplace(at, value);
    at += value.count;
  }
}

std::optional<ValueRuns> SymbolicMemory::read(Place place, uint64_t count) const {
  const Runs& runs = runs_[static_cast<size_t>(place.buffer)];
  ValueRuns found;
  uint64_t at = place.offset;
  const uint64_t end = at + count;
  auto it = runs.upper_bound(at);
  if (it != runs.begin()) --it;
  for (; at < end; ++it) {
    if (it == runs.end() || it->first > at || it->first + it->second.count <= at) {
      return std::nullopt;
    }
    ValueRun run = tail_of(it->second, at - it->first);
    run.count = std::min(run.count, end - at);
    at += run.count;
    const bool joins = !found.empty() && found.back().value.formula == run.value.formula &&
                       found.back().value.origin + found.back().count == run.value.origin;
    if (joins) {
      found.back().count += run.count;
    } else {
      found.push_back(run);
    }
  }
  return found;
}

ValueRuns reduced(Expressions& expressions, const std::vector<ValueRuns>& operands, bool round) {
  struct Cursor {
    size_t run = 0;
    uint64_t skipped = 0;
  };
  std::vector<Cursor> cursors(operands.size());
  ValueRuns result;
  while (cursors[0].run < operands[0].size()) {
    uint64_t count = UINT64_MAX;
    std::vector<Value> values;
    for (size_t i = 0; i < operands.size(); i++) {
      const ValueRun rest = tail_of(operands[i][cursors[i].run], cursors[i].skipped);
      count = std::min(count, rest.count);
      values.push_back(rest.value);
    }
    Value value = expressions.tree(values);
    if (round) value.formula = expressions.rounded(value.formula);
    result.push_back({count, value});
    for (size_t i = 0; i < operands.size(); i++) {
      cursors[i].skipped += count;
      if (cursors[i].skipped < operands[i][cursors[i].run].count) continue;
      cursors[i] = {cursors[i].run + 1, 0};
    }
  }
  return result;
}

}  // namespace npu::ccl
