// SPDX-License-Identifier: Apache-2.0
// Starts a daemon that is no child of this process: no zombie, no SIGCHLD for the application, no descriptors of ours in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace npu {

enum class SpawnEnd {
  kReady,    // it wrote a line that begins with "ready "
  kExited,   // it ended before that
  kTimeout,  // neither; it was killed
};

struct SpawnResult {
  SpawnEnd end = SpawnEnd::kTimeout;
  int exit_code = 0;  // kExited; 128 + signal when a signal ended it, 127 when it could not be run
};

// Runs arguments[0] with stderr appended to |log_path| and waits for its first line on stdout. 0 or an errno.
int spawn_detached(const std::vector<std::string>& arguments, const std::string& log_path,
                   int64_t timeout_ms, SpawnResult* out);

}  // namespace npu
