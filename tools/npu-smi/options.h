// SPDX-License-Identifier: Apache-2.0
// The command line of npu-smi.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace npu::smi {

enum class Command { kOverview, kList, kInfo, kProcesses, kLink, kEvent, kDoctor, kSchema };
enum class Format { kTable, kCsv, kJson };

struct Options {
  Command command = Command::kOverview;
  std::string device = "all";
  std::vector<std::string> sections;  // empty: all
  Format format = Format::kTable;
  bool csv_header = true;
  bool csv_units = true;
  bool list_full = false;
  uint64_t loop_ms = 0;      // 0: once
  uint64_t loop_count = 0;   // 0: until a signal comes
  uint64_t event_count = 0;  // likewise, of event
};

struct ParsedOptions {
  Options options;
  bool ends =
      false;  // nothing more to do: help or version were printed, or the arguments are wrong
  int exit_code = 0;
};

// Prints help and version to stdout, complaints to stderr.
ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace npu::smi
