// SPDX-License-Identifier: Apache-2.0
// Random valid programs: fields drawn within what the operand table allows.
#include "tests/unit/isa/random_program.h"

#include <cstdio>
#include <string>
#include <vector>

#include "tools/isa/codec.h"

namespace npu::isa::testing {
namespace {

bool is_flow(uint8_t op) {
  return kInsnTable[op].mnemonic == nullptr || kInsnTable[op].imm == 'O' || op == NPU_OP_HALT;
}

}  // namespace

const std::vector<std::string>& RandomProgram::formats() {
  static const std::vector<std::string> all = {
      "here",        "i = %d",  "100%% of %u", "\"%08x\" \\ %#x; %p",
      "%f %-9.3e%%", "%g, %+d", "%i%i%i%i",    ", ;%5u, %5u, %5u"};
  return all;
}

uint16_t RandomProgram::make_flags(uint16_t mask) {
  auto flags = static_cast<uint16_t>(random_() & mask);
  if ((flags & NPU_F_ACT_MASK) == NPU_F_ACT_MASK) flags &= static_cast<uint16_t>(~NPU_F_ACT_MASK);
  return flags;
}

uint32_t RandomProgram::make_imm(const npu_insn& insn, char kind, uint32_t args_bytes) {
  switch (kind) {
    case 'I':
    case 'F':
      return below(4) == 0 ? below(10) : static_cast<uint32_t>(random_());
    case 'A': {
      const uint32_t size = insn.op == NPU_OP_ARG ? 8 : 4;
      return below(args_bytes / size) * size;
    }
    case 'C':
      return below(NPU_CC_COUNT);
    case 'S':
      return below(NPU_SREG_COUNT);
    case 'M':
      return below(NPU_TILE_SEMS);
    case 'P':
      return 1 + below(static_cast<uint32_t>(formats().size()));
    case 'D': {
      const uint32_t dtype = below(NPU_DTYPE_COUNT);
      if (npu_dtype_in_blocks(dtype) != 0) return NPU_TDESC(NPU_SPACE_HBM, dtype, NPU_LAYOUT_ROW);
      return NPU_TDESC(below(NPU_SPACE_COUNT), dtype, below(NPU_LAYOUT_COUNT));
    }
    default:
      return 0;
  }
}

void RandomProgram::make_sync(npu_insn& insn, bool waits, bool signals, uint32_t group_tiles) {
  if (waits && below(2) != 0) insn.wait0 = NPU_WAIT(below(64), below(65536), below(2));
  if (waits && below(3) == 0) insn.wait1 = NPU_WAIT(below(64), below(4), below(2));
  if (!signals || below(2) == 0) return;
  insn.signal = NPU_SIGNAL(below(64), below(65536));
  if (below(3) == 0) insn.signal = NPU_SIGNAL_TO(below(64), below(4), below(group_tiles));
}

npu_insn RandomProgram::make_insn(uint32_t args_bytes, uint32_t lines, uint32_t group_tiles) {
  npu_insn insn{};
  do {
    insn.op = static_cast<uint8_t>(below(256));
  } while (is_flow(insn.op) || (kInsnTable[insn.op].imm == 'A' && args_bytes == 0));
  const npu_insn_info& info = kInsnTable[insn.op];
  insn.flags = make_flags(info.flags);
  uint8_t* const tiles[] = {&insn.dst, &insn.a, &insn.b, &insn.c};
  for (int i = 0; i < 4; ++i) {
    if (info.tile[i] == 'T') *tiles[i] = static_cast<uint8_t>(below(64));
    if (info.reg[i] != 'N') insn.r[i] = static_cast<uint8_t>(below(32));
  }
  if ((insn.flags & NPU_F_BCAST_B_MASK) == NPU_F_BCAST_B_MASK) insn.b = 0;
  if ((insn.flags & NPU_F_BCAST_C_MASK) == NPU_F_BCAST_C_MASK) insn.c = 0;
  insn.imm = make_imm(insn, info.imm, args_bytes);
  if (info.imm == 'P') {
    size_t used = *format_args(formats()[insn.imm - 1]) + size_t{insn.op == NPU_OP_CHECK};
    if (used > std::size(insn.r)) {
      insn.imm = 1;
      used = 1;
    }
    for (size_t i = used; i < std::size(insn.r); ++i) insn.r[i] = 0;
  }
  const bool engine = info.engine != NPU_ENGINE_CTRL;
  make_sync(insn, engine || insn.op == NPU_OP_WAIT, engine || insn.op == NPU_OP_SIG, group_tiles);
  insn.line = below(lines + 1);
  return insn;
}

void RandomProgram::block(Program& program, uint32_t length, uint32_t depth) {
  const npu_note_kernel& note = program.note;
  for (uint32_t i = 0; i < length; ++i) {
    if (depth < NPU_LOOP_DEPTH && below(12) == 0) {
      const size_t loop = program.insns.size();
      npu_insn insn{};
      insn.op = NPU_OP_LOOP;
      insn.r[0] = static_cast<uint8_t>(below(32));
      insn.r[1] = static_cast<uint8_t>(below(32));
      program.insns.push_back(insn);
      block(program, below(6), depth + 1);
      const auto distance = static_cast<uint32_t>(program.insns.size() - loop);
      program.insns[loop].imm = distance;
      insn = {};
      insn.op = NPU_OP_END;
      insn.imm = 0u - distance;
      program.insns.push_back(insn);
    } else {
      program.insns.push_back(make_insn(
          note.args_bytes, static_cast<uint32_t>(program.lines.size()), note.group_tiles));
    }
  }
}

// Turns some instructions into branches to places in the same loop body.
void RandomProgram::add_branches(Program& program) {
  std::vector<size_t> owner, open;
  for (size_t pc = 0; pc < program.insns.size(); ++pc) {
    owner.push_back(open.empty() ? SIZE_MAX : open.back());
    if (program.insns[pc].op == NPU_OP_LOOP) open.push_back(pc);
    if (program.insns[pc].op == NPU_OP_END) open.pop_back();
  }
  const auto count = static_cast<uint32_t>(program.insns.size());
  for (uint32_t pc = 0; pc + 1 < count; ++pc) {
    const uint8_t op = program.insns[pc].op;
    const uint32_t target = below(count);
    if (op == NPU_OP_LOOP || op == NPU_OP_END || below(10) != 0 || owner[target] != owner[pc])
      continue;
    static constexpr uint8_t kOps[] = {NPU_OP_BR, NPU_OP_BZ, NPU_OP_BNZ};
    npu_insn insn{};
    insn.op = kOps[below(3)];
    if (insn.op != NPU_OP_BR) insn.r[0] = static_cast<uint8_t>(below(32));
    insn.imm = target - pc;
    insn.line = program.insns[pc].line;
    program.insns[pc] = insn;
  }
}

void RandomProgram::add_args(Program& program) {
  uint32_t end = 0;
  const uint32_t count = below(8);
  for (uint32_t i = 0; i < count; ++i) {
    npu_note_arg arg{};
    std::snprintf(arg.name, sizeof(arg.name), "a%u_%u.x-", i, below(1000));
    arg.kind = static_cast<uint8_t>(1 + below(5));
    arg.size = static_cast<uint8_t>(arg_size(arg.kind));
    arg.offset = (end + arg.size - 1u) / arg.size * arg.size + below(3) * 8;
    end = arg.offset + arg.size;
    program.args.push_back(arg);
  }
  program.note.nargs = count;
  program.note.args_bytes = (end + 7) / 8 * 8 + below(3) * 8;
}

Program RandomProgram::make() {
  Program program;
  npu_note_kernel& note = program.note;
  std::snprintf(note.name, sizeof(note.name), "k%u", below(1u << 31));
  note.l1_bytes = below(1 << 20);
  note.l2_bytes = below(2) * below(1 << 20);
  note.acc_bytes = below(2) * below(1 << 18);
  note.group_tiles = 1 + below(16);
  add_args(program);
  program.formats = formats();
  const uint32_t lines = below(5);
  for (uint32_t i = 0; i < lines; ++i) {
    std::string file = "dir/file";
    for (uint32_t n = below(4); n > 0; --n) file += static_cast<char>(1 + below(255));
    program.lines.push_back({file, static_cast<uint32_t>(random_())});
  }
  block(program, below(60), 0);
  npu_insn last{};
  last.op = below(2) == 0 ? NPU_OP_HALT : NPU_OP_TRAP;
  program.insns.push_back(last);
  add_branches(program);
  note.insn_count = static_cast<uint32_t>(program.insns.size());
  return program;
}

}  // namespace npu::isa::testing
