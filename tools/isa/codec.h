// SPDX-License-Identifier: Apache-2.0
// Decoder and verifier of the tile instruction set for the tools: one table, expanded from isa.def.
// Thread safety: all functions are pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tools/isa/program.h"
#include "uapi/npu_isa.h"

namespace npu::isa {

namespace internal {

struct InsnRow {
  uint8_t code;
  npu_insn_info info;
};

inline constexpr InsnRow kInsnRows[] = {
#define NPU_INSN(code, NAME, mn, eng, d, a, b, c, r0, r1, r2, r3, imm, flags, doc) \
  {code,                                                                           \
   {mn,                                                                            \
    NPU_ENGINE_##eng,                                                              \
    {#d[0], #a[0], #b[0], #c[0]},                                                  \
    {#r0[0], #r1[0], #r2[0], #r3[0]},                                              \
    #imm[0],                                                                       \
    flags}},
#include "uapi/spec/isa.def"
};

consteval std::array<npu_insn_info, 256> make_insn_table() {
  std::array<npu_insn_info, 256> table{};
  for (const InsnRow& row : kInsnRows) {
    if (table[row.code].mnemonic != nullptr) throw "isa.def: an opcode stands twice";
    for (const InsnRow& other : kInsnRows) {
      if (&other != &row && std::string_view(other.info.mnemonic) == row.info.mnemonic)
        throw "isa.def: a mnemonic stands twice";
    }
    table[row.code] = row.info;
  }
  return table;
}

}  // namespace internal

inline constexpr std::array<npu_insn_info, 256> kInsnTable = internal::make_insn_table();

// An instruction from its 32 bytes as they stand in a blob, and back. Neither judges the content.
npu_insn decode(std::span<const uint8_t, NPU_INSN_BYTES> bytes);
std::array<uint8_t, NPU_INSN_BYTES> encode(const npu_insn& insn);

// The opcode of a mnemonic; nothing when there is none.
std::optional<uint8_t> find_opcode(std::string_view mnemonic);

// What is wrong with one instruction by itself; nothing when it is well-formed.
std::optional<std::string> check_insn(const npu_insn& insn);

struct ProgramError {
  uint32_t pc = 0;  // index of the instruction, counted from the kernel's entry
  std::string text;
};

struct KernelLimits {
  uint32_t args_bytes = 0;
  uint32_t group_tiles = 1;
  uint32_t line_count = UINT32_MAX;  // rows of the line table; not known: every id is taken
  // Arguments that each format takes; not known: every number is taken.
  std::optional<std::vector<uint8_t>> format_args = std::nullopt;
};

// The first thing that is wrong with a kernel; nothing when a device may run it.
std::optional<ProgramError> verify_program(std::span<const npu_insn> insns,
                                           const KernelLimits& limits);

// As above for a whole program: resources, argument table and names too.
std::optional<ProgramError> verify_program(const Program& program);

// Names of kernels and arguments: 1..|field_bytes| - 1 characters of [A-Za-z0-9_.-], NUL to the end of the field.
bool is_valid_name(const char* field, size_t field_bytes);

uint32_t arg_size(uint8_t kind);  // 0: no such kind

// How many arguments a format takes; nothing when it is none that a device takes.
std::optional<uint8_t> format_args(const std::string& text);

}  // namespace npu::isa
