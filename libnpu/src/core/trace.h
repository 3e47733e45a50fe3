// SPDX-License-Identifier: Apache-2.0
// Trace: NPU_TRACE, the activities as a file that Perfetto and Chrome show. One track for each thread that calls the library, one for each queue; times of the host's clock.
// Thread safety: all functions.
#pragma once

#include <npu/npu_prof.h>

#include <cstdint>
#include <string>

#include "libnpu/src/core/status.h"

namespace npu {

class Trace {
 public:
  static Status start(const std::string& path, uint64_t limit_bytes);
  static void write(const npuProfActivity& activity);
  static void stop();

  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
};

}  // namespace npu
