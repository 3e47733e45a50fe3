// SPDX-License-Identifier: Apache-2.0
// Sensors and counters of a device, computed from its registers when somebody asks.
//
// Rates are means over the time since the previous sample, which is at least kWindowNs old; nothing runs between
// questions. Power is what the chip would draw: its idle power, plus the modelled energy for each second of device time, weighted
// with the share of time in which it worked. Thread safety: the I/O thread owns it.
#ifndef NPU_MODEL_SERVER_METRICS_H_
#define NPU_MODEL_SERVER_METRICS_H_

#include <cstdint>
#include <vector>

#include "uapi/npu_accel.h"
#include "uapi/npu_metrics.h"

namespace npu::model::server {

class Device;

class Metrics {
 public:
  static constexpr int64_t kWindowNs = 100'000'000;

  explicit Metrics(Device* device);

  // All rows, in the order of metrics.def.
  std::vector<npu_metric> all();
  npu_metric one(uint32_t id);

 private:
  struct Sample {
    int64_t wall_ns = 0;
    uint64_t busy_wall_ns = 0;
    uint64_t busy_ps = 0;
    uint64_t bytes_moved = 0;
    uint64_t energy_nj = 0;
  };
  struct Rates {
    double core = 0;    // 0..1
    double memory = 0;  // 0..1
    double power_mw = 0;
    bool capped = false;
  };

  Sample take() const;
  void refresh();
  npu_metric read(uint32_t id) const;
  npu_metric read_sensor(uint32_t id) const;

  Device* device_;
  int64_t start_ns_;
  Sample last_;
  Rates rates_;
  double die_c_;
  double hbm_c_;
};

// CLOCK_MONOTONIC.
int64_t monotonic_ns();

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_METRICS_H_
