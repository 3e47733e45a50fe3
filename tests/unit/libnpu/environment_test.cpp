// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

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
}

TEST(EnvironmentTest, TheKernelRoadTakesAnAddressOrANode) {
  auto road = parse_device_road("accel");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().road, Road::kKernel);
  EXPECT_EQ(road.value().path, "");
  road = parse_device_road("accel:0000:A3:1f.7");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().road, Road::kKernel);
  EXPECT_EQ(road.value().path, "0000:a3:1f.7") << "as the kernel writes it";
  road = parse_device_road("accel:/dev/accel/accel0");
  ASSERT_TRUE(road.is_ok());
  EXPECT_EQ(road.value().path, "/dev/accel/accel0");
}

TEST(EnvironmentTest, WithoutTheVariableTheMachineDecides) {
  unsetenv("NPU_DEVICE");
  auto environment = read_environment();
  ASSERT_TRUE(environment.is_ok());
  EXPECT_EQ(environment.value().device.road, Road::kAuto);
  EXPECT_EQ(environment.value().device.spec, "maia100")
      << "what the model is when it comes to that";
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
                           "accel:03:00.0",
                           "accel:0000:03:00",
                           "accel:0000:03:00.0x",
                           "accel:000g:03:00.0",
                           "accel:0000-03-00.0",
                           "accel:accel0",
                           "accel:0",
                           "cuda"}) {
    EXPECT_EQ(parse_device_road(text).status().code(), NPU_ERROR_BAD_ENVIRONMENT)
        << "'" << text << "'";
  }
  EXPECT_FALSE(parse_device_road(("model:" + std::string(65, 'a')).c_str()).is_ok());
}

}  // namespace
}  // namespace npu
