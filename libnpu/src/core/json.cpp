// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/json.h"

#include <cinttypes>

#include "libnpu/src/core/text.h"

namespace npu {

std::string json_quoted(const char* text, size_t bytes_most) {
  std::string quoted = "\"";
  for (size_t i = 0; i < bytes_most && text[i] != '\0'; i++) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (text[i] == '"' || text[i] == '\\') {
      quoted += '\\';
      quoted += text[i];
    } else {
      quoted += byte < 0x20 || byte >= 0x7f ? '?' : text[i];
    }
  }
  return quoted + "\"";
}

std::string json_hex(uint64_t value) { return formatted("\"0x%" PRIx64 "\"", value); }

}  // namespace npu
