// SPDX-License-Identifier: Apache-2.0
// Sensors and counters by the mailbox command METRIC.
#include "firmware-model/device/sensor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <thread>

#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace npu::test {
namespace {

class SensorTest : public testing::Test {
 protected:
  int metric(uint64_t id, int64_t* value) {
    uint64_t result = 0;
    const int status = driver_.mailbox(NPU_MBOX_METRIC, {id}, &result);
    *value = static_cast<int64_t>(result);
    return status;
  }
  int64_t value(npu_metric_id id) {
    int64_t result = 0;
    EXPECT_EQ(metric(id, &result), NPU_ST_OK) << id;
    return result;
  }

  TestDriver driver_;
};

TEST_F(SensorTest, EveryIdIsASensorOrNotFound) {
  // What only a driver can count, and what this chip does not measure.
  const std::set<uint64_t> absent = {NPU_METRIC_MEMORY_USED, NPU_METRIC_MEMORY_RESERVED,
                                     NPU_METRIC_QUEUES_USED, NPU_METRIC_CONTEXTS_USED,
                                     NPU_METRIC_UTIL_DMA,    NPU_METRIC_COPIED};
  int64_t result = 0;
  for (uint64_t id = 0; id < 0x200; ++id) {
    const bool expected = id < NPU_METRIC_ID_END &&
                          npu_metric_exists(static_cast<uint32_t>(id)) != 0 && !absent.contains(id);
    EXPECT_EQ(metric(id, &result), expected ? NPU_ST_OK : NPU_ST_NOT_FOUND) << id;
  }
  EXPECT_EQ(metric(uint64_t{1} << 32 | NPU_METRIC_POWER, &result), NPU_ST_NOT_FOUND);
}

TEST_F(SensorTest, CountersAreThoseOfTheRegisters) {
  const uint32_t context = driver_.create_context();
  TestQueue queue = driver_.create_queue(context);
  const Buffer data = driver_.make_buffer(context, 64 * 1024);
  for (int i = 0; i < 3; ++i) queue.run(fill(data.dva, 4096, 1, 1));
  queue.run(fill(0x10000, 8, 1, 8));          // not mapped
  driver_.wait_event(NPU_EVENT_QUEUE_FAULT);  // counts are raised between record and event
  EXPECT_EQ(value(NPU_METRIC_COMMANDS), 4);
  EXPECT_EQ(value(NPU_METRIC_FAULTS), 1);
  EXPECT_EQ(value(NPU_METRIC_LAUNCHES), 0);
  EXPECT_EQ(value(NPU_METRIC_MEMORY_TOTAL), 64 << 20);
  EXPECT_EQ(value(NPU_METRIC_DEVICE_TIME), static_cast<int64_t>(driver_.reg(NPU_REG_TIME_PS, 8)));
  EXPECT_EQ(value(NPU_METRIC_RESETS), 0);
  npu_device_reset(driver_.device());
  EXPECT_EQ(value(NPU_METRIC_RESETS), 1);
  EXPECT_EQ(value(NPU_METRIC_COMMANDS), 4);  // counters live on
}

TEST_F(SensorTest, AnIdleDeviceDrawsItsIdlePower) {
  const npu_profile profile = small_profile();
  EXPECT_EQ(value(NPU_METRIC_POWER), profile.power_idle_mw);
  EXPECT_EQ(value(NPU_METRIC_POWER_CAP), profile.power_limit_mw);
  EXPECT_EQ(value(NPU_METRIC_CORE_CLOCK), profile.core_clock_khz);
  EXPECT_EQ(value(NPU_METRIC_MEMORY_CLOCK_MAX), profile.hbm_clock_khz);
  EXPECT_EQ(value(NPU_METRIC_MEMORY_RATE_MAX),
            static_cast<int64_t>(profile.hbm_mbytes_per_s * 1'000'000));
  EXPECT_EQ(value(NPU_METRIC_MAC_RATE_F32_MAX),
            int64_t{profile.clusters} * profile.tiles_per_cluster * profile.mac_per_cycle_f32 *
                profile.core_clock_khz * 1000);
  EXPECT_EQ(value(NPU_METRIC_UTIL_CORE), 0);
  // 35 degrees of the coolant and a tenth of the 50 K at the limit.
  EXPECT_NEAR(static_cast<double>(value(NPU_METRIC_TEMP_DIE)), 40'000, 10);
  EXPECT_LT(value(NPU_METRIC_TEMP_WARN), value(NPU_METRIC_TEMP_SHUTDOWN));
}

TEST_F(SensorTest, EnergyAndUptimeOnlyGrow) {
  int64_t energy = value(NPU_METRIC_ENERGY);
  int64_t uptime = value(NPU_METRIC_UPTIME);
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const int64_t more_energy = value(NPU_METRIC_ENERGY);
    const int64_t more_uptime = value(NPU_METRIC_UPTIME);
    ASSERT_GT(more_uptime, uptime);
    ASSERT_GE(more_energy, energy + 1);  // a watt for two milliseconds and more
    energy = more_energy;
    uptime = more_uptime;
  }
}

// The model of rates without a device: registers and busy time as the test sets them.
class RatesTest : public testing::Test {
 protected:
  // Lets a window pass in which the given counts were added.
  void window(uint64_t busy_ps, uint64_t bytes, uint64_t energy_nj, bool busy) {
    registers_.add(NPU_REG_BUSY_PS, busy_ps);
    registers_.add(NPU_REG_BYTES_MOVED, bytes);
    registers_.add(NPU_REG_ENERGY_NJ, energy_nj);
    std::this_thread::sleep_for(std::chrono::nanoseconds(model::Sensors::kWindowNs) +
                                std::chrono::milliseconds(5));
    if (busy) busy_ns_ = static_cast<uint64_t>(model::host_time_ns());  // more than all of it
    sensors_.refresh();
  }
  int64_t value(npu_metric_id id) {
    int64_t result = 0;
    EXPECT_TRUE(sensors_.read(id, &result));
    return result;
  }

  npu_profile profile_ = small_profile();
  model::RegisterFile registers_;
  uint64_t busy_ns_ = 0;
  model::Sensors sensors_{profile_, registers_, [this] { return busy_ns_; }};
};

TEST_F(RatesTest, ABusyWindowShowsItsTrafficAndPower) {
  // A microsecond of device time at half the memory's peak and 4 W above idle.
  window(1'000'000, 50'000, 4'000, true);
  EXPECT_EQ(value(NPU_METRIC_UTIL_CORE), 10'000);
  EXPECT_EQ(value(NPU_METRIC_UTIL_MEMORY), 5'000);
  EXPECT_EQ(value(NPU_METRIC_POWER), 5'000);
  EXPECT_EQ(value(NPU_METRIC_THROTTLE_REASONS), 0);
}

TEST_F(RatesTest, PowerIsCappedAtItsLimitWithAReason) {
  window(1'000'000, 0, 40'000, true);
  EXPECT_EQ(value(NPU_METRIC_POWER), 10'000);
  EXPECT_EQ(value(NPU_METRIC_THROTTLE_REASONS), NPU_THROTTLE_POWER_CAP);
  EXPECT_GT(value(NPU_METRIC_TEMP_DIE), 40'000);
  window(0, 0, 0, false);
  EXPECT_EQ(value(NPU_METRIC_POWER), 1'000);
  EXPECT_EQ(value(NPU_METRIC_THROTTLE_REASONS), 0);
}

}  // namespace
}  // namespace npu::test
