// SPDX-License-Identifier: Apache-2.0
// InsnParser: operands by position, flags, named fields, semaphores and line ids.
#include "tools/isa/insn_parser.h"

#include <bit>
#include <charconv>

#include "tools/isa/codec.h"
#include "tools/isa/text_names.h"

namespace npu::isa {

using namespace text;

namespace {

std::optional<int64_t> parse_integer(std::string_view word) {
  const bool negative = word.starts_with('-');
  if (negative || word.starts_with('+')) word.remove_prefix(1);
  const int base = word.starts_with("0x") ? 16 : 10;
  if (base == 16) word.remove_prefix(2);
  uint64_t value = 0;
  const auto result = std::from_chars(word.data(), word.data() + word.size(), value, base);
  if (word.empty() || result.ec != std::errc() || result.ptr != word.data() + word.size())
    return std::nullopt;
  if (value > UINT32_MAX) return std::nullopt;
  return negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
}

// A letter and a number below |limit|: t5, r31, s0.
std::optional<uint32_t> parse_numbered(std::string_view word, char letter, uint32_t limit) {
  if (word.size() < 2 || word[0] != letter) return std::nullopt;
  uint32_t value = 0;
  const char* end = word.data() + word.size();
  const auto result = std::from_chars(word.data() + 1, end, value, 10);
  if (result.ec != std::errc() || result.ptr != end || value >= limit) return std::nullopt;
  return value;
}

std::string quote(std::string_view word) { return "'" + std::string(word) + "'"; }

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!word.empty()) text += (text.empty() ? "" : " ") + std::string(word);
  }
  return text;
}

}  // namespace

std::optional<uint32_t> parse_unsigned(std::string_view word) {
  if (word.starts_with('+')) return std::nullopt;
  const auto value = parse_integer(word);
  if (!value || *value < 0) return std::nullopt;
  return static_cast<uint32_t>(*value);
}

