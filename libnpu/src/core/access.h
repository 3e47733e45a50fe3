// SPDX-License-Identifier: Apache-2.0
// Accesses: which memory the commands of a queue that have not ended read and write, for the layer "validation".
// Thread safety: by the mutex of the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "libnpu/src/core/call.h"
#include "uapi/npu_queue.h"

namespace npu {

class Kernel;

struct Access {
  uint64_t dva = 0;
  uint64_t bytes = 0;
  bool writes = false;
  bool is_exact = false;  // these bytes and no others; not what a kernel does behind a pointer
  bool is_word = false;   // of a semaphore, which the host may look at any time
};

// The memory of one command. |args|: of a launch.
std::vector<Access> accesses_of(const npu_cmd& command, const Kernel* kernel, const void* args);

// A command that has not ended and uses a range.
struct UsedBy {
  uint64_t value = 0;
  std::string what;  // "kernel 'gemm'", "copy"
  Birth submission;
  bool writes = false;
  bool is_certain =
      false;  // exact, and nothing that the host does later decides when the command runs
};

class QueueAccesses {
 public:
  // |wait|: value of the last command before it that waits for others.
  void note(uint64_t value, uint64_t wait, uint64_t ended, std::string what,
            std::vector<Access> uses);
  // The first command that conflicts with a read or write of the range; |ended|: values up to it have ended.
  std::optional<UsedBy> find(const Access& range, uint64_t ended);

 private:
  struct Command {
    uint64_t value = 0;
    uint64_t wait = 0;
    std::string what;
    Birth submission;
    std::vector<Access> uses;
  };
  void forget(uint64_t ended);

  std::deque<Command> commands_;
};

}  // namespace npu
