// SPDX-License-Identifier: Apache-2.0
// Windows: every operation in them, who registers and calls what, and what is left. Between hosts windows are some in name only, and operations go their old way.
#include <cstdlib>
#include <memory>

#include "tests/ccl/operation.h"
#include "tests/ccl/processes.h"

namespace npu::test {
namespace {

constexpr uint64_t kArenaBytes = 1 << 20;
constexpr uint64_t kCounts[] = {0, 1, 1009};

// Of all communicators that are made while it lives.
class Choice {
 public:
  explicit Choice(const char* text) { setenv("NPU_CCL_ALGO", text, 1); }
  ~Choice() { unsetenv("NPU_CCL_ALGO"); }
  Choice(const Choice&) = delete;
};

npuCclWindowInfo info_of(const RankEnd& end) {
  npuCclWindowInfo info{};
  info.struct_size = sizeof(info);
  CCL_EXPECT_OK(npuCclCommWindowGetInfo(end.comm, end.window, &info));
  return info;
}

npuResult all_reduce(const RankEnd& end, npuDevPtr send, npuDevPtr recv, uint64_t count) {
  return npuCclAllReduce(end.comm, end.queue, send, recv, count, NPU_FLOAT32, NPU_CCL_SUM, nullptr);
}

class WindowTest : public testing::TestWithParam<uint32_t> {
 protected:
  const Choice choice_{"window"};
};

// Elements behind the sixth of |number| types, all that can be reduced.
TEST_P(WindowTest, EveryOperationAndTypeGivesWhatTheReferenceGives) {
  World world(GetParam());
  world.register_windows(kArenaBytes);
  constexpr uint64_t kTypes = 8;
  uint64_t seed = 0;
  for (uint32_t kind = 0; kind < kKindCount; kind++) {
    for (uint64_t count : kCounts) {
      for (uint64_t type = 0; type < kTypes; type++) {
        Operation o;
        o.kind = static_cast<Kind>(kind);
        o.count = count;
        o.in_window = true;
        o.in_place = type % 2 == 0;
        o.seed = ++seed;
        o.type = some_type(o.kind, type + seed / 64);
        o.op = static_cast<npuCclRedOp>(seed % 5);
        o.root = static_cast<uint32_t>(seed % world.size());
        SCOPED_TRACE(o.text());
        std::vector<std::unique_ptr<Trial>> trials;
        for (uint32_t r = 0; r < world.size(); r++) {
          trials.push_back(std::make_unique<Trial>(world[r], world.size(), r, o));
        }
        CCL_ASSERT_OK(world.group([&](uint32_t r) { return trials[r]->call(); }));
        world.sync();
        for (const auto& trial : trials) ASSERT_TRUE(trial->check());
      }
    }
  }
}

TEST_P(WindowTest, RandomOperationsInAndOutsideOfWindowsInAThreadForEachRank) {
  World world(GetParam(), make_info(4096));
  world.register_windows(kArenaBytes);
  const char* text = std::getenv("NPU_TEST_SEED");
  const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20'261'127;
  SCOPED_TRACE("NPU_TEST_SEED=" + std::to_string(seed));
  world.threads([&](uint32_t rank) {
    Rng rng(seed + world.size());
    for (int i = 0; i < 40; i++) {
      const Operation operation = random_operation(rng, world.size(), 3000);
      Trial trial(world[rank], world.size(), rank, operation);
      CCL_ASSERT_OK(trial.call());
      CCL_ASSERT_OK(npuQueueSync(world[rank].queue, kLongNs)) << world.failure(rank).text;
      ASSERT_TRUE(trial.check()) << "operation " << i;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, WindowTest, testing::Values(1u, 2u, 3u, 5u, 8u));

class WindowsTest : public testing::Test {
 protected:
  WindowsTest() : world_(3) {}
  void expect_mismatch(uint32_t culprit, const char* words) {
    for (uint32_t r = 0; r < world_.size(); r++) {
      ASSERT_TRUE(world_.wait_failed(r)) << "rank " << r;
      const npuCclFailure failure = world_.failure(r);
      EXPECT_EQ(failure.reason, NPU_CCL_MISMATCH) << failure.text;
      EXPECT_EQ(failure.rank, culprit) << failure.text;
      EXPECT_NE(std::string(failure.text).find(words), std::string::npos) << failure.text;
    }
  }
  // On ranks 0, 1 and 2, with this many bytes from an arena's start on.
  npuResult register_all(const uint64_t (&bytes)[3]) {
    return world_.group([&](uint32_t r) {
      return npuCclCommWindowRegister(world_[r].comm, world_[r].arena, bytes[r], 0,
                                      &world_[r].window);
    });
  }
  void make_arenas() {
    for (uint32_t r = 0; r < world_.size(); r++) CCL_ASSERT_OK(make_arena(&world_[r], kArenaBytes));
  }
  void skip_between_hosts() {
    if (is_between_hosts()) GTEST_SKIP() << "windows are some in name only";
  }

  const Choice choice_{"window"};
  World world_;
};

TEST_F(WindowsTest, TellWhetherTheyAreMapped) {
  world_.register_windows(kArenaBytes);
  for (uint32_t r = 0; r < world_.size(); r++) {
    const npuCclWindowInfo info = info_of(world_[r]);
    EXPECT_EQ(info.is_mapped, is_between_hosts() ? 0u : 1u);
    EXPECT_EQ(info.ptr, world_[r].arena);
    EXPECT_EQ(info.size_bytes, kArenaBytes);
    EXPECT_EQ(std::string(info.reason).empty(), info.is_mapped == 1) << info.reason;
    const char* name = nullptr;
    CCL_EXPECT_OK(npuCclCommWindowGetAlgorithm(world_[r].comm, world_[r].window, NPU_CCL_ALL_REDUCE,
                                               1000, NPU_FLOAT32, NPU_CCL_SUM, &name));
    EXPECT_EQ(std::string(name) == "window", info.is_mapped == 1) << name;
    CCL_EXPECT_OK(npuCclCommGetAlgorithm(world_[r].comm, NPU_CCL_ALL_REDUCE, 1000, NPU_FLOAT32,
                                         NPU_CCL_SUM, &name));
    EXPECT_STRNE(name, "window");
  }
}

TEST_F(WindowsTest, OfDifferentSizesAreRefusedOnAllRanks) {
  make_arenas();
  EXPECT_EQ(register_all({4096, 8192, 4096}), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(npuCclGetErrorText()).find("registers"), std::string::npos);
  for (uint32_t r = 0; r < world_.size(); r++) EXPECT_EQ(world_[r].window, 0u);
  CCL_EXPECT_OK(register_all({4096, 4096, 4096}));  // the communicator goes on
}

TEST_F(WindowsTest, MemoryThatCannotBeSharedIsRefusedWithItsRank) {
  make_arenas();
  const npuDevPtr plain = world_.alloc(1, 4096);
  EXPECT_EQ(world_.group([&](uint32_t r) {
    return npuCclCommWindowRegister(world_[r].comm, r == 1 ? plain : world_[r].arena, 4096, 0,
                                    &world_[r].window);
  }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(npuCclGetErrorText()).find("rank 1: this memory cannot be shared"),
            std::string::npos)
      << npuCclGetErrorText();
  world_.free(1, plain);
  EXPECT_EQ(register_all({2 * kArenaBytes, 2 * kArenaBytes, 2 * kArenaBytes}),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(register_all({0, 0, 0}), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuCclCommWindowRegister(world_[0].comm, world_[0].arena, 4096, 1, &world_[0].window),
            NPU_ERROR_RESERVED_NOT_ZERO);
  CCL_EXPECT_OK(register_all({4096, 4096, 4096}));
}

TEST_F(WindowsTest, ARankThatCallsFromAnotherPlaceIsNamed) {
  skip_between_hosts();
  if (IsSkipped()) return;
  world_.register_windows(kArenaBytes);
  CCL_ASSERT_OK(all_reduce(world_[0], world_[0].arena, world_[0].arena, 1000));
  CCL_ASSERT_OK(all_reduce(world_[1], world_[1].arena, world_[1].arena, 1000));
  EXPECT_EQ(all_reduce(world_[2], world_[2].arena + 256, world_[2].arena + 256, 1000),
            NPU_ERROR_INVALID_ARGUMENT);
  expect_mismatch(2, "send at byte 256 of window 1");
}

TEST_F(WindowsTest, ARankThatCallsFromOutsideIsNamed) {
  skip_between_hosts();
  if (IsSkipped()) return;
  world_.register_windows(kArenaBytes);
  const npuDevPtr outside = world_.alloc(1, 4000);
  CCL_ASSERT_OK(all_reduce(world_[0], world_[0].arena, world_[0].arena, 1000));
  CCL_ASSERT_OK(all_reduce(world_[2], world_[2].arena, world_[2].arena, 1000));
  EXPECT_EQ(all_reduce(world_[1], outside, outside, 1000), NPU_ERROR_INVALID_ARGUMENT);
  expect_mismatch(1, "recv at byte 0 of window 1");
  world_.free(1, outside);
}

// What lies in the window is what it was: nobody writes before all have called alike.
TEST_F(WindowsTest, NobodyTouchesTheWindowOfARankThatHasNotCalled) {
  skip_between_hosts();
  if (IsSkipped()) return;
  world_.register_windows(kArenaBytes);
  const Bytes before(4000, 7);
  CCL_ASSERT_OK(npuMemCopyToDevice(world_[2].context, world_[2].arena, before.data(), 4000));
  CCL_ASSERT_OK(all_reduce(world_[0], world_[0].arena, world_[0].arena, 1000));
  CCL_ASSERT_OK(all_reduce(world_[1], world_[1].arena, world_[1].arena, 1000));
  CCL_ASSERT_OK(npuCclCommAbort(world_[1].comm));
  ASSERT_TRUE(world_.wait_failed(0));
  EXPECT_EQ(world_.failure(0).reason, NPU_CCL_ABORTED);
  EXPECT_EQ(npuQueueSync(world_[0].queue, kLongNs), NPU_ERROR_DEPENDENCY_FAILED);
  EXPECT_EQ(world_.get(2, world_[2].arena, 4000), before);
}

TEST_F(WindowsTest, GoTheirOldWayWhenAllHaveDeregistered) {
  world_.register_windows(kArenaBytes);
  for (int round = 0; round < 2; round++) {
    std::vector<Bytes> inputs;
    for (uint32_t r = 0; r < world_.size(); r++) {
      inputs.push_back(numbers(NPU_FLOAT32, 1000, r + 1));
      CCL_ASSERT_OK(npuMemCopyToDevice(world_[r].context, world_[r].arena, inputs[r].data(), 4000));
    }
    CCL_ASSERT_OK(world_.group(
        [&](uint32_t r) { return all_reduce(world_[r], world_[r].arena, world_[r].arena, 1000); }));
    for (uint32_t r = 0; r < world_.size() && round == 0; r++) {  // with the operation under way
      CCL_ASSERT_OK(npuCclCommWindowDeregister(world_[r].comm, world_[r].window));
      EXPECT_EQ(npuCclCommWindowDeregister(world_[r].comm, world_[r].window), NPU_ERROR_NOT_FOUND);
    }
    world_.sync();
    const Bytes expected = reduced(NPU_FLOAT32, NPU_CCL_SUM, inputs);
    for (uint32_t r = 0; r < world_.size(); r++) {
      EXPECT_EQ(world_.get(r, world_[r].arena, 4000), expected) << "round " << round;
    }
  }
}

TEST_F(WindowsTest, MemoryThatWasFreedStaysForTheOthers) {
  world_.register_windows(kArenaBytes);
  world_.free(1, std::exchange(world_[1].arena, 0));
  CCL_ASSERT_OK(world_.group(
      [&](uint32_t r) { return npuCclBarrier(world_[r].comm, world_[r].queue, nullptr); }));
  world_.sync();
  EXPECT_EQ(all_reduce(world_[1], info_of(world_[1]).ptr, info_of(world_[1]).ptr, 1000),
            NPU_ERROR_INVALID_ADDRESS);
}

// The address is the window's, the memory is not: others would read and write what was there before.
TEST_F(WindowsTest, NewMemoryAtTheAddressOfFreedMemoryIsOutsideOfTheWindow) {
  skip_between_hosts();
  if (IsSkipped()) return;
  world_.register_windows(kArenaBytes);
  std::vector<Bytes> inputs;
  for (uint32_t r = 0; r < world_.size(); r++) {
    const npuDevPtr before = world_[r].arena;
    world_.free(r, std::exchange(world_[r].arena, 0));
    CCL_ASSERT_OK(make_arena(&world_[r], kArenaBytes));
    if (world_[r].arena != before) GTEST_SKIP() << "addresses are not used again at once";
    inputs.push_back(numbers(NPU_FLOAT32, 1000, r + 1));
    CCL_ASSERT_OK(npuMemCopyToDevice(world_[r].context, world_[r].arena, inputs[r].data(), 4000));
  }
  CCL_ASSERT_OK(world_.group(
      [&](uint32_t r) { return all_reduce(world_[r], world_[r].arena, world_[r].arena, 1000); }));
  world_.sync();
  const Bytes expected = reduced(NPU_FLOAT32, NPU_CCL_SUM, inputs);
  for (uint32_t r = 0; r < world_.size(); r++) {
    EXPECT_EQ(world_.get(r, world_[r].arena, 4000), expected) << "rank " << r;
  }
}

TEST_F(WindowsTest, AGroupMayRegisterMany) {
  constexpr uint64_t kBytes = 4096;
  constexpr size_t kMany = 65;
  make_arenas();
  std::vector<std::vector<npuCclWindow>> windows(world_.size(), std::vector<npuCclWindow>(kMany));
  // One more than a communicator may have.
  EXPECT_EQ(world_.group([&](uint32_t r) {
    npuResult first = NPU_OK;
    for (size_t i = 0; i < kMany; i++) {
      const npuResult result = npuCclCommWindowRegister(
          world_[r].comm, world_[r].arena + i * kBytes, kBytes, 0, &windows[r][i]);
      if (first == NPU_OK) first = result;
    }
    return first;
  }),
            NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_NE(std::string(npuCclGetErrorText()).find("has 64 windows"), std::string::npos)
      << npuCclGetErrorText();
  for (uint32_t r = 0; r < world_.size(); r++) {
    for (size_t i = 0; i < kMany; i++) EXPECT_EQ(windows[r][i] == 0, i == 64) << i;
  }
}

TEST(WindowTimeoutTest, ARankThatDoesNotRegisterIsNamed) {
  constexpr uint32_t kShortMs = 300;
  World world(2, make_info(0, kShortMs));
  CCL_ASSERT_OK(make_arena(&world[0], 4096));
  EXPECT_EQ(npuCclCommWindowRegister(world[0].comm, world[0].arena, 4096, 0, &world[0].window),
            NPU_ERROR_DEPENDENCY_FAILED);
  for (uint32_t r = 0; r < 2; r++) {
    ASSERT_TRUE(world.wait_failed(r));
    EXPECT_EQ(world.failure(r).reason, NPU_CCL_TIMEOUT);
    EXPECT_EQ(world.failure(r).rank, 1u);
    EXPECT_NE(std::string(world.failure(r).text).find("rank 1 has not registered window 1"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace npu::test
