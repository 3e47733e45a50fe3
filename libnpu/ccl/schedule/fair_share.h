// SPDX-License-Identifier: Apache-2.0
// FairShare: max-min fair rates of flows over links, by progressive filling: raise all rates together, freeze the flows of each link that fills up.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace npu::ccl {

class FairShare {
 public:
  explicit FairShare(std::vector<double> capacities);

  struct Flow {
    std::span<const uint32_t> links;  // at least one
    double rate = 0;                  // result; of each
    uint32_t number = 1;              // so many flows with the same way
  };
  // A function of the set of flows, not of their order (up to rounding).
  void share(std::span<Flow> flows);

 private:
  std::vector<double> capacities_;
  // Scratch of share(), kept to spare allocations.
  std::vector<double> left_;
  std::vector<uint32_t> open_;                // flows of a link without a rate
  std::vector<std::vector<uint32_t>> users_;  // flows of a link
  std::vector<uint32_t> used_;                // links with users
};

}  // namespace npu::ccl
