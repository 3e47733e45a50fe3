// SPDX-License-Identifier: Apache-2.0
// Topology: equal nodes of chips. Inside a node every pair of chips has its own links; each chip has up-links into a fabric. The fabric never blocks, or it has
// two tiers: leaves that so many nodes hang on, and a spine behind them that gives a leaf less than its chips could ask for.
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
  uint32_t leaf_nodes = 0;      // 0: the fabric never blocks
  double oversubscription = 1;  // up-links of a leaf's chips, of what the leaf has to the spine

  uint32_t ranks() const { return nodes * chips_per_node; }
  uint32_t leaves() const {
    return leaf_nodes == 0 ? 1 : nodes / leaf_nodes + (nodes % leaf_nodes != 0);
  }
  std::string refuse() const;
  // The smallest number of ranks that the network looks the same to, wherever they are: a node, or a leaf if there are several.
  // 0: leaves are not equal.
  uint32_t period() const;
};

enum class LinkKind : uint8_t { kNeighbour, kUp, kDown, kLeafUp, kLeafDown };
inline constexpr uint32_t kLinkKindCount = 5;
const char* name_of(LinkKind kind);

// Directed links with capacities, and the way of each message.
class Network {
 public:
  struct Route {
    std::vector<uint32_t> links;  // empty: no way
    uint32_t hops = 0;
  };

  // |fold| keeps whole periods; a folded network has no failures.
  Network(const Topology& topology, Fold fold);

  const std::vector<double>& capacities() const { return capacities_; }
  LinkKind kind_of(uint32_t link) const;
  // A link that a message can take; false for that of a chip to itself.
  bool exists(uint32_t link) const;
  // "rank 3 to rank 1", "rank 3", "leaf 0".
  std::string ends_of(uint32_t link) const;
  // Neighbours use their own links, and the fabric if all of these are down.
  Route route(uint32_t source, uint32_t target) const;

 private:
  uint32_t neighbour_link(uint32_t source, uint32_t target) const;
  uint32_t up_link(uint32_t rank) const;
  uint32_t down_link(uint32_t rank) const;
  uint32_t first_of_leaf(uint32_t rank) const;

  Fold fold_;
  uint32_t chips_;
  uint32_t leaf_chips_;             // 0: no leaves, or only one
  std::vector<double> capacities_;  // bytes per second; 0: down
};

}  // namespace npu::ccl
