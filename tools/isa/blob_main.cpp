// SPDX-License-Identifier: Apache-2.0
// The program around npu_kernels(): PROGRAM FILE [SOURCE...] writes all kernels into one ELF, ready to be signed. A source that the compiler
// knows by a longer path, which ends like one of SOURCE, is named so in the line table, and headers of the builder as in this repository: blobs
// do not depend on where a tree or the SDK lies.
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"
#include "tools/isa/include/npu_kernel.h"

namespace {

using namespace npu::isa;

constexpr std::string_view kInstalledHeaders =
    "/npu-isa/";  // as CMakeLists.txt of this folder installs them

void name_sources(std::vector<Program>& programs, std::span<char*> names) {
  for (Program& program : programs) {
    for (SourceLine& line : program.lines) {
      const size_t at = line.file.rfind(kInstalledHeaders);
      if (at != std::string::npos) line.file.erase(0, at + kInstalledHeaders.size());
      for (const std::string_view name : names) {
        if (line.file.ends_with("/" + std::string(name))) line.file = name;
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s FILE [SOURCE...]\n", argv[0]);
    return kExitUsage;
  }
  std::vector<Program> programs = npu_kernels();
  name_sources(programs, std::span(argv + 2, static_cast<size_t>(argc - 2)));
  const auto elf = write_elf(programs);
  if (!elf) return report(argv[0], elf.error());
  if (const auto failure = write_whole_file(argv[1], *elf)) return report(argv[0], failure->text);
  return kExitDone;
}
