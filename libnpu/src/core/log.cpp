// SPDX-License-Identifier: Apache-2.0
// One line a message, written at once, so that lines of several threads do not mix.
#include "libnpu/src/core/log.h"

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kWarn};

std::atomic<std::FILE*> g_file{nullptr};  // nullptr: stderr
std::mutex g_change_mutex;                // of g_path
std::string* g_path = nullptr;            // of g_file

}  // namespace

Status set_log(LogLevel level, const std::string& path) {
  std::lock_guard lock(g_change_mutex);
  if (path != (g_path != nullptr ? *g_path : "")) {
    std::FILE* file = path.empty() ? nullptr : std::fopen(path.c_str(), "ae");
    if (!path.empty() && file == nullptr) {
      return fail_errno(NPU_ERROR_FILE, errno, "NPU_LOG_FILE=%s cannot be written", path.c_str());
    }
    // The one before stays open: a message of another thread may be on its way there.
    // pairs with log.cpp : log_message
    g_file.store(file, std::memory_order_release);
    delete g_path;
    g_path = path.empty() ? nullptr : new std::string(path);
  }
  g_level.store(level, std::memory_order_relaxed);
  return Status::ok();
}

void log_message(LogLevel level, const char* format, ...) {
  if (level > g_level.load(std::memory_order_relaxed)) return;
  constexpr const char* kNames[] = {"", "error", "warning", "info", "debug"};
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  // pairs with log.cpp : set_log
  std::FILE* file = g_file.load(std::memory_order_acquire);
  if (file == nullptr) file = stderr;
  std::fprintf(file, "libnpu: %s: %s\n", kNames[static_cast<uint32_t>(level)], text);
  std::fflush(file);
}

}  // namespace npu
