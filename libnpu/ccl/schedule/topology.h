// SPDX-License-Identifier: Apache-2.0
// Topology: equal nodes of chips. Inside a node every pair of chips has its own links; each chip has up-links into a fabric that never blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libnpu/ccl/schedule/matching.h"

namespace npu::ccl {

struct Topology {
  // Links that are down, in one direction. Down-links are the other direction of up-links.
  struct Failure {
    enum class Kind : uint8_t { kNeighbour, kUp, kDown };
    Kind kind;
    uint32_t rank;       // whose end
    uint32_t neighbour;  // kNeighbour: towards this rank of the same node
    uint32_t links;
  };

  uint32_t nodes = 1;
  uint32_t chips_per_node = 1;
  uint32_t neighbour_links = 1;  // from a chip to each other one of its node
  uint32_t up_links = 0;
  double link_bytes_per_s = 50e9;
  double hop_latency_s = 0;
  std::vector<Failure> failures;

  uint32_t ranks() const { return nodes * chips_per_node; }
  std::string refuse() const;
};

// Directed links with capacities, and the way of each message.
class Network {
 public:
  struct Route {
    std::vector<uint32_t> links;  // empty: no way
    uint32_t hops = 0;
  };

  // |fold| keeps whole nodes; a folded network has no failures.
  Network(const Topology& topology, Fold fold);

  const std::vector<double>& capacities() const { return capacities_; }
  // Neighbours use their own links, and the fabric if all of these are down.
  Route route(uint32_t source, uint32_t target) const;

 private:
  uint32_t neighbour_link(uint32_t source, uint32_t target) const;
  uint32_t up_link(uint32_t rank) const;
  uint32_t down_link(uint32_t rank) const;

  Fold fold_;
  uint32_t chips_;
  std::vector<double> capacities_;  // bytes per second; 0: down
};

}  // namespace npu::ccl
