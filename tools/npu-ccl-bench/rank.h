// SPDX-License-Identifier: Apache-2.0
// One rank of the benchmark.
#pragma once

#include <npu/npu_ccl.h>

#include <string>

#include "tools/npu-ccl-bench/options.h"

namespace npu::ccl_bench {

// Measures all sizes; rank 0 prints the table to stdout. Empty: all is right; else what went wrong.
std::string run_rank(const Options& options, const npuCclId& id, uint32_t rank);

}  // namespace npu::ccl_bench
