// SPDX-License-Identifier: Apache-2.0
// Disassembler: every field of an instruction is either implied by the syntax or written out, so that nothing is lost.
#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "tools/isa/codec.h"
#include "tools/isa/text.h"
#include "tools/isa/text_names.h"

namespace npu::isa {
namespace {

using namespace text;

std::string decimal(int64_t value) { return std::to_string(value); }

std::string hex(uint32_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string result = "0x00000000";
  for (int i = 9; i >= 2; --i, value >>= 4) result[static_cast<size_t>(i)] = kDigits[value & 15];
  return result;
}

// The shortest number that reads back to the same bits; NaNs by their bits.
std::string float_text(uint32_t bits) {
  const float value = std::bit_cast<float>(bits);
  if (std::isnan(value)) return hex(bits);
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return std::string(buffer, end.ptr);
}

std::string signed_distance(uint32_t imm) {
  const auto distance = static_cast<int32_t>(imm);
  return (distance >= 0 ? "+" : "") + decimal(distance);
}

std::string imm_text(const npu_insn& insn, char kind) {
  switch (kind) {
    case 'I':
      return decimal(static_cast<int32_t>(insn.imm));
    case 'F':
      return float_text(insn.imm);
    case 'O':
      return signed_distance(insn.imm);
    case 'A':
    case 'P':
      return decimal(insn.imm);
    case 'C':
      return std::string(kConditions[insn.imm]);
    case 'S':
      return std::string(kSregs[insn.imm]);
    case 'M':
      return "s" + decimal(insn.imm);
    default:  // 'D'
      return std::string(kSpaces[insn.imm & 0xff]) + "." +
             std::string(kDtypes[(insn.imm >> 8) & 0xff]) + "." +
             std::string(kLayouts[(insn.imm >> 16) & 0xff]);
  }
}

// Writes operands in the order of the syntax and remembers which fields they took.
class OperandText {
 public:
  OperandText(const npu_insn& insn, const npu_insn_info& info) : insn_(insn), info_(info) {}

  // A format, and then as many registers as are not 0: those behind its arguments are.
  std::string format(const std::string& imm) {
    add(imm);
    int count = 4;
    while (count > 0 && insn_.r[count - 1] == 0) --count;
    for (int i = 0; i < count; ++i) add(reg(i));
    return text_;
  }

  std::string positional(const std::string& imm) {
    if (info_.imm == 'P') return format(imm);
    for (int i = 0; i < 4; ++i) {
      if (info_.tile[i] == 'T' && !is_optional_tile(info_, i)) add(tile(i));
    }
    for (int i = 0; i < 4; ++i) {
      if (info_.reg[i] != 'N' && !is_optional_reg(info_, i)) add(reg(i));
    }
    if (!imm.empty()) add(imm);
    return text_;
  }

  std::string flags() {
    std::string result;
    for (const FlagWord& flag : kFlags) {
      if ((insn_.flags & flag.bit) == 0 || !takes_flag(info_, flag)) continue;
      result += " !" + std::string(flag.word);
      if (flag.reg >= 0) result += "=" + reg(flag.reg);
      if (flag.tile >= 0) result += "=" + tile(flag.tile);
    }
    const unsigned act = (insn_.flags & NPU_F_ACT_MASK) >> NPU_F_ACT_SHIFT;
    if (act != NPU_ACT_NONE) result += " !act=" + std::string(kActs[act]);
    const unsigned rule = (insn_.flags & NPU_F_SCALE_RULE_MASK) >> NPU_F_SCALE_RULE_SHIFT;
    if (rounds_by_flags(info_) && rule != NPU_SCALE_RULE_FLOOR)
      result += " !rule=" + std::string(kScaleRules[rule]);
    return result;
  }

