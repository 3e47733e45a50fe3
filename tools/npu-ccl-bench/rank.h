// SPDX-License-Identifier: Apache-2.0
// One rank of the benchmark.
#pragma once

#include <npu/npu_ccl.h>

#include <string>

#include "tools/npu-ccl-bench/options.h"

namespace npu::ccl_bench {

struct Place {
  uint32_t rank;
  uint32_t local_rank;  // chooses the device
};

// Measures all sizes; rank 0 prints the table to stdout. Empty: all is right; else what went wrong.
std::string run_rank(const Options& options, const npuCclId& id, const Place& place);

}  // namespace npu::ccl_bench
