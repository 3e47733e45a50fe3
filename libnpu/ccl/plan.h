// SPDX-License-Identifier: Apache-2.0
// Plans: the algorithm and the schedule of one rank for a problem, and a small cache of them.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/schedule/choose.h"

namespace npu::ccl {

struct Plan {
  Problem problem;
  Algorithm algorithm;
  RankSchedule schedule;
  std::vector<bool> ticks;  // of each step: a later one on another lane depends on it
};
using PlanPtr = std::shared_ptr<const Plan>;

// The lane of a step, see lanes.h.
uint32_t lane_of(const Step& step);

class PlanCache {
 public:
  PlanCache(uint32_t rank, uint64_t chunk_bytes, const Override& wishes)
      : rank_(rank), chunk_bytes_(chunk_bytes), wishes_(wishes) {}

  npuResult find(const Problem& problem, ElementSizes sizes, PlanPtr* out);

 private:
  static constexpr size_t kPlansMax = 64;
  struct Entry {
    std::string key;
    PlanPtr plan;
  };
  npuResult make(Problem problem, ElementSizes sizes, PlanPtr* out) const;

  uint32_t rank_;
  uint64_t chunk_bytes_;
  Override wishes_;
  std::list<Entry> entries_;  // the last used one first
};

}  // namespace npu::ccl
