// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/address_space.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace npu {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(AddressSpaceTest, GivesTheSmallestRangeThatFits) {
  AddressSpace space(0, 64 * kMiB);
  const uint64_t a = space.take(4 * kMiB);
  const uint64_t b = space.take(2 * kMiB);
  const uint64_t c = space.take(8 * kMiB);
  ASSERT_NE(c, 0u);
  space.give_back(b, 2 * kMiB);
  EXPECT_EQ(space.take(1), b);
  space.give_back(a, 4 * kMiB);
  EXPECT_EQ(space.take(3 * kMiB), a);
}

TEST(AddressSpaceTest, RefusesWhatDoesNotFitOrOverflows) {
  AddressSpace space(2 * kMiB, 10 * kMiB);
  EXPECT_EQ(space.take(0), 0u);
  EXPECT_EQ(space.take(9 * kMiB), 0u);
  EXPECT_EQ(space.take(~uint64_t{0}), 0u);
  EXPECT_EQ(space.take(8 * kMiB), 2 * kMiB);
  EXPECT_EQ(space.take(1), 0u);
}

TEST(AddressSpaceTest, RandomUseNeverOverlapsAndJoinsToOneRangeAgain) {
  const uint32_t seed = 4711;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  AddressSpace space(2 * kMiB, 4096 * kMiB);
  const uint64_t all = space.free_bytes();
  std::map<uint64_t, uint64_t> taken;
  for (int i = 0; i < 5000; i++) {
    if (taken.empty() || random() % 2 == 0) {
      const uint64_t size = 1 + random() % (40 * kMiB);
      const uint64_t at = space.take(size);
      if (at == 0) continue;
      const auto next = taken.lower_bound(at);
      ASSERT_TRUE(next == taken.end() || at + size <= next->first);
      ASSERT_TRUE(next == taken.begin() || std::prev(next)->first + std::prev(next)->second <= at);
      ASSERT_EQ(at % AddressSpace::kGranuleBytes, 0u);
      taken.emplace(at, size);
    } else {
      const auto one = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
      space.give_back(one->first, one->second);
      taken.erase(one);
    }
  }
  for (const auto& [at, size] : taken) space.give_back(at, size);
  EXPECT_EQ(space.free_bytes(), all);
  EXPECT_EQ(space.free_ranges(), 1u);
}

}  // namespace
}  // namespace npu
