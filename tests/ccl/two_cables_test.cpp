// SPDX-License-Identifier: Apache-2.0
// Two ranks in two network namespaces which two cables join: which of them they use when one is cut, loses everything, comes back.
#include <gtest/gtest.h>
#include <npu/npu_ccl.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>

#include "tests/ccl/namespaces.h"
#include "tests/ccl/processes.h"
#include "tests/ccl/variable.h"

namespace npu::test {
namespace {

// Two ranks on two cables, which add up large arrays until they are ended, and tell of their rails.
class CablesTest : public testing::Test {
 protected:
  // |prefix|: words before the command of a rank, inside its namespace.
  void start(const std::function<std::vector<std::string>(uint32_t rank)>& prefix) {
    ProcessPlan rails{2, 7, "rails", 0, 0};
    rails.host = Namespaces::address(0);
    rails.prefix = [&](uint32_t rank) {
      std::vector<std::string> words = namespaces_.prefix(rank);
      const std::vector<std::string> more = prefix(rank);
      words.insert(words.end(), more.begin(), more.end());
      return words;
    };
    rails.all_act = true;
    processes_.emplace(rails);
  }
  // Both ranks see that change and no other, and then messages on all rails that are up.
  void expect(const std::string& rails) {
    for (uint32_t rank = 0; rank < 2; rank++) {
      ASSERT_EQ(processes_->line(rank), "rails " + rails) << "rank " << rank;
      ASSERT_EQ(processes_->line(rank), "carries " + rails) << "rank " << rank;
    }
  }

  Namespaces namespaces_{2};
  std::optional<Processes> processes_;
};

class TwoCablesTest : public CablesTest {
 protected:
  void SetUp() override {
    if (!namespaces_.cause().empty()) GTEST_SKIP() << namespaces_.cause();
    start([](uint32_t) { return std::vector<std::string>(); });
    expect("11");
  }

  Variable interface_{"NPU_CCL_INTERFACE", "cable0,cable1"};
};

// Each host has a device model of its own, whose ports 1 and 2 stand for the cables.
class PortsTest : public CablesTest {
 protected:
  void SetUp() override {
    if (!namespaces_.cause().empty()) GTEST_SKIP() << namespaces_.cause();
    char folder[] = "/tmp/npu-ports-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    std::ostringstream tiny;
    tiny << std::ifstream(NPU_PROFILES "/tiny.toml").rdbuf();
    std::string text = tiny.str();
    const std::string name = "\"tiny\"";
    ASSERT_NE(text.find(name), std::string::npos);
    text.replace(text.find(name), name.size(), "\"bound\"");
    for (int cable = 0; cable < 2; cable++) {
      text += "\n[[port]]\nindex = " + std::to_string(1 + cable) + "\ninterface = \"cable" +
              std::to_string(cable) + "\"\n";
    }
    std::ofstream(folder_ / "bound.toml") << text;
    for (const char* host : {"0", "1"}) {
      ASSERT_TRUE(std::filesystem::create_directory(folder_ / host));
      std::filesystem::permissions(folder_ / host, std::filesystem::perms::owner_all);
    }
  }
  void TearDown() override {
    processes_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void start_bound() {
    start([&](uint32_t rank) {
      return std::vector<std::string>{
          "env", "NPU_DEVICE=model:bound", "NPU_PROFILE_DIR=" + folder_.string(),
          "XDG_RUNTIME_DIR=" + (folder_ / std::to_string(rank)).string()};
    });
  }

  std::filesystem::path folder_;
};

TEST_F(PortsTest, AreRailsAndMoveTheirMessagesWhenTheyLoseTheirLink) {
  start_bound();
  ASSERT_NO_FATAL_FAILURE(expect("11"));
  ASSERT_TRUE(namespaces_.train(1, true));
  ASSERT_NO_FATAL_FAILURE(expect("10"));
  ASSERT_TRUE(namespaces_.train(1, false));
  ASSERT_NO_FATAL_FAILURE(expect("11"));
  ASSERT_TRUE(namespaces_.cut(0));
  ASSERT_NO_FATAL_FAILURE(expect("01"));
}

TEST_F(PortsTest, WithoutALinkAreNoRails) {
  ASSERT_TRUE(namespaces_.train(1, true));
  start_bound();
  expect("1");
}

TEST_F(PortsTest, AreNotAskedWhereInterfacesAreNamed) {
  const Variable interface("NPU_CCL_INTERFACE", "cable1");
  start_bound();
  expect("1");
}

TEST_F(TwoCablesTest, TheOtherOneCarriesOnAndTheFirstOneAgainWhenItIsBack) {
  for (int turn = 0; turn < 2 && !HasFailure(); turn++) {
    ASSERT_TRUE(namespaces_.cut(1));
    expect("10");
    ASSERT_TRUE(namespaces_.mend(1));
    expect("11");
  }
}

TEST_F(TwoCablesTest, TheLeadingOneIsNoExceptionLongerThanAHeartbeat) {
  ASSERT_TRUE(namespaces_.cut(0));
  expect("01");
  // Meanwhile nothing comes by the control connection.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2500);
  while (std::chrono::steady_clock::now() < end) std::this_thread::yield();
  ASSERT_TRUE(namespaces_.mend(0));
  expect("11");
  ASSERT_TRUE(namespaces_.cut(1));
  expect("10");
}

// Its interfaces have a link, yet nothing comes through: the questions find it.
TEST_F(TwoCablesTest, OneThatLosesEverythingIsFoundByItsSilence) {
  ASSERT_TRUE(namespaces_.swallow(1, true));
  expect("10");
  ASSERT_TRUE(namespaces_.swallow(1, false));
  expect("11");
}

TEST_F(TwoCablesTest, WithoutAnyOneTheOtherRankIsNamed) {
  ASSERT_TRUE(namespaces_.cut(0));
  ASSERT_TRUE(namespaces_.cut(1));
  for (uint32_t rank = 0; rank < 2; rank++) {
    const std::string output = processes_->output(rank);
    const std::string begin =
        "failed " + std::to_string(NPU_CCL_RANK_LOST) + " " + std::to_string(1 - rank) + " rank";
    EXPECT_NE(output.find(begin), std::string::npos) << "rank " << rank << ": " << output;
  }
}

TEST_F(TwoCablesTest, AnAbortIsHeardThoughTheLeadingOneIsCut) {
  ASSERT_TRUE(namespaces_.cut(0));
  expect("01");
  processes_->signal(1, SIGUSR1);
  const std::string output = processes_->output(0);
  EXPECT_TRUE(output.starts_with("failed " + std::to_string(NPU_CCL_ABORTED) + " 1 rank 1"))
      << output;
}

}  // namespace
}  // namespace npu::test
