// SPDX-License-Identifier: Apache-2.0
// npu-perf: runs a program and tells where its devices' time went, kernel by kernel; or predicts a collective operation.
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/isa/command_line.h"
#include "tools/npu-perf/collective.h"
#include "tools/npu-perf/output.h"
#include "tools/trace/arguments.h"
#include "tools/trace/program.h"

namespace {

using namespace npu::perf;
using namespace npu::trace;

constexpr const char* kTool = "npu-perf";

struct Options {
  std::string output;  // empty: stderr beside a program, else stdout
  std::string svg;
  std::string format = "table";
  Source source;
};

// The exit code, where there is nothing more to do.
std::optional<int> parse(const CommandLine& line, Options* out) {
  CLI::App app{"Runs PROGRAM and tells where the time of its NPUs went, kernel by kernel."};
  describe_tool(&app, kTool,
                "npu-perf collective --help: how long a collective operation would take.\n");
  app.add_option("-o,--output", out->output,
                 "file for the report, - for stdout (stderr; with --from stdout)");
  app.add_option("--format", out->format, "table (default) or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_option("--svg", out->svg, "file for a picture of the roofline");
  app.add_option("--from", out->source.from,
                 "report on a file of npu-trace or NPU_TRACE, run nothing");
  app.add_flag(
      "--engines", out->source.engines,
      "also how busy the engines of the tiles were; takes a model in the program's process");
  if (const std::optional<int> code = parse_tool(&app, line, &out->source)) return code;
  if (out->source.engines && !out->source.from.empty())
    return report(kTool, "--engines is for a program to run; --from reports what is in the file");
  const std::optional<std::string> problem = choose_device(&out->source);
  return problem ? std::optional(report(kTool, *problem)) : std::nullopt;
}

bool write_text(const std::string& path, const std::string& text) {
  if (path.empty()) return std::fputs(text.c_str(), stderr) >= 0;
  const auto failure = npu::isa::write_whole_file(path, {text.begin(), text.end()});
  if (failure) report(kTool, failure->text);
  return !failure;
}

// kExitDone or kExitFailed.
int tell(const Options& options, const Recordings& recordings, std::optional<int> exit_code) {
  UsageBuilder builder;
  for (const std::string& recording : recordings.calls) {
    const auto end = builder.add(recording);
    if (!end) return report(kTool, end.error());
  }
  for (const std::string& recording : recordings.engines) {
    if (const auto end = builder.add_engines(recording); !end) return report(kTool, end.error());
  }
  const Usage usage = builder.finish();
  if (usage.unfinished_processes != 0)
    report(kTool, "a process was ended before its recording; its last moments are missing");
  if (usage.lost_activities != 0)
    report(kTool, std::to_string(usage.lost_activities) +
                      " activities did not fit and are not counted. Give more with --max-mb.");
  const std::string text =
      options.format == "json" ? make_json(usage, exit_code) : make_table(usage);
  const std::string path =
      options.output.empty() && !options.source.from.empty() ? "-" : options.output;
  if (!write_text(path, text)) return kExitFailed;
  if (!options.svg.empty() && !write_text(options.svg, make_svg(usage))) return kExitFailed;
  return kExitDone;
}

int run(const Options& options, const std::vector<std::string>& program) {
  for (const std::string& path : {options.output, options.svg}) {
    if (path.empty() || path == "-") continue;
    if (const auto failure = why_not_writable(path); failure) return report(kTool, failure->text);
  }
  if (!options.source.from.empty()) return tell(options, {{options.source.from}, {}}, std::nullopt);
  return run_and_tell(
      kTool, program, temporary_parent(), options.source, "report",
      [&](const auto& recordings, int code) { return tell(options, recordings, code); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "collective") return run_collective(argc, argv);
  const CommandLine line =
      split_arguments(argc, argv, {"-o", "--output", "--format", "--svg", "--from", "--max-mb"});
  Options options;
  if (const std::optional<int> code = parse(line, &options)) return *code;
  return run(options, line.program);
}
