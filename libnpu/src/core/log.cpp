// SPDX-License-Identifier: Apache-2.0
// One line a message, written at once, so that lines of several threads do not mix.
#include "libnpu/src/core/log.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>

namespace npu {
namespace {
std::atomic<LogLevel> g_level{LogLevel::kWarn};
}

void set_log_level(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }

void log_message(LogLevel level, const char* format, ...) {
  if (level > g_level.load(std::memory_order_relaxed)) return;
  constexpr const char* kNames[] = {"", "error", "warning", "info", "debug"};
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "libnpu: %s: %s\n", kNames[static_cast<uint32_t>(level)], text);
}

}  // namespace npu
