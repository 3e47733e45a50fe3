// SPDX-License-Identifier: Apache-2.0
// Ranks of different hosts over several rails, for which addresses of the loopback interface stand here.
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

  explicit RailsTest(uint32_t rails, uint32_t ranks = 2, uint64_t chunk_bytes = 0)
      : interface_("NPU_CCL_INTERFACE", addresses(rails).c_str()),
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

  Variable interface_;
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

INSTANTIATE_TEST_SUITE_P(Rails, NumberOfRailsTest, testing::Values(1u, 2u, 4u, 8u));

}  // namespace
}  // namespace npu::test
