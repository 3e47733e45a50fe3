// SPDX-License-Identifier: Apache-2.0
// The table behind npuGetProcAddress; make_function_table.py writes its rows from libnpu.map.
#pragma once

#include <npu/npu.h>

#include <cstddef>
#include <cstdint>

namespace npu::api {

struct Function {
  const char* name;
  uint32_t since;  // major << 16 | minor
  npuProc address;
};

extern const Function kFunctions[];  // sorted by name
extern const size_t kFunctionCount;

}  // namespace npu::api
