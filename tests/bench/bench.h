// SPDX-License-Identifier: Apache-2.0
// The groups of measurements. Each publishes its numbers in |folder| and returns false when one could not be made.
#pragma once

#include <string>

namespace npu::bench {

bool bench_host(const std::string& folder);
bool bench_gemm(const std::string& folder);
bool bench_attention(const std::string& folder);
bool bench_launch(const std::string& folder);
bool bench_runtime(const std::string& folder);
bool bench_dma(const std::string& folder);
bool bench_open(const std::string& folder);
bool bench_llm(const std::string& folder);
bool bench_ccl(const std::string& folder);
bool bench_ccl_rails(const std::string& folder);
bool bench_scale(const std::string& folder);

// The hidden commands behind bench_open: one opening in a fresh process, its seconds on stdout.
int probe_open(const std::string& what);

// Folder of this program, to find what the build put beside it.
std::string own_folder();

}  // namespace npu::bench
