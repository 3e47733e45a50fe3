// SPDX-License-Identifier: Apache-2.0
// Checks of single instructions and of whole kernels (tools side; the device has a verifier of its own).
#include "tools/isa/codec.h"

#include <bit>
#include <bitset>
#include <cstring>
#include <vector>

#include "uapi/npu_format.h"

namespace npu::isa {
namespace {

static_assert(std::endian::native == std::endian::little, "the tools copy fields as they lie");

using Error = std::optional<std::string>;

std::string number(uint64_t value) { return std::to_string(value); }

Error check_flags(const npu_insn& insn, const npu_insn_info& info) {
  if ((insn.flags & ~info.flags) != 0)
    return std::string("'") + info.mnemonic + "' does not take flag bits " +
           number(insn.flags & static_cast<unsigned>(~info.flags));
  const unsigned act = (insn.flags & NPU_F_ACT_MASK) >> NPU_F_ACT_SHIFT;
  if (act >= NPU_ACT_COUNT) return "activation " + number(act) + " does not exist";
  return std::nullopt;
}

Error check_tiles(const npu_insn& insn, const npu_insn_info& info) {
  static constexpr const char* kNames[] = {"dst", "a", "b", "c"};
  const uint8_t tiles[] = {insn.dst, insn.a, insn.b, insn.c};
  const unsigned bcast_b = (insn.flags & NPU_F_BCAST_B_MASK) >> NPU_F_BCAST_B_SHIFT;
  const unsigned bcast_c = (insn.flags & NPU_F_BCAST_C_MASK) >> NPU_F_BCAST_C_SHIFT;
  for (int i = 0; i < 4; ++i) {
    const bool scalar = (i == 2 && bcast_b == NPU_BCAST_SCALAR) ||  //
                        (i == 3 && bcast_c == NPU_BCAST_SCALAR);
    if ((info.tile[i] == 'N' || scalar) && tiles[i] != 0)
      return std::string("operand ") + kNames[i] + " is not used and must be 0";
    if (tiles[i] >= NPU_TILE_DESCS)
      return std::string("operand ") + kNames[i] + " names tile descriptor " + number(tiles[i]) +
             "; there are 64";
  }
  return std::nullopt;
}

Error check_regs(const npu_insn& insn, const npu_insn_info& info) {
  for (int i = 0; i < 4; ++i) {
    if (info.reg[i] == 'N' && insn.r[i] != 0)
      return "register operand r" + number(i) + " is not used and must be 0";
    if (insn.r[i] >= NPU_SCALAR_REGS)
      return "register operand r" + number(i) + " names register " + number(insn.r[i]) +
             "; there are 32";
  }
  return std::nullopt;
}

Error check_desc_word(uint32_t imm) {
  const unsigned space = imm & 0xff;
  const unsigned dtype = (imm >> 8) & 0xff;
  const unsigned layout = (imm >> 16) & 0xff;
  if (space >= NPU_SPACE_COUNT) return "memory space " + number(space) + " does not exist";
  if (dtype >= NPU_DTYPE_COUNT) return "element type " + number(dtype) + " does not exist";
  if (layout >= NPU_LAYOUT_COUNT) return "layout " + number(layout) + " does not exist";
  if ((imm >> 24) != 0) return "the top byte of the descriptor word must be 0";
  if (npu_tdesc_word_fits(imm) == 0) return "a tile of a type in blocks lies in HBM, by rows";
  return std::nullopt;
}

Error check_imm(const npu_insn& insn, const npu_insn_info& info) {
  const uint32_t imm = insn.imm;
  switch (info.imm) {
    case 'N':
      if (imm != 0) return "the immediate is not used and must be 0";
      break;
    case 'C':
      if (imm >= NPU_CC_COUNT) return "condition " + number(imm) + " does not exist";
      break;
    case 'S':
      if (imm >= NPU_SREG_COUNT) return "special register " + number(imm) + " does not exist";
      break;
    case 'M':
      if (imm >= NPU_TILE_SEMS) return "semaphore " + number(imm) + " does not exist; there are 64";
      break;
    case 'P':
      if (imm == 0) return "formats are counted from 1";
      break;
    case 'D':
      return check_desc_word(imm);
    case 'A': {
      const uint32_t size = insn.op == NPU_OP_ARG ? 8 : 4;
      if (imm % size != 0)
        return "argument offset " + number(imm) + " is not a multiple of " + number(size);
      if (imm > NPU_ARGS_MAX_BYTES - size)
        return "argument offset " + number(imm) + " lies outside the argument block";
      break;
    }
    default:
      break;
  }
  return std::nullopt;
}

Error check_wait(uint32_t wait, const char* name, bool allowed) {
  if (wait == 0) return std::nullopt;
  if (!allowed) return std::string(name) + " is not allowed on this instruction";
  if ((wait & NPU_WAIT_VALID) == 0) return std::string(name) + " is not valid and must be 0";
  if ((wait & NPU_WAIT_RESERVED) != 0) return "reserved bits of " + std::string(name) + " are set";
  return std::nullopt;
}

Error check_sync(const npu_insn& insn, const npu_insn_info& info) {
  const bool engine = info.engine != NPU_ENGINE_CTRL;
  const bool waits = engine || insn.op == NPU_OP_WAIT;
  const bool signals = engine || insn.op == NPU_OP_SIG;
  if (Error error = check_wait(insn.wait0, "wait0", waits)) return error;
  if (Error error = check_wait(insn.wait1, "wait1", waits)) return error;
  const uint32_t signal = insn.signal;
  if (signal == 0) return std::nullopt;
  if (!signals) return "a signal is not allowed on this instruction";
  if ((signal & NPU_SIGNAL_VALID) == 0) return "the signal is not valid and must be 0";
  if ((signal & NPU_SIGNAL_RESERVED) != 0) return "reserved bits of the signal are set";
  if ((signal & NPU_SIGNAL_PEER) == 0 && NPU_SIGNAL_PEER_TILE(signal) != 0)
    return "the signal names a peer tile without the PEER bit";
  return std::nullopt;
}

// Follows LOOP and END, and gives every instruction the loop whose body it belongs to.
class LoopMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  std::optional<ProgramError> build(std::span<const npu_insn> insns) {
    owner_.reserve(insns.size());
    std::vector<uint32_t> open;
    for (uint32_t pc = 0; pc < insns.size(); ++pc) {
      owner_.push_back(open.empty() ? kNone : open.back());
      if (insns[pc].op == NPU_OP_LOOP) {
        if (open.size() == NPU_LOOP_DEPTH) return ProgramError{pc, "loops are more than 8 deep"};
        open.push_back(pc);
      } else if (insns[pc].op == NPU_OP_END) {
        if (open.empty()) return ProgramError{pc, "END without a LOOP"};
        if (auto error = match(insns, open.back(), pc)) return error;
        open.pop_back();
      }
    }
    if (!open.empty()) return ProgramError{open.back(), "LOOP without an END"};
    return std::nullopt;
  }

