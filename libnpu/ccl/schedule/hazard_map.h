// SPDX-License-Identifier: Apache-2.0
// HazardMap: who last wrote each element and who has read it since; yields the dependencies of the next access.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/schedule/schedule.h"

namespace npu::ccl {

class HazardMap {
 public:
  // Both add to |before| the steps that must be complete before |step| may touch the elements.
  void read(Place place, uint64_t count, uint32_t step, std::vector<uint32_t>& before);
  void write(Place place, uint64_t count, uint32_t step, std::vector<uint32_t>& before);

 private:
  static constexpr uint32_t kNobody = UINT32_MAX;
  struct Run {
    uint64_t end = 0;
    uint32_t writer = kNobody;
    std::vector<uint32_t> readers;  // since that write
  };
  using Runs = std::map<uint64_t, Run>;  // by first element; disjoint

  // Cuts runs so that [begin, end) is covered by whole runs, without gaps.
  static void cover(Runs& runs, Block range);
  static void cut(Runs& runs, uint64_t at);

  std::array<Runs, kBufferCount> runs_;
};

}  // namespace npu::ccl
