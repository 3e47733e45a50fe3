// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/schedule/traffic.h"

#include <algorithm>
#include <bit>

#include "libnpu/ccl/schedule/canonical.h"

namespace npu::ccl {
namespace {

// Sizes that the formulas are written in.
struct Terms {
  explicit Terms(const Problem& problem)
      : p(problem.ranks),
        levels(std::bit_width(p - 1)),
        floor(std::bit_floor(p)),
        n(problem.count),
        block((n + p - 1) / p) {}
  uint32_t p;
  uint32_t levels;  // ceil(log2 p)
  uint32_t floor;   // largest power of two, at most p
  uint64_t n;       // count
  uint64_t block;   // of p
};

// What |rank| sends of vectors on its way up the canonical tree over |ranks| (doubling.cpp).
Traffic climb(RankRange ranks, uint32_t rank, uint64_t n) {
  if (ranks.size() == 1) return {};
  const RankRange left{ranks.first, ranks.middle()};
  const RankRange right{ranks.middle(), ranks.end};
  const bool in_left = left.contains(rank);
  const RankRange mine = in_left ? left : right;
  Traffic sent = climb(mine, rank, n);
  const uint32_t index = rank - mine.first;
  uint32_t holders = right.size();
  if (!in_left || index < holders) (mine.size() == 1 ? sent.data : sent.accumulator) += n;
  if (!in_left) return sent;
  while (index >= holders) holders *= 2;
  for (; index + holders < left.size(); holders *= 2) {
    (right.size() == 1 ? sent.data : sent.accumulator) += n;
  }
  return sent;
}

Traffic most_climbed(const Terms& t) {
  Traffic most;
  for (uint32_t rank = 0; rank < t.p; rank++) {
    const Traffic sent = climb({0, t.p}, rank, t.n);
    if (sent.data + sent.accumulator > most.data + most.accumulator) most = sent;
  }
  return most;
}

// Rank 0: half in the data type, the following halves as partials, back in the data type; a fold costs the result once more.
Traffic halving(const Terms& t, uint64_t n, bool and_back) {
  if (t.p == 1) return {};
  const uint64_t piece = n / t.floor;
  const uint64_t fold = t.p == t.floor ? 0 : n;
  return {n / 2 + (and_back ? n - piece + fold : 0), n / 2 - piece};
}

uint64_t bruck_blocks(const Terms& t) {
  uint64_t blocks = 0;
  for (uint32_t d = 1; d < t.p; d *= 2) {
    for (uint32_t i = 0; i < t.p; i++) blocks += (i & d) != 0;
  }
  return blocks;
}

std::optional<Traffic> hierarchical(const Problem& problem, uint64_t block, bool scatter,
                                    bool gather) {
  const uint32_t m = problem.node_count();
  const uint32_t g = problem.ranks / m;
  const bool even = std::all_of(problem.nodes.begin(), problem.nodes.end(),
                                [&](uint32_t size) { return size == g; });
  if (!even || (m > 1 && scatter && !std::has_single_bit(g))) return std::nullopt;
  const uint64_t inside = uint64_t{g - 1} * m * block;
  const uint64_t between = uint64_t{m - 1} * block;
  Traffic sent;
  if (scatter) sent.data += inside;
  if (scatter) (g > 1 ? sent.accumulator : sent.data) += between;
  if (gather) sent.data += inside + between;
  return sent;
}

std::optional<Traffic> all_reduce(const Problem& problem, Algorithm algorithm) {
  const Terms t(problem);
  switch (algorithm) {
    case Algorithm::kDoubling:
      return most_climbed(t);
    case Algorithm::kFlood:
      return Traffic{(t.p - 1) * t.n, 0};
    case Algorithm::kHalving:
      return halving(t, t.n, true);
    case Algorithm::kHierarchical:
      return hierarchical(problem, t.block, true, true);
    default:  // direct, ring
      return Traffic{2 * (t.p - 1) * t.block, 0};
  }
}

std::optional<Traffic> rooted(const Problem& problem, Algorithm algorithm) {
  const Terms t(problem);
  const bool tree = algorithm == Algorithm::kTree;
  switch (problem.op) {
    case Op::kBroadcast:
      if (algorithm == Algorithm::kWindow) return Traffic{(t.p - 1) * t.n, 0};
      if (tree) return Traffic{t.levels * t.n, 0};
      if (algorithm == Algorithm::kChain) return Traffic{t.p > 1 ? t.n : 0, 0};
      return Traffic{t.p > 1 ? 2 * (t.p - 1) * t.block : 0, 0};
    case Op::kReduce:
      if (algorithm == Algorithm::kWindow) return Traffic{(t.p - 1) * t.n, 0};
      // A partial that leaves a subtree of one rank is that rank's input.
      if (tree && (t.p == 2 || (t.p == 3 && problem.root < 2))) return Traffic{t.n, 0};
      if (tree) return Traffic{0, t.p > 1 ? t.n : 0};
      return Traffic{t.p > 1 ? t.p * t.block : 0, 0};
    case Op::kGather:
      if (!tree) return Traffic{t.p > 1 ? t.n : 0, 0};
      // The heaviest subtree below the root: number 2^k of the highest k.
      return Traffic{
          t.p > 1
              ? std::max<uint64_t>(std::bit_floor(t.p - 1) / 2, t.p - std::bit_floor(t.p - 1)) * t.n
              : 0,
          0};
    default:  // scatter: the root
      return Traffic{(t.p - 1) * t.n, 0};
  }
}

}  // namespace

namespace {

// Of other ranks' memory, that a step reads or writes. Inputs and outputs, so in the data type.
uint64_t remote_places(const RankSchedule& schedule, uint32_t ranks, const Step& step) {
  uint64_t places = 0;
  for (const Place& place : schedule.operands_of(step)) places += place.is_remote();
  each_target(schedule, step, ranks, [&](Place place) { places += place.is_remote(); });
  return places;
}

}  // namespace

Traffic sent_by(const RankSchedule& schedule, uint32_t ranks) {
  Traffic sent;
  for (const Step& step : schedule.steps) {
    const uint64_t remote = remote_places(schedule, ranks, step) * step.count;
    sent.data += remote;
    if (step.sends()) (step.format == Format::kData ? sent.data : sent.accumulator) += step.count;
  }
  return sent;
}

std::optional<Traffic> most_sent(const Problem& problem, Algorithm algorithm) {
  if (!problem.counts.empty()) return std::nullopt;
  const Terms t(problem);
  switch (problem.op) {
    case Op::kAllReduce:
      return all_reduce(problem, algorithm);
    case Op::kReduceScatter:
      if (algorithm == Algorithm::kHalving) return halving(t, t.n * t.p, false);
      if (algorithm == Algorithm::kHierarchical) return hierarchical(problem, t.n, true, false);
      return Traffic{(t.p - 1) * t.n, 0};
    case Op::kAllGather:
      if (algorithm == Algorithm::kHierarchical) return hierarchical(problem, t.n, false, true);
      return Traffic{(t.p - 1) * t.n, 0};
    case Op::kAllToAll:
      if (algorithm == Algorithm::kBruck) return Traffic{bruck_blocks(t) * t.n, 0};
      return Traffic{(t.p - 1) * t.n, 0};
    case Op::kBarrier:
      return Traffic{};
    case Op::kSendRecv:
      return Traffic{problem.root == problem.peer ? 0 : t.n, 0};
    default:
      return rooted(problem, algorithm);
  }
}

uint32_t rounds_of(const Problem& problem, Algorithm algorithm) {
  const Terms t(problem);
  if (t.p == 1) return 0;
  const bool twice = problem.op == Op::kAllReduce;
  const uint32_t fold = t.p == t.floor ? 0 : 2;
  switch (algorithm) {
    case Algorithm::kWindow:  // ready, done
      return 2;
    case Algorithm::kFlood:
      return 1;
    case Algorithm::kDirect:
      return twice ? 2 : 1;
    case Algorithm::kHierarchical:
      return (problem.node_count() > 1 ? 2 : 1) * (twice ? 2 : 1);
    case Algorithm::kHalving:
      return (twice ? 2 : 1) * (std::bit_width(t.floor) - 1) + fold;
    case Algorithm::kRing:
      return (twice ? 2 : 1) * (t.p - 1);
    case Algorithm::kDoubling:
      return t.levels + (fold != 0 ? 1 : 0);
    case Algorithm::kScatterGather:
      return problem.op == Op::kReduce ? 2 : 2 * t.levels;
    case Algorithm::kChain:
      return t.p - 2 + problem.chunks;
    case Algorithm::kPairwise:
      return t.p - 1;
    case Algorithm::kBruck:
    case Algorithm::kTree:
    case Algorithm::kDissemination:
      return t.levels;
  }
  return 0;
}

uint32_t messages_of(const Problem& problem, Algorithm algorithm) {
  const uint32_t rounds = rounds_of(problem, algorithm);
  if (rounds == 0) return 0;
  const uint32_t p = problem.ranks;
  const uint32_t m = problem.node_count();
  const uint32_t twice = problem.op == Op::kAllReduce ? 2 : 1;
  if (algorithm == Algorithm::kDirect) return problem.op == Op::kSendRecv ? 1 : twice * (p - 1);
  if (algorithm == Algorithm::kFlood) return p - 1;
  if (algorithm == Algorithm::kHierarchical) return twice * (p / m * m - m + m - 1);
  if (algorithm == Algorithm::kScatterGather && problem.op == Op::kReduce) return p;
  return rounds;
}

uint64_t reduced_by(const Problem& problem, Algorithm algorithm) {
  if (!reduces(problem.op) || problem.ranks == 1) return 0;
  const Terms t(problem);
  const bool at_root = problem.op == Op::kReduce && algorithm == Algorithm::kWindow;
  const uint64_t whole = problem.op == Op::kReduceScatter || at_root ? t.n * t.p : t.n;
  switch (algorithm) {
    case Algorithm::kDoubling:
    case Algorithm::kTree:
      return 2 * t.levels * whole;
    case Algorithm::kFlood:
      return t.p * whole;
    case Algorithm::kHalving:
      return t.p == t.floor ? 2 * (whole - whole / t.p) : 2 * whole;
    case Algorithm::kRing:
    case Algorithm::kBruck:
      return 2 * (whole - whole / t.p);
    case Algorithm::kHierarchical:  // the node's operands at once, then those of the nodes
      if (problem.node_count() == 1 || problem.node_count() == t.p) return whole;
      return whole + whole * problem.node_count() / t.p;
    default:  // all operands at once, of the own block
      return whole;
  }
}

}  // namespace npu::ccl
