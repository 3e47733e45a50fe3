// SPDX-License-Identifier: Apache-2.0
// Assembler: lines to programs. Any text gives programs or one error with its line; nothing is guessed.
#include <algorithm>
#include <cstring>
#include <map>

#include "tools/isa/codec.h"
#include "tools/isa/insn_parser.h"
#include "tools/isa/text.h"
#include "tools/isa/text_names.h"

namespace npu::isa {
namespace {

using namespace text;

constexpr uint32_t kMaxLineBytes = 4096;

template <size_t N>
bool copy_name(char (&field)[N], std::string_view name) {
  if (name.empty() || name.size() >= N) return false;
  std::memcpy(field, name.data(), name.size());
  return is_valid_name(field, N);
}

class Assembler {
 public:
  explicit Assembler(const AssembleOptions& options) : options_(options) {}

  Assembly run(std::string_view source) {
    Assembly result;
    while (!source.empty()) {
      ++line_;
      const size_t end = std::min(source.find('\n'), source.size());
      if (!take_line(source.substr(0, end))) return failure();
      source.remove_prefix(std::min(end + 1, source.size()));
    }
    if (!end_kernel()) return failure();
    if (programs_.empty()) {
      fail("there is no kernel in the text; begin one with '.kernel NAME'");
      return failure();
    }
    result.programs = std::move(programs_);
    return result;
  }

 private:
  struct Branch {
    uint32_t pc;
    std::string label;
    uint32_t line;
  };

  Assembly failure() { return {{}, TextError{error_line_, error_}}; }

  bool fail(std::string text) {
    error_ = std::move(text);
    error_line_ = line_;
    return false;
  }

  bool take_line(std::string_view source) {
    if (!source.empty() && source.back() == '\r') source.remove_suffix(1);
    if (source.size() > kMaxLineBytes) return fail("a line of more than 4096 bytes");
    std::vector<std::string> tokens;
    if (!split(source, tokens)) return false;
    while (!tokens.empty() && tokens[0].size() > 1 && tokens[0].back() == ':') {
      tokens[0].pop_back();
      if (!take_label(tokens[0])) return false;
      tokens.erase(tokens.begin());
    }
    if (tokens.empty()) return true;
    if (tokens[0] == ".kernel") return begin_kernel(tokens);
    if (!open_) return fail("'" + tokens[0] + "' stands before the first '.kernel NAME'");
    if (tokens[0] == ".insn") return take_raw(tokens);
    if (tokens[0][0] == '.') return take_directive(tokens);
    return take_insn(tokens);
  }

  // Words are separated by blanks and commas; "..." is one word that keeps its leading quote.
  bool split(std::string_view source, std::vector<std::string>& tokens) {
    size_t i = 0;
    while (i < source.size()) {
      const char c = source[i];
      if (c == ';') break;
      if (c == ' ' || c == '\t' || c == ',') {
        ++i;
        continue;
      }
      const size_t begin = i;
      if (c == '"') {
        i = source.find('"', i + 1);
        if (i == std::string_view::npos) return fail("a string has no closing '\"'");
        tokens.emplace_back(source.substr(begin, i - begin));
        ++i;
        continue;
      }
      while (i < source.size() && std::strchr(" \t,;\"", source[i]) == nullptr) ++i;
      if (i == begin) return fail("a NUL byte stands in the text");
      tokens.emplace_back(source.substr(begin, i - begin));
    }
    return true;
  }

  // --- Kernels and directives ---------------------------------------------------------------------------------------

  bool begin_kernel(const std::vector<std::string>& tokens) {
    if (!end_kernel()) return false;
    if (tokens.size() != 2) return fail("write '.kernel NAME'");
    if (programs_.size() == NPU_BLOB_MAX_KERNELS) return fail("more than 1024 kernels in one text");
    program_ = {};
    if (!copy_name(program_.note.name, tokens[1]))
      return fail("'" + tokens[1] + "' is no kernel name: use 1 to 63 of [A-Za-z0-9_.-]");
    for (const Program& other : programs_) {
      if (std::strcmp(other.note.name, program_.note.name) == 0)
        return fail("there are two kernels '" + tokens[1] + "'; give one another name");
    }
    program_.note.group_tiles = 1;
    open_ = true;
    args_end_bytes_ = 0;
    args_bytes_ = -1;
    labels_.clear();
    branches_.clear();
    loops_.clear();
    explicit_loops_.clear();
    insn_lines_.clear();
    return true;
  }

