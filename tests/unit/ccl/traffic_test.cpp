// SPDX-License-Identifier: Apache-2.0
// What ranks send, against the closed form of each algorithm.
#include "libnpu/ccl/schedule/traffic.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

constexpr ElementSizes kHalf{2, 4};

uint64_t measured_bytes(const Problem& problem, Algorithm algorithm) {
  uint64_t most = 0;
  for (const RankSchedule& one : generate_all(problem, algorithm)) {
    most = std::max(most, sent_by(one, problem.ranks).bytes(kHalf));
  }
  return most;
}

template <typename Visit>
void each_case(uint64_t count_per_rank, const Visit& visit) {
  for (Op op : all_ops()) {
    for (uint32_t ranks = 1; ranks <= 17; ranks++) {
      for (const auto& nodes : node_shapes(ranks)) {
        Problem problem;
        problem.op = op;
        problem.ranks = ranks;
        problem.count = op == Op::kBarrier ? 0 : count_per_rank * ranks;
        problem.root = ranks / 2;
        problem.nodes = nodes;
        problem.order = Order::kAny;
        for (Algorithm algorithm : algorithms_of(op)) {
          if (!nodes.empty() && algorithm != Algorithm::kHierarchical) continue;
          problem.in_windows = algorithm == Algorithm::kWindow;
          if (refuse(problem, algorithm).empty()) visit(problem, algorithm);
        }
      }
    }
  }
}

TEST(Traffic, EqualsTheClosedFormWhereBlocksAreEqual) {
  uint32_t compared = 0;
  each_case(16, [&](const Problem& problem, Algorithm algorithm) {
    const auto bound = most_sent(problem, algorithm);
    if (!bound) return;
    compared++;
    EXPECT_EQ(measured_bytes(problem, algorithm), bound->bytes(kHalf))
        << describe(problem, algorithm);
  });
  EXPECT_GT(compared, 400u);
}

TEST(Traffic, StaysBelowThatOfTheNextEvenCount) {
  each_case(16, [&](Problem problem, Algorithm algorithm) {
    const auto bound = most_sent(problem, algorithm);
    if (!bound || problem.count < 3) return;
    problem.count -= 3;
    EXPECT_LE(measured_bytes(problem, algorithm), bound->bytes(kHalf))
        << describe(problem, algorithm);
  });
}

uint64_t measured_operands(const Problem& problem, Algorithm algorithm) {
  uint64_t most = 0;
  for (const RankSchedule& one : generate_all(problem, algorithm)) {
    uint64_t sum = 0;
    for (const Step& step : one.steps) {
      if (step.kind == StepKind::kReduce) sum += one.operands_of(step).size() * step.count;
      if (step.kind == StepKind::kRecvReduce) sum += 2 * step.count;
    }
    most = std::max(most, sum);
  }
  return most;
}

TEST(Traffic, OperandsOfReductionsAreWhatTheClosedFormSays) {
  uint32_t compared = 0;
  each_case(16, [&](const Problem& problem, Algorithm algorithm) {
    if (!reduces(problem.op) || !most_sent(problem, algorithm)) return;
    compared++;
    EXPECT_EQ(measured_operands(problem, algorithm), reduced_by(problem, algorithm))
        << describe(problem, algorithm);
  });
  EXPECT_GT(compared, 100u);
}

TEST(Traffic, AllReduceOfPowersOfTwoIsThatOfTheCostTable) {
  Problem problem;
  problem.ranks = 8;
  problem.count = 800;
  EXPECT_EQ(*most_sent(problem, Algorithm::kDirect), (Traffic{1400, 0}));      // 2 f n
  EXPECT_EQ(*most_sent(problem, Algorithm::kHalving), (Traffic{1100, 300}));   // 2 f n
  EXPECT_EQ(*most_sent(problem, Algorithm::kDoubling), (Traffic{800, 1600}));  // L n
}

}  // namespace
}  // namespace npu::ccl
