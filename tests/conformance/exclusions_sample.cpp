// SPDX-License-Identifier: Apache-2.0
// Tests of known behaviour, for exclusions_test.cpp. Arguments: list of exclusions, road, then gtest's.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/conformance/exclusions.h"

namespace {

int g_started = 0;

TEST(Sample, Passes) { g_started++; }
TEST(Sample, PassesOnlyFirst) { EXPECT_EQ(g_started++, 0); }
TEST(Sample, Fails) { FAIL() << "as it should"; }
TEST(Sample, Crashes) { std::abort(); }
TEST(Sample, Skips) { GTEST_SKIP() << "by itself"; }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string path = argv[1];
  const std::string road = argv[2];
  testing::InitGoogleTest(&argc, argv);
  return npu::conformance::run_with_exclusions(path, road, {"/proc/self/exe", path, road});
}
