// SPDX-License-Identifier: Apache-2.0
// The verifier must notice: each schedule is right, and each of its mutants is found, except those that mean the same.
#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "libnpu/ccl/schedule/verify.h"
#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

struct Case {
  Op op;
  Algorithm algorithm;
  uint32_t ranks;
  uint64_t count;
  std::vector<uint32_t> nodes;
  bool in_place = false;
  uint32_t chunks = 1;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {Op::kAllReduce, Algorithm::kDoubling, 6, 5, {}},
      {Op::kAllReduce, Algorithm::kDirect, 5, 13, {}},
      {Op::kAllReduce, Algorithm::kDirect, 4, 8, {}, true, 3},
      {Op::kAllReduce, Algorithm::kHalving, 6, 16, {}},
      {Op::kAllReduce, Algorithm::kHierarchical, 6, 18, {3, 1, 2}},
      {Op::kAllGather, Algorithm::kBruck, 5, 3, {}},
      {Op::kReduceScatter, Algorithm::kHalving, 4, 3, {}},
      {Op::kReduce, Algorithm::kTree, 7, 4, {}},
      {Op::kBroadcast, Algorithm::kScatterGather, 5, 11, {}},
      {Op::kGather, Algorithm::kTree, 6, 2, {}},
      {Op::kScatter, Algorithm::kTree, 6, 2, {}},
      {Op::kAllToAll, Algorithm::kBruck, 5, 2, {}},
      {Op::kAllReduce, Algorithm::kWindow, 4, 9, {}},
      {Op::kAllReduce, Algorithm::kWindow, 3, 9, {}, true},
      {Op::kAllGather, Algorithm::kWindow, 3, 4, {}, true},
      {Op::kReduceScatter, Algorithm::kWindow, 3, 4, {}},
      {Op::kReduce, Algorithm::kWindow, 4, 4, {}},
      {Op::kBroadcast, Algorithm::kWindow, 3, 5, {}},
      {Op::kAllToAll, Algorithm::kWindow, 3, 2, {}},
  };
  return kCases;
}

Problem problem_of(const Case& c) {
  Problem problem;
  problem.op = c.op;
  problem.ranks = c.ranks;
  problem.count = c.count;
  problem.root = 1;
  problem.nodes = c.nodes;
  problem.in_place = c.in_place;
  problem.chunks = c.chunks;
  problem.slots = c.chunks > 1 ? 2 : 0;
  problem.in_windows = c.algorithm == Algorithm::kWindow;
  return problem;
}

// Applies |mutate(schedule, rank, step)| to each step of a fresh copy; it returns how many mutants of this step it has, and makes the |which|-th.
// Returns how many were made.
template <typename Count, typename Mutate>
uint32_t each_mutant(const Case& c, const Count& count, const Mutate& mutate) {
  const Problem problem = problem_of(c);
  const Schedule original = generate_all(problem, c.algorithm);
  EXPECT_FALSE(verify(problem, original).has_value()) << describe(problem, c.algorithm);
  uint32_t made = 0;
  for (uint32_t rank = 0; rank < problem.ranks; rank++) {
    for (uint32_t step = 0; step < original[rank].steps.size(); step++) {
      const uint32_t number = count(original[rank], step);
      for (uint32_t which = 0; which < number; which++) {
        Schedule mutant = original;
        if (!mutate(mutant[rank], step, which)) continue;
        made++;
        EXPECT_TRUE(verify(problem, mutant).has_value())
            << describe(problem, c.algorithm) << ": mutant " << which << " of rank " << rank
            << " step " << step << " was not found";
      }
    }
  }
  return made;
}

