// SPDX-License-Identifier: Apache-2.0
// SymbolicMemory: a rank's buffers that hold formulas instead of numbers, in runs.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "libnpu/ccl/schedule/expression.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

// |value.origin| belongs to the first element of the run.
struct ValueRun {
  uint64_t count = 0;
  Value value;
};
using ValueRuns = std::vector<ValueRun>;

class SymbolicMemory {
 public:
  void write(Place place, const ValueRuns& runs);
  // Nothing if an element was never written.
  std::optional<ValueRuns> read(Place place, uint64_t count) const;

 private:
  using Runs = std::map<uint64_t, ValueRun>;  // by first element; disjoint
  static void erase(Runs& runs, uint64_t begin, uint64_t end);

  std::array<Runs, kBufferCount> runs_;
};

// Element by element the tree over |operands| by index; all have the same length.
ValueRuns reduced(Expressions& expressions, const std::vector<ValueRuns>& operands, bool round);

}  // namespace npu::ccl
