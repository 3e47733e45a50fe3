// SPDX-License-Identifier: Apache-2.0
// Trace: NPU_TRACE, the activities as a file that Perfetto and Chrome show. One track for each thread that calls the library, one for each queue; times of the host's clock.
// Thread safety: all functions.
#pragma once

#include <npu/npu_prof.h>

#include <cstdint>
#include <string>

#include "libnpu/src/core/status.h"

namespace npu {

class Device;

class Trace {
 public:
  static Status start(const std::string& path, uint64_t limit_bytes);
  static void write(const npuProfActivity& activity);
  // The sizes of a device that was opened: its name and what it can do in a second, for whoever compares.
  static void describe(Device& device);
  // What was written is in the file then, whatever becomes of the process.
  static void flush();
  static void stop();

  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
};

}  // namespace npu
