// SPDX-License-Identifier: Apache-2.0
// Parsing of the command line; the spellings of other vendors' tools lead to the same handlers.
#include "tools/npu-smi/options.h"

#include <npu/npu_types.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tools/npu-smi/exit_code.h"
#include "tools/npu-smi/field.h"

namespace npu::smi {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 2 wrong use, 3 not supported, 4 no permission, 6 no such device, 9 driver "
    "or device model\n"
    "not reachable, 15 device lost, 20 some of the devices failed, 24 versions do not fit. See "
    "npu-smi(1).";

constexpr double kLoopSecondsLeast = 0.01, kLoopSecondsMost = 86400;

struct Words {
  double loop_seconds = 0;
  std::string format = "table";
  std::string huawei_type;  // info -t
  std::string info_what;    // info proc
  bool list = false, query = false, huawei_list = false, huawei_map = false;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// table, json, csv[,noheader][,nounits]
void read_format(const std::string& text, Options* out) {
  const std::vector<std::string> words = split(text);
  if (words[0] == "csv") {
    out->format = Format::kCsv;
    for (size_t i = 1; i < words.size(); i++) {
      if (words[i] == "noheader")
        out->csv_header = false;
      else if (words[i] == "nounits")
        out->csv_units = false;
      else
        throw CLI::ValidationError("--format",
                                   "'" + words[i] + "': csv takes noheader and nounits");
    }
    return;
  }
  if (words.size() > 1 || (words[0] != "table" && words[0] != "json")) {
    throw CLI::ValidationError("--format",
                               "'" + text + "': use table, json or csv[,noheader][,nounits]");
  }
  out->format = words[0] == "json" ? Format::kJson : Format::kTable;
}

void read_sections(Options* out) {
  const std::vector<std::string> known = section_names();
  for (const std::string& name : out->sections) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string all;
    for (const std::string& section : known) all += (all.empty() ? "" : ", ") + section;
    throw CLI::ValidationError("-d", "there is no section '" + name + "'; there are: " + all);
  }
}

// What is no number is in no range.
std::string check_loop_seconds(std::string& text) {
  double seconds = 0;
  if (CLI::detail::lexical_cast(text, seconds) && seconds >= kLoopSecondsLeast &&
      seconds <= kLoopSecondsMost) {
    return {};
  }
  return "'" + text + "': from 0.01 to 86400 seconds";
}

// A report and a list of fields do not change; events come by themselves.
void read_loop(double seconds, Options* out) {
  out->loop_ms = static_cast<uint64_t>(seconds * 1000 + 0.5);
  if (out->loop_ms == 0) return;
  if (out->command == Command::kDoctor || out->command == Command::kSchema ||
      out->command == Command::kEvent)
    throw CLI::ValidationError("--loop", "not for doctor, schema and event");
}

// Sections under the names of another tool's `info -t`.
std::string native_section(const std::string& type) {
  static const std::pair<const char*, const char*> kNames[] = {
      {"temp", "temperature"}, {"usages", "utilization"}, {"common", "identity"},
      {"board", "identity"},   {"product", "identity"},   {"flash", "firmware"},
      {"err-count", "ras"}};
  for (const auto& [foreign, native] : kNames) {
    if (type == foreign) return native;
  }
  return type == "ecc" ? "ras" : type;
}

void add_info(CLI::App& app, Options& options, Words& words) {
  CLI::App* info =
      app.add_subcommand("info", "everything about the devices, or some sections of it");
  info->add_option("-d,--section", options.sections, "sections, separated by commas")
      ->delimiter(',');
  info->add_option("-t", words.huawei_type, "one section, under the name of other tools")
      ->excludes("-d");
  info->add_flag("-l", words.huawei_list, "as list");
  info->add_flag("-m", words.huawei_map, "as list --full");
  info->add_option("what", words.info_what, "proc: as ps")->check(CLI::IsMember({"proc"}));
  info->callback([&] {
    options.command = Command::kInfo;
    if (!words.huawei_type.empty()) options.sections = {native_section(words.huawei_type)};
    if (words.huawei_list || words.huawei_map) options.command = Command::kList;
    options.list_full |= words.huawei_map;
    if (!words.info_what.empty()) options.command = Command::kProcesses;
  });
}

void add_commands(CLI::App& app, Options& options, Words& words) {
  app.fallthrough();  // inherited by the commands added after it: -i may stand behind them
  app.add_option("-i,--device", options.device,
                 "index, list and range (0,2-3), UUID, PCI address, or all");
  app.add_option("--format", words.format, "table (default), json, csv[,noheader][,nounits]");
  CLI::Option* loop =
      app.add_option("--loop", words.loop_seconds,
                     "again every so many seconds, until Ctrl-C; JSON has one line a turn then")
          ->check(CLI::Validator(check_loop_seconds, "0.01 to 86400", "seconds"));
  app.add_option("--count", options.loop_count, "with --loop: so many times")
      ->check(CLI::PositiveNumber)
      ->needs(loop);
  app.add_flag("-L", words.list, "as list");
  app.add_flag("-q", words.query, "as info");
  CLI::App* list = app.add_subcommand("list", "one line for each device");
  list->add_flag("--full", options.list_full, "with sizes");
  list->callback([&] { options.command = Command::kList; });
  add_info(app, options, words);
  CLI::App* ps = app.add_subcommand("ps", "processes on the devices");
  ps->alias("pmon");
  ps->callback([&] { options.command = Command::kProcesses; });
  app.add_subcommand("link", "network ports: state, speed, other end, counters")->callback([&] {
    options.command = Command::kLink;
  });
  CLI::App* event = app.add_subcommand("event", "changes of links, and resets, as they happen");
  event->add_option("-n,--number", options.event_count, "end after so many")
      ->check(CLI::PositiveNumber);
  event->callback([&] { options.command = Command::kEvent; });
  app.add_subcommand("doctor", "what keeps programs from working here, and what to do")
      ->callback([&] { options.command = Command::kDoctor; });
  app.add_subcommand("schema", "the fields: name, section, unit, type, meaning")->callback([&] {
    options.command = Command::kSchema;
  });
  app.require_subcommand(0, 1);
}

std::string version_line() {
  return "npu-smi " + std::to_string(NPU_VERSION_MAJOR) + "." + std::to_string(NPU_VERSION_MINOR) +
         "." + std::to_string(NPU_VERSION_PATCH);
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions parsed;
  Words words;
  CLI::App app{"Shows what the NPUs of this machine are, measure and run."};
  app.name("npu-smi");
  app.footer(kFooter);
  app.set_version_flag("-V,--version", version_line());
  add_commands(app, parsed.options, words);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty() && words.list) parsed.options.command = Command::kList;
    if (app.get_subcommands().empty() && words.query) parsed.options.command = Command::kInfo;
    read_format(words.format, &parsed.options);
    read_sections(&parsed.options);
    read_loop(words.loop_seconds, &parsed.options);
  } catch (const CLI::ParseError& error) {
    parsed.ends = true;
    parsed.exit_code = app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  return parsed;
}

}  // namespace npu::smi