  bool end_kernel() {
    if (!open_) return true;
    open_ = false;
    if (!loops_.empty()) {
      line_ = insn_lines_[loops_.back()];
      return fail("this loop has no 'end'");
    }
    for (const Branch& branch : branches_) {
      const auto found = labels_.find(branch.label);
      if (found == labels_.end()) {
        line_ = branch.line;
        return fail("there is no label '" + branch.label + ":' in this kernel");
      }
      program_.insns[branch.pc].imm = found->second - branch.pc;
    }
    npu_note_kernel& note = program_.note;
    note.insn_count = static_cast<uint32_t>(program_.insns.size());
    note.nargs = static_cast<uint32_t>(program_.args.size());
    note.args_bytes = args_bytes_ >= 0 ? static_cast<uint32_t>(args_bytes_)  //
                                       : (args_end_bytes_ + 7) / 8 * 8;
    if (const auto error = verify_program(program_)) {
      if (error->pc < insn_lines_.size()) line_ = insn_lines_[error->pc];
      return fail("kernel '" + std::string(note.name) + "', instruction " +
                  std::to_string(error->pc) + ": " + error->text);
    }
    programs_.push_back(std::move(program_));
    return true;
  }

  bool take_directive(const std::vector<std::string>& tokens) {
    const std::string& word = tokens[0];
    npu_note_kernel& note = program_.note;
    if (word == ".arg") return take_arg(tokens);
    if (word == ".loc") return take_loc(tokens);
    if (word == ".format") return take_format(tokens);
    if (tokens.size() != 2) return fail("write '" + word + " NUMBER'");
    const auto value = parse_size(tokens[1]);
    if (!value) return fail("'" + tokens[1] + "' is no number of bytes (try 4096, 0x1000 or 96K)");
    if (word == ".l1") return note.l1_bytes = *value, true;
    if (word == ".l2") return note.l2_bytes = *value, true;
    if (word == ".acc") return note.acc_bytes = *value, true;
    if (word == ".group") return note.group_tiles = *value, true;
    if (word == ".args") return args_bytes_ = *value, true;
    return fail("there is no directive '" + word +
                "'; there are .kernel .arg .args .l1 .l2 .acc .group .loc .format .insn");
  }

  bool take_arg(const std::vector<std::string>& tokens) {
    if (tokens.size() != 3 && tokens.size() != 4) return fail("write '.arg NAME KIND [OFFSET]'");
    npu_note_arg arg{};
    if (!copy_name(arg.name, tokens[1]))
      return fail("'" + tokens[1] + "' is no argument name: use 1 to 31 of [A-Za-z0-9_.-]");
    if (find_arg(tokens[1]) != nullptr) return fail("there are two arguments '" + tokens[1] + "'");
    const auto kind = find_word(kArgKinds, tokens[2]);
    if (!kind) return fail("'" + tokens[2] + "' is no kind: use u32, i32, f32, u64 or dva");
    arg.kind = static_cast<uint8_t>(*kind);
    arg.size = static_cast<uint8_t>(arg_size(arg.kind));
    arg.offset = (args_end_bytes_ + arg.size - 1u) / arg.size * arg.size;
    if (tokens.size() == 4) {
      const auto offset = parse_size(tokens[3]);
      if (!offset) return fail("'" + tokens[3] + "' is no byte offset");
      arg.offset = *offset;
    }
    if (arg.offset > NPU_ARGS_MAX_BYTES - uint32_t{arg.size})
      return fail("argument '" + tokens[1] + "' lies outside the 1024 bytes of arguments");
    if (program_.args.size() == NPU_KERNEL_MAX_ARGS) return fail("more than 64 arguments");
    args_end_bytes_ = arg.offset + arg.size;
    program_.args.push_back(arg);
    return true;
  }

  bool take_loc(const std::vector<std::string>& tokens) {
    if (tokens.size() != 4 || tokens[2][0] != '"') return fail("write '.loc ID \"FILE\" LINE'");
    const auto id = parse_unsigned(tokens[1]);
    const auto line = parse_unsigned(tokens[3]);
    SourceLine source;
    if (!id || *id != program_.lines.size() + 1)
      return fail("rows of the line table are numbered 1, 2, ...; this one is " +
                  std::to_string(program_.lines.size() + 1));
    if (!line) return fail("'" + tokens[3] + "' is no line number");
    if (!unquote(tokens[2], source.file)) return fail("a '\\' in a string is written \\x5c");
    source.line = *line;
    program_.lines.push_back(std::move(source));
    return true;
  }

