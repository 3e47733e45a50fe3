// SPDX-License-Identifier: Apache-2.0
// What libnpu writes with NPU_TRACE, read event by event: a file may be larger than memory, end anywhere (its process was killed), or be nothing of ours.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/isa/outcome.h"

namespace npu::trace {

using isa::Failure;
using isa::Outcome;
using Json = nlohmann::ordered_json;

// Devices are processes of the picture, with numbers from here (libnpu/src/core/trace.cpp).
inline constexpr uint64_t kDevicePidFirst = 1ull << 31;

// Something that a device did.
struct Work {
  std::string name;
  std::string kind;  // kernel, copy, fill, sync, host, graph, graph node, module
  uint32_t device = 0;
  bool succeeded = false;
  bool is_kernel = false;  // also as a node of a graph
  int64_t host_start_ns = 0;
  uint64_t start_ps = 0;
  uint64_t end_ps = 0;
  uint64_t bytes = 0;      // copied, filled, loaded
  uint64_t macs = 0;       // of a kernel
  uint64_t hbm_bytes = 0;  // of a kernel: read and written
  uint64_t tensor_ps = 0;  // as npuProfActivity.tensor_ps

  uint64_t duration_ps() const { return end_ps > start_ps ? end_ps - start_ps : 0; }
};

// A device and its peaks; a peak that it does not tell is 0.
struct DevicePeaks {
  uint32_t index = 0;
  std::string name;
  uint64_t memory_bytes_per_second = 0;
  uint64_t macs_per_second = 0;
  uint64_t macs_f32_per_second = 0;
  uint64_t macs_bf16_per_second = 0;
  uint64_t macs_fp8_per_second = 0;
  uint64_t macs_i8_per_second = 0;
  uint64_t macs_fp6_per_second = 0;
  uint64_t macs_fp4_per_second = 0;
};

// Types with a peak of their own, the slowest first as chips have them.
struct TypePeak {
  const char* name;
  const char* key;  // of macs_KEY_per_second
  uint64_t DevicePeaks::*macs_per_second;
};
inline constexpr TypePeak kTypePeaks[] = {
    {"fp32", "f32", &DevicePeaks::macs_f32_per_second},
    {"bf16", "bf16", &DevicePeaks::macs_bf16_per_second},
    {"fp8", "fp8", &DevicePeaks::macs_fp8_per_second},
    {"int8", "i8", &DevicePeaks::macs_i8_per_second},
    {"fp6", "fp6", &DevicePeaks::macs_fp6_per_second},
    {"fp4", "fp4", &DevicePeaks::macs_fp4_per_second},
};

// A launch as the engines of its device model saw it (firmware-model/device/engine_trace.h).
struct LaunchEngines {
  std::string kernel;
  uint32_t device = 0;
  uint64_t start_ps = 0;
  uint64_t end_ps = 0;
  uint64_t tiles = 0;
  std::map<std::string, uint64_t> busy_ps;  // of all tiles; by the engine's name
  uint64_t dropped = 0;                     // operations that are not in the recording
  uint64_t step_ps = 0;
  std::vector<uint64_t> hbm_bytes;  // in each step
};

struct RecordingEnd {
  bool is_whole = false;         // the process came to its end
  uint64_t lost_activities = 0;  // did not fit in NPU_RECORD_MAX_MB
  uint64_t unreadable_lines = 0;
};

// Calls |visit| with each event. Fails where the file cannot be read or is no recording.
Outcome<RecordingEnd> read_recording(const std::string& path,
                                     const std::function<void(Json& event)>& visit);

std::optional<Work> work_of(const Json& event);
std::optional<LaunchEngines> launch_of(const Json& event);
// Whether it is an operation of an engine, which is part of a kernel and no work of its own.
bool is_engine_op(const Json& event);
std::optional<DevicePeaks> peaks_of(const Json& event);

// A member that should be such a value; else 0 or nothing.
uint64_t number_at(const Json& object, const char* key);
std::string text_at(const Json& object, const char* key);

}  // namespace npu::trace
