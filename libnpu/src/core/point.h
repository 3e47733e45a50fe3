// SPDX-License-Identifier: Apache-2.0
// Point: a value of a queue's timeline that an event marks, and the device time at which it was passed, kept when the record of its command is overwritten.
// Thread safety: by the mutex of its queue.
#pragma once

#include <cstdint>

namespace npu {

struct Point {
  uint64_t value = 0;
  uint64_t incarnation = 0;  // device time begins again at a reset
  bool has_time = false;
  uint64_t end_ps = 0;
};

}  // namespace npu
