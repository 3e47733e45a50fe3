// SPDX-License-Identifier: Apache-2.0
// The simulator against closed forms: the table of two published machines, uncongested algorithms, failures, and folding against the whole.
#include "libnpu/ccl/schedule/simulate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "libnpu/ccl/schedule/fair_share.h"

namespace npu::ccl {
namespace {

constexpr ElementSizes kBytes{1, 1};

Topology maia100(uint32_t nodes) { return {nodes, 4, 3, 3, 50e9, 0, {}}; }
Topology gaudi3(uint32_t nodes) { return {nodes, 8, 3, 3, 25e9, 0, {}}; }

Problem problem_on(const Topology& topology, Op op, uint64_t count) {
  Problem problem;
  problem.op = op;
  problem.ranks = topology.ranks();
  problem.count = count;
  problem.nodes.assign(topology.nodes, topology.chips_per_node);
  problem.order = Order::kAny;
  return problem;
}

// Bytes of the whole vector.
double size_of(const Problem& problem) {
  const double count = static_cast<double>(problem.count);
  return problem.op == Op::kAllReduce ? count : count * problem.ranks;
}

// Seconds; a failure of the test if there is no result.
double seconds(const Topology& topology, const Problem& problem, Algorithm algorithm,
               bool folded = false) {
  const Simulation simulation = simulate(problem, algorithm, topology, {kBytes, 0}, folded);
  EXPECT_EQ(simulation.error, "") << name_of(problem.op) << " " << name_of(algorithm);
  return simulation.seconds;
}

// "algbw" in GB/s.
double rate(const Topology& topology, Op op, Algorithm algorithm, bool folded) {
  const uint64_t count = 4096ull * (op == Op::kAllReduce ? topology.ranks() : 1);
  const Problem problem = problem_on(topology, op, count);
  return size_of(problem) / seconds(topology, problem, algorithm, folded) / 1e9;
}

void expect_within(double value, double wanted, double part) {
  EXPECT_NEAR(value, wanted, wanted * part);
}

TEST(Simulate, GivesTheTableOfMaia100) {
  // Gb/s; collectives.md, section 7.2.
  struct Row {
    uint32_t nodes;
    double all_to_all;
  };
  for (const Row& row :
       {Row{1, 4800}, {2, 2400}, {4, 1600}, {16, 1280}, {256, 1204.7}, {1536, 1200.8}}) {
    const Topology topology = maia100(row.nodes);
    const bool folded = row.nodes > 4;
    SCOPED_TRACE(topology.ranks());
    const auto gigabits = [&](Op op, Algorithm algorithm) {
      return 8 * rate(topology, op, algorithm, folded);
    };
    expect_within(gigabits(Op::kAllGather, Algorithm::kHierarchical), 4800, 1e-3);
    expect_within(gigabits(Op::kReduceScatter, Algorithm::kHierarchical), 4800, 1e-3);
    expect_within(gigabits(Op::kAllReduce, Algorithm::kHierarchical), 2400, 1e-3);
    expect_within(gigabits(Op::kAllToAll, Algorithm::kDirect), row.all_to_all, 1e-3);
  }
}

TEST(Simulate, GivesTheFiguresOfGaudi3) {
  expect_within(rate(gaudi3(1), Op::kAllGather, Algorithm::kDirect, false) * 7 / 8, 525, 1e-3);
  expect_within(rate(gaudi3(1), Op::kAllReduce, Algorithm::kDirect, false) * 2 * 7 / 8, 525, 1e-3);
  expect_within(rate(gaudi3(64), Op::kAllGather, Algorithm::kHierarchical, true), 600, 1e-3);
  expect_within(rate(gaudi3(1), Op::kAllGather, Algorithm::kHierarchical, false), 600, 1e-3);
  expect_within(rate(gaudi3(1024), Op::kAllToAll, Algorithm::kDirect, true), 75, 1e-3);
}

// One node of 8 chips: no link is shared, so each algorithm has a time that can be written down.
TEST(Simulate, AgreesWithClosedFormsWithoutCongestion) {
  Topology topology{1, 8, 1, 0, 10e9, 2e-6, {}};
  const double latency = topology.hop_latency_s;
  const uint64_t n = 8 << 20;
  const auto time = [&](uint64_t bytes) {
    return static_cast<double>(bytes) / topology.link_bytes_per_s;
  };
  const auto of = [&](Op op, Algorithm algorithm, uint64_t count, uint32_t chunks = 1) {
    Problem problem = problem_on(topology, op, count);
    problem.chunks = chunks;
    problem.peer = 7;
    return seconds(topology, problem, algorithm);
  };
  constexpr double kPart = 0.01;
  expect_within(of(Op::kAllReduce, Algorithm::kRing, n), 14 * (time(n / 8) + latency), kPart);
  expect_within(of(Op::kAllReduce, Algorithm::kDoubling, n), 3 * (time(n) + latency), kPart);
  expect_within(of(Op::kAllReduce, Algorithm::kHalving, n), 2 * (time(n) * 7 / 8 + 3 * latency),
                kPart);
  expect_within(of(Op::kAllReduce, Algorithm::kDirect, n), 2 * (time(n / 8) + latency), kPart);
  expect_within(of(Op::kAllGather, Algorithm::kRing, n), 7 * (time(n) + latency), kPart);
  expect_within(of(Op::kAllGather, Algorithm::kBruck, n), time(7 * n) + 3 * latency, kPart);
  expect_within(of(Op::kReduceScatter, Algorithm::kDirect, n), time(n) + latency, kPart);
  expect_within(of(Op::kBroadcast, Algorithm::kTree, n), 3 * (time(n) + latency), kPart);
  expect_within(of(Op::kBroadcast, Algorithm::kChain, n), 7 * (time(n) + latency), kPart);
  expect_within(of(Op::kBroadcast, Algorithm::kChain, n, 64),
                (8 - 2 + 64) * time(n / 64) + 7 * latency, kPart);
  expect_within(of(Op::kReduce, Algorithm::kTree, n), 3 * (time(n) + latency), kPart);
  expect_within(of(Op::kAllToAll, Algorithm::kPairwise, n), 7 * (time(n) + latency), kPart);
  expect_within(of(Op::kAllToAll, Algorithm::kDirect, n), time(n) + latency, kPart);
  expect_within(of(Op::kBarrier, Algorithm::kDissemination, 0), 3 * latency, kPart);
  expect_within(of(Op::kSendRecv, Algorithm::kDirect, n), time(n) + latency, kPart);
}

TEST(Simulate, FailedLinksSlowDownAndAreGoneAround) {
  const Problem problem = problem_on(maia100(1), Op::kAllGather, 3 << 20);
  const double whole = seconds(maia100(1), problem, Algorithm::kDirect);
  using Kind = Topology::Failure::Kind;
  Topology topology = maia100(1);
  topology.failures = {{Kind::kNeighbour, 0, 1, 1}};
  expect_within(seconds(topology, problem, Algorithm::kDirect), whole * 3 / 2, 1e-6);
  // All three: by way of the fabric, which has as many links.
  topology.failures = {{Kind::kNeighbour, 0, 1, 3}};
  expect_within(seconds(topology, problem, Algorithm::kDirect), whole, 1e-6);
  topology.failures.push_back({Kind::kUp, 0, 0, 2});
  expect_within(seconds(topology, problem, Algorithm::kDirect), whole * 3, 1e-6);
  topology.failures.back().links = 3;
  const Simulation cut = simulate(problem, Algorithm::kDirect, topology, {kBytes, 0}, false);
  EXPECT_EQ(cut.error, "no link is left from rank 0 to rank 1");
}

TEST(Simulate, FoldedIsTheSameAsTheWhole) {
  struct Row {
    Op op;
    Algorithm algorithm;
  };
  for (const Row& row : {Row{Op::kAllGather, Algorithm::kHierarchical},
                         {Op::kReduceScatter, Algorithm::kHierarchical},
                         {Op::kAllReduce, Algorithm::kHierarchical},
                         {Op::kAllToAll, Algorithm::kDirect},
                         {Op::kAllGather, Algorithm::kRing},
                         {Op::kBarrier, Algorithm::kDissemination}}) {
    for (uint32_t nodes : {2u, 3u, 8u}) {
      Topology topology = maia100(nodes);
      topology.hop_latency_s = 1e-6;
      topology.up_links = 2;
      const uint64_t each = row.op == Op::kAllReduce ? 1000 * topology.ranks() : 1000;
      const Problem problem = problem_on(topology, row.op, row.op == Op::kBarrier ? 0 : each);
      const double whole = seconds(topology, problem, row.algorithm, false);
      const double folded = seconds(topology, problem, row.algorithm, true);
      EXPECT_NEAR(folded, whole, whole * 1e-9) << name_of(row.op) << " " << nodes;
    }
  }
}

TEST(Simulate, DoesNotFoldWhatIsNotSymmetric) {
  const Topology topology = maia100(8);
  EXPECT_NE(refuse_fold(problem_on(topology, Op::kAllReduce, 3200), Algorithm::kHalving, topology),
            "");
  EXPECT_NE(refuse_fold(problem_on(topology, Op::kBroadcast, 3200), Algorithm::kTree, topology),
            "");
  EXPECT_NE(
      refuse_fold(problem_on(topology, Op::kAllReduce, 3201), Algorithm::kHierarchical, topology),
      "");
  EXPECT_EQ(
      refuse_fold(problem_on(topology, Op::kAllReduce, 3200), Algorithm::kHierarchical, topology),
      "");
}

TEST(Simulate, ReductionsTakeTime) {
  const Topology topology = maia100(1);
  const Problem problem = problem_on(topology, Op::kReduceScatter, 1 << 20);
  const double links = seconds(topology, problem, Algorithm::kDirect);
  const Simulation slow = simulate(problem, Algorithm::kDirect, topology, {kBytes, 1e9}, false);
  EXPECT_NEAR(slow.seconds, links + 4.0 * (1 << 20) / 1e9, 1e-9);
}

TEST(Simulate, RefusesTopologiesThatAreNone) {
  EXPECT_EQ(Topology{}.refuse(), "");
  Topology topology = maia100(2);
  topology.failures = {{Topology::Failure::Kind::kNeighbour, 0, 4, 1}};
  EXPECT_NE(topology.refuse(), "");
  const Problem problem = problem_on(maia100(1), Op::kAllGather, 8);
  EXPECT_NE(simulate(problem, Algorithm::kDirect, topology, {kBytes, 0}, false).error, "");
  EXPECT_NE(simulate(problem, Algorithm::kDirect, maia100(2), {kBytes, 0}, false).error, "");
}

TEST(FairShare, IsMaxMin) {
  FairShare sharing({10, 4, 100});
  const std::vector<uint32_t> a{0}, b{0, 1}, c{1}, d{2};
  std::vector<FairShare::Flow> flows{{a}, {b}, {c}, {d}};
  sharing.share(flows);
  EXPECT_DOUBLE_EQ(flows[0].rate, 8);
  EXPECT_DOUBLE_EQ(flows[1].rate, 2);
  EXPECT_DOUBLE_EQ(flows[2].rate, 2);
  EXPECT_DOUBLE_EQ(flows[3].rate, 100);
}

}  // namespace
}  // namespace npu::ccl
