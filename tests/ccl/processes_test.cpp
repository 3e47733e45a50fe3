// SPDX-License-Identifier: Apache-2.0
// Ranks in processes of their own.
#include "tests/ccl/processes.h"

#include <gtest/gtest.h>
#include <npu/npu_ccl.h>

#include <cstdlib>
#include <cstring>

namespace npu::test {
namespace {

constexpr uint32_t kRanks = 4;

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* road = std::getenv("NPU_DEVICE");
    if (road != nullptr && std::strncmp(road, "inproc", 6) == 0) {
      GTEST_SKIP() << "no other process sees a model that runs inside this one";
    }
  }
  // An even |seed|: at an operation that goes through windows.
  void expect_failure(const char* what, npuCclReason reason, uint32_t culprit, const char* words,
                      uint64_t seed = 11) {
    constexpr uint32_t kActor = 2;
    ProcessPlan plan{kRanks, seed, what, 7, kActor};
    Processes processes(plan);
    const std::string begin =
        "failed " + std::to_string(reason) + " " + std::to_string(culprit) + " ";
    for (uint32_t rank = 0; rank < kRanks; rank++) {
      if (rank == kActor) continue;
      const std::string output = processes.output(rank);
      EXPECT_EQ(output.substr(0, begin.size()), begin) << output;
      EXPECT_NE(output.find(words), std::string::npos) << "rank " << rank << ": " << output;
    }
  }
};

TEST_F(ProcessTest, RandomOperationsAmongProcesses) {
  Processes processes(ProcessPlan{kRanks, 5});
  for (uint32_t rank = 0; rank < kRanks; rank++) EXPECT_EQ(processes.output(rank), "done\n");
}

TEST_F(ProcessTest, AKilledRankIsNamed) {
  expect_failure("kill", NPU_CCL_RANK_LOST, 2, "rank 2: its process ended");
}

TEST_F(ProcessTest, AKilledRankIsNamedByThoseThatWaitForItsWindow) {
  expect_failure("kill", NPU_CCL_RANK_LOST, 2, "rank 2: its process ended", 12);
}

// The others work in the window of a rank that goes away while it works in theirs.
TEST_F(ProcessTest, AKillInTheMiddleOfOperationsInWindowsIsNoticed) {
  Processes processes(ProcessPlan{kRanks, 14, "loop", 3, 0, true});
  for (uint32_t rank = 0; rank < kRanks; rank++) EXPECT_EQ(processes.line(rank), "looping");
  processes.signal(1, SIGKILL);
  for (uint32_t rank = 0; rank < kRanks; rank++) {
    if (rank == 1) continue;
    const std::string output = processes.output(rank);
    EXPECT_EQ(output.substr(0, 11), "failed 2 1 ") << output;
  }
}

TEST_F(ProcessTest, ARankThatEndsTooEarlyIsNamed) {
  expect_failure("exit", NPU_CCL_RANK_LOST, 2, "rank 2: its process ended");
}

TEST_F(ProcessTest, AStoppedRankIsNamedWithinTheDeadline) {
  if (is_between_hosts()) {
    return expect_failure("stop", NPU_CCL_RANK_LOST, 2, "rank 2: no sign of life for");
  }
  expect_failure("stop", NPU_CCL_TIMEOUT, 2, "rank 2 has not called operation");
}

}  // namespace
}  // namespace npu::test