  uint32_t owner(size_t pc) const { return owner_[pc]; }

 private:
  static std::optional<ProgramError> match(std::span<const npu_insn> insns, uint32_t loop,
                                           uint32_t end) {
    const auto distance = static_cast<int32_t>(end - loop);
    if (static_cast<int32_t>(insns[loop].imm) != distance)
      return ProgramError{loop, "LOOP must name its END, " + number(end - loop) + " ahead"};
    if (static_cast<int32_t>(insns[end].imm) != -distance)
      return ProgramError{end, "END must name its LOOP, " + number(end - loop) + " back"};
    return std::nullopt;
  }

  std::vector<uint32_t> owner_;
};

std::optional<ProgramError> check_branch(std::span<const npu_insn> insns, const LoopMap& loops,
                                         uint32_t pc) {
  const int64_t target = static_cast<int64_t>(pc) + static_cast<int32_t>(insns[pc].imm);
  if (target < 0 || target >= static_cast<int64_t>(insns.size()))
    return ProgramError{pc, "the branch leaves the kernel"};
  if (loops.owner(static_cast<size_t>(target)) != loops.owner(pc))
    return ProgramError{pc, "the branch crosses the border of a loop body"};
  return std::nullopt;
}

// What the format has no argument for must be register 0. CHECK has its condition before the arguments.
std::optional<ProgramError> check_format(const npu_insn& insn, uint32_t pc,
                                         const std::vector<uint8_t>& format_args) {
  if (insn.imm > format_args.size())
    return ProgramError{pc, "format " + number(insn.imm) + " is not in the table, which has " +
                                number(format_args.size())};
  const size_t first = insn.op == NPU_OP_CHECK ? 1 : 0;
  const size_t takes = format_args[insn.imm - 1];
  for (size_t i = first + takes; i < std::size(insn.r); ++i) {
    if (insn.r[i] != 0)
      return ProgramError{pc, "format " + number(insn.imm) + " takes " + number(takes) +
                                  " arguments, there are more registers"};
  }
  if (first + takes > std::size(insn.r))
    return ProgramError{pc, "format " + number(insn.imm) + " takes " + number(takes) +
                                " arguments, 'check' has room for 3"};
  return std::nullopt;
}

std::optional<ProgramError> check_limits(const npu_insn& insn, uint32_t pc,
                                         const KernelLimits& limits) {
  if (kInsnTable[insn.op].imm == 'A') {
    const uint32_t size = insn.op == NPU_OP_ARG ? 8 : 4;
    if (limits.args_bytes < size || insn.imm > limits.args_bytes - size)
      return ProgramError{pc, "argument offset " + number(insn.imm) + " lies outside the " +
                                  number(limits.args_bytes) + " bytes of arguments"};
  }
  if ((insn.signal & NPU_SIGNAL_PEER) != 0 &&
      NPU_SIGNAL_PEER_TILE(insn.signal) >= limits.group_tiles)
    return ProgramError{pc, "the signal goes to tile " + number(NPU_SIGNAL_PEER_TILE(insn.signal)) +
                                " of a work-group of " + number(limits.group_tiles)};
  if (insn.line > limits.line_count)
    return ProgramError{pc, "line id " + number(insn.line) + " is not in the line table"};
  if (kInsnTable[insn.op].imm == 'P' && limits.format_args)
    return check_format(insn, pc, *limits.format_args);
  return std::nullopt;
}

std::optional<ProgramError> check_args(const Program& program) {
  const npu_note_kernel& note = program.note;
  if (note.nargs != program.args.size() || note.nargs > NPU_KERNEL_MAX_ARGS)
    return ProgramError{0, "the number of arguments is not right"};
  if (note.args_bytes > NPU_ARGS_MAX_BYTES || note.args_bytes % 8 != 0)
    return ProgramError{0, "the argument block must be a multiple of 8 of at most 1024 bytes"};
  std::bitset<NPU_ARGS_MAX_BYTES / 4> taken;
  for (const npu_note_arg& arg : program.args) {
    if (!is_valid_name(arg.name, sizeof(arg.name)))
      return ProgramError{0, "an argument's name is not valid"};
    const std::string name = arg.name;
    if (arg_size(arg.kind) == 0 || arg.size != arg_size(arg.kind) || arg.rsvd != 0)
      return ProgramError{0, "argument '" + name + "' has no valid kind and size"};
    if (arg.offset % arg.size != 0 || note.args_bytes < arg.size ||
        arg.offset > note.args_bytes - arg.size)
      return ProgramError{0, "argument '" + name + "' lies outside the block or is not aligned"};
    for (uint32_t word = arg.offset / 4; word < (arg.offset + arg.size) / 4; ++word) {
      if (taken.test(word)) return ProgramError{0, "argument '" + name + "' overlaps another one"};
      taken.set(word);
    }
  }
  return std::nullopt;
}

}  // namespace

