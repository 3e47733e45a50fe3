// SPDX-License-Identifier: Apache-2.0
// The command line of npu-ccl-bench.
#pragma once

#include <cstdint>
#include <string>

namespace npu::ccl_bench {

inline constexpr uint32_t kDefaultRanks = 4;

struct Options {
  std::string operation = "allreduce";
  std::string type = "float32";
  std::string reduction = "sum";
  uint64_t min_bytes = 8;
  uint64_t max_bytes = 4 << 20;
  uint32_t factor = 4;
  uint32_t ranks = 0;  // 0: not given
  uint32_t repeats = 5;
  uint64_t repeat_bytes = 0;
  uint32_t in_a_row = 1;
  uint32_t warmups = 1;
  uint64_t chunk_bytes = 0;
  bool processes = false;
  bool network = false;
  bool least = false;
  bool windows = false;
  int own_rank = -1;  // in a process that was started for one rank
};

// False: the program ends with |out_code|; help or the error was printed.
bool parse_options(int argc, char** argv, Options* out, int* out_code);

}  // namespace npu::ccl_bench
