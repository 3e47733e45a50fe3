// SPDX-License-Identifier: Apache-2.0
// npu-perf: runs a program and tells where its devices' time went, kernel by kernel.
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/isa/command_line.h"
#include "tools/npu-perf/output.h"
#include "tools/trace/arguments.h"
#include "tools/trace/program.h"

namespace {

using namespace npu::perf;
using namespace npu::trace;

constexpr const char* kTool = "npu-perf";
constexpr const char* kFooter =
    "Exit codes: that of PROGRAM (128 + number of the signal that ended it), 125 npu-perf itself "
    "failed, 126 PROGRAM\n"
    "cannot be run, 127 it was not found. See npu-perf(1).";

struct Options {
  std::string output;  // empty: stderr beside a program, else stdout
  std::string from;
  std::string svg;
  std::string format = "table";
  uint64_t max_mb = 1024;
};

// What follows the options belongs to the program, which CLI11 never sees.
class Formatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: npu-perf [OPTIONS] [--] PROGRAM [ARGS...]\n       npu-perf [OPTIONS] --from "
           "RECORDING\n";
  }
};

// The exit code, where there is nothing more to do.
std::optional<int> parse(CommandLine line, Options* out) {
  CLI::App app{"Runs PROGRAM and tells where the time of its NPUs went, kernel by kernel."};
  app.name(kTool);
  app.formatter(std::make_shared<Formatter>());
  app.footer(kFooter);
  app.set_version_flag("-V,--version", version_line(kTool));
  app.add_option("-o,--output", out->output,
                 "file for the report, - for stdout (stderr; with --from stdout)");
  app.add_option("--format", out->format, "table (default) or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.add_option("--svg", out->svg, "file for a picture of the roofline");
  app.add_option("--from", out->from, "report on a file of npu-trace or NPU_TRACE, run nothing");
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

bool write_text(const std::string& path, const std::string& text) {
  if (path.empty()) return std::fputs(text.c_str(), stderr) >= 0;
  const auto failure = npu::isa::write_whole_file(path, {text.begin(), text.end()});
  if (failure) report(kTool, failure->text);
  return !failure;
}

// kExitDone or kExitFailed.
int tell(const Options& options, const std::vector<std::string>& recordings,
         std::optional<int> exit_code) {
  UsageBuilder builder;
  for (const std::string& recording : recordings) {
    const auto end = builder.add(recording);
    if (!end) return report(kTool, end.error());
  }
  const Usage usage = builder.finish();
  if (usage.unfinished_processes != 0)
    report(kTool, "a process was ended before its recording; its last moments are missing");
  if (usage.lost_activities != 0)
    report(kTool, std::to_string(usage.lost_activities) +
                      " activities did not fit and are not counted. Give more with --max-mb.");
  const std::string text =
      options.format == "json" ? make_json(usage, exit_code) : make_table(usage);
  const std::string path = options.output.empty() && !options.from.empty() ? "-" : options.output;
  if (!write_text(path, text)) return kExitFailed;
  if (!options.svg.empty() && !write_text(options.svg, make_svg(usage))) return kExitFailed;
  return kExitDone;
}

int run(const Options& options, const std::vector<std::string>& program) {
  for (const std::string& path : {options.output, options.svg}) {
    if (path.empty() || path == "-") continue;
    if (const auto failure = why_not_writable(path); failure) return report(kTool, failure->text);
  }
  if (!options.from.empty()) return tell(options, {options.from}, std::nullopt);
  const auto folder = TemporaryFolder::make(temporary_parent());
  if (!folder) return report(kTool, folder.error());
  const int code = run_program(kTool, program, *folder, options.max_mb);
  const std::vector<std::string> recordings = folder->recordings();
  if (recordings.empty()) {
    if (code == kExitNotFound || code == kExitCannotExecute) return code;
    report(kTool, "'" + program[0] +
                      "' has not started libnpu: there is nothing to report. npu-smi doctor tells "
                      "what keeps a program from it.");
    return code != 0 ? code : kExitFailed;
  }
  const int told = tell(options, recordings, code);
  return told != kExitDone ? told : code;
}

}  // namespace

int main(int argc, char** argv) {
  const CommandLine line =
      split_arguments(argc, argv, {"-o", "--output", "--format", "--svg", "--from", "--max-mb"});
  Options options;
  if (const std::optional<int> code = parse(line, &options)) return *code;
  return run(options, line.program);
}
