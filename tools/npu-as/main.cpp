// SPDX-License-Identifier: Apache-2.0
// npu-as: text of the tile instruction set to a program file (ELF). npu-fw sign makes a blob of it.
#include <CLI/CLI.hpp>
#include <string>

#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"
#include "tools/isa/text.h"

namespace {

using namespace npu::isa;

struct Options {
  std::string input, output;
  bool debug_lines = false;
};

int run(const Options& options) {
  const auto bytes = read_whole_file(options.input);
  if (!bytes) return report("npu-as", bytes.error());
  const std::string name = options.input == "-" ? "<stdin>" : options.input;
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  const Assembly assembly = assemble(text, {.source_name = options.debug_lines ? name : ""});
  if (assembly.error) {
    std::fprintf(stderr, "%s:%u: %s\n", name.c_str(), assembly.error->line,
                 assembly.error->text.c_str());
    return kExitFailed;
  }
  const auto elf = write_elf(assembly.programs);
  if (!elf) return report("npu-as", elf.error());
  if (const auto failure = write_whole_file(options.output, *elf))
    return report("npu-as", failure->text);
  return kExitDone;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Assembles programs of the NPU's tile instruction set."};
  app.set_version_flag("-V,--version", version_line("npu-as"));
  app.add_option("input", options.input, "text to assemble; - is standard input")->required();
  app.add_option("-o,--output", options.output, "program file to write; - is standard output")
      ->required();
  app.add_flag("-g", options.debug_lines, "note the place of every instruction in the text");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  return run(options);
}
