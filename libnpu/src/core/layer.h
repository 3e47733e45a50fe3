// SPDX-License-Identifier: Apache-2.0
// Layers: what the environment turns on around the calls (NPU_LAYERS, NPU_TRACE, NPU_LAUNCH_BLOCKING), from npuInit to the last npuShutdown.
// Thread safety: by the mutex of Library.
#pragma once

#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Library;

class Layers {
 public:
  // All or nothing.
  static Status start(const Environment& environment);
  // The leak layer's list, while the objects are still there.
  static void report(Library& library, const char* when);
  static void stop(const char* why);
  static void after_fork_in_child();
};

}  // namespace npu
