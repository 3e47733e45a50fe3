// SPDX-License-Identifier: Apache-2.0
// The table of all public functions, expanded from the symbol maps (make_functions.py). A function whose parameters nobody knows how to make does not compile here.
#include "tests/api_fuzz/callers.h"
#include "tests/api_fuzz/lane.h"

namespace npu::fuzz {
#define NPU_FUZZ_FUNCTION(function, ...) \
  {#function, Caller<function>::call, (const char* const[]){__VA_ARGS__ __VA_OPT__(, ) nullptr}},
const Function kFunctions[] = {
#include "functions.inc"
};
const size_t kFunctionCount = sizeof kFunctions / sizeof kFunctions[0];

}  // namespace npu::fuzz
