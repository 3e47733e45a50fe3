// SPDX-License-Identifier: Apache-2.0
// npu-kernels-gen FILE: writes all programs into one ELF, ready to be signed.
#include <cstdio>

#include "firmware-model/kernels/kernels.h"
#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"

int main(int argc, char** argv) {
  using namespace npu::isa;
  if (argc != 2) {
    std::fprintf(stderr, "usage: npu-kernels-gen FILE\n");
    return kExitUsage;
  }
  const auto elf = write_elf(npu::kernels::all_kernels());
  if (!elf) return report("npu-kernels-gen", elf.error());
  if (const auto failure = write_whole_file(argv[1], *elf))
    return report("npu-kernels-gen", failure->text);
  return kExitDone;
}
