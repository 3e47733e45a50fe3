// SPDX-License-Identifier: Apache-2.0
// npu-smi: what the NPUs of this machine are, measure and run. stdout carries data only.
#include <cstdio>

#include "tools/npu-smi/device.h"
#include "tools/npu-smi/doctor.h"
#include "tools/npu-smi/exit_code.h"
#include "tools/npu-smi/options.h"
#include "tools/npu-smi/output.h"

namespace {

using namespace npu::smi;

void complain(const std::string& about, const Failure& failure) {
  std::fprintf(stderr, "npu-smi: %s%s. %s\n", about.c_str(), failure.text.c_str(),
               failure.remedy.c_str());
}

// The exit code of a snapshot, its failures on stderr.
int judge(const Snapshot& snapshot) {
  if (snapshot.failure) {
    complain("", *snapshot.failure);
    return exit_code_of(snapshot.failure->code);
  }
  size_t failed = 0;
  npuResult first = NPU_OK;
  for (const Device& device : snapshot.devices) {
    if (!device.failure) continue;
    complain("device " + std::to_string(device.index) + ": ", *device.failure);
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
  Snapshot snapshot;
  if (options.command != Command::kSchema) snapshot = take_snapshot(*selector);
  const int code = judge(snapshot);
  if (snapshot.failure) return code;
  return print(make_output(options, snapshot), code);
}

}  // namespace

int main(int argc, char** argv) {
  const ParsedOptions parsed = parse_options(argc, argv);
  return parsed.ends ? parsed.exit_code : run(parsed.options);
}