  // Fields that no syntax has written and that are not zero.
  std::string leftovers() {
    std::string result;
    for (int i = 0; i < 4; ++i) {
      if (!tile_done_[i] && tile_field(insn_, i) != 0)
        result += " " + std::string(kTileFields[i]) + "=" + tile(i);
    }
    for (int i = 0; i < 4; ++i) {
      if (!reg_done_[i] && insn_.r[i] != 0)
        result += " " + std::string(kRegFields[i]) + "=" + reg(i);
    }
    return result;
  }

 private:
  void add(const std::string& operand) { text_ += (text_.empty() ? " " : ", ") + operand; }

  std::string reg(int i) {
    reg_done_[i] = true;
    return "r" + decimal(insn_.r[i]);
  }

  std::string tile(int i) {
    tile_done_[i] = true;
    if (const BcastOperand* b = bcast_of_tile(info_, i)) {
      switch ((insn_.flags & b->mask) >> b->shift) {
        case NPU_BCAST_SCALAR:
          return reg(b->reg);
        case NPU_BCAST_ROW:
          return "row t" + decimal(tile_field(insn_, i));
        case NPU_BCAST_COL:
          return "col t" + decimal(tile_field(insn_, i));
        default:
          break;
      }
    }
    return "t" + decimal(tile_field(insn_, i));
  }

  const npu_insn& insn_;
  const npu_insn_info& info_;
  std::string text_;
  bool tile_done_[4] = {};
  bool reg_done_[4] = {};
};

std::string wait_text(uint32_t wait) {
  return "s" + decimal(NPU_WAIT_SEM(wait)) + ((wait & NPU_WAIT_CONSUME) != 0 ? "-=" : ">=") +
         decimal(NPU_WAIT_THRESHOLD(wait));
}

std::string signal_text(uint32_t signal) {
  std::string text = "s" + decimal(NPU_SIGNAL_SEM(signal)) + "+" + decimal(NPU_SIGNAL_INC(signal));
  if ((signal & NPU_SIGNAL_PEER) != 0) text += "@" + decimal(NPU_SIGNAL_PEER_TILE(signal));
  return text;
}

std::string sync_text(const npu_insn& insn) {
  std::string text;
  if (insn.wait0 != 0) {
    text += (insn.op == NPU_OP_WAIT ? " " : " wait ") + wait_text(insn.wait0);
    if (insn.wait1 != 0) text += ", " + wait_text(insn.wait1);
  } else if (insn.wait1 != 0) {
    text += " wait1 " + wait_text(insn.wait1);
  }
  if (insn.signal != 0) text += (insn.op == NPU_OP_SIG ? " " : " sig ") + signal_text(insn.signal);
  return text;
}

std::string raw_text(const npu_insn& insn) {
  std::string text = ".insn";
  uint32_t words[8];
  std::memcpy(words, &insn, sizeof(words));
  for (uint32_t word : words) text += " " + hex(word);
  return text;
}

// |imm|: how to write the immediate; empty: not at all.
std::string format_insn(const npu_insn& insn, const std::string& imm) {
  if (check_insn(insn)) return raw_text(insn);
  const npu_insn_info& info = kInsnTable[insn.op];
  OperandText operands(insn, info);
  std::string text = info.mnemonic + operands.positional(imm);
  text += operands.flags();
  text += operands.leftovers();
  text += sync_text(insn);
  if (insn.line != 0) text += "  line " + decimal(insn.line);
  return text;
}

std::string default_imm(const npu_insn& insn) {
  const npu_insn_info& info = kInsnTable[insn.op];
  return info.mnemonic == nullptr || info.imm == 'N' || check_insn(insn) ? ""
                                                                         : imm_text(insn, info.imm);
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      result += c;
    } else {
      const std::string digits = hex(byte);
      result += "\\x" + digits.substr(digits.size() - 2);
    }
  }
  return result + "\"";
}

