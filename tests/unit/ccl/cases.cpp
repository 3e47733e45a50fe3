// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/ccl/cases.h"

#include <random>
#include <set>

namespace npu::ccl {

std::vector<Op> all_ops() {
  std::vector<Op> ops;
  for (uint32_t i = 0; i < kOpCount; i++) ops.push_back(static_cast<Op>(i));
  return ops;
}

std::vector<Order> orders_of(Op op) {
  if (!reduces(op)) return {Order::kCanonical};
  return {Order::kCanonical, Order::kAny};
}

std::vector<uint64_t> counts_for(uint32_t ranks) {
  const std::set<uint64_t> counts{0, 1, 2, ranks - 1, ranks, ranks + 1, 97, 1000};
  return {counts.begin(), counts.end()};
}

std::vector<std::vector<uint32_t>> node_shapes(uint32_t ranks) {
  std::vector<std::vector<uint32_t>> shapes{{}};
  for (uint32_t size : {1u, 2u, 3u, 4u, 8u}) {
    if (size >= ranks) break;
    std::vector<uint32_t> shape(ranks / size, size);
    if (ranks % size != 0) shape.push_back(ranks % size);
    shapes.push_back(shape);
  }
  if (ranks > 3) shapes.push_back({1, ranks - 3, 2});
  return shapes;
}

std::vector<uint64_t> uneven_counts(const Problem& problem, uint32_t seed) {
  std::mt19937 random(seed);
  const size_t entries =
      problem.op == Op::kAllToAll ? size_t{problem.ranks} * problem.ranks : problem.ranks;
  std::vector<uint64_t> counts(entries);
  for (uint64_t& count : counts) count = random() % 3 == 0 ? 0 : random() % 40;
  return counts;
}

std::string describe(const Problem& problem, Algorithm algorithm) {
  std::string text = std::string(name_of(problem.op)) + " " + name_of(algorithm) + " ranks " +
                     std::to_string(problem.ranks) + " count " + std::to_string(problem.count) +
                     " root " + std::to_string(problem.root) + " chunks " +
                     std::to_string(problem.chunks) + (problem.in_place ? " in place" : "") +
                     (problem.order == Order::kAny ? " any order" : "") + " nodes";
  for (uint32_t size : problem.nodes) text += " " + std::to_string(size);
  if (!problem.counts.empty()) text += " with counts";
  return text;
}

}  // namespace npu::ccl