  bool take_format(const std::vector<std::string>& tokens) {
    if (tokens.size() != 3 || tokens[2][0] != '"') return fail("write '.format ID \"TEXT\"'");
    const auto id = parse_unsigned(tokens[1]);
    if (!id || *id != program_.formats.size() + 1)
      return fail("formats are numbered 1, 2, ...; this one is " +
                  std::to_string(program_.formats.size() + 1));
    std::string text;
    if (!unquote(tokens[2], text)) return fail("a '\\' in a string is written \\x5c");
    program_.formats.push_back(std::move(text));
    return true;
  }

  // The number of a format that stands in an instruction itself: an old one, or the next.
  std::optional<uint32_t> find_format(std::string_view quoted) {
    std::string text;
    if (!unquote(quoted, text)) return std::nullopt;
    return program_.format_number(text);
  }

  bool take_label(const std::string& label) {
    if (!open_) return fail("the label '" + label + ":' stands before the first '.kernel NAME'");
    if (!is_label(label))
      return fail("'" + label + "' is no label: begin with a letter or '_', then [A-Za-z0-9_.]");
    if (!labels_.emplace(label, static_cast<uint32_t>(program_.insns.size())).second)
      return fail("there are two labels '" + label + ":'; give one another name");
    return true;
  }

  // --- Instructions -------------------------------------------------------------------------------------------------

  bool take_raw(const std::vector<std::string>& tokens) {
    uint32_t words[8];
    if (tokens.size() != 9) return fail("write '.insn' and eight 32-bit numbers");
    for (size_t i = 0; i < 8; ++i) {
      const auto word = parse_unsigned(tokens[i + 1]);
      if (!word) return fail("'" + tokens[i + 1] + "' is no 32-bit number");
      words[i] = *word;
    }
    npu_insn insn;
    std::memcpy(&insn, words, sizeof(insn));
    return add(insn);
  }

  bool take_insn(const std::vector<std::string>& tokens) {
    InsnParser parser(
        tokens, [this](std::string_view name) { return find_arg(name); },
        [this](std::string_view quoted) { return find_format(quoted); });
    if (!parser.run()) return fail(parser.error());
    npu_insn insn = parser.insn();
    const auto pc = static_cast<uint32_t>(program_.insns.size());
    if (!parser.label().empty()) branches_.push_back({pc, parser.label(), line_});
    if (insn.op == NPU_OP_LOOP) loops_.push_back(pc);
    if (insn.op == NPU_OP_END && !close_loop(insn, pc, parser.has_imm())) return false;
    if (insn.op == NPU_OP_LOOP && parser.has_imm()) explicit_loops_.push_back(pc);
    if (insn.line == 0 && !options_.source_name.empty()) {
      program_.lines.push_back({options_.source_name, line_});
      insn.line = static_cast<uint32_t>(program_.lines.size());
    }
    return add(insn);
  }

  bool close_loop(npu_insn& insn, uint32_t pc, bool has_imm) {
    if (loops_.empty()) return fail("'end' without a 'loop'");
    const uint32_t loop = loops_.back();
    loops_.pop_back();
    if (!has_imm) insn.imm = loop - pc;
    if (!explicit_loops_.empty() && explicit_loops_.back() == loop) {
      explicit_loops_.pop_back();
    } else {
      program_.insns[loop].imm = pc - loop;
    }
    return true;
  }

  bool add(const npu_insn& insn) {
    if (program_.insns.size() == NPU_KERNEL_MAX_INSNS)
      return fail("a kernel has at most 65536 instructions");
    program_.insns.push_back(insn);
    insn_lines_.push_back(line_);
    return true;
  }

  const npu_note_arg* find_arg(std::string_view name) const {
    for (const npu_note_arg& arg : program_.args) {
      if (name == arg.name) return &arg;
    }
    return nullptr;
  }

  const AssembleOptions& options_;
  std::vector<Program> programs_;
  Program program_;
  bool open_ = false;
  uint32_t args_end_bytes_ = 0;
  int64_t args_bytes_ = -1;  // of .args; -1: from the arguments
  std::map<std::string, uint32_t> labels_;
  std::vector<Branch> branches_;
  std::vector<uint32_t> loops_, explicit_loops_;
  std::vector<uint32_t> insn_lines_;
  uint32_t line_ = 0, error_line_ = 0;
  std::string error_;
};

}  // namespace

Assembly assemble(std::string_view text, const AssembleOptions& options) {
  return Assembler(options).run(text);
}

}  // namespace npu::isa
