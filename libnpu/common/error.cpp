// SPDX-License-Identifier: Apache-2.0
// Thread-local error text.
#include "libnpu/common/error.h"

#include <cstdarg>
#include <cstdio>

namespace npu::common {
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

}  // namespace npu::common
