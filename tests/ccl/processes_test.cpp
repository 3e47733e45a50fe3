// SPDX-License-Identifier: Apache-2.0
// Ranks in processes of their own.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "tests/ccl/operation.h"

namespace npu::test {
namespace {

constexpr uint32_t kRanks = 4;
constexpr auto kLimit = std::chrono::seconds(30);

// Children with their output; those that are left are killed, stopped ones too.
class Processes {
 public:
  Processes(uint64_t seed, const char* what, int at, uint32_t actor) {
    std::random_device random;
    char id[96];
    // A port below those that the system hands out by itself.
    std::snprintf(id, sizeof(id), "NPU_CCL_ID=127.0.0.1:%u:%08x%08x%08x%08x",
                  20000 + random() % 10000, random(), random(), random(), random());
    for (uint32_t rank = 0; rank < kRanks; rank++) {
      start(rank, id, std::to_string(seed), rank == actor ? what : "none", std::to_string(at));
    }
  }
  ~Processes() {
    for (pid_t pid : pids) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    for (int out : outs) close(out);
  }
  // What the rank has said until it ended.
  std::string output(uint32_t rank) {
    std::string text;
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (std::chrono::steady_clock::now() < end) {
      pollfd poller{outs[rank], POLLIN, 0};
      if (poll(&poller, 1, 100) != 1) continue;
      char piece[512];
      const ssize_t got = read(outs[rank], piece, sizeof(piece));
      if (got <= 0) return text;
      text.append(piece, static_cast<size_t>(got));
    }
    return text + " (no end in time)";
  }
  std::vector<pid_t> pids;
  std::vector<int> outs;

 private:
  void start(uint32_t rank, char* id, const std::string& seed, const char* what,
             const std::string& at) {
    int pipe_fds[2];
    ASSERT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    const std::string number = std::to_string(rank), all = std::to_string(kRanks);
    const pid_t pid = fork();
    if (pid == 0) {
      dup2(pipe_fds[1], STDOUT_FILENO);
      putenv(id);
      execl(NPU_CCL_RANK, NPU_CCL_RANK, number.c_str(), all.c_str(), seed.c_str(), what, at.c_str(),
            nullptr);
      _exit(127);
    }
    close(pipe_fds[1]);
    pids.push_back(pid);
    outs.push_back(pipe_fds[0]);
  }
};

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* road = std::getenv("NPU_DEVICE");
    if (road != nullptr && std::strncmp(road, "inproc", 6) == 0) {
      GTEST_SKIP() << "no other process sees a model that runs inside this one";
    }
  }
  void expect_failure(const char* what, npuCclReason reason, uint32_t culprit, const char* words) {
    constexpr uint32_t kActor = 2;
    Processes processes(11, what, 7, kActor);
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
  Processes processes(5, "none", -1, 0);
  for (uint32_t rank = 0; rank < kRanks; rank++) EXPECT_EQ(processes.output(rank), "done\n");
}

TEST_F(ProcessTest, AKilledRankIsNamed) {
  expect_failure("kill", NPU_CCL_RANK_LOST, 2, "rank 2: its process ended");
}

TEST_F(ProcessTest, ARankThatEndsTooEarlyIsNamed) {
  expect_failure("exit", NPU_CCL_RANK_LOST, 2, "rank 2: its process ended");
}

TEST_F(ProcessTest, AStoppedRankIsNamedWithinTheDeadline) {
  expect_failure("stop", NPU_CCL_TIMEOUT, 2, "rank 2 has not called operation");
}

}  // namespace
}  // namespace npu::test
