// SPDX-License-Identifier: Apache-2.0
// libnpuml through its public header: bad arguments, stale handles, lists, forks, and agreement with what the device says of itself.
#include <gtest/gtest.h>
#include <npu/npu_ml.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <vector>

namespace {

npuErrorInfo last_error() {
  npuErrorInfo info{};
  info.struct_size = sizeof info;
  EXPECT_EQ(npuMlErrorGetInfo(&info), NPU_OK);
  return info;
}

template <typename T>
T make_struct() {
  T out{};
  out.struct_size = sizeof out;
  return out;
}

class Ml : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(npuMlOpen(nullptr, &device_), NPU_OK) << last_error().text; }
  void TearDown() override { EXPECT_EQ(npuMlClose(device_), NPU_OK); }
  npuMlDevice device_ = nullptr;
};

TEST_F(Ml, InfoNamesTheDevice) {
  auto info = make_struct<npuMlInfo>();
  ASSERT_EQ(npuMlGetInfo(device_, &info), NPU_OK);
  EXPECT_STREQ(info.name, "tiny");
  EXPECT_EQ(std::string(info.uuid).size(), 40u);
  EXPECT_EQ(std::string(info.uuid).rfind("NPU-", 0), 0u);
  EXPECT_EQ(info.is_virtual, 1u);
  EXPECT_EQ(info.health, NPU_ML_HEALTH_OK);
  EXPECT_EQ(info.hbm_bytes, 256u << 20);
  EXPECT_STREQ(info.bus_id, "");
}

TEST_F(Ml, TheUuidOpensTheSameDevice) {
  auto info = make_struct<npuMlInfo>();
  ASSERT_EQ(npuMlGetInfo(device_, &info), NPU_OK);
  npuMlDevice again = nullptr;
  ASSERT_EQ(npuMlOpen(info.uuid, &again), NPU_OK);
  EXPECT_NE(again, device_);
  EXPECT_EQ(npuMlClose(again), NPU_OK);
}

TEST_F(Ml, MetricsComeInOrderWithDescriptions) {
  uint32_t count = 0;
  ASSERT_EQ(npuMlGetMetrics(device_, &count, nullptr), NPU_OK);
  ASSERT_GT(count, 20u);
  std::vector<npuMlMetric> metrics(count);
  ASSERT_EQ(npuMlGetMetrics(device_, &count, metrics.data()), NPU_OK);
  uint32_t valid = 0;
  for (size_t i = 0; i < count; i++) {
    if (i > 0) {
      EXPECT_LT(metrics[i - 1].id, metrics[i].id);
    }
    auto description = make_struct<npuMlMetricDescription>();
    ASSERT_EQ(npuMlGetMetricDescription(metrics[i].id, &description), NPU_OK);
    EXPECT_GT(std::strlen(description.key), 0u);
    EXPECT_GT(description.div, 0);
    if (metrics[i].reason != NPU_ML_VALID) {
      EXPECT_EQ(metrics[i].value, 0) << description.key;
    }
    valid += metrics[i].reason == NPU_ML_VALID;
  }
  EXPECT_GT(valid, 15u);
}

TEST_F(Ml, AShortArrayIsFilledAndToldIncomplete) {
  npuMlMetric metrics[3] = {{0, 0, 0}, {0, 0, 0}, {77, 77, 77}};
  uint32_t count = 2;
  EXPECT_EQ(npuMlGetMetrics(device_, &count, metrics), NPU_INCOMPLETE);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(metrics[2].value, 77);
}

TEST_F(Ml, ProcessesHoldThisOne) {
  uint32_t count = 16;
  npuMlProcess rows[16];
  rows[0].struct_size = sizeof rows[0];
  ASSERT_EQ(npuMlGetProcesses(device_, &count, rows), NPU_OK);
  bool found = false;
  for (uint32_t i = 0; i < count; i++) found |= rows[i].pid == static_cast<uint32_t>(getpid());
  EXPECT_TRUE(found);
}

