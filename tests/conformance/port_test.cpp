// SPDX-License-Identifier: Apache-2.0
// Ports and events of libnpuml, on the profile tiny: three ports, the last of which leads up.
#include <npu/npu_ml.h>

#include "tests/conformance/support.h"

namespace npu::conformance {
namespace {

class MlPortTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(npuMlOpen(nullptr, &device_), NPU_OK); }
  void TearDown() override { EXPECT_EQ(npuMlClose(device_), NPU_OK); }

  std::vector<npuMlPort> ports() {
    uint32_t count = 0;
    EXPECT_EQ(npuMlGetPorts(device_, &count, nullptr), NPU_OK);
    std::vector<npuMlPort> rows(count + 1);
    rows[0].struct_size = sizeof rows[0];
    count++;
    EXPECT_EQ(npuMlGetPorts(device_, &count, rows.data()), NPU_OK);
    rows.resize(count);
    return rows;
  }

  npuMlDevice device_ = nullptr;
};

TEST_F(MlPortTest, PortsAreThoseOfTheProfile) {
  npuMlInfo info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(npuMlGetInfo(device_, &info), NPU_OK);
  const std::vector<npuMlPort> rows = ports();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(info.ports, rows.size());
  for (uint32_t i = 0; i < rows.size(); i++) {
    EXPECT_EQ(rows[i].index, i);
    EXPECT_EQ(rows[i].speed_mbps, 100'000u);
    EXPECT_EQ(rows[i].flags & NPU_ML_PORT_IS_BOUND, 0u);
    // Where there is a second device, there is a neighbour, and what goes there is counted.
    EXPECT_EQ((rows[i].flags & NPU_ML_PORT_HAS_COUNTERS) != 0,
              (rows[i].flags & NPU_ML_PORT_HAS_PEER) != 0);
  }
  EXPECT_EQ(rows[2].flags, static_cast<uint32_t>(NPU_ML_PORT_LEADS_UP));
  EXPECT_EQ(rows[2].state, NPU_ML_PORT_UP);
}

TEST_F(MlPortTest, AShortListIsToldIncompleteAndLongerStructsAreFilledUp) {
  struct Longer {
    npuMlPort port;
    uint64_t later;
  } rows[2] = {};
  rows[0].port.struct_size = sizeof rows[0];
  rows[0].later = rows[1].later = ~0ull;
  uint32_t count = 2;
  EXPECT_EQ(npuMlGetPorts(device_, &count, &rows[0].port), NPU_INCOMPLETE);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(rows[1].port.index, 1u);
  EXPECT_EQ(rows[0].later + rows[1].later, 0u);
  rows[0].port.struct_size = sizeof(npuMlPort) - 8;
  EXPECT_EQ(npuMlGetPorts(device_, &count, &rows[0].port), NPU_ERROR_STRUCT_SIZE);
  EXPECT_EQ(npuMlGetPorts(device_, nullptr, nullptr), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(npuMlGetPorts(nullptr, &count, nullptr), NPU_ERROR_INVALID_HANDLE);
}

TEST_F(MlPortTest, WhereNothingHappensAWaitEndsInTime) {
  npuMlEvent event{};
  event.struct_size = sizeof event;
  ASSERT_EQ(npuMlSelectEvents(device_, NPU_ML_EVENT_PORT_STATE | NPU_ML_EVENT_DEVICE_RESET),
            NPU_OK);
  EXPECT_EQ(npuMlWaitEvent(device_, 0, &event), NPU_TIMEOUT);
  EXPECT_EQ(npuMlWaitEvent(device_, 5'000'000, &event), NPU_TIMEOUT);
  // Questions and waits share a road.
  EXPECT_EQ(ports().size(), 3u);
  EXPECT_EQ(npuMlSelectEvents(device_, 1u << 31), NPU_ERROR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace npu::conformance
