// SPDX-License-Identifier: Apache-2.0
// Every algorithm, every shape: proved by the verifier.
#include "libnpu/ccl/schedule/algorithm.h"

#include <gtest/gtest.h>

#include <bit>

#include "libnpu/ccl/schedule/verify.h"
#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

constexpr uint32_t kRanksMax = 17;

// False after a failure, so that one mistake does not print ten thousand lines.
bool is_right(const Problem& problem, Algorithm algorithm) {
  const auto finding = verify(problem, generate_all(problem, algorithm));
  EXPECT_FALSE(finding.has_value())
      << describe(problem, algorithm) << ": " << name_of(finding->flaw) << ": " << finding->text;
  return !finding;
}

// Calls |visit| with each algorithm that is offered for |problem|, in both orders.
template <typename Visit>
void each_algorithm(Problem problem, const Visit& visit) {
  for (Order order : orders_of(problem.op)) {
    problem.order = order;
    for (Algorithm algorithm : algorithms_of(problem.op)) {
      problem.in_windows = algorithm == Algorithm::kWindow;
      if (refuse(problem, algorithm).empty()) visit(problem, algorithm);
      if (testing::Test::HasFailure()) return;
    }
  }
}

Problem problem_of(Op op, uint32_t ranks, uint64_t count) {
  Problem problem;
  problem.op = op;
  problem.ranks = ranks;
  problem.count = op == Op::kBarrier ? 0 : count;
  problem.root = ranks / 3;
  problem.peer = ranks - 1;
  return problem;
}

