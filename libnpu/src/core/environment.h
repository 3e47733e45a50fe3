// SPDX-License-Identifier: Apache-2.0
// The environment variables of the library, read once by npuInit. The table in environment.def is the only place that names them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libnpu/src/core/status.h"

namespace npu {

// The way to the devices, from NPU_DEVICE. kAuto, when it is unset: the kernel driver on a machine with nodes of it, else the model.
enum class Road { kAuto, kModel, kInProcess, kSocket, kKernel };

struct DeviceRoad {
  Road road = Road::kAuto;
  std::string spec;    // kAuto, kModel, kInProcess: PROFILE or PROFILE*COUNT
  uint32_t count = 1;  // kModel, kInProcess: devices that the spec names
  std::string
      path;  // kSocket: of the socket. kKernel: PCI address or path of the node; empty: all nodes
};

// One device as NPU_VISIBLE_DEVICES names it.
struct VisibleDevice {
  enum class Kind { kIndex, kUuid, kPciAddress };
  Kind kind = Kind::kIndex;
  uint32_t index = 0;
  std::string text;  // as written; UUIDs and addresses in lower case
};

enum class LogLevel : uint32_t { kOff, kError, kWarn, kInfo, kDebug };

enum class Layer : uint32_t { kValidation = 1 << 0, kLeak = 1 << 1, kRecord = 1 << 2 };

inline constexpr int64_t kSpinDefault = -1;  // the library chooses

struct Environment {
  DeviceRoad device;
  std::vector<VisibleDevice> visible;  // NPU_VISIBLE_DEVICES; empty: all
  std::string modeld;                  // NPU_MODELD: path of npu-modeld; empty: search
  std::string model_library;           // NPU_MODEL_LIBRARY: path of libnpu_model.so; empty: search
  std::string runtime_dir;             // XDG_RUNTIME_DIR; empty: not set
  std::string path;                    // PATH, where npu-modeld is looked for last
  uint32_t model_idle_s =
      60;  // NPU_MODEL_IDLE_S: a daemon that we start ends so long after its last client
  int64_t wait_spin_us = kSpinDefault;   // NPU_WAIT_SPIN_US
  uint32_t exec_timeout_ms = 0;          // NPU_EXEC_TIMEOUT_MS; 0: the device's default
  LogLevel log_level = LogLevel::kWarn;  // NPU_LOG_LEVEL
  std::string log_file;                  // NPU_LOG_FILE; empty: stderr
  uint32_t layers = 0;                   // NPU_LAYERS: bits of Layer
  std::string record_file;               // NPU_RECORD_FILE; empty: none
  std::string trace_file;                // NPU_TRACE; empty: none
  uint64_t record_max_mb = 1024;         // NPU_RECORD_MAX_MB
  bool launch_blocking = false;          // NPU_LAUNCH_BLOCKING
};

// NPU_ERROR_BAD_ENVIRONMENT names the variable and what it may hold.
Result<Environment> read_environment();

// One row of environment.def with what holds now.
struct VariableState {
  const char* name = nullptr;
  const char* accepted = nullptr;
  const char* fallback = nullptr;
  const char* doc = nullptr;
  const char* value = nullptr;  // nullptr: unset or empty; lives as the environment does
  bool is_bad = false;
};

// Row |number| of the table; false behind the last one.
bool describe_variable(uint32_t number, VariableState* out);

// Exposed for tests: the values of NPU_DEVICE and NPU_VISIBLE_DEVICES. False: it is not one.
bool parse_device_road(const char* text, DeviceRoad* out);
bool parse_visible_devices(const char* text, std::vector<VisibleDevice>* out);

}  // namespace npu
