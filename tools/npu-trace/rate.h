// SPDX-License-Identifier: Apache-2.0
// Rate: how much a second, over time, of things that begin, go on evenly, and end.
#pragma once

#include <cstdint>
#include <vector>

namespace npu::trace {

class Rate {
 public:
  struct Step {
    int64_t at_ns;
    double per_second;  // from here to the next step
  };

  // |amount| between two moments. What takes no time is not counted.
  void add(int64_t from_ns, int64_t duration_ns, uint64_t amount);
  // In order of time; the last one is 0. Where the rate stays as it was there is no step.
  std::vector<Step> steps() const;

 private:
  struct Change {
    int64_t at_ns;
    double per_second;
    int begins;  // 1, or -1: ends
  };
  std::vector<Change> changes_;
};

}  // namespace npu::trace
