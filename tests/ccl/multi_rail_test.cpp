// SPDX-License-Identifier: Apache-2.0
// Ranks of different hosts over several rails, for which addresses of the loopback interface stand here.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "tests/ccl/operation.h"
#include "tests/ccl/variable.h"

namespace npu::test {
namespace {

std::string addresses(uint32_t rails) {
  std::string text;
  for (uint32_t i = 0; i < rails; i++)
    text += (i == 0 ? "127.0.0." : ",127.0.0.") + std::to_string(i + 1);
  return text;
}

using Trials = std::vector<std::unique_ptr<Trial>>;

class RailsTest : public testing::Test {
 protected:
  static constexpr uint64_t kLargeCount = 1 << 18;

  explicit RailsTest(uint32_t rails, uint32_t ranks = 2, uint64_t chunk_bytes = 0,
                     const char* fault = "")
      : interface_("NPU_CCL_INTERFACE", addresses(rails).c_str()),
        inject_("NPU_CCL_INJECT", fault),
        world_(ranks, make_info(chunk_bytes)) {}
  void run(const Operation& operation) {
    Trials trials;
    for (uint32_t r = 0; r < world_.size(); r++) {
      trials.push_back(std::make_unique<Trial>(world_[r], world_.size(), r, operation));
    }
    CCL_ASSERT_OK(world_.group([&](uint32_t r) { return trials[r]->call(); }));
    for (uint32_t r = 0; r < world_.size(); r++) {
      CCL_ASSERT_OK(npuQueueSync(world_[r].queue, kLongNs)) << world_.failure(r).text;
      ASSERT_TRUE(trials[r]->check()) << operation.text();
    }
  }

  npuCclRail rail(uint32_t rank, uint32_t other, uint32_t number) {
    npuCclRail rail{};
    rail.struct_size = sizeof(rail);
    CCL_EXPECT_OK(npuCclCommGetRail(world_[rank].comm, other, number, &rail));
    return rail;
  }

  Variable interface_;
  Variable inject_;
  World world_;
};

class NumberOfRailsTest : public RailsTest, public testing::WithParamInterface<uint32_t> {
 protected:
  NumberOfRailsTest() : RailsTest(GetParam(), 3) {}
};

TEST_P(NumberOfRailsTest, RandomOperationsOfAllSizes) {
  const uint64_t seed = 20'261'127 + GetParam();
  std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  Rng rng(seed);
  for (int i = 0; i < 30; i++) {
    const bool is_large = rng.one_in(2);
    Operation operation = random_operation(rng, world_.size(), is_large ? kLargeCount : 4000);
    // The reference takes seconds for many numbers of a narrow type.
    if (is_large) operation.type = NPU_FLOAT32;
    ASSERT_NO_FATAL_FAILURE(run(operation));
  }
}

TEST_P(NumberOfRailsTest, EachCarriesAsMuch) {
  Operation operation;
  operation.kind = Kind::kAllToAll;  // to each other rank from each
  operation.count = kLargeCount;
  operation.seed = 1;
  ASSERT_NO_FATAL_FAILURE(run(operation));
  uint64_t least = UINT64_MAX, most = 0;
  for (uint32_t number = 0; number < GetParam(); number++) {
    const npuCclRail one = rail(0, 1, number);
    ASSERT_FALSE(HasFailure());
    EXPECT_EQ(one.is_up, 1u);
    EXPECT_EQ(one.downs, 0u);
    EXPECT_STREQ(one.reason, "");
    const std::string address = "127.0.0." + std::to_string(number + 1) + ":";
    EXPECT_TRUE(std::string(one.own_address).starts_with(address)) << one.own_address;
    EXPECT_STREQ(one.other_address, rail(1, 0, number).own_address);
    least = std::min(least, one.bytes_sent);
    most = std::max(most, one.bytes_sent);
  }
  EXPECT_GT(least, 0u);
  EXPECT_LE(most, least + least / 2);
  npuCclRail none{};
  EXPECT_EQ(npuCclCommGetRail(world_[0].comm, 1, 0, &none), NPU_ERROR_STRUCT_SIZE);
  none.struct_size = sizeof(none);
  EXPECT_EQ(npuCclCommGetRail(world_[0].comm, 2, GetParam(), &none), NPU_ERROR_NOT_FOUND);
  EXPECT_EQ(npuCclCommGetRail(world_[0].comm, 0, 0, &none), NPU_ERROR_NOT_FOUND);
  EXPECT_EQ(npuCclCommGetRail(world_[0].comm, 3, 0, &none), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclCommGetRail(world_[0].comm, 2, 0, nullptr), NPU_ERROR_INVALID_ARGUMENT);
}

INSTANTIATE_TEST_SUITE_P(Rails, NumberOfRailsTest, testing::Values(1u, 2u, 4u, 8u));

// Rank 1 ends one of its connections in the middle of each 20th message.
class CutTest : public RailsTest, public testing::WithParamInterface<uint32_t> {
 protected:
  CutTest() : RailsTest(GetParam(), 3, 0, "cut:1:20") {}
};

TEST_P(CutTest, WhatWasUnderWayGoesByOtherRails) {
  const uint64_t seed = 20'271'127 + GetParam();
  std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));
  Rng rng(seed);
  const auto downs = [&] {
    uint64_t sum = 0;
    for (uint32_t number = 0; number < GetParam(); number++) {
      sum += rail(1, 0, number).downs + rail(1, 2, number).downs;
    }
    return sum;
  };
  // Until a rail that has come back was lost again.
  for (int i = 0; i < 2000 && (i < 20 || downs() < 3 * GetParam()); i++) {
    Operation operation = random_operation(rng, world_.size(), kLargeCount / 4);
    operation.type = NPU_FLOAT32;
    ASSERT_NO_FATAL_FAILURE(run(operation));
  }
  EXPECT_GE(downs(), 3 * GetParam());
  bool is_told = false;
  for (uint32_t number = 0; number < GetParam(); number++) {
    is_told = is_told || rail(1, 0, number).reason == std::string("NPU_CCL_INJECT");
  }
  EXPECT_TRUE(is_told);
}

INSTANTIATE_TEST_SUITE_P(Rails, CutTest, testing::Values(2u, 4u));

}  // namespace
}  // namespace npu::test
