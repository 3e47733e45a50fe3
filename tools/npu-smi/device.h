// SPDX-License-Identifier: Apache-2.0
// Device: what was read of one device, or why it could not be read.
#pragma once

#include <npu/npu_ml.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/npu-smi/selector.h"

namespace npu::smi {

struct Failure {
  npuResult code = NPU_OK;
  std::string text;
  std::string remedy;
};

struct Process {
  uint32_t device = 0;
  npuMlProcess row{};
  std::string user;
};

struct Device {
  uint32_t index = 0;
  std::optional<Failure> failure;  // when set, nothing below is known
  npuMlInfo info{};
  std::map<std::string, npuMlMetric> metrics;  // by key
  std::vector<Process> processes;              // without npu-smi itself
  std::vector<npuMlPort> ports;
};

struct Snapshot {
  std::string timestamp;  // RFC 3339, UTC
  std::vector<Device> devices;
  std::optional<Failure> failure;  // when set, there are no devices
};

// Reads the selected devices through libnpuml. One that fails does not hide the others.
Snapshot take_snapshot(const Selector& selector);

// The detail of this thread's last call of npu_ml.h, which gave |code|.
Failure last_failure(npuResult code);
// Now, RFC 3339, UTC.
std::string now_text();

// What a metric is: by its key; nullptr: the library has no such metric.
const npuMlMetricDescription* find_metric(const std::string& key);
// Keys of all metrics of the library.
std::vector<std::string> metric_keys();

}  // namespace npu::smi
