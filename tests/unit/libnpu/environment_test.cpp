// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

TEST(EnvironmentTest, ReadsEveryRoad) {
  DeviceRoad road;
  ASSERT_TRUE(parse_device_road("model", &road));
  EXPECT_EQ(road.road, Road::kModel);
  EXPECT_EQ(road.spec, "maia100");
  EXPECT_EQ(road.count, 1u);
  ASSERT_TRUE(parse_device_road("model:tiny*16", &road));
  EXPECT_EQ(road.spec, "tiny*16");
  EXPECT_EQ(road.count, 16u);
  ASSERT_TRUE(parse_device_road("inproc:tiny*1", &road));
  EXPECT_EQ(road.road, Road::kInProcess);
  EXPECT_EQ(road.spec, "tiny") << "one spelling for one meaning";
  ASSERT_TRUE(parse_device_road("unix:/run/npu.sock", &road));
  EXPECT_EQ(road.path, "/run/npu.sock");
}

TEST(EnvironmentTest, TheKernelRoadTakesAnAddressOrANode) {
  DeviceRoad road;
  ASSERT_TRUE(parse_device_road("accel", &road));
  EXPECT_EQ(road.road, Road::kKernel);
  EXPECT_EQ(road.path, "");
  ASSERT_TRUE(parse_device_road("accel:0000:A3:1f.7", &road));
  EXPECT_EQ(road.road, Road::kKernel);
  EXPECT_EQ(road.path, "0000:a3:1f.7") << "as the kernel writes it";
  ASSERT_TRUE(parse_device_road("accel:/dev/accel/accel0", &road));
  EXPECT_EQ(road.path, "/dev/accel/accel0");
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
    DeviceRoad road;
    EXPECT_FALSE(parse_device_road(text, &road)) << "'" << text << "'";
  }
  DeviceRoad road;
  EXPECT_FALSE(parse_device_road(("model:" + std::string(65, 'a')).c_str(), &road));
}

std::string visible(const char* text) {
  std::vector<VisibleDevice> devices;
  if (!parse_visible_devices(text, &devices)) return "refused";
  std::string all;
  for (const VisibleDevice& device : devices) all += device.text + " ";
  return all;
}

TEST(EnvironmentTest, VisibleDevicesAreAnOrderedList) {
  EXPECT_EQ(visible("0"), "0 ");
  EXPECT_EQ(visible("3,0-2"), "3 0 1 2 ");
  EXPECT_EQ(visible("0000:0A:00.0,1"), "0000:0a:00.0 1 ");
  EXPECT_EQ(visible("NPU-0123ABCD-0000-1111-2222-333344445555"),
            "NPU-0123abcd-0000-1111-2222-333344445555 ");
}

TEST(EnvironmentTest, VisibleDevicesRefusesWhatIsNoList) {
  for (const char* text : {"",
                           ",",
                           "0,",
                           ",0",
                           "0,,1",
                           "-1",
                           "1-",
                           "2-1",
                           "0,0",
                           "0-2,1",
                           "256",
                           "0-99999999999",
                           "a",
                           "0 1",
                           "NPU-",
                           "NPU-0123",
                           "NPU-0123abcd-0000-1111-2222-33334444555g",
                           "03:00.0",
                           "0000:03:00.0x",
                           "0000:03:00.0,0000:03:00.0"}) {
    EXPECT_EQ(visible(text), "refused") << "'" << text << "'";
  }
}

// Sets a variable for one test.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) {
    const char* old = std::getenv(name);
    if (old != nullptr) old_ = old;
    setenv(name, value, 1);
  }
  ~Setting() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(EnvironmentTest, ABadValueNamesItsVariableAndWhatIsAccepted) {
  const std::pair<const char*, const char*> kBad[] = {
      {"NPU_DEVICE", "cuda"},        {"NPU_VISIBLE_DEVICES", "x"},  {"NPU_EXEC_TIMEOUT_MS", "0"},
      {"NPU_EXEC_TIMEOUT_MS", "1s"}, {"NPU_WAIT_SPIN_US", "-1"},    {"NPU_LOG_LEVEL", "loud"},
      {"NPU_LOG_FILE", "relative"},  {"NPU_MODEL_IDLE_S", "86401"}, {"XDG_RUNTIME_DIR", "tmp"}};
  for (const auto& [name, value] : kBad) {
    const Setting setting(name, value);
    const auto environment = read_environment();
    ASSERT_EQ(environment.status().code(), NPU_ERROR_BAD_ENVIRONMENT) << name << "=" << value;
    const std::string text = pending_text();
    EXPECT_NE(text.find(name), std::string::npos) << text;
    EXPECT_NE(text.find("must be"), std::string::npos) << text;
  }
}

TEST(EnvironmentTest, EveryVariableCanBeListed) {
  const Setting good("NPU_WAIT_SPIN_US", "5");
  const Setting bad("NPU_LOG_LEVEL", "loud");
  VariableState state;
  uint32_t count = 0, seen = 0;
  for (; describe_variable(count, &state); count++) {
    EXPECT_STRNE(state.doc, "");
    if (std::strcmp(state.name, "NPU_WAIT_SPIN_US") == 0) {
      EXPECT_STREQ(state.value, "5");
      EXPECT_FALSE(state.is_bad);
      seen++;
    }
    if (std::strcmp(state.name, "NPU_LOG_LEVEL") == 0) {
      EXPECT_TRUE(state.is_bad);
      seen++;
    }
  }
  EXPECT_EQ(seen, 2u);
  EXPECT_GT(count, 10u);
}

}  // namespace
}  // namespace npu
