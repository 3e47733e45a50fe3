// SPDX-License-Identifier: Apache-2.0
// Instruction checks, expanded from isa.def.
#define NPU_ISA_WANT_TABLE
#include "firmware-model/device/verifier.h"

#include <array>
#include <vector>

namespace npu::model {
namespace {

const std::array<npu_insn_info, 256>& table() {
  static const std::array<npu_insn_info, 256> rows = [] {
    std::array<npu_insn_info, 256> result{};
    for (const auto& row : npu_insn_rows) result[row.code] = row.info;
    return result;
  }();
  return rows;
}

bool flags_fit(const npu_insn& insn, const npu_insn_info& info) {
  if ((insn.flags & ~unsigned{info.flags}) != 0) return false;
  return (insn.flags & NPU_F_ACT_MASK) >> NPU_F_ACT_SHIFT < NPU_ACT_COUNT;
}

bool tiles_fit(const npu_insn& insn, const npu_insn_info& info) {
  const uint8_t tiles[4] = {insn.dst, insn.a, insn.b, insn.c};
  const bool scalar_b =
      (insn.flags & NPU_F_BCAST_B_MASK) >> NPU_F_BCAST_B_SHIFT == NPU_BCAST_SCALAR;
  const bool scalar_c =
      (insn.flags & NPU_F_BCAST_C_MASK) >> NPU_F_BCAST_C_SHIFT == NPU_BCAST_SCALAR;
  for (unsigned i = 0; i < 4; ++i) {
    const bool used = info.tile[i] == 'T' && !(i == 2 && scalar_b) && !(i == 3 && scalar_c);
    if (tiles[i] >= (used ? NPU_TILE_DESCS : 1)) return false;
  }
  return true;
}

bool registers_fit(const npu_insn& insn, const npu_insn_info& info) {
  for (unsigned i = 0; i < 4; ++i) {
    if (insn.r[i] >= (info.reg[i] == 'N' ? 1 : NPU_SCALAR_REGS)) return false;
  }
  return true;
}

bool argument_fits(const npu_insn& insn, uint32_t args_bytes) {
  const uint32_t size = insn.op == NPU_OP_ARG ? 8 : 4;
  return insn.imm % size == 0 && args_bytes >= size && insn.imm <= args_bytes - size;
}

// A register that the format has no argument for must be 0. CHECK has its condition before them.
bool format_fits(const npu_insn& insn, std::span<const uint8_t> format_args) {
  if (insn.imm == 0 || insn.imm > format_args.size()) return false;
  const size_t used = format_args[insn.imm - 1] + size_t{insn.op == NPU_OP_CHECK};
  if (used > std::size(insn.r)) return false;
  for (size_t i = used; i < std::size(insn.r); ++i) {
    if (insn.r[i] != 0) return false;
  }
  return true;
}

bool immediate_fits(const npu_insn& insn, const npu_insn_info& info, const VerifierLimits& limits) {
  switch (info.imm) {
    case 'P':
      return format_fits(insn, limits.format_args);
    case 'N':
      return insn.imm == 0;
    case 'A':
      return argument_fits(insn, limits.args_bytes);
    case 'C':
      return insn.imm < NPU_CC_COUNT;
    case 'S':
      return insn.imm < NPU_SREG_COUNT;
    case 'D':
      return npu_tdesc_word_fits(insn.imm) != 0;
    case 'M':
      return insn.imm < NPU_TILE_SEMS;
    default:
      return true;  // I, F: any value; O: looked at with the control flow
  }
}

bool wait_fits(uint32_t wait, bool allowed) {
  if (wait == 0) return true;
  return allowed && (wait & NPU_WAIT_VALID) != 0 && (wait & NPU_WAIT_RESERVED) == 0;
}

bool signal_fits(uint32_t signal, bool allowed, uint32_t group_tiles) {
  if (signal == 0) return true;
  if (!allowed || (signal & NPU_SIGNAL_VALID) == 0 || (signal & NPU_SIGNAL_RESERVED) != 0) {
    return false;
  }
  if ((signal & NPU_SIGNAL_PEER) != 0) return NPU_SIGNAL_PEER_TILE(signal) < group_tiles;
  return NPU_SIGNAL_PEER_TILE(signal) == 0;
}

bool instruction_fits(const npu_insn& insn, const VerifierLimits& limits) {
  const npu_insn_info& info = table()[insn.op];
  if (info.mnemonic == nullptr || insn.rsvd != 0 || insn.line > limits.line_count) return false;
  if (npu_insn_minor(&insn) > limits.isa_minor) return false;
  const bool engine = info.engine != NPU_ENGINE_CTRL;
  const bool waits = engine || insn.op == NPU_OP_WAIT;
  const bool signals = engine || insn.op == NPU_OP_SIG;
  return flags_fit(insn, info) && tiles_fit(insn, info) && registers_fit(insn, info) &&
         immediate_fits(insn, info, limits) && wait_fits(insn.wait0, waits) &&
         wait_fits(insn.wait1, waits) && signal_fits(insn.signal, signals, limits.group_tiles);
}

constexpr uint32_t kNoLoop = UINT32_MAX;

// Pairs LOOP with END and fills |owner| with the innermost loop whose body holds each instruction;
// an END belongs to its body.
std::optional<uint32_t> match_loops(std::span<const npu_insn> code, std::vector<uint32_t>* owner) {
  std::array<uint32_t, NPU_LOOP_DEPTH> open;
  uint32_t depth = 0;
  owner->resize(code.size());
  for (uint32_t pc = 0; pc < code.size(); ++pc) {
    (*owner)[pc] = depth == 0 ? kNoLoop : open[depth - 1];
    if (code[pc].op == NPU_OP_LOOP) {
      if (depth == NPU_LOOP_DEPTH) return pc;
      open[depth++] = pc;
    } else if (code[pc].op == NPU_OP_END) {
      if (depth == 0) return pc;
      const uint32_t loop = open[--depth];
      if (code[loop].imm != pc - loop) return loop;
      if (code[pc].imm != loop - pc) return pc;
    }
  }
  if (depth != 0) return open[depth - 1];
  return std::nullopt;
}

bool branch_fits(std::span<const npu_insn> code, const std::vector<uint32_t>& owner, uint32_t pc) {
  const int64_t target = int64_t{pc} + static_cast<int32_t>(code[pc].imm);
  if (target < 0 || target >= static_cast<int64_t>(code.size())) return false;
  return owner[static_cast<size_t>(target)] == owner[pc];
}

}  // namespace

std::optional<uint32_t> find_bad_instruction(std::span<const npu_insn> code,
                                             const VerifierLimits& limits) {
  if (code.empty() || code.size() > NPU_KERNEL_MAX_INSNS) return 0;
  for (uint32_t pc = 0; pc < code.size(); ++pc) {
    if (!instruction_fits(code[pc], limits)) return pc;
  }
  std::vector<uint32_t> owner;
  if (const auto bad = match_loops(code, &owner)) return bad;
  for (uint32_t pc = 0; pc < code.size(); ++pc) {
    const uint8_t op = code[pc].op;
    const bool branch = op == NPU_OP_BR || op == NPU_OP_BZ || op == NPU_OP_BNZ;
    if (branch && !branch_fits(code, owner, pc)) return pc;
  }
  // Everything else goes on to the next instruction, and behind the last one there is none.
  const uint8_t last = code.back().op;
  if (last != NPU_OP_HALT && last != NPU_OP_TRAP && last != NPU_OP_BR) {
    return static_cast<uint32_t>(code.size() - 1);
  }
  return std::nullopt;
}

}  // namespace npu::model
