// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/topology.h"

#include <algorithm>

#include "libnpu/ccl/schedule/problem.h"

namespace npu::ccl {

std::string Topology::refuse() const {
  if (nodes == 0 || chips_per_node == 0) return "a topology needs nodes and chips";
  if (uint64_t{nodes} * chips_per_node > Problem::kRanksMax) return "too many chips";
  if (!(link_bytes_per_s > 0) || !(hop_latency_s >= 0))
    return "rate must be above 0, latency at least 0";
  for (const Failure& failure : failures) {
    if (failure.rank >= ranks()) return "a link of no chip has failed";
    if (failure.kind != Failure::Kind::kNeighbour) continue;
    if (failure.neighbour >= ranks() || failure.neighbour == failure.rank ||
        failure.neighbour / chips_per_node != failure.rank / chips_per_node) {
      return "a link to no neighbour has failed";
    }
  }
  return "";
}

// Per kept rank: one link per chip of its node (that to itself is never used), one up, one down.
Network::Network(const Topology& topology, Fold fold)
    : fold_(fold), chips_(topology.chips_per_node) {
  for (uint32_t rank = 0; rank < fold.kept; rank++) {
    capacities_.insert(capacities_.end(), chips_,
                       topology.neighbour_links * topology.link_bytes_per_s);
    capacities_.insert(capacities_.end(), 2, topology.up_links * topology.link_bytes_per_s);
  }
  for (const Topology::Failure& failure : topology.failures) {
    const uint32_t link = failure.kind == Topology::Failure::Kind::kNeighbour
                              ? neighbour_link(failure.rank, failure.neighbour)
                          : failure.kind == Topology::Failure::Kind::kUp ? up_link(failure.rank)
                                                                         : down_link(failure.rank);
    capacities_[link] =
        std::max(0.0, capacities_[link] - failure.links * topology.link_bytes_per_s);
  }
}

uint32_t Network::neighbour_link(uint32_t source, uint32_t target) const {
  return fold_.image_of(source) * (chips_ + 2) + target % chips_;
}
uint32_t Network::up_link(uint32_t rank) const {
  return fold_.image_of(rank) * (chips_ + 2) + chips_;
}
uint32_t Network::down_link(uint32_t rank) const { return up_link(rank) + 1; }

Network::Route Network::route(uint32_t source, uint32_t target) const {
  if (source / chips_ == target / chips_) {
    const uint32_t link = neighbour_link(source, target);
    if (capacities_[link] > 0) return {{link}, 1};
  }
  const uint32_t up = up_link(source);
  const uint32_t down = down_link(target);
  if (capacities_[up] > 0 && capacities_[down] > 0) return {{up, down}, 2};
  return {};
}

}  // namespace npu::ccl
