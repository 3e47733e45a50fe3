// SPDX-License-Identifier: Apache-2.0
#include "tools/trace/arguments.h"

#include <npu/npu_types.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace npu::trace {
namespace {

// What follows the options belongs to the program, which CLI11 never sees.
class Formatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string) const override {
    const std::string usage = app->get_name() + " [OPTIONS] ";
    return "Usage: " + usage + "[--] PROGRAM [ARGS...]\n       " + usage + "--from RECORDING\n";
  }
};

// "TOOL 0.2.0"
std::string version_line(const char* tool) {
  return std::string(tool) + " " + std::to_string(NPU_VERSION_MAJOR) + "." +
         std::to_string(NPU_VERSION_MINOR) + "." + std::to_string(NPU_VERSION_PATCH);
}

}  // namespace

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

void describe_tool(CLI::App* app, const char* tool, const std::string& footer) {
  const std::string name = tool;
  app->name(name);
  app->formatter(std::make_shared<Formatter>());
  app->footer(footer +
              "Exit codes: that of PROGRAM (128 + number of the signal that ended it), 125 " +
              name + " itself failed, 126 PROGRAM\ncannot be run, 127 it was not found. See " +
              name + "(1).");
  app->set_version_flag("-V,--version", version_line(tool));
}

std::optional<int> parse_tool(CLI::App* app, const CommandLine& line, Source* source) {
  app->add_option("--max-mb", source->max_mb,
                  "how large the recording of a process may become (1024)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1048576}));
  try {
    app->parse(std::vector<std::string>(line.own.rbegin(), line.own.rend()));
    if (source->from.empty() == line.program.empty())
      throw CLI::ValidationError("PROGRAM", "give either a program to run or --from FILE");
  } catch (const CLI::ParseError& error) {
    return app->exit(error) == 0 ? kExitDone : kExitFailed;
  }
  return std::nullopt;
}

std::optional<std::string> choose_device(Source* source) {
  if (!source->engines) return std::nullopt;
  const char* named = std::getenv("NPU_DEVICE");
  const std::string road = named != nullptr && *named != '\0' ? named : "inproc";
  const std::string kind = road.substr(0, road.find(':'));
  if (kind != "model" && kind != "inproc")
    return "--engines needs a device model in the program's own process, and NPU_DEVICE is '" +
           road + "'. Unset it, or set inproc:PROFILE.";
  source->device = "inproc" + road.substr(kind.size());
  return std::nullopt;
}

int report(const char* tool, const std::string& text) {
  std::fprintf(stderr, "%s: %s\n", tool, text.c_str());
  return kExitFailed;
}

}  // namespace npu::trace
