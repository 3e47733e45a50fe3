// SPDX-License-Identifier: Apache-2.0
// What counts as a difference between two logs.
#include "tests/uapi/parity/log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace npu::parity {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/npu-log-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    folder_ = path;
    log_.add("vm.one", "ok");
    log_.add("vm.two", "EINVAL");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  int differences(const std::string& golden, const std::string& exclusions) {
    std::ofstream(folder_ + "/golden") << golden;
    std::ofstream(folder_ + "/exclusions") << exclusions;
    return log_.compare(folder_ + "/golden", folder_ + "/exclusions", "kmd");
  }
  std::string folder_;
  Log log_;
};

TEST_F(LogTest, WhatItWritesIsEqualToItself) {
  ASSERT_TRUE(log_.write(folder_ + "/written"));
  std::ofstream(folder_ + "/exclusions") << "# none\n";
  EXPECT_EQ(log_.compare(folder_ + "/written", folder_ + "/exclusions", "kmd"), 0);
}

TEST_F(LogTest, EachOtherLineIsADifference) {
  EXPECT_EQ(differences("vm.one: ok\nvm.two: EINVAL\n", ""), 0);
  EXPECT_EQ(differences("vm.one: ok\nvm.two: ENOENT\n", ""), 1);
  EXPECT_EQ(differences("vm.one: ok\n", ""), 1) << "a case that the golden log does not have";
  EXPECT_EQ(differences("vm.one: ok\nvm.two: EINVAL\nvm.three: ok\n", ""), 1) << "one that is gone";
}

TEST_F(LogTest, AnExclusionMustExcuseSomething) {
  const std::string golden = "vm.one: ok\nvm.two: ENOENT\n";
  EXPECT_EQ(differences(golden, "kmd vm.two reason\n"), 0);
  EXPECT_EQ(differences(golden, "daemon vm.two of another road\n"), 1);
  EXPECT_EQ(differences(golden, "kmd vm.two reason\nkmd vm.one equal after all\n"), 1);
  EXPECT_EQ(differences(golden, "kmd vm.two reason\nkmd vm.nine outlived its case\n"), 1);
  EXPECT_EQ(differences(golden, "kmd vm.* one of them differs\n"), 0);
  EXPECT_EQ(differences(golden, "kmd vm.two\n"), 1) << "no reason";
}

TEST_F(LogTest, UnreadableFilesAreErrors) {
  EXPECT_NE(log_.compare(folder_ + "/nowhere", folder_ + "/nowhere", "kmd"), 0);
  EXPECT_FALSE(log_.write("/nowhere/log"));
}

TEST_F(LogTest, ANameIsUsedOnce) { EXPECT_THROW(log_.add("vm.one", "ok"), std::runtime_error); }

}  // namespace
}  // namespace npu::parity
