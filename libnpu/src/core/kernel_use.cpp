// SPDX-License-Identifier: Apache-2.0
// Counts what the instructions of a kernel name.
#define NPU_ISA_WANT_TABLE
#include <array>
#include <bit>
#include <cstring>

#include "libnpu/src/core/blob.h"
#include "uapi/npu_isa.h"

namespace npu {
namespace {

const npu_insn_info* info_of(uint8_t op) {
  static const std::array<npu_insn_info, 256> table = [] {
    std::array<npu_insn_info, 256> rows{};
    for (const auto& row : npu_insn_rows) rows[row.code] = row.info;
    return rows;
  }();
  return table[op].mnemonic != nullptr ? &table[op] : nullptr;
}

// The operands b and c of a vector operation may be a scalar instead of a tile.
bool is_scalar(const npu_insn& insn, int operand) {
  const int shift = operand == 2 ? NPU_F_BCAST_B_SHIFT : NPU_F_BCAST_C_SHIFT;
  return operand >= 2 && (insn.flags >> shift & 3) == NPU_BCAST_SCALAR;
}

}  // namespace

KernelUse use_of(std::span<const std::byte> code) {
  uint32_t registers = 0;
  uint64_t descriptors = 0;
  uint64_t semaphores = 0;
  KernelUse use;
  for (; code.size() >= sizeof(npu_insn); code = code.subspan(sizeof(npu_insn))) {
    npu_insn insn;
    std::memcpy(&insn, code.data(), sizeof insn);
    const npu_insn_info* info = info_of(insn.op);
    if (info == nullptr) continue;
    const uint8_t tiles[] = {insn.dst, insn.a, insn.b, insn.c};
    for (int i = 0; i < 4; i++) {
      if (info->reg[i] != 'N') registers |= 1u << (insn.r[i] % NPU_SCALAR_REGS);
      if (info->tile[i] == 'T' && !is_scalar(insn, i)) {
        descriptors |= uint64_t{1} << (tiles[i] % NPU_TILE_DESCS);
      }
    }
    for (const uint32_t wait : {insn.wait0, insn.wait1}) {
      if (wait != 0) semaphores |= uint64_t{1} << NPU_WAIT_SEM(wait);
    }
    if (insn.signal != 0) semaphores |= uint64_t{1} << NPU_SIGNAL_SEM(insn.signal);
    if (info->imm == 'M') semaphores |= uint64_t{1} << (insn.imm % NPU_TILE_SEMS);
    use.prints = use.prints || info->imm == 'P';
  }
  use.registers = static_cast<uint32_t>(std::popcount(registers & ~1u));
  use.descriptors = static_cast<uint32_t>(std::popcount(descriptors));
  use.semaphores = static_cast<uint32_t>(std::popcount(semaphores));
  return use;
}

}  // namespace npu
