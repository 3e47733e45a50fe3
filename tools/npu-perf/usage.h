// SPDX-License-Identifier: Apache-2.0
// Usage: what the devices of one or more recordings did, summed up by kernel.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/trace/recording.h"

namespace npu::perf {

// What succeeded of one kernel, or of one kind of transfer. Sums stop at their largest value.
struct Sum {
  std::string name;
  uint64_t calls = 0;
  uint64_t failed = 0;  // not in the rest
  uint64_t total_ps = 0;
  uint64_t min_ps = 0;
  uint64_t max_ps = 0;
  uint64_t bytes = 0;  // of a kernel: of device memory, read and written
  uint64_t macs = 0;
  uint64_t tensor_ps = 0;  // what macs need at the peaks of their types
  uint64_t untold = 0;     // calls with multiply-adds for which the device did not tell that
  // Where engines were recorded: how long those of all tiles were busy, and how long they could have been.
  std::map<std::string, uint64_t> busy_ps;
  uint64_t tiles_ps = 0;

  void add(const trace::Work& work);
  void add(const trace::LaunchEngines& launch);
  // Of the engine's time; 0 where it was not recorded.
  double utilisation(const std::string& engine) const;
  double mean_ps() const { return calls == 0 ? 0 : static_cast<double>(total_ps) / calls; }
  // 0 where it took no time.
  double bytes_per_second() const;
  double flops_per_second() const;
  // What the tensor units can do in the mixture of types that they multiplied; 0 where there was none, or some of it is not known.
  double peak_flops_per_second() const;
  // Of the tensor units' time at their peak: 0..1; 0 likewise.
  double of_peak() const;
};

struct DeviceUsage {
  trace::DevicePeaks peaks;
  std::vector<Sum> kernels;    // the longest total first
  std::vector<Sum> transfers;  // likewise: copy, fill, module load
  uint64_t kernels_ps = 0;
  // Of the time of all kernels; 0 where there is none.
  double share(const Sum& kernel) const;
};

struct Usage {
  std::vector<DeviceUsage> devices;  // by index
  uint64_t processes = 0;
  uint64_t unfinished_processes = 0;
  uint64_t lost_activities = 0;
};

class UsageBuilder {
 public:
  trace::Outcome<trace::RecordingEnd> add(const std::string& recording);
  // What a device model wrote of its engines.
  trace::Outcome<trace::RecordingEnd> add_engines(const std::string& recording);
  void add(const trace::Work& work);
  void add(const trace::LaunchEngines& launch);
  void add(const trace::DevicePeaks& peaks);
  Usage finish() const;

 private:
  struct Device {
    trace::DevicePeaks peaks;
    std::map<std::string, Sum> kernels;
    std::map<std::string, Sum> transfers;
  };
  std::map<uint32_t, Device> devices_;
  Usage usage_;
};

}  // namespace npu::perf
