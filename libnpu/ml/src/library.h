// SPDX-License-Identifier: Apache-2.0
// Library: the state of libnpuml in this process: the handles of opened devices.
// Thread safety: all functions. A forked child gets a new, empty one.
#pragma once

#include "libnpu/src/core/environment.h"
#include "libnpu/src/core/handle.h"

namespace npu::ml {

class Library {
 public:
  // Of this process. Made at the first call; ends with the process.
  static Library& get();

  HandleTable& handles() { return handles_; }

 private:
  Library(uint32_t instance, Library* previous) : handles_(instance), previous_(previous) {}

  HandleTable handles_;
  Library* const previous_;  // of the parent: kept reachable, never used
};

// The environment as it is now; also sets the log level.
Result<Environment> current_environment();

}  // namespace npu::ml
