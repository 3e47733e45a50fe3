// SPDX-License-Identifier: Apache-2.0
// Every collective, in and out of place, in one thread and in a thread for each rank, alone and in random order and groups.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tests/ccl/operation.h"
#include "tests/ccl/processes.h"

namespace npu::test {
namespace {

constexpr uint64_t kChunkBytes = 4096;
constexpr uint64_t kCounts[] = {0, 1, 127, 1000, 5003};

uint64_t seed_of_run() {
  const char* text = std::getenv("NPU_TEST_SEED");
  const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20'260'731;
  std::fprintf(stderr, "NPU_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

class CollectiveTest : public testing::TestWithParam<uint32_t> {};

using Trials = std::vector<std::unique_ptr<Trial>>;
Trials trials_of(World& world, const Operation& operation) {
  Trials trials;
  for (uint32_t r = 0; r < world.size(); r++) {
    trials.push_back(std::make_unique<Trial>(world[r], world.size(), r, operation));
  }
  return trials;
}

TEST_P(CollectiveTest, EveryOperationGivesWhatTheReferenceGives) {
  World world(GetParam(), make_info(kChunkBytes));
  uint64_t seed = 0;
  for (uint32_t kind = 0; kind < kKindCount; kind++) {
    for (uint64_t count : kCounts) {
      for (bool in_place : {false, true}) {
        Operation o;
        o.kind = static_cast<Kind>(kind);
        o.count = count;
        o.in_place = in_place;
        o.seed = ++seed;
        o.type = some_type(o.kind, seed);
        o.root = static_cast<uint32_t>(seed % world.size());
        if (o.kind == Kind::kBroadcast || o.kind == Kind::kScatter) o.root = world.size() - 1;
        SCOPED_TRACE(o.text());
        Trials trials = trials_of(world, o);
        CCL_ASSERT_OK(world.group([&](uint32_t r) { return trials[r]->call(); }));
        world.sync();
        for (const auto& trial : trials) ASSERT_TRUE(trial->check());
      }
    }
  }
}

TEST_P(CollectiveTest, RandomOperationsInRandomGroups) {
  World world(GetParam(), make_info(kChunkBytes));
  Rng rng(seed_of_run() + GetParam());
  for (int round = 0; round < 25; round++) {
    std::vector<Trials> all;
    const uint64_t number = 1 + rng.below(4);
    for (uint64_t i = 0; i < number; i++) {
      all.push_back(trials_of(world, random_operation(rng, world.size(), 4000)));
    }
    CCL_ASSERT_OK(world.group([&](uint32_t r) {
      npuResult first = NPU_OK;
      for (Trials& trials : all) {
        const npuResult result = trials[r]->call();
        if (first == NPU_OK) first = result;
      }
      return first;
    })) << "round "
        << round;
    world.sync();
    for (const Trials& trials : all) {
      for (const auto& trial : trials) ASSERT_TRUE(trial->check()) << "round " << round;
    }
  }
}

TEST_P(CollectiveTest, AThreadForEachRankWithoutGroups) {
  World world(GetParam(), make_info(kChunkBytes));
  const uint64_t seed = seed_of_run() + 100 + GetParam();
  world.threads([&](uint32_t rank) {
    Rng rng(seed);
    for (int i = 0; i < 25; i++) {
      Trial trial(world[rank], world.size(), rank, random_operation(rng, world.size(), 3000));
      uint64_t value = 0;
      CCL_ASSERT_OK(trial.call(&value));
      CCL_ASSERT_OK(value != 0 ? npuQueueWait(world[rank].queue, value, kLongNs)
                               : npuQueueSync(world[rank].queue, kLongNs))
          << world.failure(rank).text;
      ASSERT_TRUE(trial.check()) << "operation " << i;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, CollectiveTest, testing::Values(1u, 2u, 3u, 5u, 8u));

TEST(CollectiveSizeTest, LargerThanAllRingsAndSlotsInOneThread) {
  // One of them takes 10 s under a sanitizer, and the machine may be busy.
  constexpr uint32_t kOpTimeoutMs = 100'000;
  World world(3, make_info(kChunkBytes, kOpTimeoutMs));
  for (Kind kind : {Kind::kAllReduce, Kind::kAllGather, Kind::kBroadcast, Kind::kRing}) {
    Operation o;
    o.kind = kind;
    // Between hosts every piece costs a round of two threads.
    o.count = is_between_hosts() ? 400'000 : 1'500'000;
    o.seed = 7;
    Trials trials = trials_of(world, o);
    CCL_ASSERT_OK(world.group([&](uint32_t r) { return trials[r]->call(); }));
    world.sync();
    for (const auto& trial : trials) ASSERT_TRUE(trial->check());
  }
}

TEST(CollectiveOrderTest, FollowsTheQueueThatItIsCalledOn) {
  World world(2);
  std::vector<npuDevPtr> at;
  for (uint32_t r = 0; r < 2; r++) at.push_back(world.alloc(r, 4096));
  CCL_ASSERT_OK(world.group([&](uint32_t r) {
    npuResult result = npuQueueFill(world[r].queue, at[r], 0x3f800000, 4, 4096, nullptr);
    for (int i = 0; i < 10 && result == NPU_OK; i++) {
      result = npuCclAllReduce(world[r].comm, world[r].queue, at[r], at[r], 1024, NPU_FLOAT32,
                               NPU_CCL_SUM, nullptr);
    }
    return result;
  }));
  world.sync();
  for (uint32_t r = 0; r < 2; r++) {
    const Bytes bytes = world.get(r, at[r], 4096);
    for (size_t i = 0; i < 1024; i++) {
      float value;
      std::memcpy(&value, &bytes[4 * i], 4);
      ASSERT_EQ(value, 1024.0f);
    }
    world.free(r, at[r]);
  }
}

// Of operations in a row only the first one waits for the queue, unless something came between them.
TEST(CollectiveOrderTest, WhatComesBetweenOperationsIsWaitedFor) {
  World world(2);
  world.threads([&](uint32_t rank) {
    RankEnd& end = world[rank];
    const npuDevPtr at = world.put(rank, Bytes(4096)), gate = world.put(rank, Bytes(8));
    npuQueue opener = nullptr;
    CCL_ASSERT_OK(npuQueueCreate(end.context, nullptr, &opener));
    const auto all_reduce = [&] {
      return npuCclAllReduce(end.comm, end.queue, at, at, 1024, NPU_FLOAT32, NPU_CCL_SUM, nullptr);
    };
    for (uint64_t round = 1; round <= 20; round++) {
      for (int i = 0; i < 3; i++) CCL_ASSERT_OK(all_reduce());
      CCL_ASSERT_OK(npuQueueWaitSemaphore(end.queue, gate, round, nullptr));
      CCL_ASSERT_OK(npuQueueFill(end.queue, at, 0x3f800000, 4, 4096, nullptr));
      CCL_ASSERT_OK(all_reduce());
      CCL_ASSERT_OK(npuQueueSignal(opener, gate, round, nullptr));
      CCL_ASSERT_OK(npuQueueSync(end.queue, kLongNs));
      const Bytes bytes = world.get(rank, at, 4096);
      for (size_t i = 0; i < bytes.size(); i += 4) {
        float value;
        std::memcpy(&value, &bytes[i], 4);
        ASSERT_EQ(value, 2.0f);
      }
    }
    npuQueueDestroy(opener);
    world.free(rank, at);
    world.free(rank, gate);
  });
}

TEST(CollectiveFactorTest, PreMultipliedSumScalesEachRanksInput) {
  World world(3, make_info(kChunkBytes));
  const std::vector<float> factors = {0.5f, -3.0f, 1.7f};
  for (npuDataType type : {NPU_FLOAT32, NPU_BFLOAT16, NPU_FLOAT16, NPU_FLOAT8_E4M3, NPU_INT8}) {
    std::vector<Bytes> inputs;
    std::vector<npuDevPtr> at;
    std::vector<npuCclRedOp> ops(3);
    for (uint32_t r = 0; r < 3; r++) {
      inputs.push_back(numbers(type, 3001, r + 5));
      at.push_back(world.put(r, inputs[r]));
      CCL_ASSERT_OK(npuCclRedOpCreatePreMulSum(world[r].comm, factors[r], &ops[r]));
    }
    CCL_ASSERT_OK(world.group([&](uint32_t r) {
      return npuCclAllReduce(world[r].comm, world[r].queue, at[r], at[r], 3001, type, ops[r],
                             nullptr);
    }));
    world.sync();
    const Bytes expected = reduced(type, NPU_CCL_SUM, inputs, factors);
    for (uint32_t r = 0; r < 3; r++) {
      EXPECT_EQ(world.get(r, at[r], expected.size()), expected) << "rank " << r << " type " << type;
      CCL_EXPECT_OK(npuCclRedOpDestroy(world[r].comm, ops[r]));
      EXPECT_EQ(npuCclRedOpDestroy(world[r].comm, ops[r]), NPU_ERROR_INVALID_ARGUMENT);
      world.free(r, at[r]);
    }
  }
}

}  // namespace
}  // namespace npu::test
