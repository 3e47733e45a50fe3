// SPDX-License-Identifier: Apache-2.0
// npu-perf collective: predicts instead of measuring.
#pragma once

namespace npu::perf {

// |argv|[1] is the word "collective". The exit code: trace::kExitDone or kExitFailed.
int run_collective(int argc, const char* const* argv);

}  // namespace npu::perf
