// SPDX-License-Identifier: Apache-2.0
// Command threads that wait for what other devices of the process write: who is woken by whom.
#include "firmware-model/device/waker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace npu::model {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{60'000};
constexpr milliseconds kNow{0};

class WakerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(writer_.open(), "");
    ASSERT_EQ(sleeper_.open(), "");
  }

  bool has_come_ = false;
  int looks_ = 0;
  Waker writer_{[] { return true; }};
  Waker sleeper_{[this] { return ++looks_, has_come_; }};
};

TEST_F(WakerTest, OnlyWhatIsWaitedForWakes) {
  sleeper_.watch_memory();
  writer_.wake_watchers();
  writer_.wake_fenced_watchers();
  EXPECT_EQ(looks_, 2);
  has_come_ = true;
  writer_.wake_watchers();
  EXPECT_EQ(looks_, 3);
  // It was told, and is not looked at again.
  writer_.wake_watchers();
  EXPECT_EQ(looks_, 3);
  EXPECT_TRUE(sleeper_.wait(kPatience));
}

TEST_F(WakerTest, WhatIsNotWaitedForDoesNotWake) {
  sleeper_.watch_memory();
  writer_.wake_watchers();
  EXPECT_FALSE(sleeper_.wait(kNow));
  // Nobody who has woken up, for whatever reason, watches.
  has_come_ = true;
  writer_.wake_watchers();
  EXPECT_EQ(looks_, 1);
  EXPECT_FALSE(sleeper_.wait(kNow));
}

TEST_F(WakerTest, NobodyIsWokenByHimself) {
  has_come_ = true;
  sleeper_.watch_memory();
  sleeper_.wake_watchers();
  EXPECT_EQ(looks_, 0);
  EXPECT_FALSE(sleeper_.wait(kNow));
}

// A word is written at any moment between the look and the sleep.
TEST(WakerRaceTest, NoWriteIsMissed) {
  constexpr uint64_t kRounds = 20'000;
  std::atomic<uint64_t> word{0}, wanted{0}, seen{0};
  Waker writer([] { return true; });
  Waker sleeper([&] { return word.load() >= wanted.load(); });
  ASSERT_EQ(writer.open(), "");
  ASSERT_EQ(sleeper.open(), "");
  std::thread other([&] {
    for (uint64_t i = 1; i <= kRounds; ++i) {
      word.store(i, std::memory_order_release);
      writer.wake_watchers();
      while (seen.load(std::memory_order_acquire) < i) std::this_thread::yield();
    }
  });
  bool missed = false;
  for (uint64_t i = 1; i <= kRounds; ++i) {
    wanted.store(i);
    while (!missed && word.load(std::memory_order_acquire) < i) {
      sleeper.watch_memory();
      if (word.load(std::memory_order_acquire) < i) missed = !sleeper.wait(kPatience);
    }
    seen.store(i, std::memory_order_release);
  }
  other.join();
  EXPECT_FALSE(missed);
}

}  // namespace
}  // namespace npu::model
