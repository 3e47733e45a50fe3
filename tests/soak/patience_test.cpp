// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/patience.h"

#include <gtest/gtest.h>

namespace npu::soak {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kLimitNs = 180 * kSecondNs;
constexpr int64_t kBoundNs = 900 * kSecondNs;

// Seconds of silence until it is over.
int seconds_until_over(int64_t starved_ns) {
  Patience patience(kLimitNs, kBoundNs);
  int seconds = 0;
  for (; !patience.is_over(); seconds++) patience.see_silence(kSecondNs, starved_ns);
  return seconds;
}

TEST(Patience, WhoSleepsIsOutOfTimeAtTheLimit) { EXPECT_EQ(seconds_until_over(0), 180); }

TEST(Patience, WhoGetsNoProcessorHasTimeUntilTheBound) {
  EXPECT_EQ(seconds_until_over(kSecondNs), 900);
}

TEST(Patience, OnlyWhatWasLackedIsAddedToTheLimit) {
  EXPECT_EQ(seconds_until_over(kSecondNs / 2), 360);
}

TEST(Patience, SeveralThatLackAtOnceGiveNoMoreThanTheTurn) {
  EXPECT_EQ(seconds_until_over(3 * kSecondNs), 900);
}

TEST(Patience, ASignBeginsTheTimeAnew) {
  Patience patience(kLimitNs, kBoundNs);
  for (int i = 0; i < 10'000; i++) {
    patience.see_silence(179 * kSecondNs, 0);
    ASSERT_FALSE(patience.is_over());
    patience.see_sign();
  }
  EXPECT_EQ(patience.silent_ns(), 0);
}

TEST(Starved, IsTheWaitThatEndedInTheTurn) {
  EXPECT_EQ(starved_ns({5, 100, false}, {6, 400, false}, kSecondNs), 300);
  EXPECT_EQ(starved_ns({5, 100, true}, {6, 400, true}, kSecondNs), 300);
}

TEST(Starved, IsTheWholeTurnWhileTheWaitHasNotEnded) {
  EXPECT_EQ(starved_ns({5, 100, true}, {5, 100, true}, kSecondNs), kSecondNs);
}

TEST(Starved, AWaitThatBeganEarlierCountsOnceInEachTurn) {
  EXPECT_EQ(starved_ns({5, 100, true}, {6, 100 + 60 * kSecondNs, false}, kSecondNs), kSecondNs);
}

TEST(Starved, WhoSleepsOrRunsLacksNothing) {
  EXPECT_EQ(starved_ns({5, 100, false}, {5, 100, false}, kSecondNs), 0);
  EXPECT_EQ(starved_ns({5, 100, true}, {5 + kSecondNs, 100, true}, kSecondNs), 0);
}

}  // namespace
}  // namespace npu::soak
