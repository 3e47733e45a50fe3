// SPDX-License-Identifier: Apache-2.0
// Turns at a fixed rate, until there were enough of them or somebody ends the tool (SIGINT, SIGTERM).
#pragma once

#include <cstdint>

namespace npu::smi {

class Loop {
 public:
  // |interval_ms| 0: one turn. |count| 0: no end. Signals end the loop from here on, not the process.
  Loop(uint64_t interval_ms, uint64_t count);

  // Waits for the time of the next turn; false when there is none. The first comes at once; a turn that took longer than the interval lets those pass whose time is over.
  bool next();

 private:
  const uint64_t interval_ns_;
  const uint64_t count_;
  uint64_t turns_ = 0;
  uint64_t due_ns_ = 0;  // CLOCK_MONOTONIC
};

// SIGINT and SIGTERM end what looks at end_was_asked() now and then; a second one ends the process.
void catch_end_signals();
bool end_was_asked();

}  // namespace npu::smi
