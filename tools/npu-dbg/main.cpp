// SPDX-License-Identifier: Apache-2.0
// npu-dbg: one work-group of a kernel on the tile interpreter, step by step. The signature of a blob is not checked: it runs here, not on a device.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "firmware-model/device/launch.h"
#include "firmware-model/server/profile.h"
#include "firmware-model/tile/numerics/numerics.h"
#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"
#include "tools/npu-dbg/debugger.h"
#include "tools/npu-dbg/inputs.h"
#include "tools/npu-dbg/show.h"

namespace {

using namespace npu;
using isa::report;

constexpr const char* kTool = "npu-dbg";
constexpr uint64_t kBudget = uint64_t{1} << 32;  // instructions: then it is taken for endless

struct Options {
  std::string file;
  std::string kernel;
  std::vector<std::string> args;
  std::vector<uint32_t> grid{1, 1, 1};
  uint64_t group = 0;
  std::string profile = "tiny";
  std::string commands;
  bool unchecked = false;
};

const char* status_name(int status) {
  switch (status) {
#define NPU_STATUS(value, NAME, cause, remedy) \
  case value:                                  \
    return #NAME;
#include "uapi/spec/status.def"
    default:
      return "?";
  }
}

const char* status_cause(int status) {
  switch (status) {
#define NPU_STATUS(value, NAME, cause, remedy) \
  case value:                                  \
    return cause;
#include "uapi/spec/status.def"
    default:
      return "";
  }
}

model::Program to_model(const isa::Program& program) {
  model::Program out;
  out.name = program.note.name;
  out.code = program.insns;
  out.args_bytes = program.note.args_bytes;
  out.l1_bytes = program.note.l1_bytes;
  out.l2_bytes = program.note.l2_bytes;
  out.acc_bytes = program.note.acc_bytes;
  out.group_tiles = program.note.group_tiles;
  return out;
}

isa::Outcome<isa::Program> find_kernel(const Options& options) {
  const auto bytes = isa::read_whole_file(options.file);
  if (!bytes) return bytes.failure();
  auto blob = isa::read_blob(*bytes);
  if (!blob) return isa::Failure{"'" + options.file + "': " + blob.error()};
  if (options.kernel.empty() && blob->programs.size() == 1) return blob->programs[0];
  for (const isa::Program& program : blob->programs) {
    if (options.kernel == program.note.name) return program;
  }
  if (options.kernel.empty())
    return isa::Failure{"'" + options.file + "' has several kernels; name one with --kernel"};
  return isa::Failure{"there is no kernel '" + options.kernel + "' in '" + options.file +
                      "'; 'npu-fw inspect' lists them"};
}

// Reports how it ended; the exit code.
int conclude(const isa::Program& program, const model::GroupResult& result, bool was_quit) {
  const model::Fault& fault = result.fault;
  if (was_quit) return isa::kExitDone;
  if (fault.status == NPU_ST_OK) {
    std::printf("ended after %llu instructions, %llu ns of the device\n",
                static_cast<unsigned long long>(result.stats.instructions),
                static_cast<unsigned long long>(result.duration_ps / 1000));
    return isa::kExitDone;
  }
  std::printf("%s: %s\n", status_name(fault.status), status_cause(fault.status));
  if (fault.pc < program.insns.size())
    std::printf("tile %u: %s\n", fault.tile_in_group, dbg::instruction(program, fault.pc).c_str());
  if (result.report != nullptr) std::printf("%s\n", result.report->c_str());
  return isa::kExitFailed;
}

int debug(const Options& options, const isa::Program& program, const npu_profile& profile) {
  dbg::Memory memory;
  const auto args = dbg::make_arguments(program, options.args, &memory);
  if (!args) return report(kTool, args.error());
  std::ifstream file;
  if (!options.commands.empty()) {
    file.open(options.commands);
    if (!file) return report(kTool, "'" + options.commands + "' cannot be read");
  }
  const bool asks = options.commands.empty() && isatty(STDIN_FILENO) != 0;
  dbg::Debugger debugger(program, options.commands.empty() ? std::cin : file, asks ? "> " : "");
  const model::Program loaded = to_model(program);
  const model::TileParams params = model::tile_params(profile);
  model::Launch launch;
  launch.program = &loaded;
  launch.space = &memory;
  launch.numerics = &model::simd_numerics();
  launch.params = &params;
  launch.args = *args;
  launch.grid = {options.grid[0], options.grid[1], options.grid[2]};
  launch.hbm_share_bytes_per_us =
      std::max<uint64_t>(1, profile.hbm_mbytes_per_s / params.device_tiles);
  launch.host_share_bytes_per_us =
      std::max<uint64_t>(1, profile.host_mbytes_per_s / params.device_tiles);
  launch.cluster_tiles = profile.tiles_per_cluster;
  launch.op_budget = kBudget;
  launch.checks = !options.unchecked;
  launch.watcher = &debugger;
  model::Worker worker(params);
  const model::GroupResult result = worker.run(launch, options.group);
  return conclude(program, result, debugger.was_quit());
}

int run(Options& options) {
  const auto program = find_kernel(options);
  if (!program) return report(kTool, program.error());
  npu_profile profile{};
  std::string error;
  const std::string path = model::server::profile_directory() + "/" + options.profile + ".toml";
  std::vector<model::server::PortBinding> ports;  // of no use to one work-group
  if (!model::server::load_profile(path, &profile, &ports, &error)) return report(kTool, error);
  return debug(options, *program, profile);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Runs one work-group of a kernel step by step."};
  app.set_version_flag("-V,--version", isa::version_line(kTool));
  app.add_option("file", options.file, "program file or blob")->required();
  app.add_option("-k,--kernel", options.kernel, "the kernel; needless where there is one only");
  app.add_option("-a,--arg", options.args,
                 "NAME=VALUE: a number, or TYPE:COUNT[=zeros|iota|FILE] for memory")
      ->allow_extra_args(false);
  app.add_option("-g,--grid", options.grid, "X Y Z: size of the grid; 1 1 1")->expected(3);
  app.add_option("-n,--group", options.group, "number of the work-group; 0");
  app.add_option("-p,--profile", options.profile, "profile of the chip")->capture_default_str();
  app.add_option("-x,--commands", options.commands, "file of commands instead of standard input");
  app.add_flag("--no-check", options.unchecked, "without the checking mode");
  app.footer(std::string("Commands:\n") + dbg::help_text());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? isa::kExitDone : isa::kExitUsage;
  }
  return run(options);
}
