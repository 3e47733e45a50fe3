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
  std::string clock;  // empty: not chosen
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
  app.add_flag(
      "--engines", out->source.engines,
      "also the operations of LD, ST, MM and VE of some tiles, with kernel and line; takes "
      "--clock device and a model in the program's process");
  app.add_option("--tiles", out->source.tiles, "tiles whose engines are drawn (4)")
      ->check(CLI::Range(1u, 16384u));
  if (const std::optional<int> code = parse_tool(&app, line, &out->source)) return code;
  if (!out->source.engines) return std::nullopt;
  if (out->clock == "host")
    return report(kTool,
                  "engines have the clock of their queue: leave --clock away with --engines");
  if (!out->source.from.empty())
    return report(kTool, "--engines is for a program to run; --from draws what is in the file");
  out->clock = "device";
  const std::optional<std::string> problem = choose_device(&out->source);
  return problem ? std::optional(report(kTool, *problem)) : std::nullopt;
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

int draw(const Options& options, const Recordings& recordings) {
  auto picture =
      Picture::begin(options.output, options.clock == "device" ? Clock::kDevice : Clock::kHost);
  if (!picture) return report(kTool, picture.error());
  for (const std::string& recording : recordings.calls) {
    const auto end = picture->add(recording);
    if (!end) return report(kTool, end.error());
    tell(std::filesystem::path(recording).filename(), *end);
  }
  for (const std::string& recording : recordings.engines) {
    if (const auto end = picture->add(recording); !end) return report(kTool, end.error());
  }
  const auto works = picture->finish();
  if (!works) return report(kTool, works.error());
  std::fprintf(stderr, "%s: %s: %llu pieces of work on devices, of %zu processes\n", kTool,
               options.output.c_str(), static_cast<unsigned long long>(*works),
               recordings.calls.size());
  return kExitDone;
}

int run(const Options& options, const std::vector<std::string>& program) {
  if (const auto failure = why_not_writable(options.output); failure)
    return report(kTool, failure->text);
  if (!options.source.from.empty()) return draw(options, {{options.source.from}, {}});
  // Beside the output: there is room, or there is none for the picture either.
  const std::string parent = std::filesystem::path(options.output).parent_path().string();
  return run_and_tell(kTool, program, parent, options.source, "draw",
                      [&](const auto& recordings, int) { return draw(options, recordings); });
}

}  // namespace

int main(int argc, char** argv) {
  const CommandLine line =
      split_arguments(argc, argv, {"-o", "--output", "--from", "--clock", "--max-mb", "--tiles"});
  Options options;
  if (const std::optional<int> code = parse(line, &options)) return *code;
  return run(options, line.program);
}
