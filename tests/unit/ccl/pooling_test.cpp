// SPDX-License-Identifier: Apache-2.0
// Which schedules are rounds of messages from all to all, and what is read in place.
#include "libnpu/ccl/schedule/pooling.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/ccl/cases.h"

namespace npu::ccl {
namespace {

template <typename Visit>
void each_problem(const Visit& visit) {
  for (Op op : all_ops()) {
    for (uint32_t ranks : {2u, 3u, 4u, 8u}) {
      for (uint64_t count : counts_for(ranks)) {
        Problem problem;
        problem.op = op;
        problem.ranks = ranks;
        problem.count = count;
        if (!problem.refuse().empty()) continue;
        visit(problem);
        problem.counts = uneven_counts(problem, static_cast<uint32_t>(count));
        problem.count = 0;
        if (problem.refuse().empty()) visit(problem);
      }
    }
  }
}

template <typename Visit>
void each_pooling(const Visit& visit) {
  each_problem([&](const Problem& problem) {
    for (Algorithm algorithm : algorithms_of(problem.op)) {
      if (!refuse(problem, algorithm).empty()) continue;
      const Schedule schedule = generate_all(problem, algorithm);
      std::vector<std::optional<Pooling>> found;
      for (const RankSchedule& one : schedule) {
        found.push_back(find_pooling(problem, algorithm, one));
      }
      visit(problem, algorithm, schedule, found);
    }
  });
}

TEST(Pooling, IsTheSameOnAllRanks) {
  size_t pooled = 0;
  each_pooling([&](const Problem& problem, Algorithm algorithm, const Schedule&,
                   const std::vector<std::optional<Pooling>>& found) {
    for (const auto& one : found) {
      ASSERT_EQ(one.has_value(), found[0].has_value()) << describe(problem, algorithm);
      if (!one) continue;
      pooled++;
      EXPECT_EQ(one->rounds, found[0]->rounds) << describe(problem, algorithm);
      EXPECT_EQ(one->extent, found[0]->extent) << describe(problem, algorithm);
    }
  });
  EXPECT_GT(pooled, 500u);
}

// What the cost model takes for granted.
TEST(Pooling, HasAsManyRoundsAsTheFormulaSays) {
  each_pooling([&](const Problem& problem, Algorithm algorithm, const Schedule&,
                   const std::vector<std::optional<Pooling>>& found) {
    const uint32_t rounds = pooled_rounds(problem, algorithm);
    if (rounds == 0) return;
    ASSERT_TRUE(found[0].has_value()) << describe(problem, algorithm);
    EXPECT_EQ(found[0]->rounds, rounds) << describe(problem, algorithm);
  });
}

// Each receive is told where the message that matches it lies, and a pool holds it.
TEST(Pooling, EachReceiveFindsItsMessage) {
  each_pooling([&](const Problem& problem, Algorithm algorithm, const Schedule& schedule,
                   const std::vector<std::optional<Pooling>>& found) {
    if (!found[0]) return;
    std::map<std::pair<uint32_t, uint32_t>, std::vector<const Step*>> sends;
    for (const RankSchedule& one : schedule) {
      for (const Step& step : one.steps) {
        if (step.sends()) sends[{one.rank, step.peer}].push_back(&step);
      }
    }
    for (const RankSchedule& one : schedule) {
      std::map<uint32_t, size_t> number;
      for (size_t i = 0; i < one.steps.size(); i++) {
        if (!one.steps[i].receives()) continue;
        const uint32_t from = one.steps[i].peer;
        const auto& all = sends[{from, one.rank}];
        ASSERT_LT(number[from], all.size());
        const Step& sent = *all[number[from]++];
        const uint64_t offset = schedule[from].operands_of(sent)[0].offset;
        EXPECT_EQ(found[one.rank]->takes[i].offset, offset) << describe(problem, algorithm);
        EXPECT_EQ(sent.count, one.steps[i].count);
        EXPECT_LE(offset + sent.count, found[one.rank]->extent);
      }
    }
  });
}

// Nobody reads a pool any more when its owner may write to it again: two rounds later.
TEST(Pooling, WhatIsReadInPlaceIsReadInItsRound) {
  size_t in_place = 0;
  each_pooling([&](const Problem& problem, Algorithm algorithm, const Schedule& schedule,
                   const std::vector<std::optional<Pooling>>& found) {
    for (const RankSchedule& one : schedule) {
      for (size_t i = 0; found[0] && i < one.steps.size(); i++) {
        if (!found[one.rank]->takes[i].in_place) continue;
        in_place++;
        const Place at = one.steps[i].to;
        bool is_over = false;
        for (size_t j = i + 1; j < one.steps.size(); j++) {
          is_over = is_over || one.steps[j].sends();
          for (const Place& place : one.operands_of(one.steps[j])) {
            if (place.buffer != at.buffer || place.offset >= at.offset + one.steps[i].count ||
                place.offset + one.steps[j].count <= at.offset) {
              continue;
            }
            EXPECT_FALSE(is_over) << describe(problem, algorithm);
            EXPECT_EQ(place.offset, at.offset) << describe(problem, algorithm);
            EXPECT_EQ(one.steps[j].kind, StepKind::kReduce) << describe(problem, algorithm);
          }
        }
      }
    }
  });
  EXPECT_GT(in_place, 1000u);
}

TEST(Pooling, NeedsAMessageFromEachToEach) {
  Problem problem;
  problem.ranks = 4;
  problem.count = 3;  // one of the four blocks is empty
  EXPECT_FALSE(find_pooling(problem, Algorithm::kDirect, generate(problem, Algorithm::kDirect, 0)));
  EXPECT_FALSE(
      find_pooling(problem, Algorithm::kDoubling, generate(problem, Algorithm::kDoubling, 0)));
  EXPECT_TRUE(find_pooling(problem, Algorithm::kFlood, generate(problem, Algorithm::kFlood, 0)));
  problem.chunks = 3;
  EXPECT_FALSE(find_pooling(problem, Algorithm::kFlood, generate(problem, Algorithm::kFlood, 0)));
}

}  // namespace
}  // namespace npu::ccl
