// SPDX-License-Identifier: Apache-2.0
// Two network namespaces joined by a cable that can be cut: the nearest thing to two hosts on one machine. Ranks 0 and 1 are in one, 2 and 3 in the other. Needs root and iproute2.
#include <gtest/gtest.h>
#include <npu/npu_ccl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/ccl/processes.h"

namespace npu::test {
namespace {

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// Two "hosts", with addresses of a network that nothing else uses.
class Hosts {
 public:
  Hosts() {
    is_made_ =
        geteuid() == 0 && run("ip -V") && run("ip netns add " + name(0)) &&
        run("ip netns add " + name(1)) &&
        run("ip -n " + name(0) + " link add cable type veth peer name cable netns " + name(1));
    for (int host = 0; host < 2 && is_made_; host++) {
      is_made_ = run("ip -n " + name(host) + " link set lo up") &&
                 run("ip -n " + name(host) + " address add " + address(host) + "/24 dev cable") &&
                 run("ip -n " + name(host) + " link set cable up");
    }
  }
  ~Hosts() {
    for (int host = 0; host < 2 && geteuid() == 0; host++) run("ip netns delete " + name(host));
  }
  Hosts(const Hosts&) = delete;

  bool are_made() const { return is_made_; }
  static std::string address(int host) { return "198.51.100." + std::to_string(host + 1); }
  std::string name(int host) const {
    return "npu-ccl-" + std::to_string(getpid()) + "-" + std::to_string(host);
  }
  void cut() { EXPECT_TRUE(run("ip -n " + name(0) + " link set cable down")); }

 private:
  bool is_made_ = false;
};

class NamespaceTest : public testing::Test {
 protected:
  static constexpr uint32_t kRanks = 4;

  void SetUp() override {
    if (!hosts_.are_made()) {
      GTEST_SKIP() << "no network namespaces: this needs root, iproute2, and a kernel with veth";
    }
  }
  ProcessPlan plan(const char* what, int at, uint32_t actor) {
    ProcessPlan plan{kRanks, 7, what, at, actor};
    plan.host = Hosts::address(0);
    plan.prefix = [this](uint32_t rank) {
      return std::vector<std::string>{"ip", "netns", "exec", hosts_.name(rank < 2 ? 0 : 1)};
    };
    return plan;
  }
  void expect_failure(const char* what, const char* words) {
    constexpr uint32_t kActor = 2;
    Processes processes(plan(what, 7, kActor));
    for (uint32_t rank : {0u, 1u, 3u}) {
      const std::string output = processes.output(rank);
      EXPECT_TRUE(output.starts_with("failed ") && output.find(" 2 rank 2") != std::string::npos)
          << "rank " << rank << ": " << output;
      EXPECT_NE(output.find(words), std::string::npos) << "rank " << rank << ": " << output;
    }
  }
  Hosts hosts_;
};

TEST_F(NamespaceTest, RandomOperationsInsideAndBetweenHosts) {
  Processes processes(plan("none", -1, 0));
  for (uint32_t rank = 0; rank < kRanks; rank++) EXPECT_EQ(processes.output(rank), "done\n");
}

TEST_F(NamespaceTest, AKilledRankIsNamed) { expect_failure("kill", "its process ended"); }

TEST_F(NamespaceTest, ARankThatEndsTooEarlyIsNamed) { expect_failure("exit", "its process ended"); }

TEST_F(NamespaceTest, AStoppedRankIsNamed) { expect_failure("stop", "no sign of life for"); }

TEST_F(NamespaceTest, ACutCableIsFoundAndTheOtherSideNamed) {
  ProcessPlan looping = plan("loop", 3, 0);
  looping.all_act = true;
  Processes processes(looping);
  for (uint32_t rank = 0; rank < kRanks; rank++) ASSERT_EQ(processes.line(rank), "looping");
  hosts_.cut();
  for (uint32_t rank = 0; rank < kRanks; rank++) {
    const std::string output = processes.output(rank);
    const std::string begin = "failed " + std::to_string(NPU_CCL_RANK_LOST) + " ";
    ASSERT_TRUE(output.starts_with(begin)) << "rank " << rank << ": " << output;
    const int named = output[begin.size()] - '0';
    EXPECT_NE(named / 2, static_cast<int>(rank / 2)) << "rank " << rank << ": " << output;
    EXPECT_NE(output.find("no sign of life for"), std::string::npos) << output;
  }
}

}  // namespace
}  // namespace npu::test
