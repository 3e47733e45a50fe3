// SPDX-License-Identifier: Apache-2.0
// The simulator against closed forms: the table of two published machines, uncongested algorithms, failures, and folding against the whole.
#include "libnpu/ccl/schedule/simulate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "libnpu/ccl/schedule/fair_share.h"
#include "tests/unit/ccl/cases.h"

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
  const Fold fold = folded ? Fold{problem.ranks, topology.period()} : Fold::none(problem.ranks);
  if (folded) {
    EXPECT_EQ(refuse_fold(problem, algorithm, topology, fold), "");
  }
  const Simulation simulation = simulate(problem, algorithm, topology, {kBytes}, fold);
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
  const Simulation cut =
      simulate(problem, Algorithm::kDirect, topology, {kBytes}, Fold::none(problem.ranks));
  EXPECT_EQ(cut.error, "no link is left from rank 0 to rank 1");
}

// Every algorithm, on a fabric that never blocks and on leaves that are oversubscribed, with times for everything.
TEST(Simulate, FoldedIsTheSameAsTheWhole) {
  uint32_t compared = 0;
  for (const Op op : all_ops()) {
    for (const Algorithm algorithm : algorithms_of(op)) {
      for (const uint32_t nodes : {2u, 3u, 4u, 8u}) {
        for (const uint32_t leaf_nodes : {0u, 2u}) {
          Topology topology = maia100(nodes);
          topology.hop_latency_s = 1e-6;
          topology.up_links = 2;
          topology.leaf_nodes = leaf_nodes;
          topology.oversubscription = 3;
          const uint64_t count = op == Op::kBarrier ? 0 : 2 * 32 * 3 * 5 * nodes;
          const Problem problem = problem_on(topology, op, count);
          if (!refuse(problem, algorithm).empty()) continue;
          const auto fold = fold_of(problem, algorithm, topology);
          if (!fold) continue;
          const Workload workload{{2, 4}, 40e9, 1e-6, 0.1e-6, 100};
          const Simulation folded = simulate(problem, algorithm, topology, workload, *fold);
          const Simulation whole =
              simulate(problem, algorithm, topology, workload, Fold::none(problem.ranks));
          SCOPED_TRACE(describe(problem, algorithm));
          EXPECT_EQ(folded.error + whole.error, "");
          EXPECT_NEAR(folded.seconds, whole.seconds, whole.seconds * 1e-9);
          EXPECT_NEAR(folded.sent_bytes, whole.sent_bytes, whole.sent_bytes * 1e-9);
          EXPECT_NEAR(folded.reduce_s, whole.reduce_s, 1e-15);
          for (uint32_t kind = 0; kind < kLinkKindCount; kind++) {
            EXPECT_EQ(folded.loads[kind].links, whole.loads[kind].links);
            EXPECT_NEAR(folded.loads[kind].bytes, whole.loads[kind].bytes, 1e-3);
            EXPECT_NEAR(folded.loads[kind].busiest_s, whole.loads[kind].busiest_s, 1e-12);
          }
          compared++;
        }
      }
    }
  }
  EXPECT_GT(compared, 60u);
}

TEST(Simulate, DoesNotFoldWhatIsNotSymmetric) {
  const Topology topology = maia100(8);
  const auto refusal = [&](Op op, Algorithm algorithm, uint64_t count, bool mirrored = false) {
    return refuse_fold(problem_on(topology, op, count), algorithm, topology, {32, 4, mirrored});
  };
  EXPECT_NE(refusal(Op::kAllReduce, Algorithm::kHalving, 3200), "");
  EXPECT_EQ(refusal(Op::kAllReduce, Algorithm::kHalving, 3200, true), "");
  EXPECT_NE(refusal(Op::kBroadcast, Algorithm::kTree, 3200), "");
  EXPECT_NE(refusal(Op::kBroadcast, Algorithm::kTree, 3200, true), "");
  EXPECT_NE(refusal(Op::kAllReduce, Algorithm::kHierarchical, 3201), "");
  EXPECT_EQ(refusal(Op::kAllReduce, Algorithm::kHierarchical, 3200), "");
  EXPECT_NE(refusal(Op::kAllReduce, Algorithm::kHierarchical, 3200, true), "");
}

TEST(Simulate, FoldsOnlyWholeLeaves) {
  Topology topology = maia100(8);
  topology.leaf_nodes = 2;
  EXPECT_EQ(topology.period(), 8u);
  const Problem problem = problem_on(topology, Op::kAllToAll, 16);
  EXPECT_NE(refuse_fold(problem, Algorithm::kDirect, topology, {32, 4}), "");
  EXPECT_EQ(refuse_fold(problem, Algorithm::kDirect, topology, {32, 8}), "");
  topology.leaf_nodes = 3;
  EXPECT_EQ(topology.period(), 0u);
  EXPECT_FALSE(fold_of(problem, Algorithm::kDirect, topology).has_value());
  topology.leaf_nodes = 8;
  EXPECT_EQ(topology.period(), 4u);
}

TEST(Simulate, ReductionsTakeTime) {
  const Topology topology = maia100(1);
  const Problem problem = problem_on(topology, Op::kReduceScatter, 1 << 20);
  const double links = seconds(topology, problem, Algorithm::kDirect);
  const Simulation slow =
      simulate(problem, Algorithm::kDirect, topology, {kBytes, 1e9}, Fold::none(problem.ranks));
  EXPECT_NEAR(slow.seconds, links + 4.0 * (1 << 20) / 1e9, 1e-9);
}

TEST(Simulate, RefusesTopologiesThatAreNone) {
  EXPECT_EQ(Topology{}.refuse(), "");
  Topology topology = maia100(2);
  topology.failures = {{Topology::Failure::Kind::kNeighbour, 0, 4, 1}};
  EXPECT_NE(topology.refuse(), "");
  const Problem problem = problem_on(maia100(1), Op::kAllGather, 8);
  EXPECT_NE(
      simulate(problem, Algorithm::kDirect, topology, {kBytes}, Fold::none(problem.ranks)).error,
      "");
  EXPECT_NE(
      simulate(problem, Algorithm::kDirect, maia100(2), {kBytes}, Fold::none(problem.ranks)).error,
      "");
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
