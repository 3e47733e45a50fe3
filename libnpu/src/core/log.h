// SPDX-License-Identifier: Apache-2.0
// Messages to stderr or NPU_LOG_FILE, at or above NPU_LOG_LEVEL.
#pragma once

#include "libnpu/src/core/environment.h"

namespace npu {

// |path|: empty for stderr. NPU_ERROR_FILE when it cannot be written; the log stays as it was then.
Status set_log(LogLevel level, const std::string& path);
[[gnu::format(printf, 2, 3)]] void log_message(LogLevel level, const char* format, ...);

}  // namespace npu
