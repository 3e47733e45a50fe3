// SPDX-License-Identifier: Apache-2.0
// npu-trace: runs a program and draws what it and its devices did, for Perfetto and Chrome.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tools/npu-trace/picture.h"
#include "tools/trace/arguments.h"
#include "tools/trace/program.h"

namespace {

using namespace npu::trace;

constexpr const char* kTool = "npu-trace";

struct Options {
  std::string output = "trace.json";
  std::string clock = "host";
  Source source;
};

// The exit code, where there is nothing more to do.
std::optional<int> parse(const CommandLine& line, Options* out) {
  CLI::App app{"Runs PROGRAM and writes what it called and what its NPUs did, as a picture."};
  describe_tool(&app, kTool, "Open the file in ui.perfetto.dev or chrome://tracing.\n");
  app.add_option("-o,--output", out->output, "file to write (trace.json)");
  app.add_option("--from", out->source.from, "draw a file that NPU_TRACE wrote, and run nothing");
  app.add_option("--clock", out->clock,
                 "host (default): calls and work side by side; device: work alone, at the times of "
                 "each queue")
      ->check(CLI::IsMember({"host", "device"}));
  return parse_tool(&app, line, &out->source);
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
  if (!options.source.from.empty()) return draw(options, {options.source.from});
  // Beside the output: there is room, or there is none for the picture either.
  const std::string parent = std::filesystem::path(options.output).parent_path().string();
  return run_and_tell(kTool, program, parent, options.source.max_mb, "draw",
                      [&](const auto& recordings, int) { return draw(options, recordings); });
}

}  // namespace

int main(int argc, char** argv) {
  const CommandLine line =
      split_arguments(argc, argv, {"-o", "--output", "--from", "--clock", "--max-mb"});
  Options options;
  if (const std::optional<int> code = parse(line, &options)) return *code;
  return run(options, line.program);
}
