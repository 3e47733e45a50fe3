// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/device/look_budget.h"

#include <gtest/gtest.h>

namespace npu::model {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

int long_looks(LookBudget& budget, int looks, LookBudget::Duration took, bool has_seen) {
  int longer = 0;
  for (int i = 0; i < looks; i++) {
    longer += budget.budget() > LookBudget::kLeast ? 1 : 0;
    budget.looked(took, has_seen);
  }
  return longer;
}

TEST(LookBudget, StaysLongWhileItPays) {
  LookBudget budget;
  EXPECT_EQ(long_looks(budget, 100, microseconds(10), true), 100);
  EXPECT_EQ(budget.budget(), LookBudget::kMost);
}

TEST(LookBudget, BecomesShortInVainAndIsTriedAgain) {
  LookBudget budget;
  long_looks(budget, 5, microseconds(50), false);
  EXPECT_EQ(budget.budget(), LookBudget::kLeast);
  EXPECT_LE(long_looks(budget, 1600, microseconds(2), false), 600);
  EXPECT_GE(long_looks(budget, 1600, microseconds(2), false), 100);
}

// Somebody computes on this CPU: 3 ms later there is work, which does not make it a good look.
TEST(LookBudget, WhatIsSeenTooLateIsNoReasonToLook) {
  LookBudget budget;
  EXPECT_LE(long_looks(budget, 4000, milliseconds(3), true), 20);
  budget.looked(microseconds(5), true);
  EXPECT_EQ(budget.budget(), LookBudget::kMost);
}

TEST(LookBudget, ASleepThatEndsSoonMakesTheNextLookLong) {
  LookBudget budget;
  long_looks(budget, 5, microseconds(2), false);
  ASSERT_EQ(budget.budget(), LookBudget::kLeast);
  budget.slept(LookBudget::kMost);
  EXPECT_EQ(budget.budget(), LookBudget::kLeast);
  budget.slept(LookBudget::kMost - microseconds(1));
  EXPECT_EQ(budget.budget(), LookBudget::kMost);
}

// Where somebody computes, sleeps are better however soon they end.
TEST(LookBudget, SleepsDoNotCountWhileLooksAreDear) {
  LookBudget budget;
  long_looks(budget, 5, milliseconds(3), true);
  budget.slept(microseconds(10));
  EXPECT_EQ(budget.budget(), LookBudget::kLeast);
}

}  // namespace
}  // namespace npu::model
