// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/look_choice.h"

#include <gtest/gtest.h>

namespace npu::ccl {
namespace {

// In how many of |occasions| it looks, if each phase of looks ends as |end| says.
template <typename End>
int looks_of(LookChoice& choice, int occasions, const End& end) {
  int looks = 0;
  for (int i = 0; i < occasions; i++) {
    if (!choice.looks()) continue;
    looks++;
    end();
  }
  return looks;
}

TEST(LookChoice, LooksAsLongAsThereIsSomethingToSee) {
  LookChoice choice;
  EXPECT_EQ(looks_of(choice, 1000, [&] { choice.saw(); }), 1000);
  EXPECT_TRUE(choice.pays());
}

TEST(LookChoice, StopsInVainAndIsTriedAgain) {
  LookChoice choice;
  EXPECT_LE(looks_of(choice, 20, [&] { choice.saw_nothing(); }), 10);
  EXPECT_FALSE(choice.pays());
  const int tries = looks_of(choice, 6400, [&] { choice.saw_nothing(); });
  EXPECT_GE(tries, 100);
  EXPECT_LE(tries, 400);
}

TEST(LookChoice, OnceItPaysAgainItGoesOn) {
  LookChoice choice;
  looks_of(choice, 20, [&] { choice.saw_nothing(); });
  looks_of(choice, 64, [&] { choice.saw(); });
  EXPECT_EQ(looks_of(choice, 100, [&] { choice.saw(); }), 100);
}

// One loss among many looks that see something is none; where somebody computes, each look loses the CPU.
TEST(LookChoice, LossesOfTheCpuCountByTheirShare) {
  LookChoice choice;
  int phases = 0;
  const auto seldom = [&] {
    choice.saw();
    if (++phases % 20 == 0) choice.lost_cpu();
  };
  EXPECT_EQ(looks_of(choice, 1000, seldom), 1000);
  const auto always = [&] {
    choice.saw();
    choice.lost_cpu();
  };
  EXPECT_LE(looks_of(choice, 1000, always), 60);
}

TEST(CallChoice, LooksAsLongAsThereIsSomethingToSee) {
  CallChoice choice;
  for (uint64_t number = 1; number <= 1000; number++) {
    EXPECT_TRUE(choice.looks(number)) << number;
    choice.saw();
  }
}

// Those who have looked in vain at different operations try again at the same ones.
TEST(CallChoice, AllRanksTryAtTheSameOperations) {
  CallChoice one, other;
  for (uint64_t number = 1; number <= 40; number++) {
    if (one.looks(number)) one.saw_nothing();
    if (number > 13 && other.looks(number)) other.saw_nothing();
  }
  int tries = 0;
  for (uint64_t number = 41; number <= 6440; number++) {
    EXPECT_EQ(one.looks(number), other.looks(number)) << number;
    if (!one.looks(number)) continue;
    tries++;
    one.saw_nothing();
    other.saw_nothing();
  }
  EXPECT_EQ(tries, 400);
  uint64_t number = 6464;  // of a try
  for (; number < 6600; number++) {
    EXPECT_TRUE(one.looks(number)) << number;  // it pays again
    one.saw();
  }
}

TEST(CallChoice, WhereSomebodyComputesItIsTriedSeldom) {
  CallChoice choice;
  int looks = 0;
  for (uint64_t number = 1; number <= 10240; number++) {
    if (!choice.looks(number)) continue;
    looks++;
    choice.lost_cpu(number);
  }
  EXPECT_LE(looks, 25);
  EXPECT_GE(looks, 10);
}

// A rank that tries seldom does so with those that try often.
TEST(CallChoice, TriesOfDifferentPeriodsMeet) {
  CallChoice often, seldom;
  for (uint64_t number = 1; number <= 10; number++) often.saw_nothing();
  for (uint64_t number = 1; number <= 10; number++) seldom.lost_cpu(number);
  for (uint64_t number = 100; number <= 10000; number++) {
    if (seldom.looks(number)) {
      EXPECT_TRUE(often.looks(number)) << number;
    }
  }
}

}  // namespace
}  // namespace npu::ccl