class EveryOp : public testing::TestWithParam<Op> {};
INSTANTIATE_TEST_SUITE_P(, EveryOp, testing::ValuesIn(all_ops()),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(EveryOp, IsProvedForEveryNumberOfRanksAndCount) {
  uint32_t proved = 0;
  for (uint32_t ranks = 1; ranks <= kRanksMax; ranks++) {
    for (uint64_t count : counts_for(ranks)) {
      each_algorithm(problem_of(GetParam(), ranks, count),
                     [&](const Problem& p, Algorithm a) { proved += is_right(p, a); });
    }
  }
  EXPECT_GE(proved, kRanksMax * (GetParam() == Op::kBarrier ? 1 : 7));
}

TEST_P(EveryOp, IsProvedInPlaceAndInChunksThatShareScratch) {
  for (uint32_t ranks : {1u, 2u, 3u, 5u, 8u, 13u}) {
    for (uint64_t count : {1u, 3u, 16u, 97u}) {
      Problem problem = problem_of(GetParam(), ranks, count);
      if (GetParam() == Op::kBarrier) continue;
      if (ranks > 2) problem.nodes = {1, ranks - 1};
      problem.chunks = 5;
      problem.channels = 2;
      problem.slots = 2;
      each_algorithm(problem, is_right);
      problem.in_place = true;
      each_algorithm(problem, is_right);
      problem.chunks = problem.channels = problem.slots = 1;
      each_algorithm(problem, is_right);
    }
  }
}

TEST_P(EveryOp, IsProvedForEveryRoot) {
  for (uint32_t ranks = 1; ranks <= 9; ranks++) {
    for (uint32_t root = 0; root < ranks; root++) {
      Problem problem = problem_of(GetParam(), ranks, 19);
      problem.root = root;
      problem.peer = (root * 2 + 1) % ranks;
      each_algorithm(problem, is_right);
    }
  }
}

TEST_P(EveryOp, IsProvedWithDifferentCountsPerRank) {
  constexpr uint32_t kSeed = 7;
  for (uint32_t ranks : {1u, 2u, 3u, 4u, 7u, 8u, 12u}) {
    Problem problem = problem_of(GetParam(), ranks, 0);
    problem.counts = uneven_counts(problem, kSeed + ranks);
    if (!problem.refuse().empty()) continue;  // an operation without v-form
    SCOPED_TRACE("seed " + std::to_string(kSeed + ranks));
    each_algorithm(problem, is_right);
    problem.chunks = 3;
    each_algorithm(problem, is_right);
  }
}

TEST_P(EveryOp, IsProvedOnEveryShapeOfNodes) {
  for (uint32_t ranks = 1; ranks <= kRanksMax; ranks++) {
    for (const auto& nodes : node_shapes(ranks)) {
      for (uint64_t count : {1u, 40u}) {
        Problem problem = problem_of(GetParam(), ranks, count);
        problem.nodes = nodes;
        if (!refuse(problem, Algorithm::kHierarchical).empty()) continue;
        is_right(problem, Algorithm::kHierarchical);
        problem.chunks = 3;
        is_right(problem, Algorithm::kHierarchical);
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Algorithm, RingDoesNotReduceFloatingPoint) {
  Problem problem = problem_of(Op::kAllReduce, 4, 8);
  EXPECT_NE(refuse(problem, Algorithm::kRing).find("canonical order"), std::string::npos);
  problem.order = Order::kAny;
  EXPECT_EQ(refuse(problem, Algorithm::kRing), "");
}

TEST(Algorithm, ThatTheRefusalOfRingsIsNeededIsSeenByTheVerifier) {
  Problem problem = problem_of(Op::kAllReduce, 4, 8);
  problem.order = Order::kAny;
  const Schedule ring = generate_all(problem, Algorithm::kRing);
  EXPECT_FALSE(verify(problem, ring).has_value());
  problem.order = Order::kCanonical;
  const auto finding = verify(problem, ring);
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->flaw, Flaw::kWrongResult);
}

TEST(Algorithm, RefusesProblemsThatAreNone) {
  const auto refused = [](auto&& change) {
    Problem problem = problem_of(Op::kAllGather, 4, 8);
    change(problem);
    return refuse(problem, Algorithm::kDirect);
  };
  EXPECT_EQ(refused([](Problem&) {}), "");
  EXPECT_NE(refused([](Problem& p) { p.ranks = 0; }), "");
  EXPECT_NE(refused([](Problem& p) { p.ranks = Problem::kRanksMax + 1; }), "");
  EXPECT_NE(refused([](Problem& p) { p.root = 4; }), "");
  EXPECT_NE(refused([](Problem& p) { p.count = Problem::kElementsMax; }), "");
  EXPECT_NE(refused([](Problem& p) { p.counts = {1, 2, 3}; }), "");
  EXPECT_NE(refused([](Problem& p) { p.counts = {1, 2, 3, UINT64_MAX}; }), "");
  EXPECT_NE(refused([](Problem& p) { p.nodes = {2, 1}; }), "");
  EXPECT_NE(refused([](Problem& p) { p.nodes = {4, 0}; }), "");
  EXPECT_NE(refused([](Problem& p) { p.chunks = 0; }), "");
  EXPECT_NE(refused([](Problem& p) { p.channels = 2; }), "");
  EXPECT_NE(refused([](Problem& p) {
              p.op = Op::kAllToAll;
              p.in_place = true;
            }),
            "");
  EXPECT_NE(refuse(problem_of(Op::kAllGather, 6, 8), Algorithm::kDoubling), "");
  EXPECT_NE(refuse(problem_of(Op::kAllGather, 4, 8), Algorithm::kPairwise), "");
}

TEST(Algorithm, WindowNeedsSomethingOfEachRankInWindowsOfOneNode) {
  const auto refused = [](auto&& change) {
    Problem problem = problem_of(Op::kAllToAll, 3, 8);
    problem.in_windows = true;
    change(problem);
    return refuse(problem, Algorithm::kWindow);
  };
  EXPECT_EQ(refused([](Problem&) {}), "");
  EXPECT_NE(refused([](Problem& p) { p.in_windows = false; }), "");
  EXPECT_NE(refused([](Problem& p) { p.nodes = {1, 2}; }), "");
  EXPECT_NE(refused([](Problem& p) { p.count = 0; }), "");
  // Nothing for rank 1, then something.
  EXPECT_NE(refused([](Problem& p) { p.counts = {1, 0, 2, 3, 0, 4, 5, 0, 6}; }), "");
  EXPECT_EQ(refused([](Problem& p) { p.counts = {0, 0, 2, 3, 0, 0, 0, 1, 0}; }), "");
  EXPECT_NE(refused([](Problem& p) { p.op = Op::kGather; }), "");
}

TEST(Algorithm, NamesLeadBack) {
  for (uint32_t i = 0; i < kAlgorithmCount; i++) {
    const auto algorithm = static_cast<Algorithm>(i);
    EXPECT_EQ(algorithm_named(name_of(algorithm)), algorithm);
  }
  for (Op op : all_ops()) EXPECT_EQ(op_named(name_of(op)), op);
  EXPECT_FALSE(algorithm_named("rin").has_value());
  EXPECT_FALSE(op_named("").has_value());
}

}  // namespace
}  // namespace npu::ccl