TEST(Mutation, ADroppedDependencyIsFound) {
  uint32_t made = 0;
  for (const Case& c : cases()) {
    made += each_mutant(
        c, [](const RankSchedule& s, uint32_t i) { return s.steps[i].dependency_count; },
        [](RankSchedule& s, uint32_t i, uint32_t which) {
          Step& step = s.steps[i];
          const uint32_t dropped = s.dependencies[step.dependency_first + which];
          // Sends that wait for sends keep a pace, nothing depends on it.
          if (step.sends() && s.steps[dropped].sends()) return false;
          s.dependencies.erase(s.dependencies.begin() + step.dependency_first + which);
          step.dependency_count--;
          for (size_t j = i + 1; j < s.steps.size(); j++) s.steps[j].dependency_first--;
          return !is_ordered(s, dropped, i);
        });
  }
  EXPECT_GT(made, 200u);
}

TEST(Mutation, TwoSwappedSendsAreFound) {
  uint32_t made = 0;
  for (const Case& c : cases()) {
    made += each_mutant(
        c, [](const RankSchedule& s, uint32_t) { return static_cast<uint32_t>(s.steps.size()); },
        [](RankSchedule& s, uint32_t i, uint32_t other) {
          Step& a = s.steps[i];
          Step& b = s.steps[other];
          const bool both =
              other > i && a.sends() && b.sends() && a.peer == b.peer && a.operand_count != 0;
          if (!both || s.operands_of(a)[0] == s.operands_of(b)[0]) return false;
          std::swap(a, b);
          return true;
        });
  }
  EXPECT_GT(made, 20u);
}

TEST(Mutation, AWrongOffsetIsFound) {
  uint32_t made = 0;
  for (const Case& c : cases()) {
    made += each_mutant(
        c, [](const RankSchedule& s, uint32_t i) { return s.steps[i].operand_count + 1; },
        [](RankSchedule& s, uint32_t i, uint32_t which) {
          Step& step = s.steps[i];
          if (which < step.operand_count) {
            s.operands[step.operand_first + which].offset++;
            return true;
          }
          step.to.offset++;
          return step.writes();
        });
  }
  EXPECT_GT(made, 500u);
}

TEST(Mutation, AWrongOrderOfAReductionIsFound) {
  uint32_t made = 0;
  for (const Case& c : cases()) {
    made += each_mutant(
        c,
        [](const RankSchedule& s, uint32_t i) {
          return s.steps[i].kind == StepKind::kReduce ? s.steps[i].operand_count - 1 : 0;
        },
        [](RankSchedule& s, uint32_t i, uint32_t which) {
          Place* operand = &s.operands[s.steps[i].operand_first + which];
          std::swap(operand[0], operand[1]);
          return true;
        });
  }
  EXPECT_GT(made, 50u);
}

TEST(Mutation, AWrongPeerCountOrFormatIsFound) {
  uint32_t made = 0;
  for (const Case& c : cases()) {
    made += each_mutant(
        c, [](const RankSchedule&, uint32_t) { return 3; },
        [&](RankSchedule& s, uint32_t i, uint32_t which) {
          Step& step = s.steps[i];
          if (!step.sends() && !step.receives()) return false;
          if (which == 0) step.peer = (step.peer + 1) % c.ranks;
          if (which == 1) step.count--;
          if (which == 2) {
            step.format = step.format == Format::kData ? Format::kAccumulator : Format::kData;
          }
          return true;
        });
  }
  EXPECT_GT(made, 500u);
}

Schedule window_of_three(Problem* problem) {
  problem->op = Op::kAllReduce;
  problem->ranks = 3;
  problem->count = 9;
  problem->in_windows = true;
  return generate_all(*problem, Algorithm::kWindow);
}

TEST(Mutation, SignalsOfOneNumberThatStandApartAreFound) {
  Problem problem;
  Schedule schedule = window_of_three(&problem);
  ASSERT_FALSE(verify(problem, schedule).has_value());
  std::vector<Step>& steps = schedule[0].steps;
  ASSERT_EQ(steps.size(), 9u);  // two signals, two waits, the sum, two signals, two waits
  std::swap(steps[1], steps[2]);
  // What depended on the wait.
  for (uint32_t& dependency : schedule[0].dependencies)
    dependency = dependency == 2 ? 1 : dependency;
  const auto finding = verify(problem, schedule);
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->flaw, Flaw::kMalformed) << finding->text;
}

