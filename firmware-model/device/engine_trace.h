// SPDX-License-Identifier: Apache-2.0
// Writes what engines did in each launch, as lines of the trace event format, for npu-trace --engines (docs/profiling.md).
//
// An operation is a slice on the track of its queue, tile and engine, at the time of the queue's clock. Of a launch there is an event npu_launch with sums over all tiles:
//
//   kernel, queue, start_ps, end_ps   end - start: between the launch's overhead and its end
//   tiles                             of the device
//   busy_ps                           of each engine, counted apart from the slices
//   drawn, left_out, dropped          operations with a slice; those of tiles that nobody wants to see; those for which there was no room, in no sum of hbm_bytes
//   step_ps, hbm_bytes                bytes of device memory in each step of time
//
// Thread safety: the thread that runs the commands.
#ifndef NPU_MODEL_DEVICE_ENGINE_TRACE_H_
#define NPU_MODEL_DEVICE_ENGINE_TRACE_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "firmware-model/device/launch.h"
#include "firmware-model/device/module.h"
#include "firmware-model/device/npu_device.h"

namespace npu::model {

class EngineTrace {
 public:
  struct Begin {
    uint32_t queue = 0;
    uint64_t launch_ps = 0;  // on the queue's clock
    std::string kernel;
  };

  EngineTrace(const npu_engine_trace& config, const npu_profile& profile)
      : config_(config), profile_(profile), left_bytes_(config.limit_bytes) {}

  // |done| has recorded operations. A launch for which the file has no room is left out whole.
  void write(const Begin& begin, const Module& module, const LaunchOutcome& done);

 private:
  using Track = std::tuple<uint32_t, uint16_t, uint8_t>;  // queue, tile, engine

  // Its number; 0: there are too many. A new one is named in |text|.
  uint32_t track_of(const Track& track, std::string* text);
  void add_slice(const OpRecord& op, uint64_t body_ps, const std::string& args, uint32_t track,
                 std::string* text) const;
  void put(const std::string& text);

  const npu_engine_trace config_;
  const npu_profile& profile_;
  uint64_t left_bytes_;
  std::map<Track, uint32_t> tracks_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_ENGINE_TRACE_H_
