// SPDX-License-Identifier: Apache-2.0
// Random valid programs for the tests of the instruction set's tools. The same seed gives the same program.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "tools/isa/program.h"

namespace npu::isa::testing {

class RandomProgram {
 public:
  explicit RandomProgram(uint64_t seed) : random_(seed) {}

  // Every kind of operand, flag, wait, signal, loop, branch and line id may occur.
  Program make();

  // A well-formed instruction that is no branch, LOOP, END or HALT. args_bytes, lines: what it may refer to.
  npu_insn make_insn(uint32_t args_bytes, uint32_t lines, uint32_t group_tiles);

  // The formats that the instructions name.
  static const std::vector<std::string>& formats();

  uint32_t below(uint32_t limit) {
    return limit == 0 ? 0 : static_cast<uint32_t>(random_() % limit);
  }

 private:
  uint16_t make_flags(uint16_t mask);
  uint32_t make_imm(const npu_insn& insn, char kind, uint32_t args_bytes);
  void make_sync(npu_insn& insn, bool waits, bool signals, uint32_t group_tiles);
  void block(Program& program, uint32_t length, uint32_t depth);
  void add_branches(Program& program);
  void add_args(Program& program);

  std::mt19937_64 random_;
};

}  // namespace npu::isa::testing
