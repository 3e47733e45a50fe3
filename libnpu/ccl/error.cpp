// SPDX-License-Identifier: Apache-2.0
// Thread-local error text.
#include "libnpu/ccl/error.h"

#include <npu/npu_error.h>

#include <cstdarg>
#include <cstdio>

namespace npu::ccl {
namespace {

thread_local char text[512];

}  // namespace

npuResult fail(npuResult code, const char* format, ...) {
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof(text), format, values);
  va_end(values);
  return code;
}

const char* error_text() { return text; }

npuResult passed_on(npuResult result) {
  if (result >= 0) return result;
  npuErrorInfo info{};
  info.struct_size = sizeof(info);
  npuErrorGetInfo(&info);
  return fail(result, "%s: %s", info.function, info.text);
}

}  // namespace npu::ccl
