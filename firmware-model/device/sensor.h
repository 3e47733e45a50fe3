// SPDX-License-Identifier: Apache-2.0
// Sensors of the device, computed from its counters when somebody asks.
//
// Rates are means over the time since the previous sample, which is at least kWindowNs old; nothing
// runs between questions. Power is what the chip would draw: its idle power, plus the modelled
// energy for each second of device time, weighted with the share of time in which it worked.
// Thread safety: one thread at a time.
#ifndef NPU_MODEL_DEVICE_SENSOR_H_
#define NPU_MODEL_DEVICE_SENSOR_H_

#include <cstdint>
#include <functional>

#include "firmware-model/device/npu_device.h"
#include "firmware-model/device/registers.h"
#include "uapi/npu_metrics.h"

namespace npu::model {

// CLOCK_MONOTONIC.
int64_t host_time_ns();

class Sensors {
 public:
  static constexpr int64_t kWindowNs = 100'000'000;
  enum class Heat : uint8_t { kNormal, kWarning, kShutdown };

  Sensors(const npu_profile& profile, const RegisterFile& registers,
          std::function<uint64_t()> busy_wall_ns);

  // Takes a sample when the last one is old enough.
  void refresh();
  // False: the device has no such sensor or counter.
  bool read(uint32_t id, int64_t* value) const;
  // |millideg| is added to what the sensor of the die reads. False: no temperature that a sensor
  // could tell.
  bool set_offset(int64_t millideg);
  int64_t die_millideg() const;
  Heat heat() const;

 private:
  struct Sample {
    int64_t wall_ns = 0;
    uint64_t busy_wall_ns = 0;
    uint64_t busy_ps = 0;
    uint64_t bytes_moved = 0;
    uint64_t energy_nj = 0;
  };
  Sample take() const;
  bool read_counter(uint32_t id, int64_t* value) const;
  // Of all tiles together.
  int64_t macs_per_second(uint32_t per_tile_and_cycle) const;

  const npu_profile& profile_;
  const RegisterFile& registers_;
  const std::function<uint64_t()> busy_wall_ns_;
  const int64_t start_ns_;
  Sample last_;
  double core_ = 0;    // 0..1
  double memory_ = 0;  // 0..1
  double power_mw_ = 0;
  bool capped_ = false;
  double die_c_ = 0;
  double hbm_c_ = 0;
  int64_t offset_millideg_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_SENSOR_H_
