// SPDX-License-Identifier: Apache-2.0
// Ranks in two network namespaces, the first half of them in one, the second in the other: what they learn of each other's ends, and when; that nobody works who has nothing to do.
#include <gtest/gtest.h>
#include <npu/npu_ccl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "tests/ccl/namespaces.h"
#include "tests/ccl/processes.h"

namespace npu::test {
namespace {

class NamespaceTest : public testing::Test {
 protected:
  static constexpr uint32_t kRanks = 4;

  static constexpr uint32_t kActor = 2;

  void SetUp() override {
    if (!namespaces_.cause().empty()) GTEST_SKIP() << namespaces_.cause();
  }
  ProcessPlan plan(const char* what, int at, uint32_t actor) {
    ProcessPlan plan{kRanks, 7, what, at, actor};
    plan.host = Namespaces::address(0);
    plan.prefix = [this](uint32_t rank) { return namespaces_.prefix(rank / 2); };
    return plan;
  }
  // The time behind |word| at the begin of a line; negative: it is not there.
  static double time_behind(const std::string& text, const std::string& word) {
    const size_t at = ("\n" + text).find("\n" + word + " ");
    return at == std::string::npos ? -1 : std::strtod(&text[at + word.size()], nullptr);
  }
  // One line of the table of who learns of what when.
  static void print_learned(const char* what, uint32_t rank, const std::string& output,
                            double since_ms) {
    const double at_ms = time_behind(output, "learned");
    EXPECT_GE(at_ms, since_ms) << "rank " << rank << ": " << output;
    EXPECT_GT(since_ms, 0) << what;
    std::printf("%-8s rank %u learned of it after %8.1f ms: %s\n", what, rank, at_ms - since_ms,
                output.substr(0, output.find('\n')).c_str());
  }
  // All say the same of |culprit|.
  void expect_failure(const char* what, npuCclReason reason, const char* words,
                      std::optional<uint32_t> culprit = kActor) {
    Processes processes(plan(what, 7, kActor));
    const double since_ms = time_behind(processes.line(kActor), "acts");
    for (uint32_t rank : {0u, 1u, 3u}) {
      const std::string output = processes.output(rank);
      const std::string begin = "failed " + std::to_string(reason) + " ";
      ASSERT_TRUE(output.starts_with(begin)) << "rank " << rank << ": " << output;
      const auto named = static_cast<uint32_t>(std::atoi(&output[begin.size()]));
      if (!culprit) culprit = named;
      EXPECT_EQ(named, *culprit) << "rank " << rank << ": " << output;
      EXPECT_NE(output.find(words), std::string::npos) << "rank " << rank << ": " << output;
      print_learned(what, rank, output, since_ms);
    }
  }
  Namespaces namespaces_;
};

TEST_F(NamespaceTest, RandomOperationsInsideAndBetweenHosts) {
  Processes processes(plan("none", -1, 0));
  for (uint32_t rank = 0; rank < kRanks; rank++) EXPECT_EQ(processes.output(rank), "done\n");
}

TEST_F(NamespaceTest, AKilledRankIsNamed) {
  expect_failure("kill", NPU_CCL_RANK_LOST, "rank 2: its process ended");
}

TEST_F(NamespaceTest, ARankThatEndsTooEarlyIsNamed) {
  expect_failure("exit", NPU_CCL_RANK_LOST, "rank 2: its process ended");
}

TEST_F(NamespaceTest, AStoppedRankIsNamed) {
  expect_failure("stop", NPU_CCL_RANK_LOST, "rank 2: no sign of life for");
}

// If rank 3 is the first to see what rank 2 has called, and nothing of the others yet, it is one against one: then the higher rank is named.
TEST_F(NamespaceTest, AnOtherCountIsToldWithWhatBothHaveCalled) {
  expect_failure("count", NPU_CCL_MISMATCH, "rank 2 has called allreduce of 499 float32", {});
}

TEST_F(NamespaceTest, ARankWithAWrongTokenIsNotLetIn) {
  ProcessPlan strangers = plan("stranger", static_cast<int>(kActor), 0);
  strangers.all_act = true;
  Processes processes(strangers);
  const double since_ms = time_behind(processes.line(kActor), "acts");
  for (uint32_t rank = 0; rank < kRanks; rank++) {
    const std::string output = processes.output(rank);
    EXPECT_TRUE(output.starts_with("cannot make a communicator: ")) << output;
    // The others may have lost patience a little earlier: that is no reason to name them.
    EXPECT_TRUE(rank != 0 || output.find("did not come in time: 2 ") != std::string::npos)
        << output;
    print_learned("stranger", rank, output, since_ms);
  }
}

TEST_F(NamespaceTest, ACutCableIsFoundAndTheOtherSideNamed) {
  ProcessPlan looping = plan("loop", 3, 0);
  looping.all_act = true;
  Processes processes(looping);
  for (uint32_t rank = 0; rank < kRanks; rank++) ASSERT_EQ(processes.line(rank), "looping");
  const std::chrono::duration<double, std::milli> since =
      std::chrono::steady_clock::now().time_since_epoch();
  ASSERT_TRUE(namespaces_.cut());
  for (uint32_t rank = 0; rank < kRanks; rank++) {
    const std::string output = processes.output(rank);
    const std::string begin = "failed " + std::to_string(NPU_CCL_RANK_LOST) + " ";
    ASSERT_TRUE(output.starts_with(begin)) << "rank " << rank << ": " << output;
    const int named = output[begin.size()] - '0';
    EXPECT_NE(named / 2, static_cast<int>(rank / 2)) << "rank " << rank << ": " << output;
    EXPECT_NE(output.find("no sign of life for"), std::string::npos) << output;
    print_learned("cut", rank, output, since.count());
  }
}

// The least of a few spells: the first ones may see what the last operation has left to do.
TEST_F(NamespaceTest, IdleRanksTakeNoTimeOfTheCpu) {
  constexpr int kSpells = 5;
  constexpr auto kSpell = std::chrono::seconds(1);
  ProcessPlan idle = plan("idle", 3, 0);
  idle.all_act = true;
  Processes processes(idle);
  for (uint32_t rank = 0; rank < kRanks; rank++) {
    EXPECT_GT(time_behind(processes.line(rank), "acts"), 0);
    ASSERT_EQ(processes.line(rank), "idle");
  }
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < kSpells && least != 0; i++) {
    const uint64_t before = processes.cpu_ticks();
    std::this_thread::sleep_for(kSpell);
    least = std::min(least, processes.cpu_ticks() - before);
  }
  std::printf("%u idle ranks took %llu ticks in a second\n", kRanks,
              static_cast<unsigned long long>(least));
  EXPECT_EQ(least, 0u);
}

}  // namespace
}  // namespace npu::test