npu_insn decode(std::span<const uint8_t, NPU_INSN_BYTES> bytes) {
  npu_insn insn;
  std::memcpy(&insn, bytes.data(), sizeof(insn));
  return insn;
}

std::array<uint8_t, NPU_INSN_BYTES> encode(const npu_insn& insn) {
  std::array<uint8_t, NPU_INSN_BYTES> bytes;
  std::memcpy(bytes.data(), &insn, sizeof(insn));
  return bytes;
}

std::optional<uint8_t> find_opcode(std::string_view mnemonic) {
  for (const internal::InsnRow& row : internal::kInsnRows) {
    if (mnemonic == row.info.mnemonic) return row.code;
  }
  return std::nullopt;
}

std::optional<std::string> check_insn(const npu_insn& insn) {
  const npu_insn_info& info = kInsnTable[insn.op];
  if (info.mnemonic == nullptr) return "opcode " + number(insn.op) + " does not exist";
  if (insn.rsvd != 0) return "byte 1 must be 0";
  if (Error error = check_flags(insn, info)) return error;
  if (Error error = check_tiles(insn, info)) return error;
  if (Error error = check_regs(insn, info)) return error;
  if (Error error = check_imm(insn, info)) return error;
  return check_sync(insn, info);
}

std::optional<ProgramError> verify_program(std::span<const npu_insn> insns,
                                           const KernelLimits& limits) {
  if (insns.empty()) return ProgramError{0, "the kernel has no instructions"};
  if (insns.size() > NPU_KERNEL_MAX_INSNS)
    return ProgramError{0, "the kernel has more than 65536 instructions"};
  for (uint32_t pc = 0; pc < insns.size(); ++pc) {
    if (auto error = check_insn(insns[pc])) return ProgramError{pc, *error};
    if (auto error = check_limits(insns[pc], pc, limits)) return error;
  }
  LoopMap loops;
  if (auto error = loops.build(insns)) return error;
  for (uint32_t pc = 0; pc < insns.size(); ++pc) {
    const uint8_t op = insns[pc].op;
    if (op != NPU_OP_BR && op != NPU_OP_BZ && op != NPU_OP_BNZ) continue;
    if (auto error = check_branch(insns, loops, pc)) return error;
  }
  const uint8_t last = insns.back().op;
  if (last != NPU_OP_HALT && last != NPU_OP_BR && last != NPU_OP_TRAP)
    return ProgramError{static_cast<uint32_t>(insns.size() - 1),
                        "the kernel can run off its end; the last instruction must be HALT, BR or "
                        "TRAP"};
  return std::nullopt;
}

