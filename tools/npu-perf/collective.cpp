// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-perf/collective.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "tools/isa/command_line.h"
#include "tools/npu-perf/forecast.h"
#include "tools/trace/arguments.h"
#include "tools/trace/program.h"

namespace npu::perf {
namespace {

using trace::kExitDone;
using trace::kExitFailed;

constexpr const char* kTool = "npu-perf collective";

struct Options {
  Wish wish;
  std::string size, chunk;
  std::string ranks;
  std::string format = "table";
  bool json = false;
  std::string output = "-";
  std::string schedule;  // a file; empty: none
};

// A whole number, with K, M, G or T behind it where |has_unit|: powers of 1024.
std::optional<uint64_t> number_of(std::string_view text, bool has_unit) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit.empty()) return value;
  constexpr std::string_view kUnits = "KMGT";
  const size_t at = kUnits.find(static_cast<char>(unit[0] & ~0x20));
  unit.remove_prefix(1);
  if (!has_unit || at == std::string_view::npos || !(unit.empty() || unit == "B" || unit == "iB")) {
    return std::nullopt;
  }
  const uint64_t factor = uint64_t{1} << (10 * (at + 1));
  if (__builtin_mul_overflow(value, factor, &value)) return std::nullopt;
  return value;
}

std::string refuse_numbers(Options* options) {
  Wish& wish = options->wish;
  const auto ranks = number_of(options->ranks, false);
  if (!ranks) return "--ranks: '" + options->ranks + "' is not a whole number";
  wish.ranks = *ranks;
  struct Size {
    const char* name;
    const std::string& text;
    uint64_t* bytes;
  };
  for (const Size& size : {Size{"--size", options->size, &wish.size_bytes},
                           Size{"--chunk", options->chunk, &wish.chunk_bytes}}) {
    if (size.text.empty()) continue;
    const auto bytes = number_of(size.text, true);
    if (!bytes || *bytes == 0 || *bytes > ccl::Problem::kElementsMax) {
      return std::string(size.name) + ": '" + size.text +
             "' is no size. Give bytes, 1 to 64P, as a whole number with or without K, M, G or T";
    }
    *size.bytes = *bytes;
  }
  return "";
}

void add_options(CLI::App* app, Options* out) {
  Wish& wish = out->wish;
  app->add_option("--profile", wish.profile, "chip whose wiring counts (maia100)");
  app->add_option("--ranks", out->ranks, "number of ranks, a chip each")->required();
  app->add_option("--op", wish.operation, "operation (allreduce)")
      ->check(CLI::IsMember(operation_names()));
  app->add_option("--size", out->size,
                  "bytes of the whole vector as nccl-tests count it: K, M, G, T");
  app->add_option("--type", wish.type, "type of the elements (float32)")
      ->check(CLI::IsMember(type_names()));
  app->add_option("--order", wish.order,
                  "order of additions: canonical (default), or any, as NPU_CCL_REDUCE_ANY")
      ->check(CLI::IsMember(order_names()));
  app->add_option("--algo", wish.algorithm,
                  "algorithm, auto (the fastest, default) or all (a row for each)")
      ->check(CLI::IsMember(algorithm_names()));
  app->add_option("--chunk", out->chunk, "bytes of the vector that travel as a pipeline (all)");
  app->add_option("--wiring", wish.wiring,
                  "changes of the profile's wiring, KEY=NUMBER with commas between, or switched: "
                  "all links into the fabric");
  app->add_option(
      "--export", out->schedule,
      "file for the schedule; FILE.dot for Graphviz, FILE.txt for a time-line, else JSON");
  app->add_option("--format", out->format, "table (default) or json")
      ->check(CLI::IsMember({"table", "json"}));
  app->add_flag("--json", out->json, "as --format json");
  app->add_option("-o,--output", out->output, "file for the report; - is stdout (default)");
}

std::optional<int> parse(int argc, const char* const* argv, Options* out) {
  CLI::App app{
      "Predicts how long a collective operation takes, and how loaded links are, from the wiring "
      "of a chip's profile\nand the schedules of libnpuccl. Runs nothing."};
  app.name(kTool);
  app.footer("Exit codes: 0, or 125 where there is no prediction. See npu-perf(1).");
  add_options(&app, out);
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitFailed;
  }
  return std::nullopt;
}

bool write_text(const std::string& path, const std::string& text) {
  const auto failure = isa::write_whole_file(path, {text.begin(), text.end()});
  if (failure) trace::report(kTool, failure->text);
  return !failure;
}

}  // namespace

int run_collective(int argc, const char* const* argv) {
  Options options;
  if (const auto code = parse(argc, argv, &options)) return *code;
  if (const std::string cause = refuse_numbers(&options); !cause.empty()) {
    return trace::report(kTool, cause);
  }
  for (const std::string& path : {options.output, options.schedule}) {
    if (path.empty() || path == "-") continue;
    if (const auto failure = trace::why_not_writable(path); failure) {
      return trace::report(kTool, failure->text);
    }
  }
  const auto result = forecast(options.wish);
  if (!result) return trace::report(kTool, result.error());
  if (!options.schedule.empty()) {
    const auto schedule = export_schedule(*result, options.schedule);
    if (!schedule) return trace::report(kTool, schedule.error());
    if (!write_text(options.schedule, *schedule)) return kExitFailed;
  }
  const bool json = options.json || options.format == "json";
  const std::string text = json ? make_forecast_json(*result) : make_forecast_table(*result);
  return write_text(options.output, text) ? kExitDone : kExitFailed;
}

}  // namespace npu::perf
