// SPDX-License-Identifier: Apache-2.0
// Control instructions: scalar arithmetic, branches, loops, arguments, special registers.
#include <algorithm>
#include <cstring>

#include "firmware-model/tile/checker.h"
#include "firmware-model/tile/handlers.h"

namespace npu::model {
namespace {

uint64_t signed_imm(const npu_insn& insn) {
  return static_cast<uint64_t>(int64_t{static_cast<int32_t>(insn.imm)});
}

void jump(Tile& tile, const npu_insn& insn) {
  tile.pc += insn.imm - 1;  // modulo 2^32: imm is signed, pc already stands behind the instruction
}

bool compare(uint32_t condition, uint64_t x, uint64_t y) {
  auto sx = static_cast<int64_t>(x);
  auto sy = static_cast<int64_t>(y);
  switch (condition) {
    case NPU_CC_EQ:
      return x == y;
    case NPU_CC_NE:
      return x != y;
    case NPU_CC_LT:
      return sx < sy;
    case NPU_CC_LE:
      return sx <= sy;
    case NPU_CC_LTU:
      return x < y;
    default:
      return x <= y;
  }
}

}  // namespace

template <npu_op kOp>
Step alu(Group&, Tile& tile, const npu_insn& insn) {
  uint64_t x = tile.regs[insn.r[1]];
  uint64_t y = tile.regs[insn.r[2]];
  auto sx = static_cast<int64_t>(x);
  auto sy = static_cast<int64_t>(y);
  uint64_t value = 0;
  if constexpr (kOp == NPU_OP_MOV) value = x;
  if constexpr (kOp == NPU_OP_ADD) value = x + y;
  if constexpr (kOp == NPU_OP_SUB) value = x - y;
  if constexpr (kOp == NPU_OP_MUL) value = x * y;
  if constexpr (kOp == NPU_OP_SHL) value = x << (y % 64);
  if constexpr (kOp == NPU_OP_SHR) value = x >> (y % 64);
  if constexpr (kOp == NPU_OP_AND) value = x & y;
  if constexpr (kOp == NPU_OP_OR) value = x | y;
  if constexpr (kOp == NPU_OP_XOR) value = x ^ y;
  if constexpr (kOp == NPU_OP_MIN) value = sx < sy ? x : y;
  if constexpr (kOp == NPU_OP_MAX) value = sx > sy ? x : y;
  if constexpr (kOp == NPU_OP_ADDI) value = x + signed_imm(insn);
  if constexpr (kOp == NPU_OP_MULI) value = x * signed_imm(insn);
  if constexpr (kOp == NPU_OP_SEL) value = x != 0 ? y : tile.regs[insn.r[3]];
  tile.set_reg(insn.r[0], value);
  return Step::kNext;
}

template Step alu<NPU_OP_MOV>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_ADD>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_SUB>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_MUL>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_SHL>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_SHR>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_AND>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_OR>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_XOR>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_MIN>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_MAX>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_ADDI>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_MULI>(Group&, Tile&, const npu_insn&);
template Step alu<NPU_OP_SEL>(Group&, Tile&, const npu_insn&);

Step halt(Group&, Tile& tile, const npu_insn&) {
  if (tile.queued_engines != 0) return Step::kBlocked;
  tile.halted = true;
  return Step::kHalted;
}

Step nop(Group&, Tile&, const npu_insn&) { return Step::kNext; }

Step li(Group&, Tile& tile, const npu_insn& insn) {
  tile.set_reg(insn.r[0], signed_imm(insn));
  return Step::kNext;
}

Step lih(Group&, Tile& tile, const npu_insn& insn) {
  uint64_t low = tile.regs[insn.r[0]] & UINT32_MAX;
  tile.set_reg(insn.r[0], uint64_t{insn.imm} << 32 | low);
  return Step::kNext;
}

Step divide(Group& group, Tile& tile, const npu_insn& insn) {
  uint64_t x = tile.regs[insn.r[1]];
  uint64_t y = tile.regs[insn.r[2]];
  if (y == 0) {
    group.fail(tile, insn, NPU_ST_DIVIDE_BY_ZERO);
    return Step::kFault;
  }
  tile.set_reg(insn.r[0], insn.op == NPU_OP_DIVU ? x / y : x % y);
  return Step::kNext;
}

Step cmp(Group&, Tile& tile, const npu_insn& insn) {
  bool holds = compare(insn.imm, tile.regs[insn.r[1]], tile.regs[insn.r[2]]);
  tile.set_reg(insn.r[0], holds ? 1 : 0);
  return Step::kNext;
}

Step br(Group&, Tile& tile, const npu_insn& insn) {
  jump(tile, insn);
  return Step::kNext;
}

Step bz(Group&, Tile& tile, const npu_insn& insn) {
  if (tile.regs[insn.r[0]] == 0) jump(tile, insn);
  return Step::kNext;
}

Step bnz(Group&, Tile& tile, const npu_insn& insn) {
  if (tile.regs[insn.r[0]] != 0) jump(tile, insn);
  return Step::kNext;
}

Step loop(Group& group, Tile& tile, const npu_insn& insn) {
  auto count = static_cast<int64_t>(tile.regs[insn.r[1]]);
  if (count <= 0) {
    jump(tile, insn);
    ++tile.pc;
    return Step::kNext;
  }
  // A branch out of a body leaves frames behind: coming to the same LOOP again drops them.
  for (uint32_t i = 0; i < tile.loop_depth; ++i) {
    if (tile.loops[i].body_pc == tile.pc) tile.loop_depth = i;
  }
  tile.set_reg(insn.r[0], 0);
  if (tile.loop_depth == NPU_LOOP_DEPTH) {
    group.fail(tile, insn, NPU_ST_KERNEL_BOUNDS, NPU_LOOP_DEPTH);
    return Step::kFault;
  }
  tile.loops[tile.loop_depth++] = {tile.pc, insn.r[0], 0, static_cast<uint64_t>(count)};
  return Step::kNext;
}

Step end(Group& group, Tile& tile, const npu_insn& insn) {
  uint32_t body_pc = tile.pc + insn.imm;
  // Frames of inner bodies that were left by a branch end with the body around them.
  while (tile.loop_depth != 0 && tile.loops[tile.loop_depth - 1].body_pc != body_pc) {
    --tile.loop_depth;
  }
  if (tile.loop_depth == 0) {
    group.fail(tile, insn, NPU_ST_KERNEL_OPERANDS);
    return Step::kFault;
  }
  LoopFrame& frame = tile.loops[tile.loop_depth - 1];
  if (++frame.index == frame.count) {
    --tile.loop_depth;
    return Step::kNext;
  }
  tile.set_reg(frame.reg, frame.index);
  tile.pc = frame.body_pc;
  return Step::kNext;
}

Step arg(Group& group, Tile& tile, const npu_insn& insn) {
  const bool wide = insn.op == NPU_OP_ARG;
  std::span<const std::byte> args = group.launch->args;
  if (insn.imm > args.size() || args.size() - insn.imm < (wide ? 8u : 4u)) {
    group.fail(tile, insn, NPU_ST_KERNEL_BOUNDS, insn.imm);
    return Step::kFault;
  }
  // Two copies of known sizes: one of either size is a loop over bytes.
  uint64_t value = 0;
  uint32_t word = 0;
  if (wide) {
    std::memcpy(&value, args.data() + insn.imm, sizeof(value));
  } else {
    std::memcpy(&word, args.data() + insn.imm, sizeof(word));
    value = insn.op == NPU_OP_ARGW ? uint64_t{word}
                                   : static_cast<uint64_t>(int64_t{static_cast<int32_t>(word)});
  }
  tile.set_reg(insn.r[0], value);
  return Step::kNext;
}

Step sreg(Group& group, Tile& tile, const npu_insn& insn) {
  uint64_t value = insn.imm == NPU_SREG_TILE ? tile.index : group.sregs[insn.imm];
  tile.set_reg(insn.r[0], value);
  return Step::kNext;
}

Step scalar_load(Group& group, Tile& tile, const npu_insn& insn) {
  uint64_t dva = tile.regs[insn.r[1]] + signed_imm(insn);
  uint64_t bytes = 0;
  if (dva % sizeof(uint32_t) != 0) {
    group.fail(tile, insn, NPU_ST_UNALIGNED_ACCESS, dva, NPU_ACCESS_READ);
    return Step::kFault;
  }
  group.memory.begin_access();
  const std::byte* host = group.memory.find(dva, NPU_ACCESS_READ, &bytes);
  if (host == nullptr || bytes < sizeof(uint32_t)) {
    group.fail(tile, insn, NPU_ST_VM_FAULT, dva, NPU_ACCESS_READ);
    return Step::kFault;
  }
  // The word may be shared with the host or another tile: one whole access, never torn.
  uint32_t word = __atomic_load_n(reinterpret_cast<const uint32_t*>(host), __ATOMIC_RELAXED);
  uint64_t value = insn.op == NPU_OP_SLDW
                       ? uint64_t{word}
                       : static_cast<uint64_t>(int64_t{static_cast<int32_t>(word)});
  tile.set_reg(insn.r[0], value);
  group.result->stats.hbm_read_bytes += sizeof(uint32_t);
  tile.time_ps = add_capped(tile.time_ps, group.outer_dma_ps(sizeof(uint32_t), sizeof(uint32_t)));
  return Step::kNext;
}

Step near_load(Group& group, Tile& tile, const npu_insn& insn) {
  if (group.checker != nullptr) [[unlikely]]
    group.checker->begin_control(tile);
  Exec exec{group, tile, insn, {nullptr, &tile.desc[insn.a], nullptr, nullptr}, tile.regs};
  Operand a;
  if (!exec.resolve(kA, {kInL1 | kInAcc, kF32 | kI32}, &a)) return Step::kFault;
  if (a.empty()) {
    exec.mismatch();
    return Step::kFault;
  }
  uint32_t word;
  std::memcpy(&word, a.host, sizeof(word));
  tile.set_reg(insn.r[0], word);
  return Step::kNext;
}

Step trap(Group& group, Tile& tile, const npu_insn& insn) {
  group.fail(tile, insn, NPU_ST_KERNEL_TRAP, signed_imm(insn));
  return Step::kFault;
}

Step assert_true(Group& group, Tile& tile, const npu_insn& insn) {
  if (tile.regs[insn.r[0]] != 0) return Step::kNext;
  group.fail(tile, insn, NPU_ST_KERNEL_ASSERT, signed_imm(insn));
  return Step::kFault;
}

}  // namespace npu::model
