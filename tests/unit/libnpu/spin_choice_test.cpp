// SPDX-License-Identifier: Apache-2.0
// Waits of made-up machines: which kind is chosen, and how soon after the machine changes.
#include "libnpu/src/core/spin_choice.h"

#include <gtest/gtest.h>

namespace npu {
namespace {

constexpr int64_t kSpinNs = 50'000;
constexpr int kMany = 640;

// How many of |waits| looked, where one that looks takes |spinning_ns| in all and one that sleeps |sleeping_ns|.
int looks(SpinChoice& choice, int waits, int64_t spinning_ns, int64_t sleeping_ns) {
  int looked = 0;
  for (int i = 0; i < waits; i++) {
    const bool spins = choice.spins();
    looked += spins ? 1 : 0;
    choice.ended(spins, spins ? spinning_ns : sleeping_ns);
  }
  return looked;
}

TEST(SpinChoice, WhatEndsAtOnceIsAlwaysLookedFor) {
  SpinChoice choice(kSpinNs);
  EXPECT_EQ(looks(choice, kMany, 1'400, 12'000), kMany);
}

TEST(SpinChoice, ALookThatIsShorterThanASleepPays) {
  SpinChoice choice(kSpinNs);
  EXPECT_GE(looks(choice, kMany, 12'000, 25'000), kMany * 9 / 10);
}

// The thread that is waited for gets the CPU only when the look is over: 45 us later, as if it had nearly been seen.
TEST(SpinChoice, ALookThatHoldsTheCpuIsGivenUp) {
  SpinChoice choice(kSpinNs);
  EXPECT_LE(looks(choice, kMany, kSpinNs + 45'000, 45'000), kMany / 10);
}

// Neither shortens it: the CPU is left to others.
TEST(SpinChoice, LongWaitsSleep) {
  SpinChoice choice(kSpinNs);
  EXPECT_LE(looks(choice, kMany, 3'000'000, 3'000'000), kMany / 10);
}

TEST(SpinChoice, ComesBackWhenTheMachineChanges) {
  SpinChoice choice(kSpinNs);
  looks(choice, kMany, 95'000, 45'000);
  EXPECT_GE(looks(choice, kMany, 2'000, 45'000), kMany / 3);
  EXPECT_EQ(looks(choice, kMany, 2'000, 45'000), kMany);
  looks(choice, kMany, 95'000, 45'000);
  EXPECT_LE(looks(choice, kMany, 95'000, 45'000), kMany / 10);
}

// Cold caches and a device that sleeps make the first waits long, whatever their kind.
TEST(SpinChoice, LongFirstWaitsAreForgottenSoon) {
  SpinChoice choice(kSpinNs);
  looks(choice, 10, 60'000, 40'000);
  looks(choice, 32, 12'000, 20'000);
  EXPECT_GE(looks(choice, 32, 12'000, 20'000), 24);
}

// A wait that loads something among short ones, which sleeps would make longer.
TEST(SpinChoice, OneLongWaitChangesNothing) {
  SpinChoice choice(kSpinNs);
  looks(choice, 20, 18'000, 40'000);
  looks(choice, 1, 140'000, 140'000);
  EXPECT_GE(looks(choice, 20, 18'000, 40'000), 14);
}

// Others compute, and who gives the CPU away in a look gets it back late.
TEST(SpinChoice, LooksThatLoseTheCpuAreHardlyTried) {
  SpinChoice choice(kSpinNs);
  EXPECT_LE(looks(choice, 10 * kMany, 60'000'000, 25'000), 16);
  // Some only.
  SpinChoice other(kSpinNs);
  int looked = 0;
  for (int i = 0; i < 4000; i++) {
    const bool spins = other.spins();
    looked += spins ? 1 : 0;
    other.ended(spins, !spins ? 25'000 : looked % 10 == 0 ? 3'000'000 : 20'000);
  }
  EXPECT_LE(looked, 800);
}

TEST(SpinChoice, LongWaitsDoNotHideWhatComesAfterThem) {
  SpinChoice choice(kSpinNs);
  looks(choice, kMany, 3'000'000, 3'000'000);
  looks(choice, kMany / 2, 400, 9'000);
  EXPECT_EQ(looks(choice, kMany, 400, 9'000), kMany);
}

// Between waits that sleep the device sleeps as well, so that one look among them takes as long as they do.
TEST(SpinChoice, FindsOutOfSleepsThatMakeTheDeviceSleep) {
  SpinChoice choice(kSpinNs);
  looks(choice, kMany, 95'000, 7'800);
  int looked = 0;
  bool has_spun = false;
  for (int i = 0; i < 2 * kMany; i++) {
    const bool spins = choice.spins();
    choice.ended(spins, !spins ? 7'800 : has_spun ? 400 : 7'000);
    has_spun = spins;
    looked += spins && i >= kMany ? 1 : 0;
  }
  EXPECT_EQ(looked, kMany);
}

TEST(SpinChoice, ZeroNeverLooks) {
  SpinChoice choice(0);
  EXPECT_EQ(looks(choice, kMany, 1'000, 10'000), 0);
}

}  // namespace
}  // namespace npu