TEST_F(Ml, PortsTellOfTheOtherEnd) {
  uint32_t count = 0;
  ASSERT_EQ(npuMlGetPorts(device_, &count, nullptr), NPU_OK);
  ASSERT_EQ(count, 3u);
  auto info = make_struct<npuMlInfo>();
  ASSERT_EQ(npuMlGetInfo(device_, &info), NPU_OK);
  EXPECT_EQ(info.ports, count);
  npuMlPort ports[3] = {};
  ports[0].struct_size = sizeof ports[0];
  ASSERT_EQ(npuMlGetPorts(device_, &count, ports), NPU_OK);
  npuMlDevice other = nullptr;
  ASSERT_EQ(npuMlOpen("1", &other), NPU_OK);
  auto peer = make_struct<npuMlInfo>();
  ASSERT_EQ(npuMlGetInfo(other, &peer), NPU_OK);
  EXPECT_EQ(npuMlClose(other), NPU_OK);
  for (uint32_t i = 0; i < count; i++) {
    EXPECT_EQ(ports[i].index, i);
    EXPECT_EQ(ports[i].struct_size, sizeof ports[i]);
    EXPECT_EQ(ports[i].state, NPU_ML_PORT_UP);
    EXPECT_EQ(ports[i].speed_mbps, 100'000u);
    EXPECT_EQ(ports[i].flags,
              static_cast<uint32_t>(i < 2 ? NPU_ML_PORT_HAS_PEER | NPU_ML_PORT_HAS_COUNTERS
                                          : NPU_ML_PORT_LEADS_UP));
    EXPECT_STREQ(ports[i].peer_uuid, i < 2 ? peer.uuid : "");
    EXPECT_STREQ(ports[i].mac, "");
  }
}

TEST_F(Ml, AnEventIsWaitedForNoLongerThanAsked) {
  auto event = make_struct<npuMlEvent>();
  ASSERT_EQ(npuMlSelectEvents(device_, NPU_ML_EVENT_PORT_STATE), NPU_OK);
  EXPECT_EQ(npuMlWaitEvent(device_, 0, &event), NPU_TIMEOUT);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(npuMlWaitEvent(device_, 20'000'000, &event), NPU_TIMEOUT);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(20));
  EXPECT_EQ(npuMlSelectEvents(device_, 1), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlSelectEvents(nullptr, 0), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuMlWaitEvent(device_, -1, &event), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlWaitEvent(device_, 0, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  event.struct_size = 8;
  EXPECT_EQ(npuMlWaitEvent(device_, 0, &event), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(npuMlSelectEvents(device_, 0), NPU_OK);
}

TEST_F(Ml, StructSizesAreChecked) {
  npuMlInfo info{};
  for (const uint32_t size : {0u, 4u, static_cast<uint32_t>(sizeof info) - 1, 5000u, ~0u}) {
    info.struct_size = size;
    EXPECT_EQ(npuMlGetInfo(device_, &info), NPU_ERROR_STRUCT_SIZE) << size;
  }
  struct Longer {
    npuMlInfo info;
    uint64_t later;
  } longer{};
  longer.info.struct_size = sizeof longer;
  longer.later = ~0ull;
  EXPECT_EQ(npuMlGetInfo(device_, &longer.info), NPU_OK);
  EXPECT_EQ(longer.later, 0u);
  EXPECT_EQ(longer.info.struct_size, sizeof longer);
}

TEST_F(Ml, NullArgumentsAreErrorsWithAName) {
  EXPECT_EQ(npuMlGetInfo(device_, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(last_error().function), "npuMlGetInfo");
  EXPECT_NE(std::string(last_error().text).find("inout_info"), std::string::npos);
  EXPECT_EQ(npuMlGetMetrics(device_, nullptr, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlGetProcesses(device_, nullptr, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlOpen(nullptr, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlGetDeviceCount(nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlErrorGetInfo(nullptr), NPU_ERROR_INVALID_ARGUMENT);
}

TEST_F(Ml, HandlesThatAreNoneAreErrors) {
  auto info = make_struct<npuMlInfo>();
  npuMlDevice stale = nullptr;
  ASSERT_EQ(npuMlOpen("0", &stale), NPU_OK);
  ASSERT_EQ(npuMlClose(stale), NPU_OK);
  for (npuMlDevice handle : {npuMlDevice{}, stale, reinterpret_cast<npuMlDevice>(~0ull),
                             reinterpret_cast<npuMlDevice>(0x5000000000000001ull)}) {
    EXPECT_EQ(npuMlGetInfo(handle, &info), NPU_ERROR_INVALID_HANDLE);
  }
  EXPECT_EQ(npuMlClose(stale), NPU_ERROR_INVALID_HANDLE);
  EXPECT_EQ(npuMlClose(nullptr), NPU_OK);
}

TEST(MlOpen, ADeviceThatIsNotThereIsNoDevice) {
  npuMlDevice device = reinterpret_cast<npuMlDevice>(1);
  EXPECT_EQ(npuMlOpen("9", &device), NPU_ERROR_NO_DEVICE);
  EXPECT_EQ(device, nullptr);
  EXPECT_EQ(npuMlOpen("NPU-nobody", &device), NPU_ERROR_NO_DEVICE);
  EXPECT_NE(std::string(last_error().text).find("NPU-nobody"), std::string::npos);
  EXPECT_EQ(npuMlOpen("", &device), NPU_ERROR_NO_DEVICE);
}

TEST(MlCount, CountingNeedsNoDevice) {
  uint32_t count = 0;
  ASSERT_EQ(npuMlGetDeviceCount(&count), NPU_OK);
  EXPECT_EQ(count, 2u);
}

TEST(MlMetric, AnUnknownIdIsNotFound) {
  auto description = make_struct<npuMlMetricDescription>();
  EXPECT_EQ(npuMlGetMetricDescription(0xff, &description), NPU_ERROR_NOT_FOUND);
}

// In a child, so that the handle table of a fork is seen from both sides. The child only uses what is safe after fork in one thread.
TEST(MlFork, HandlesAreStaleInTheChildAndGoodInTheParent) {
  npuMlDevice device = nullptr;
  ASSERT_EQ(npuMlOpen(nullptr, &device), NPU_OK);
  auto info = make_struct<npuMlInfo>();
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(npuMlGetInfo(device, &info) == NPU_ERROR_INVALID_HANDLE ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(npuMlGetInfo(device, &info), NPU_OK);
  EXPECT_EQ(npuMlClose(device), NPU_OK);
}

}  // namespace
