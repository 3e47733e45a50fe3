// SPDX-License-Identifier: Apache-2.0
// npu-trace: runs a program and draws what it and its devices did, for Perfetto and Chrome.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/npu-trace/picture.h"
#include "tools/trace/arguments.h"
#include "tools/trace/program.h"

namespace {

using namespace npu::trace;

constexpr const char* kTool = "npu-trace";
constexpr const char* kFooter =
    "Open the file in ui.perfetto.dev or chrome://tracing.\n"
    "Exit codes: that of PROGRAM (128 + number of the signal that ended it), 125 npu-trace itself "
    "failed, 126 PROGRAM\n"
    "cannot be run, 127 it was not found. See npu-trace(1).";

struct Options {
  std::string output = "trace.json";
  std::string from;
  std::string clock = "host";
  uint64_t max_mb = 1024;
};

// What follows the options belongs to the program, which CLI11 never sees.
class Formatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: npu-trace [OPTIONS] [--] PROGRAM [ARGS...]\n       npu-trace [OPTIONS] --from "
           "RECORDING\n";
  }
};

// The exit code, where there is nothing more to do.
std::optional<int> parse(CommandLine line, Options* out) {
  CLI::App app{"Runs PROGRAM and writes what it called and what its NPUs did, as a picture."};
  app.name(kTool);
  app.formatter(std::make_shared<Formatter>());
  app.footer(kFooter);
  app.set_version_flag("-V,--version", version_line(kTool));
  app.add_option("-o,--output", out->output, "file to write (trace.json)");
  app.add_option("--from", out->from, "draw a file that NPU_TRACE wrote, and run nothing");
  app.add_option("--clock", out->clock,
                 "host (default): calls and work side by side; device: work alone, at the times of "
                 "each queue")
      ->check(CLI::IsMember({"host", "device"}));
  app.add_option("--max-mb", out->max_mb, "how large the recording of a process may become (1024)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1048576}));
  try {
    app.parse(std::vector<std::string>(line.own.rbegin(), line.own.rend()));
    if (out->from.empty() == line.program.empty())
      throw CLI::ValidationError("PROGRAM", "give either a program to run or --from FILE");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitFailed;
  }
  return std::nullopt;
}

// What is not in the picture, on stderr.
void tell(const std::string& file, const RecordingEnd& end) {
  if (!end.is_whole)
    report(kTool,
           file + ": the process was ended before its recording; the last moments are missing");
  if (end.lost_activities != 0)
    report(kTool, file + ": " + std::to_string(end.lost_activities) +
                      " activities did not fit. Give more with --max-mb.");
  if (end.unreadable_lines != 0)
    report(kTool, file + ": " + std::to_string(end.unreadable_lines) + " lines are no events");
}

int draw(const Options& options, const std::vector<std::string>& recordings) {
  auto picture =
      Picture::begin(options.output, options.clock == "device" ? Clock::kDevice : Clock::kHost);
  if (!picture) return report(kTool, picture.error());
  for (const std::string& recording : recordings) {
    const auto end = picture->add(recording);
    if (!end) return report(kTool, end.error());
    tell(std::filesystem::path(recording).filename(), *end);
  }
  const auto works = picture->finish();
  if (!works) return report(kTool, works.error());
  std::fprintf(stderr, "%s: %s: %llu pieces of work on devices, of %zu processes\n", kTool,
               options.output.c_str(), static_cast<unsigned long long>(*works), recordings.size());
  return kExitDone;
}

int run(const Options& options, const std::vector<std::string>& program) {
  if (const auto failure = why_not_writable(options.output); failure)
    return report(kTool, failure->text);
  if (!options.from.empty()) return draw(options, {options.from});
  // Beside the output: there is room, or there is none for the picture either.
  const auto folder =
      TemporaryFolder::make(std::filesystem::path(options.output).parent_path().string());
  if (!folder) return report(kTool, folder.error());
  const int code = run_program(kTool, program, *folder, options.max_mb);
  const std::vector<std::string> recordings = folder->recordings();
  if (recordings.empty()) {
    if (code == kExitNotFound || code == kExitCannotExecute) return code;
    report(kTool,
           "'" + program[0] +
               "' has not started libnpu: there is nothing to draw. npu-smi doctor tells what "
               "keeps a program from it.");
    return code != 0 ? code : kExitFailed;
  }
  const int drawn = draw(options, recordings);
  return drawn != kExitDone ? drawn : code;
}

}  // namespace

int main(int argc, char** argv) {
  const CommandLine line =
      split_arguments(argc, argv, {"-o", "--output", "--from", "--clock", "--max-mb"});
  Options options;
  if (const std::optional<int> code = parse(line, &options)) return *code;
  return run(options, line.program);
}
