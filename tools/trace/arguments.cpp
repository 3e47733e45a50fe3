// SPDX-License-Identifier: Apache-2.0
#include "tools/trace/arguments.h"

#include <npu/npu_types.h>

#include <algorithm>
#include <cstdio>

namespace npu::trace {

CommandLine split_arguments(int argc, const char* const* argv,
                            const std::vector<std::string_view>& with_value) {
  CommandLine line;
  int at = 1;
  for (; at < argc; at++) {
    const std::string_view word = argv[at];
    if (word == "--") {
      at++;
      break;
    }
    if (word.size() < 2 || word[0] != '-') break;
    line.own.emplace_back(word);
    const bool takes_next =
        std::find(with_value.begin(), with_value.end(), word) != with_value.end();
    if (takes_next && at + 1 < argc) line.own.emplace_back(argv[++at]);
  }
  for (; at < argc; at++) line.program.emplace_back(argv[at]);
  return line;
}

std::string version_line(const char* tool) {
  return std::string(tool) + " " + std::to_string(NPU_VERSION_MAJOR) + "." +
         std::to_string(NPU_VERSION_MINOR) + "." + std::to_string(NPU_VERSION_PATCH);
}

int report(const char* tool, const std::string& text) {
  std::fprintf(stderr, "%s: %s\n", tool, text.c_str());
  return kExitFailed;
}

}  // namespace npu::trace
