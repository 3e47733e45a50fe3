// SPDX-License-Identifier: Apache-2.0
// Metrics of a device: what it measures itself (mailbox command METRIC), and what only the server knows.
//
// Thread safety: the I/O thread owns it.
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
  explicit Metrics(Device* device) : device_(device) {}

  // All rows, in the order of metrics.def.
  std::vector<npu_metric> all();
  npu_metric one(uint32_t id);

 private:
  npu_metric read(uint32_t id);

  Device* device_;
};

// CLOCK_MONOTONIC.
int64_t monotonic_ns();

}  // namespace npu::model::server

#endif  // NPU_MODEL_SERVER_METRICS_H_
