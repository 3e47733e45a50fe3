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
  if (!(oversubscription >= 1)) return "oversubscription must be at least 1";
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

uint32_t Topology::period() const {
  if (leaves() == 1) return chips_per_node;
  return nodes % leaf_nodes == 0 ? leaf_nodes * chips_per_node : 0;
}

const char* name_of(LinkKind kind) {
  static constexpr const char* kNames[kLinkKindCount] = {"neighbour", "up", "down", "leaf-up",
                                                         "leaf-down"};
  return kNames[static_cast<uint32_t>(kind)];
}

// Per kept rank: one link per chip of its node, one up, one down. Behind them, per leaf: one up, one down.
Network::Network(const Topology& topology, Fold fold)
    : fold_(fold),
      chips_(topology.chips_per_node),
      leaf_chips_(topology.leaves() == 1 ? 0 : topology.leaf_nodes * chips_) {
  const double up_bytes_per_s = topology.up_links * topology.link_bytes_per_s;
  for (uint32_t rank = 0; rank < fold.kept; rank++) {
    capacities_.insert(capacities_.end(), chips_,
                       topology.neighbour_links * topology.link_bytes_per_s);
    capacities_.insert(capacities_.end(), 2, up_bytes_per_s);
  }
  for (uint32_t rank = 0; leaf_chips_ != 0 && rank < fold.kept; rank += leaf_chips_) {
    capacities_.insert(capacities_.end(), 2,
                       leaf_chips_ * up_bytes_per_s / topology.oversubscription);
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
uint32_t Network::first_of_leaf(uint32_t rank) const {
  return fold_.kept * (chips_ + 2) + fold_.image_of(rank) / leaf_chips_ * 2;
}

LinkKind Network::kind_of(uint32_t link) const {
  const uint32_t of_chips = fold_.kept * (chips_ + 2);
  if (link >= of_chips) {
    return (link - of_chips) % 2 == 0 ? LinkKind::kLeafUp : LinkKind::kLeafDown;
  }
  const uint32_t index = link % (chips_ + 2);
  return index < chips_ ? LinkKind::kNeighbour : index == chips_ ? LinkKind::kUp : LinkKind::kDown;
}

bool Network::exists(uint32_t link) const {
  if (capacities_[link] == 0) return false;
  if (kind_of(link) != LinkKind::kNeighbour) return true;
  return link / (chips_ + 2) % chips_ != link % (chips_ + 2);
}

std::string Network::ends_of(uint32_t link) const {
  const uint32_t of_chips = fold_.kept * (chips_ + 2);
  if (link >= of_chips) return "leaf " + std::to_string((link - of_chips) / 2);
  const uint32_t rank = link / (chips_ + 2);
  const std::string text = "rank " + std::to_string(rank);
  if (kind_of(link) != LinkKind::kNeighbour) return text;
  return text + " to rank " + std::to_string(rank / chips_ * chips_ + link % (chips_ + 2));
}

Network::Route Network::route(uint32_t source, uint32_t target) const {
  if (source / chips_ == target / chips_) {
    const uint32_t link = neighbour_link(source, target);
    if (capacities_[link] > 0) return {{link}, 1};
  }
  const uint32_t up = up_link(source);
  const uint32_t down = down_link(target);
  if (capacities_[up] == 0 || capacities_[down] == 0) return {};
  if (leaf_chips_ == 0 || source / leaf_chips_ == target / leaf_chips_) return {{up, down}, 2};
  return {{up, first_of_leaf(source), first_of_leaf(target) + 1, down}, 4};
}

}  // namespace npu::ccl
