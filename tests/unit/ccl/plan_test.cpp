// SPDX-License-Identifier: Apache-2.0
// Which messages a plan leaves in their slots for a reduction, and on which lanes that makes steps run.
#include "libnpu/ccl/plan.h"

#include <gtest/gtest.h>

#include <string>

#include "libnpu/ccl/lanes.h"

namespace npu::ccl {
namespace {

constexpr uint64_t kChunkBytes = 4096;
constexpr ElementSizes kSizes{4, 4};

PlanPtr plan_of(uint32_t ranks, uint32_t rank, uint64_t count, const char* algorithm) {
  std::string error;
  const auto wishes = Override::parse(algorithm, error);
  EXPECT_TRUE(wishes) << error;
  Problem problem;
  problem.ranks = ranks;
  problem.count = count;
  PlanPtr plan;
  EXPECT_EQ(PlanCache(rank, kChunkBytes, *wishes).find(problem, kSizes, &plan), NPU_OK);
  return plan;
}

// Receives into scratch, and how many of them have a taker.
struct Found {
  uint32_t into_scratch = 0, taken = 0;
};
Found found_in(const Plan& plan) {
  Found found;
  for (uint32_t index = 0; index < plan.schedule.steps.size(); index++) {
    const Step& step = plan.schedule.steps[index];
    const uint32_t taker = plan.taker[index];
    if (step.kind == StepKind::kRecv && step.to.buffer != Buffer::kOutput) found.into_scratch++;
    if (taker == Plan::kNone) continue;
    found.taken++;
    const Step& reduction = plan.schedule.steps[taker];
    EXPECT_EQ(reduction.kind, StepKind::kReduce);
    EXPECT_GT(taker, index);
    EXPECT_EQ(plan.lane_of(index), plan.lane_of(taker));
    uint32_t sources = 0;
    for (uint32_t i = 0; i < reduction.operand_count; i++) {
      sources += plan.source[reduction.operand_first + i] == index ? 1 : 0;
    }
    EXPECT_EQ(sources, 1u);
  }
  return found;
}

TEST(PlanTest, WhatIsReceivedToBeAddedUpStaysInItsSlot) {
  for (const char* algorithm : {"direct", "flood", "halving"}) {
    for (const uint64_t count : {1000, 100'000}) {
      const PlanPtr plan = plan_of(4, 1, count, algorithm);
      const Found found = found_in(*plan);
      EXPECT_GT(found.taken, 0u) << algorithm;
      EXPECT_EQ(found.taken, found.into_scratch) << algorithm << ", " << count;
    }
  }
}

TEST(PlanTest, WhatIsPassedOnTooIsCopied) {
  // Of three ranks the first one hands what it has from the last one to the second.
  EXPECT_EQ(found_in(*plan_of(3, 0, 100, "doubling")).taken, 1u);
  EXPECT_EQ(found_in(*plan_of(3, 0, 100, "doubling")).into_scratch, 2u);
  EXPECT_EQ(found_in(*plan_of(3, 1, 100, "doubling")).taken, 2u);
}

TEST(PlanTest, AReductionOfOneMessageRunsWhereThatIsReceived) {
  const PlanPtr two = plan_of(2, 0, 100'000, "direct"), four = plan_of(4, 0, 100'000, "direct");
  for (const PlanPtr& plan : {two, four}) {
    ASSERT_FALSE(plan->is_serial);
    for (uint32_t index = 0; index < plan->schedule.steps.size(); index++) {
      if (plan->schedule.steps[index].kind != StepKind::kReduce) continue;
      EXPECT_EQ(plan->lane_of(index), plan == two ? receive_lane(1) : kLocalLane);
      // Several lanes give messages back when it is over.
      EXPECT_TRUE(plan->ticks[index]);
    }
  }
}

}  // namespace
}  // namespace npu::ccl
