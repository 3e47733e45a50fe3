// SPDX-License-Identifier: Apache-2.0
// The program around npu_kernels(): PROGRAM FILE writes all kernels into one ELF, ready to be signed.
#include <cstdio>

#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"
#include "tools/isa/include/npu_kernel.h"

int main(int argc, char** argv) {
  using namespace npu::isa;
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE\n", argv[0]);
    return kExitUsage;
  }
  const auto elf = write_elf(npu_kernels());
  if (!elf) return report(argv[0], elf.error());
  if (const auto failure = write_whole_file(argv[1], *elf)) return report(argv[0], failure->text);
  return kExitDone;
}
