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

}  // namespace
}  // namespace npu::ccl