TEST(Mutation, ARankThatWorksInMemoryThatTheOperationDoesNotShowIsFound) {
  Problem problem;
  const Schedule original = window_of_three(&problem);
  const auto flaw_of = [&](auto&& change) {
    Schedule mutant = original;
    change(mutant[0], mutant[0].steps[4]);
    const auto finding = verify(problem, mutant);
    return finding ? std::optional(finding->flaw) : std::nullopt;
  };
  EXPECT_EQ(flaw_of([](RankSchedule&, Step&) {}), std::nullopt);
  EXPECT_EQ(flaw_of([](RankSchedule& s, Step& step) {
              s.operands[step.operand_first + 1].buffer = Buffer::kOutput;
            }),
            Flaw::kMalformed);
  EXPECT_EQ(
      flaw_of([](RankSchedule& s, Step& step) { s.operands[step.operand_first + 1].owner = 3; }),
      Flaw::kMalformed);
  EXPECT_EQ(
      flaw_of([](RankSchedule& s, Step& step) { s.operands[step.operand_first + 1].owner = 0; }),
      Flaw::kMalformed);
  EXPECT_EQ(flaw_of([](RankSchedule&, Step& step) { step.to.owner = 1; }), Flaw::kMalformed);
  EXPECT_EQ(flaw_of([](RankSchedule&, Step& step) { step.to_all = false; }), Flaw::kWrongResult);
}

// Rank 1 is done before rank 0 has read its input.
TEST(Mutation, ARankThatEndsWhileItsMemoryIsReadIsFound) {
  Problem problem;
  Schedule schedule = window_of_three(&problem);
  RankSchedule& one = schedule[0];
  for (Step& step : one.steps) {
    if (step.sends() && step.dependency_count != 0 && step.peer == 1) step.dependency_count = 0;
  }
  const auto finding = verify(problem, schedule);
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->flaw, Flaw::kRace) << finding->text;
}

// Ranks 0 and 1 each wait for the other's message before they send.
TEST(Mutation, ADeadlockIsFound) {
  Problem problem;
  problem.op = Op::kAllGather;
  problem.ranks = 2;
  problem.count = 1;
  Schedule schedule = generate_all(problem, Algorithm::kDirect);
  for (RankSchedule& one : schedule) {
    ASSERT_EQ(one.steps.size(), 3u);  // send, copy, receive
    std::swap(one.steps[0], one.steps[2]);
    one.dependencies.push_back(0);
    one.steps[2].dependency_first = static_cast<uint32_t>(one.dependencies.size()) - 1;
    one.steps[2].dependency_count = 1;
  }
  const auto finding = verify(problem, schedule);
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->flaw, Flaw::kDeadlock) << finding->text;
}

TEST(Mutation, ABarrierThatDoesNotWaitIsFound) {
  Problem problem;
  problem.op = Op::kBarrier;
  problem.ranks = 6;
  const Schedule original = generate_all(problem, Algorithm::kDissemination);
  ASSERT_FALSE(verify(problem, original).has_value());
  uint32_t made = 0;
  for (uint32_t rank = 0; rank < problem.ranks; rank++) {
    for (size_t step = 0; step < original[rank].steps.size(); step++) {
      if (!original[rank].steps[step].sends() || step == 0) continue;
      Schedule mutant = original;
      mutant[rank].steps[step].dependency_count = 0;
      const auto finding = verify(problem, mutant);
      ASSERT_TRUE(finding.has_value()) << "rank " << rank << " step " << step;
      EXPECT_EQ(finding->flaw, Flaw::kWrongResult) << finding->text;
      made++;
    }
  }
  EXPECT_EQ(made, problem.ranks * 2);
}

}  // namespace
}  // namespace npu::ccl
