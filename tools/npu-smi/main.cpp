// SPDX-License-Identifier: Apache-2.0
// npu-smi: what the NPUs of this machine are, measure and run. stdout carries data only.
#include <cstdio>
#include <set>
#include <string>
#include <utility>

#include "tools/npu-smi/device.h"
#include "tools/npu-smi/doctor.h"
#include "tools/npu-smi/event.h"
#include "tools/npu-smi/exit_code.h"
#include "tools/npu-smi/loop.h"
#include "tools/npu-smi/options.h"
#include "tools/npu-smi/output.h"

namespace {

using namespace npu::smi;

// What is wrong, on stderr: once, and again when it has changed.
class Complaints {
 public:
  void begin_turn() {
    said_before_ = std::move(said_);
    said_.clear();
  }
  void say(const std::string& about, const Failure& failure) {
    const std::string line = about + failure.text + ". " + failure.remedy;
    if (said_before_.count(line) == 0) std::fprintf(stderr, "npu-smi: %s\n", line.c_str());
    said_.insert(line);
  }

 private:
  std::set<std::string> said_, said_before_;
};

// The exit code of a snapshot, its failures on stderr.
int judge(const Snapshot& snapshot, Complaints* complaints) {
  complaints->begin_turn();
  if (snapshot.failure) {
    complaints->say("", *snapshot.failure);
    return exit_code_of(snapshot.failure->code);
  }
  size_t failed = 0;
  npuResult first = NPU_OK;
  for (const Device& device : snapshot.devices) {
    if (!device.failure) continue;
    complaints->say("device " + std::to_string(device.index) + ": ", *device.failure);
    if (failed++ == 0) first = device.failure->code;
  }
  if (failed == 0) return kExitDone;
  return failed == snapshot.devices.size() ? exit_code_of(first) : kExitPartial;
}

std::string make_output(const Options& options, const Snapshot& snapshot) {
  switch (options.format) {
    case Format::kCsv:
      return make_csv(options, snapshot);
    case Format::kJson:
      return make_json(options, snapshot);
    case Format::kTable:
      break;
  }
  return make_table(options, snapshot);
}

// |code| unless the output could not be written.
int print(const std::string& output, int code) {
  const bool written = std::fwrite(output.data(), 1, output.size(), stdout) == output.size();
  if (written && std::fflush(stdout) == 0) return code;
  std::perror("npu-smi: writing to stdout");
  return kExitInternal;
}

// One snapshot a turn. A device, or the driver, that goes away during a loop may come back: the loop goes on, and its last turn is the exit code.
int run_loop(Options options, const Selector& selector) {
  Loop loop(options.loop_ms, options.loop_count);
  Complaints complaints;
  int code = kExitDone;
  for (bool first = true; loop.next(); first = false) {
    const Snapshot snapshot = take_snapshot(selector);
    code = judge(snapshot, &complaints);
    if (snapshot.failure && first) return code;
    if (snapshot.failure) continue;
    if (print(make_output(options, snapshot), code) != code) return kExitInternal;
    options.csv_header = false;
  }
  return code;
}

int run(const Options& options) {
  if (options.command == Command::kDoctor) {
    const std::vector<Finding> findings = examine();
    return print(make_report(options, findings), exit_code_of(findings));
  }
  std::string error;
  const std::optional<Selector> selector = parse_selector(options.device, &error);
  if (!selector) {
    std::fprintf(stderr, "npu-smi: %s\n", error.c_str());
    return kExitUsage;
  }
  if (options.command == Command::kSchema) return print(make_output(options, {}), kExitDone);
  if (options.command == Command::kEvent) return follow_events(options, *selector);
  return run_loop(options, *selector);
}

}  // namespace

int main(int argc, char** argv) {
  const ParsedOptions parsed = parse_options(argc, argv);
  return parsed.ends ? parsed.exit_code : run(parsed.options);
}
