// SPDX-License-Identifier: Apache-2.0
#include "firmware-model/device/guest_credit.h"

#include <gtest/gtest.h>

namespace npu::model {
namespace {

constexpr uint64_t kShort = GuestCredit::kShortTurn, kLong = kShort + 1;

// Turns that the device does by itself until it may be a guest.
unsigned own_turns(GuestCredit credit) {
  unsigned turns = 0;
  for (; !credit.is_good(); ++turns) credit.ran(kShort);
  return turns;
}

TEST(GuestCredit, ShortTurnsAreAsGoodAsNone) {
  GuestCredit credit;
  EXPECT_TRUE(credit.is_good());
  for (int i = 0; i < 1000; ++i) credit.ran(kShort);
  EXPECT_TRUE(credit.is_good());
}

TEST(GuestCredit, ALongTurnEndsItForAWhile) {
  GuestCredit credit;
  credit.ran(kLong);
  EXPECT_EQ(own_turns(credit), GuestCredit::kOwnTurns);
  credit.ran(kShort);
  credit.ran(kLong);
  EXPECT_EQ(own_turns(credit), GuestCredit::kOwnTurns);
  credit.end();
  EXPECT_EQ(own_turns(credit), GuestCredit::kOwnTurns);
}

TEST(GuestCredit, VisitsThatNeverComeToAnEndEndIt) {
  GuestCredit credit;
  int visits = 1;
  while (credit.visited(kShort, false)) ++visits;
  EXPECT_EQ(visits, 5);
  EXPECT_EQ(own_turns(credit), GuestCredit::kOwnTurns);
  // One that does makes up for those before.
  credit = {};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(credit.visited(kShort, i % 4 == 0));
}

TEST(GuestCredit, EachHoldUpLastsTwiceAsLongUpToALimit) {
  GuestCredit credit;
  unsigned expected = GuestCredit::kOwnTurns;
  for (int i = 0; i < 10; ++i) {
    expected *= 2;
    if (i % 2 == 0) {
      credit.hold_up();
    } else {
      EXPECT_FALSE(credit.visited(kLong, true));
    }
    EXPECT_EQ(own_turns(credit), expected);
  }
  credit.hold_up();
  EXPECT_EQ(own_turns(credit), expected);
}

TEST(GuestCredit, GoodVisitsMakeUpForHoldUps) {
  GuestCredit credit;
  credit.hold_up();
  credit.hold_up();
  for (int i = 0; i < 4096; ++i) ASSERT_TRUE(credit.visited(kShort, true));
  credit.hold_up();
  EXPECT_EQ(own_turns(credit), 4 * GuestCredit::kOwnTurns);
  for (int i = 0; i < 3 * 4096; ++i) ASSERT_TRUE(credit.visited(kShort, true));
  credit.hold_up();
  EXPECT_EQ(own_turns(credit), 2 * GuestCredit::kOwnTurns);
}

}  // namespace
}  // namespace npu::model