std::optional<ProgramError> verify_program(const Program& program) {
  const npu_note_kernel& note = program.note;
  if (!is_valid_name(note.name, sizeof(note.name)))
    return ProgramError{0, "the kernel's name is not valid"};
  if (note.insn_count != program.insns.size())
    return ProgramError{0, "the number of instructions is not right"};
  if (note.group_tiles == 0 || note.group_tiles > NPU_GROUP_MAX_TILES)
    return ProgramError{0, "a work-group has 1 to 16 tiles"};
  if (auto error = check_args(program)) return error;
  std::vector<uint8_t> args_of_formats;
  for (const std::string& text : program.formats) {
    const auto args = format_args(text);
    if (!args) return ProgramError{0, "'" + text + "' is no format (uapi/npu_format.h)"};
    args_of_formats.push_back(*args);
  }
  if (program.formats.size() > NPU_BLOB_MAX_FORMATS)
    return ProgramError{0, "the kernel has more than 4096 formats"};
  const KernelLimits limits{note.args_bytes, note.group_tiles,
                            static_cast<uint32_t>(program.lines.size()),
                            std::move(args_of_formats)};
  return verify_program(program.insns, limits);
}

std::optional<uint8_t> format_args(const std::string& text) {
  const int args = npu_format_args(text.c_str(), static_cast<uint32_t>(text.size() + 1));
  if (args < 0) return std::nullopt;
  return static_cast<uint8_t>(args);
}

bool is_valid_name(const char* field, size_t field_bytes) {
  const size_t length = strnlen(field, field_bytes);
  if (length == 0 || length == field_bytes) return false;
  for (size_t i = 0; i < length; ++i) {
    const char c = field[i];
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.' || c == '-';
    if (!good) return false;
  }
  for (size_t i = length; i < field_bytes; ++i) {
    if (field[i] != '\0') return false;
  }
  return true;
}

uint32_t arg_size(uint8_t kind) {
  switch (kind) {
    case NPU_ARG_U32:
    case NPU_ARG_I32:
    case NPU_ARG_F32:
      return 4;
    case NPU_ARG_U64:
    case NPU_ARG_DVA:
      return 8;
    default:
      return 0;
  }
}

}  // namespace npu::isa
