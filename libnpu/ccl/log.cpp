// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/log.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace npu::ccl {

void log_info(const char* format, ...) {
  const char* level = std::getenv("NPU_LOG_LEVEL");
  if (level == nullptr || (std::string_view(level) != "info" && std::string_view(level) != "debug"))
    return;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  const char* path = std::getenv("NPU_LOG_FILE");
  const bool has_path = path != nullptr && *path != '\0';
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> own(
      has_path ? std::fopen(path, "ae") : nullptr, std::fclose);
  std::fprintf(own ? own.get() : stderr, "libnpuccl: info: %s\n", text);
}

}  // namespace npu::ccl
