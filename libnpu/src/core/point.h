// SPDX-License-Identifier: Apache-2.0
// Point: a value of a queue's timeline that an event marks, and the device time at which it was passed, kept when the record of its command is overwritten.
// Thread safety: by the mutex of its queue.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace npu {

class Capture;

struct Point {
  uint64_t value = 0;
  uint64_t incarnation = 0;  // device time begins again at a reset
  bool has_time = false;
  uint64_t end_ps = 0;

  // Of an event that was recorded in a capture: what would have to end.
  bool is_captured = false;
  std::weak_ptr<Capture> capture;
  std::vector<uint32_t> nodes;
};

}  // namespace npu
