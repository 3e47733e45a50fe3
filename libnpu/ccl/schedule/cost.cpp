// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/cost.h"

#include <algorithm>
#include <cmath>

#include "libnpu/ccl/schedule/pooling.h"

namespace npu::ccl {
namespace {

// Bytes that the busiest rank sends. The v-forms and shapes without closed form are taken as if even.
uint64_t sent_bytes(const Problem& problem, Algorithm algorithm, ElementSizes sizes) {
  if (const auto sent = most_sent(problem, algorithm)) return sent->bytes(sizes);
  Problem even = problem;
  even.nodes.clear();
  even.counts.clear();
  if (!problem.counts.empty()) {
    uint64_t sum = 0;
    for (uint64_t count : problem.counts) sum += count;
    even.count = (sum + problem.counts.size() - 1) / problem.counts.size();
  }
  return most_sent(even, algorithm)->bytes(sizes);
}

// Of what a hierarchical algorithm sends, the share that leaves the node; the two kinds travel at the same time.
double hierarchical_s(const Problem& problem, double bytes, const Machine& machine) {
  const double m = problem.node_count();
  const double g = std::max(problem.ranks / m, 1.0);
  const double inside = (g - 1) * m;
  const double between = m - 1;
  if (inside + between == 0) return 0;
  const double share = between / (inside + between);
  return std::max(bytes * share / machine.remote_bytes_per_s,
                  bytes * (1 - share) / machine.local_bytes_per_s);
}

}  // namespace

uint64_t size_bytes(const Problem& problem, ElementSizes sizes) {
  uint64_t most = 0;
  for (uint32_t rank : {0u, problem.root, problem.peer}) {
    most = std::max({most, problem.input_count(rank), problem.output_count(rank)});
  }
  return most * sizes.data_bytes;
}

std::vector<Correction> Correction::of_model() {
  const std::vector<Point> points = {{16 << 10, 1}, {64 << 10, 0.8}};
  return {{Op::kAllGather, Algorithm::kWindow, points},
          {Op::kAllToAll, Algorithm::kWindow, points}};
}

double CostModel::seconds(const Problem& problem, Algorithm algorithm, ElementSizes sizes) const {
  const auto bytes = static_cast<double>(sent_bytes(problem, algorithm, sizes));
  const uint32_t rounds = rounds_of(problem, algorithm);
  const uint32_t messages = messages_of(problem, algorithm);
  const double rate =
      problem.node_count() > 1 ? machine_.remote_bytes_per_s : machine_.local_bytes_per_s;
  const bool is_window = algorithm == Algorithm::kWindow;
  const bool is_pooled = machine_.pool_alpha_s != 0 && pooled_rounds(problem, algorithm) != 0;
  double seconds = rounds * (is_window   ? machine_.window_alpha_s
                             : is_pooled ? machine_.pool_alpha_s
                                         : machine_.alpha_s);
  if (is_window || is_pooled) {
    if (problem.ranks > 2) seconds += rounds * (problem.ranks - 2) * machine_.word_s;
  } else if (messages > rounds) {
    seconds += (messages - rounds) * machine_.overhead_s;
  }
  seconds += algorithm == Algorithm::kHierarchical ? hierarchical_s(problem, bytes, machine_)
             : is_window                           ? bytes / machine_.window_bytes_per_s
                                                   : bytes / rate;
  const auto reduced = static_cast<double>(reduced_by(problem, algorithm) * sizes.data_bytes);
  seconds += reduced / machine_.reduce_bytes_per_s;
  return seconds * factor(problem, algorithm, size_bytes(problem, sizes));
}

double CostModel::factor(const Problem& problem, Algorithm algorithm, uint64_t bytes) const {
  for (const Correction& correction : corrections_) {
    if (correction.op != problem.op || correction.algorithm != algorithm) continue;
    const auto& points = correction.points;
    const auto above = std::find_if(points.begin(), points.end(),
                                    [&](const auto& point) { return point.bytes >= bytes; });
    if (above == points.begin()) return points.front().factor;
    if (above == points.end()) return points.back().factor;
    const auto below = above - 1;
    const auto log2_of = [](uint64_t value) {
      return std::log2(static_cast<double>(std::max<uint64_t>(value, 1)));
    };
    const double part =
        (log2_of(bytes) - log2_of(below->bytes)) / (log2_of(above->bytes) - log2_of(below->bytes));
    return below->factor + part * (above->factor - below->factor);
  }
  return 1;
}

}  // namespace npu::ccl