std::optional<uint32_t> parse_size(std::string_view word) {
  uint64_t unit = 1;
  if (word.ends_with('K')) unit = 1024;
  if (word.ends_with('M')) unit = 1024 * 1024;
  if (unit != 1) word.remove_suffix(1);
  const auto value = parse_unsigned(word);
  if (!value || *value * unit > UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(*value * unit);
}

bool is_label(std::string_view word) {
  if (word.empty() || !is_letter(word[0])) return false;
  for (const char c : word) {
    if (!is_letter(c) && !is_digit(c) && c != '.') return false;
  }
  return true;
}

bool unquote(std::string_view word, std::string& text) {
  for (size_t i = 1; i < word.size(); ++i) {
    if (word[i] != '\\') {
      text += word[i];
      continue;
    }
    uint8_t byte = 0;
    if (word.size() - i < 4 || word[i + 1] != 'x') return false;
    const auto result = std::from_chars(&word[i + 2], &word[i + 2] + 2, byte, 16);
    if (result.ec != std::errc() || result.ptr != &word[i + 2] + 2) return false;
    text += static_cast<char>(byte);
    i += 3;
  }
  return true;
}

bool InsnParser::fail(std::string text) {
  if (error_.empty()) error_ = std::move(text);
  return false;
}

bool InsnParser::run() {
  const auto op = find_opcode(words_[0]);
  if (!op) return fail(quote(words_[0]) + " is no instruction; see uapi/spec/isa.def for the list");
  insn_.op = *op;
  info_ = kInsnTable[*op];
  const auto starts_semaphore = [this] {
    return !done() && peek().size() > 1 && peek()[0] == 's' && is_digit(peek()[1]);
  };
  if (insn_.op == NPU_OP_WAIT && starts_semaphore() && !wait_list(false)) return false;
  if (insn_.op == NPU_OP_SIG && starts_semaphore() && !signal(words_[at_++])) return false;
  while (!done()) {
    const std::string_view word = peek();
    if (word == "wait" || word == "wait1" || word == "sig" || word == "line") {
      if (!sync()) return false;
    } else if (!operand()) {
      return false;
    }
  }
  return complete();
}

// --- Semaphores and lines -----------------------------------------------------------------------------------------

bool InsnParser::sync() {
  const std::string_view word = words_[at_++];
  if (word == "line") return line();
  if (done()) return fail(quote(word) + " needs a semaphore behind it, as in 'wait s0-=1'");
  if (word == "sig") return signal(words_[at_++]);
  return wait_list(word == "wait1");
}

bool InsnParser::wait_list(bool second) {
  bool any = false;
  while (!done() && peek().size() > 1 && peek()[0] == 's' && is_digit(peek()[1])) {
    if (!wait(words_[at_++], second)) return false;
    any = true;
  }
  return any || fail("a wait is written 's0>=1' or 's0-=1'; this is " + quote(peek()));
}

bool InsnParser::wait(std::string_view word, bool second) {
  const size_t at = std::min(word.find(">="), word.find("-="));
  if (at == std::string_view::npos)
    return fail("a wait is written 's0>=1' or 's0-=1'; this is " + quote(word));
  const auto sem = parse_numbered(word.substr(0, at), 's', NPU_TILE_SEMS);
  const auto count = parse_unsigned(word.substr(at + 2));
  if (!sem || !count || *count > 0xffff)
    return fail(quote(word) + ": semaphores are s0 to s63 and count 0 to 65535");
  uint32_t& field = second || insn_.wait0 != 0 ? insn_.wait1 : insn_.wait0;
  if (field != 0) return fail("an instruction waits for at most two semaphores");
  field = NPU_WAIT(*sem, *count, word[at] == '-');
  return true;
}

bool InsnParser::signal(std::string_view word) {
  const size_t plus = word.find('+');
  const size_t at = std::min(word.find('@'), word.size());
  if (plus == std::string_view::npos || plus > at)
    return fail("a signal is written 's0+1' or 's0+1@tile'; this is " + quote(word));
  const auto sem = parse_numbered(word.substr(0, plus), 's', NPU_TILE_SEMS);
  const auto count = parse_unsigned(word.substr(plus + 1, at - plus - 1));
  if (!sem || !count || *count > 0xffff)
    return fail(quote(word) + ": semaphores are s0 to s63 and count 0 to 65535");
  if (insn_.signal != 0) return fail("an instruction gives one signal");
  insn_.signal = NPU_SIGNAL(*sem, *count);
  if (at == word.size()) return true;
  const auto peer = parse_unsigned(word.substr(at + 1));
  if (!peer || *peer >= NPU_GROUP_MAX_TILES) return fail(quote(word) + ": tiles are 0 to 15");
  insn_.signal = NPU_SIGNAL_TO(*sem, *count, *peer);
  return true;
}

bool InsnParser::line() {
  const auto id = done() ? std::nullopt : parse_unsigned(words_[at_]);
  if (!id) return fail("'line' needs the number of a '.loc' row behind it");
  if (line_set_) return fail("'line' stands twice");
  ++at_;
  line_set_ = true;
  insn_.line = *id;
  return true;
}

// --- Operands -----------------------------------------------------------------------------------------------------

bool InsnParser::operand() {
  const std::string_view word = words_[at_++];
  if (word[0] == '"') return immediate(word);
  if (word[0] == '!') return flag(word.substr(1));
  if (word == "row" || word == "col") return bcast(word);
  const size_t equals = word.find('=');
  if (equals != std::string_view::npos)
    return field(word.substr(0, equals), word.substr(equals + 1));
  if (parse_numbered(word, 't', NPU_TILE_DESCS)) return tile(word);
  if (parse_numbered(word, 'r', NPU_SCALAR_REGS)) return reg(word);
  return immediate(word);
}

bool InsnParser::flag(std::string_view word) {
  const size_t equals = std::min(word.find('='), word.size());
  const std::string_view name = word.substr(0, equals);
  const std::string_view value = word.substr(std::min(equals + 1, word.size()));
  if (name == "act") return act(value);
  if (name == "rule") return scale_rule(value);
  for (const FlagWord& f : kFlags) {
    if (f.word != name) continue;
    if (!takes_flag(info_, f))
      return fail(quote(info_.mnemonic) + " does not take !" + std::string(name));
    if ((insn_.flags & f.bit) != 0) return fail("!" + std::string(name) + " stands twice");
    insn_.flags |= f.bit;
    const bool takes_value = f.reg >= 0 || f.tile >= 0;
    if (takes_value != (equals < word.size()))
      return fail(
          "!" + std::string(name) +
          (takes_value ? " needs its operand, as in !scale=r1 or !bias=t1" : " takes no operand"));
    if (f.reg >= 0) return set_reg(f.reg, value);
    if (f.tile >= 0) return set_tile(f.tile, value);
    return true;
  }
  return fail("there is no flag !" + std::string(name));
}

bool InsnParser::act(std::string_view word) {
  const auto act = find_word(kActs, word);
  if ((info_.flags & NPU_F_ACT_MASK) == 0)
    return fail(quote(info_.mnemonic) + " does not take !act");
  if (!act) return fail(quote(word) + " is no activation; there are " + joined(kActs));
  if ((insn_.flags & NPU_F_ACT_MASK) != 0) return fail("!act stands twice");
  insn_.flags = static_cast<uint16_t>(insn_.flags | (*act << NPU_F_ACT_SHIFT));
  return true;
}

bool InsnParser::scale_rule(std::string_view word) {
  const auto rule = find_word(kScaleRules, word);
  if (!rounds_by_flags(info_) || (info_.flags & NPU_F_SCALE_RULE_MASK) == 0)
    return fail(quote(info_.mnemonic) + " does not take !rule");
  if (!rule) return fail(quote(word) + " is no scale rule; there are " + joined(kScaleRules));
  if ((insn_.flags & NPU_F_SCALE_RULE_MASK) != 0) return fail("!rule stands twice");
  insn_.flags = static_cast<uint16_t>(insn_.flags | (*rule << NPU_F_SCALE_RULE_SHIFT));
  return true;
}

bool InsnParser::field(std::string_view name, std::string_view value) {
  const auto tile = find_word(kTileFields, name);
  if (tile) return set_tile(static_cast<int>(*tile), value);
  const auto reg = find_word(kRegFields, name);
  if (reg) return set_reg(static_cast<int>(*reg), value);
  return fail("there is no operand " + quote(name) + "; there are a b c dst and r0 to r3");
}

bool InsnParser::set_tile(int i, std::string_view word) {
  const auto number = parse_numbered(word, 't', NPU_TILE_DESCS);
  if (!number) return fail(quote(word) + " is no tile; tiles are t0 to t63");
  if (info_.tile[i] != 'T' || tile_set_[i])
    return fail(quote(info_.mnemonic) + " has no place for " + quote(word));
  tile_set_[i] = true;
  tile_field(insn_, i) = static_cast<uint8_t>(*number);
  return true;
}

bool InsnParser::set_reg(int i, std::string_view word) {
  const auto number = parse_numbered(word, 'r', NPU_SCALAR_REGS);
  if (!number) return fail(quote(word) + " is no register; registers are r0 to r31");
  if (info_.reg[i] == 'N' || reg_set_[i])
    return fail(quote(info_.mnemonic) + " has no place for " + quote(word));
  reg_set_[i] = true;
  insn_.r[i] = static_cast<uint8_t>(*number);
  return true;
}

int InsnParser::next_tile() const {
  for (int i = 0; i < 4; ++i) {
    if (info_.tile[i] == 'T' && !tile_set_[i] && !is_optional_tile(info_, i)) return i;
  }
  return -1;
}

int InsnParser::next_reg() const {
  for (int i = 0; i < 4; ++i) {
    if (info_.reg[i] != 'N' && !reg_set_[i] && !is_optional_reg(info_, i)) return i;
  }
  return -1;
}

bool InsnParser::bcast(std::string_view kind) {
  const int i = next_tile();
  const BcastOperand* b = i < 0 ? nullptr : bcast_of_tile(info_, i);
  if (b == nullptr) return fail(quote(kind) + " can only stand before a second or third operand");
  if (done()) return fail(quote(kind) + " needs a tile behind it");
  const uint32_t bits = kind == "row" ? NPU_BCAST_ROW : NPU_BCAST_COL;
  insn_.flags = static_cast<uint16_t>(insn_.flags | (bits << b->shift));
  return set_tile(i, words_[at_++]);
}

bool InsnParser::tile(std::string_view word) {
  const int i = next_tile();
  if (i < 0) return fail(quote(info_.mnemonic) + " has no place for " + quote(word));
  return set_tile(i, word);
}

// A register in the place of a second or third tile is a scalar.
bool InsnParser::reg(std::string_view word) {
  const int place = next_tile();
  const BcastOperand* b = place < 0 ? nullptr : bcast_of_tile(info_, place);
  if (b != nullptr) {
    insn_.flags = static_cast<uint16_t>(insn_.flags | (NPU_BCAST_SCALAR << b->shift));
    tile_set_[place] = true;
    return set_reg(b->reg, word);
  }
  const int i = next_reg();
  if (i < 0) return fail(quote(info_.mnemonic) + " has no place for " + quote(word));
  return set_reg(i, word);
}

bool InsnParser::complete() {
  const int tile = next_tile();
  if (tile >= 0)
    return fail(quote(info_.mnemonic) + " needs tile operand " + std::string(kTileFields[tile]));
  const int reg = info_.imm == 'P' ? -1 : next_reg();  // the format says how many there are
  if (reg >= 0)
    return fail(quote(info_.mnemonic) + " needs register operand " + std::string(kRegFields[reg]));
  const bool by_nesting = insn_.op == NPU_OP_LOOP || insn_.op == NPU_OP_END;
  if (info_.imm != 'N' && !has_imm_ && !by_nesting)
    return fail(quote(info_.mnemonic) + " needs an immediate operand");
  return true;
}

// --- Immediates ---------------------------------------------------------------------------------------------------

bool InsnParser::immediate(std::string_view word) {
  if (info_.imm == 'N' || has_imm_)
    return fail(quote(info_.mnemonic) + " has no place for " + quote(word));
  has_imm_ = true;
  switch (info_.imm) {
    case 'F':
      return float_imm(word);
    case 'O':
      return branch_imm(word);
    case 'A':
      return argument_imm(word);
    case 'C':
      return word_imm(kConditions, word, "condition");
    case 'S':
      return word_imm(kSregs, word, "special register");
    case 'D':
      return desc_imm(word);
    case 'P':
      return format_imm(word);
    case 'M': {
      const auto sem = parse_numbered(word, 's', NPU_TILE_SEMS);
      if (!sem) return fail(quote(word) + " is no semaphore; semaphores are s0 to s63");
      insn_.imm = *sem;
      return true;
    }
    default: {
      const auto value = parse_integer(word);
      if (!value || *value < INT32_MIN) return fail(quote(word) + " is no 32-bit number");
      insn_.imm = static_cast<uint32_t>(*value);
      return true;
    }
  }
}

bool InsnParser::float_imm(std::string_view word) {
  if (word.starts_with("0x")) {
    const auto bits = parse_unsigned(word);
    if (!bits) return fail(quote(word) + " does not fit into 32 bits");
    insn_.imm = *bits;
    return true;
  }
  float value = 0;
  const char* end = word.data() + word.size();
  const auto result = std::from_chars(word.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end)
    return fail(quote(word) + " is no fp32 number (write 0.5, -inf or its bits 0x3f000000)");
  insn_.imm = std::bit_cast<uint32_t>(value);
  return true;
}

bool InsnParser::branch_imm(std::string_view word) {
  if (is_label(word)) {
    label_ = word;
    return true;
  }
  const auto value = parse_integer(word);
  if (!value || *value < INT32_MIN || *value > INT32_MAX)
    return fail(quote(word) + " is neither a label nor a distance such as +3");
  insn_.imm = static_cast<uint32_t>(static_cast<int32_t>(*value));
  return true;
}

bool InsnParser::argument_imm(std::string_view word) {
  if (const npu_note_arg* arg = find_arg_(word)) {
    const uint32_t size = insn_.op == NPU_OP_ARG ? 8 : 4;
    if (arg->size != size)
      return fail(quote(word) + " has " + std::to_string(arg->size) + " bytes; use " +
                  (arg->size == 8 ? "arg" : "argw or args"));
    insn_.imm = arg->offset;
    return true;
  }
  const auto offset = parse_unsigned(word);
  if (!offset) return fail(quote(word) + " is neither an argument nor a byte offset");
  insn_.imm = *offset;
  return true;
}

bool InsnParser::desc_imm(std::string_view word) {
  const size_t first = std::min(word.find('.'), word.size());
  const size_t second = std::min(word.find('.', first + 1), word.size());
  const auto space = find_word(kSpaces, word.substr(0, first));
  const auto dtype = find_word(
      kDtypes, word.substr(std::min(first + 1, word.size()), second - std::min(first + 1, second)));
  const auto layout = find_word(kLayouts, word.substr(std::min(second + 1, word.size())));
  if (!space || !dtype || !layout)
    return fail(quote(word) + " is no descriptor: write SPACE.TYPE.LAYOUT with " + joined(kSpaces) +
                " . " + joined(kDtypes) + " . " + joined(kLayouts));
  insn_.imm = NPU_TDESC(*space, *dtype, *layout);
  return true;
}

bool InsnParser::format_imm(std::string_view word) {
  const auto number = word[0] == '"' ? find_format_(word) : parse_unsigned(word);
  if (!number) {
    return fail(word[0] == '"'
                    ? "a '\\' in a string is written \\x5c"
                    : quote(word) + " is neither a format in quotes nor the number of one");
  }
  insn_.imm = *number;
  return true;
}

bool InsnParser::word_imm(std::span<const std::string_view> words, std::string_view word,
                          const char* what) {
  const auto value = find_word(words, word);
  if (!value) return fail(quote(word) + " is no " + what + "; there are " + joined(words));
  insn_.imm = *value;
  return true;
}

}  // namespace npu::isa
