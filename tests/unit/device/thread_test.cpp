// SPDX-License-Identifier: Apache-2.0
// Where threads run.
#include <gtest/gtest.h>
#include <sched.h>

#include <memory>
#include <vector>

#include "firmware-model/device/thread.h"

namespace npu::model {
namespace {

cpu_set_t allowed_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  EXPECT_EQ(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
  return cpus;
}

TEST(Apart, LeavesTheCpuOfAnotherAndMayComeBackLater) {
  if (usable_cpus() < 2) GTEST_SKIP() << "one CPU";
  const cpu_set_t before = allowed_cpus();
  const int cpu = present_cpu();
  ASSERT_GE(cpu, 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_FALSE(Apart().from(cpu));  // nowhere else to go
  cpu_set_t kept = allowed_cpus();
  EXPECT_TRUE(CPU_EQUAL(&kept, &one));
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
  // The kernel may move the thread between the two calls; not every time.
  bool moved = false;
  for (int i = 0; i < 1000 && !moved; ++i) moved = Apart().from(present_cpu());
  EXPECT_TRUE(moved);
  kept = allowed_cpus();
  EXPECT_TRUE(CPU_EQUAL(&kept, &before));  // later moves are the kernel's
}

TEST(Apart, NumbersThatAreNoCpuDoNothing) {
  const cpu_set_t before = allowed_cpus();
  for (const int cpu : {-1, CPU_SETSIZE, CPU_SETSIZE + 7}) EXPECT_FALSE(Apart().from(cpu));
  const cpu_set_t after = allowed_cpus();
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

// Of one kind: the later one goes where none is, if there is such a CPU, and only while the other one is awake.
TEST(Apart, LaterOnesLeaveTheCpuOfEarlierOnes) {
  if (usable_cpus() < 2) GTEST_SKIP() << "one CPU";
  const cpu_set_t before = allowed_cpus();
  bool moved = false;
  for (int i = 0; i < 1000 && !moved; ++i) {
    Apart first, second;
    EXPECT_FALSE(first.from_others());
    moved = second.from_others();
    EXPECT_FALSE(first.from_others());  // it has the right of way, wherever the second one is
  }
  EXPECT_TRUE(moved);
  Apart sleeper, awake;
  EXPECT_EQ(Apart::awake(), 0u);
  sleeper.from_others();
  EXPECT_EQ(Apart::awake(), 1u);
  sleeper.rest();
  EXPECT_FALSE(awake.from_others());
  EXPECT_EQ(Apart::awake(), 1u);
  const cpu_set_t after = allowed_cpus();
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

// On a single CPU, and beyond the last place, there is nowhere to go and nothing to tell.
TEST(Apart, MoreThanThereAreCpusOrPlacesStay) {
  const cpu_set_t before = allowed_cpus();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(present_cpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  std::vector<std::unique_ptr<Apart>> all;
  for (int i = 0; i < 100; ++i) {
    all.push_back(std::make_unique<Apart>());
    EXPECT_FALSE(all.back()->from_others());
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

}  // namespace
}  // namespace npu::model
