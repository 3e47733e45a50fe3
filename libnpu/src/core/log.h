// SPDX-License-Identifier: Apache-2.0
// Messages to stderr, at or above NPU_LOG_LEVEL.
#pragma once

#include "libnpu/src/core/environment.h"

namespace npu {

void set_log_level(LogLevel level);
[[gnu::format(printf, 2, 3)]] void log_message(LogLevel level, const char* format, ...);

}  // namespace npu
