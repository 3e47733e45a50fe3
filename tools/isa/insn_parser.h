// SPDX-License-Identifier: Apache-2.0
// InsnParser: the words of one line of assembly to one instruction; and how numbers and names are spelled.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "uapi/npu_fw.h"
#include "uapi/npu_isa.h"

namespace npu::isa {

std::optional<uint32_t> parse_unsigned(std::string_view word);  // decimal or 0x...
std::optional<uint32_t> parse_size(std::string_view word);      // with K or M behind it
bool is_label(std::string_view word);
bool unquote(std::string_view word, std::string& text);  // word: with its opening quote only

class InsnParser {
 public:
  using FindArg = std::function<const npu_note_arg*(std::string_view)>;

  // From a string with its opening quote; nothing when it is none.
  using FindFormat = std::function<std::optional<uint32_t>(std::string_view)>;

  InsnParser(std::span<const std::string> words, FindArg find_arg, FindFormat find_format)
      : words_(words), find_arg_(std::move(find_arg)), find_format_(std::move(find_format)) {}

  bool run();
  const npu_insn& insn() const { return insn_; }
  const std::string& label() const {
    return label_;
  }  // target of a branch; empty: a distance stands in imm
  bool has_imm() const { return has_imm_; }
  const std::string& error() const { return error_; }

 private:
  bool fail(std::string text);
  bool done() const { return at_ == words_.size(); }
  const std::string& peek() const { return words_[at_]; }

  bool operand();
  bool flag(std::string_view word);
  bool act(std::string_view word);
  bool scale_rule(std::string_view word);
  bool field(std::string_view name, std::string_view value);
  bool bcast(std::string_view kind);
  bool tile(std::string_view word);
  bool reg(std::string_view word);
  bool immediate(std::string_view word);
  bool float_imm(std::string_view word);
  bool argument_imm(std::string_view word);
  bool branch_imm(std::string_view word);
  bool desc_imm(std::string_view word);
  bool format_imm(std::string_view word);
  bool word_imm(std::span<const std::string_view> words, std::string_view word, const char* what);
  bool wait_list(bool second);
  bool wait(std::string_view word, bool second);
  bool signal(std::string_view word);
  bool sync();
  bool line();
  bool complete();
  bool set_tile(int i, std::string_view word);
  bool set_reg(int i, std::string_view word);
  int next_tile() const;
  int next_reg() const;

  std::span<const std::string> words_;
  FindArg find_arg_;
  FindFormat find_format_;
  size_t at_ = 1;
  npu_insn insn_{};
  npu_insn_info info_{};
  bool tile_set_[4] = {}, reg_set_[4] = {};
  bool has_imm_ = false;
  bool line_set_ = false;
  std::string label_;
  std::string error_;
};

}  // namespace npu::isa