std::string header_text(const Program& program) {
  const npu_note_kernel& note = program.note;
  std::string text = ".kernel " + std::string(note.name) + "\n";
  uint32_t end = 0;
  for (const npu_note_arg& arg : program.args) {
    const std::string_view kind = arg.kind < std::size(kArgKinds) ? kArgKinds[arg.kind] : "";
    text += ".arg " + std::string(arg.name) + " " + std::string(kind) + " " + decimal(arg.offset);
    text += "\n";
    end = arg.offset + arg.size;
  }
  const auto resource = [&text](const char* name, uint32_t value, uint32_t normal) {
    if (value != normal) text += std::string(name) + " " + decimal(value) + "\n";
  };
  resource(".args", note.args_bytes, (end + 7) / 8 * 8);
  resource(".l1", note.l1_bytes, 0);
  resource(".l2", note.l2_bytes, 0);
  resource(".acc", note.acc_bytes, 0);
  resource(".group", note.group_tiles, 1);
  for (size_t i = 0; i < program.lines.size(); ++i) {
    text += ".loc " + decimal(static_cast<int64_t>(i + 1)) + " " + quoted(program.lines[i].file) +
            " " + decimal(program.lines[i].line) + "\n";
  }
  for (size_t i = 0; i < program.formats.size(); ++i) {
    text +=
        ".format " + decimal(static_cast<int64_t>(i + 1)) + " " + quoted(program.formats[i]) + "\n";
  }
  return text;
}

bool is_branch(uint8_t op) {
  return kInsnTable[op].mnemonic != nullptr && kInsnTable[op].imm == 'O';
}

// END of each LOOP and the other way round, by nesting; an instruction that has none names itself.
std::vector<size_t> match_loops(std::span<const npu_insn> insns) {
  std::vector<size_t> match(insns.size()), open;
  for (size_t pc = 0; pc < insns.size(); ++pc) {
    match[pc] = pc;
    if (insns[pc].op == NPU_OP_LOOP) open.push_back(pc);
    if (insns[pc].op == NPU_OP_END && !open.empty()) {
      match[pc] = open.back();
      match[open.back()] = pc;
      open.pop_back();
    }
  }
  return match;
}

}  // namespace

std::string format_insn(const npu_insn& insn) { return format_insn(insn, default_imm(insn)); }

std::string disassemble(const Program& program) {
  const auto& insns = program.insns;
  const std::vector<size_t> match = match_loops(insns);
  const auto target = [&insns](size_t pc) {
    return static_cast<int64_t>(pc) + static_cast<int32_t>(insns[pc].imm);
  };
  const auto closes = [&](size_t pc) {
    return match[pc] != pc && target(pc) == static_cast<int64_t>(match[pc]);
  };
  std::vector<bool> labelled(insns.size(), false);
  for (size_t pc = 0; pc < insns.size(); ++pc) {
    if (!is_branch(insns[pc].op) || closes(pc)) continue;
    if (target(pc) >= 0 && target(pc) < static_cast<int64_t>(insns.size()))
      labelled[static_cast<size_t>(target(pc))] = true;
  }
  std::string text = header_text(program);
  size_t depth = 0;
  for (size_t pc = 0; pc < insns.size(); ++pc) {
    const npu_insn& insn = insns[pc];
    std::string imm = default_imm(insn);
    if (is_branch(insn.op)) {
      if (closes(pc)) {
        imm = "";
      } else if (target(pc) >= 0 && target(pc) < static_cast<int64_t>(insns.size())) {
        imm = "L" + decimal(target(pc));
      }
    }
    if (labelled[pc]) text += "L" + decimal(static_cast<int64_t>(pc)) + ":\n";
    if (insn.op == NPU_OP_END && depth > 0) --depth;
    text += std::string(2 + 2 * std::min<size_t>(depth, NPU_LOOP_DEPTH), ' ') +
            format_insn(insn, imm) + "\n";
    if (insn.op == NPU_OP_LOOP) ++depth;
  }
  return text;
}

std::string disassemble(std::span<const Program> programs) {
  std::string text;
  for (const Program& program : programs) text += (text.empty() ? "" : "\n") + disassemble(program);
  return text;
}

}  // namespace npu::isa
