// SPDX-License-Identifier: Apache-2.0
// The list of exclusions: what counts as an error, shown on a program whose tests behave in known ways.
#include "tests/conformance/exclusions.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace npu::conformance {
namespace {

constexpr const char* kRest =
    "kmd xfail Sample.Fails x\nkmd xfail Sample.Crashes x\nkmd skip Sample.Skips x\n";

class ExclusionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/npu-exclusions-XXXXXX";
    const int fd = mkstemp(path);
    ASSERT_GE(fd, 0);
    close(fd);
    path_ = path;
  }
  void TearDown() override { unlink(path_.c_str()); }

  // Exit status of the sample with |list| on the road kmd.
  int run(const std::string& list, const std::string& filter = "*") {
    std::ofstream(path_) << list;
    const std::string command = std::string(NPU_SAMPLE) + " " + path_ +
                                " kmd '--gtest_filter=" + filter + "' > /dev/null 2>&1";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }
  bool reads(const std::string& list) {
    std::ofstream(path_) << list;
    std::vector<Exclusion> out;
    std::string error;
    return read_exclusions(path_, "kmd", &out, &error);
  }
  std::string path_;
};

TEST_F(ExclusionsTest, WhatFailsAsListedIsFine) {
  EXPECT_EQ(run(kRest, "*-Sample.PassesOnlyFirst"), 0);
  EXPECT_EQ(run(kRest, "Sample.Fails"), 0);
}

TEST_F(ExclusionsTest, AnUnexpectedPassFails) {
  const std::string list = std::string(kRest) + "kmd xfail Sample.Passes believed to fail\n";
  EXPECT_EQ(run(list, "*-Sample.PassesOnlyFirst"), 1);
  EXPECT_EQ(run(list, "Sample.Passes"), 1);
  EXPECT_EQ(run(list, "Sample.Fails"), 0) << "only what the filter selects counts";
}

TEST_F(ExclusionsTest, AFailureThatIsNotListedFails) {
  EXPECT_EQ(run("", "Sample.Fails"), 1);
  EXPECT_EQ(run("inproc xfail Sample.Fails another road\n", "Sample.Fails"), 1);
}

TEST_F(ExclusionsTest, ATestThatSkipsItselfMustBeListed) {
  EXPECT_EQ(run("", "Sample.Skips"), 1);
  EXPECT_EQ(run("kmd skip Sample.Skips the reason\n", "Sample.Skips"), 77);
}

TEST_F(ExclusionsTest, ATestThatMustBeAloneIs) {
  const std::string list = kRest;
  EXPECT_EQ(run(list), 1) << "PassesOnlyFirst comes second";
  EXPECT_EQ(run(list + "kmd alone Sample.PassesOnlyFirst counts\n"), 0);
  EXPECT_EQ(run("kmd alone Sample.Fails it does not pass alone\n", "Sample.Fails"), 1);
}

TEST_F(ExclusionsTest, LinesMustMeanSomething) {
  EXPECT_TRUE(reads("# a comment\n\nkmd skip A.B reason\n"));
  EXPECT_FALSE(reads("kmd skip A.B\n")) << "no reason";
  EXPECT_FALSE(reads("kmd maybe A.B reason\n"));
  EXPECT_FALSE(reads("nowhere skip A.B reason\n"));
  EXPECT_FALSE(reads("moon skip A.B reason\n"));
  EXPECT_EQ(run("kmd skip Sample.NoSuchTest reason\n", "Sample.Passes"), 1) << "outlived its test";
  unlink(path_.c_str());
  std::vector<Exclusion> out;
  std::string error;
  EXPECT_FALSE(read_exclusions(path_, "kmd", &out, &error));
}

TEST_F(ExclusionsTest, FiltersAreGtests) {
  EXPECT_TRUE(filter_selects("*", "A.B"));
  EXPECT_TRUE(filter_selects("A.*", "A.B"));
  EXPECT_TRUE(filter_selects("X.Y:A.?", "A.B"));
  EXPECT_FALSE(filter_selects("A.C", "A.B"));
  EXPECT_FALSE(filter_selects("*-A.B", "A.B"));
  EXPECT_FALSE(filter_selects("-X.Y:A.*", "A.B"));
  EXPECT_TRUE(filter_selects("-X.Y", "A.B"));
}

}  // namespace
}  // namespace npu::conformance
