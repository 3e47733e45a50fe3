// SPDX-License-Identifier: Apache-2.0
// The command line of a tool that runs a program: where its own arguments end, and its exit codes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace npu::trace {

// As of other programs that run programs (env, timeout); else the exit code is the program's, or 128 + the signal that ended it.
enum ExitCode {
  kExitDone = 0,
  kExitFailed = 125,         // the tool itself: arguments, files, nothing recorded
  kExitCannotExecute = 126,  // the program is there and cannot be run
  kExitNotFound = 127,
};

struct CommandLine {
  std::vector<std::string> own;      // of the tool, without its name
  std::vector<std::string> program;  // with its arguments; empty: none
};

// The tool's part ends at "--" or at the first word that is neither an option nor the value of one of |with_value| ("-o", "--format").
CommandLine split_arguments(int argc, const char* const* argv,
                            const std::vector<std::string_view>& with_value);

// Gives |app| name, usage, --version, and behind |footer| the exit codes.
void describe_tool(CLI::App* app, const char* tool, const std::string& footer);

// What such a tool takes besides its own options.
struct Source {
  std::string from;  // a recording; empty: a program is run
  uint64_t max_mb = 1024;
  bool engines = false;  // also what the engines of the devices do
  uint32_t tiles = 4;    // of each device, whose engines are drawn
  std::string device;    // NPU_DEVICE of the program; empty: the tool's own. Set by choose_device()
};

// Adds --max-mb and parses the tool's part. The exit code, where there is nothing more to do.
std::optional<int> parse_tool(CLI::App* app, const CommandLine& line, Source* source);

// With |source->engines|: a model in the program's own process, with the profile that NPU_DEVICE names. Why there can be none.
std::optional<std::string> choose_device(Source* source);

// Prints "TOOL: text" to stderr; gives kExitFailed.
int report(const char* tool, const std::string& text);

}  // namespace npu::trace
