// SPDX-License-Identifier: Apache-2.0
// What the command-line tools share: whole files in and out, messages, exit codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/isa/outcome.h"

namespace npu::isa {

// Exit codes: done; not done for a reason that was printed; wrong use of the command.
enum ExitCode { kExitDone = 0, kExitFailed = 1, kExitUsage = 2 };

// "-" is standard input. At most 64 MiB.
Outcome<std::vector<uint8_t>> read_whole_file(const std::string& path);

// Where the bytes of |path| are written until they are whole: beside it; at once into what is no file, as a pipe or /dev/full, which a renaming would replace.
std::string partial_path(const std::string& path);
// "-" is standard output. A file appears whole or not at all.
std::optional<Failure> write_whole_file(const std::string& path, const std::vector<uint8_t>& bytes);

// "TOOL 0.2.0, instruction set 1.1"
std::string version_line(const char* tool);

// Prints "TOOL: text" to standard error; gives kExitFailed.
int report(const char* tool, const std::string& text);

}  // namespace npu::isa
