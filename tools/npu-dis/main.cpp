// SPDX-License-Identifier: Apache-2.0
// npu-dis: a program file or blob to text that npu-as takes back.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <string>

#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"
#include "tools/isa/text.h"

namespace {

using namespace npu::isa;

struct Options {
  std::string input;
  std::string kernel;
};

int run(const Options& options) {
  const auto bytes = read_whole_file(options.input);
  if (!bytes) return report("npu-dis", bytes.error());
  auto blob = read_blob(*bytes);
  if (!blob) return report("npu-dis", "'" + options.input + "': " + blob.error());
  if (!options.kernel.empty()) {
    std::erase_if(blob->programs,
                  [&](const Program& program) { return options.kernel != program.note.name; });
    if (blob->programs.empty())
      return report("npu-dis", "there is no kernel '" + options.kernel + "' in '" + options.input +
                                   "'; 'npu-fw inspect' lists them");
  }
  const std::string text = disassemble(blob->programs);
  if (const auto failure = write_whole_file("-", {text.begin(), text.end()}))
    return report("npu-dis", failure->text);
  return kExitDone;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Disassembles program files and blobs of the NPU."};
  app.set_version_flag("-V,--version", version_line("npu-dis"));
  app.add_option("file", options.input, "program file or blob; - is standard input")->required();
  app.add_option("-k,--kernel", options.kernel, "only the kernel of this name");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  return run(options);
}
