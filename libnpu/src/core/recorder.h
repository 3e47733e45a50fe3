// SPDX-License-Identifier: Apache-2.0
// Recorder: the layer "record", each call as one line of JSON in NPU_RECORD_FILE. Each line is written at once, so that the last call before a crash is there.
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <string>

#include "libnpu/src/core/call.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Recorder {
 public:
  static Status start(const std::string& path, uint64_t limit_bytes);
  static void write(const Call& call);
  static void stop(const char* why);

  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();
};

}  // namespace npu
