// SPDX-License-Identifier: Apache-2.0
// A worker process: threads of random actions until it is time, then the end of everything, checked.
#pragma once

#include <cstdint>
#include <string>

namespace npu::soak {

struct WorkerOptions {
  uint64_t seed = 1;
  uint32_t number = 0;
  uint32_t threads = 8;
  uint32_t seconds = 10;
  int exchange_in = -1;
  int exchange_out = -1;
  int board = -1;
  uint32_t processes = 8;
  std::string blob;
};

// The process's exit code: 0 all is well, 1 something was not as it must be, 3 a thread hangs.
int run_worker(const WorkerOptions& options);

int open_descriptors(const char* folder);

}  // namespace npu::soak
