// SPDX-License-Identifier: Apache-2.0
// npu-wide-kernels-gen-N FILE: writes the programs of products for devices with N times kGemmWideL1Bytes of L1 into one ELF, ready to be signed.
#include <cstdio>

#include "firmware-model/kernels/kernels.h"
#include "tools/isa/blob.h"
#include "tools/isa/command_line.h"

int main(int argc, char** argv) {
  using namespace npu::isa;
  if (argc != 2) {
    std::fprintf(stderr, "usage: npu-wide-kernels-gen-%d FILE\n", NPU_WIDE_L1);
    return kExitUsage;
  }
  npu::kernels::Programs programs;
  npu::kernels::add_gemm_wide(programs, NPU_WIDE_L1);
  const auto elf = write_elf(programs);
  if (!elf) return report("npu-wide-kernels-gen", elf.error());
  if (const auto failure = write_whole_file(argv[1], *elf))
    return report("npu-wide-kernels-gen", failure->text);
  return kExitDone;
}
