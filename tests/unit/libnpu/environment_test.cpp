// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/environment.h"

#include <gtest/gtest.h>

namespace npu {
namespace {

TEST(EnvironmentTest, ReadsEveryRoad) {
  auto road = parse_device_road("model");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().road, Road::kModel);
  EXPECT_EQ(road.value().spec, "maia100");
  EXPECT_EQ(road.value().count, 1u);
  road = parse_device_road("model:tiny*16");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().spec, "tiny*16");
  EXPECT_EQ(road.value().count, 16u);
  road = parse_device_road("inproc:tiny*1");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().road, Road::kInProcess);
  EXPECT_EQ(road.value().spec, "tiny") << "one spelling for one meaning";
  road = parse_device_road("unix:/run/npu.sock");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().path, "/run/npu.sock");
  EXPECT_EQ(parse_device_road("accel").value().road, Road::kKernel);
  EXPECT_EQ(parse_device_road("accel:0000:03:00.0").value().road, Road::kKernel);
}

TEST(EnvironmentTest, RefusesEverythingElse) {
  for (const char* text : {"",
                           "Model",
                           "model:",
                           "model:*2",
                           "model:tiny*",
                           "model:tiny*0",
                           "model:tiny*17",
                           "model:tiny*2x",
                           "model:tiny*-1",
                           "model:a/b",
                           "model:..",
                           "model:.hidden",
                           "model:tiny 2",
                           "inproc:",
                           "inproc:a*b*c",
                           "unix",
                           "unix:",
                           "unix:x",
                           "accel:",
                           "cuda"}) {
    EXPECT_EQ(parse_device_road(text).status().code(), NPU_ERROR_BAD_ENVIRONMENT)
        << "'" << text << "'";
  }
  EXPECT_FALSE(parse_device_road(("model:" + std::string(65, 'a')).c_str()).is_ok());
}

}  // namespace
}  // namespace npu
