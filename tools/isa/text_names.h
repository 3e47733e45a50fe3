// SPDX-License-Identifier: Apache-2.0
// Words of the text form that assembler and disassembler share.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>

#include "uapi/npu_fw.h"
#include "uapi/npu_isa.h"

namespace npu::isa::text {

// The word at index n stands for the number n.
inline constexpr std::string_view kConditions[] = {"eq", "ne", "lt", "le", "ltu", "leu"};
inline constexpr std::string_view kSregs[] = {"group_x",  "group_y",  "group_z",   "grid_x",
                                              "grid_y",   "grid_z",   "tile",      "tiles",
                                              "l1_bytes", "l2_bytes", "acc_bytes", "device_tiles"};
inline constexpr std::string_view kSpaces[] = {"hbm", "l1", "l2", "acc"};
inline constexpr std::string_view kDtypes[] = {
    "f32",        "bf16",  "f16",    "i32", "q8_0",       "q4_0",       "q4_k",
    "q6_k",       "e4m3",  "e5m2",   "i8",  "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e2m3",
    "mxfp6_e3m2", "mxfp4", "mxint8", "mx9", "mx6",        "mx4"};
inline constexpr std::string_view kLayouts[] = {"row", "panel"};
inline constexpr std::string_view kActs[] = {"none",     "relu",    "gelu", "silu",
                                             "gelu_erf", "sigmoid", "tanh"};
inline constexpr std::string_view kArgKinds[] = {"", "u32", "i32", "f32", "u64", "dva"};
inline constexpr std::string_view kScaleRules[] = {"floor", "ceil", "even", "wide"};
static_assert(std::size(kScaleRules) == NPU_SCALE_RULE_COUNT);
static_assert(std::size(kConditions) == NPU_CC_COUNT && std::size(kSregs) == NPU_SREG_COUNT);
static_assert(std::size(kSpaces) == NPU_SPACE_COUNT && std::size(kDtypes) == NPU_DTYPE_COUNT);
static_assert(std::size(kLayouts) == NPU_LAYOUT_COUNT && std::size(kActs) == NPU_ACT_COUNT);
static_assert(std::size(kArgKinds) == NPU_ARG_DVA + 1);

// Flags of one bit. reg, tile: the operand that the flag gives a meaning to, written `!flag=operand`; -1: none.
struct FlagWord {
  std::string_view word;
  uint16_t bit;
  int reg;
  int tile;
};
inline constexpr FlagWord kFlags[] = {
    {"acc", NPU_F_ACC, -1, -1},       {"tb", NPU_F_TB, -1, -1},
    {"trans", NPU_F_TRANS, -1, -1},   {"scale", NPU_F_SCALE, 0, -1},
    {"bias", NPU_F_BIAS, -1, 2},      {"half", NPU_F_HALF, -1, -1},
    {"causal", NPU_F_CAUSAL, -1, -1}, {"window", NPU_F_WINDOW, 2, -1},
    {"length", NPU_F_LENGTH, 3, -1},  {"overflow", NPU_F_OVERFLOW, -1, -1},
    {"random", NPU_F_RANDOM, 0, -1},  {"integer", NPU_F_INTEGER, -1, -1},
    {"tiled", NPU_F_TILED, -1, -1},
};

// CVT and STC: the bits that are broadcasts elsewhere say how they round.
inline bool rounds_by_flags(const npu_insn_info& info) {
  return info.tile[2] != 'T' && (info.flags & NPU_F_RANDOM) != 0;
}

inline bool takes_flag(const npu_insn_info& info, const FlagWord& flag) {
  const bool rounding = (flag.bit & (NPU_F_OVERFLOW | NPU_F_RANDOM)) != 0;
  // INTEGER and TILED of the tensor unit are bits of CAUSAL and WINDOW of the vector unit.
  const bool shared = (flag.bit & (NPU_F_INTEGER | NPU_F_TILED)) != 0;
  const bool of_products = flag.word == "integer" || flag.word == "tiled";
  if (shared && of_products != (info.engine == NPU_ENGINE_MM)) return false;
  return (info.flags & flag.bit) != 0 && (!rounding || rounds_by_flags(info));
}

// Operand c or b of an operation that takes a broadcast: how far its field lies, and which register holds a scalar.
struct BcastOperand {
  uint16_t mask;
  int shift;
  int tile;
  int reg;
};
inline constexpr BcastOperand kBcasts[] = {
    {NPU_F_BCAST_B_MASK, NPU_F_BCAST_B_SHIFT, 2, 0},
    {NPU_F_BCAST_C_MASK, NPU_F_BCAST_C_SHIFT, 3, 1},
};

inline constexpr std::string_view kTileFields[] = {"dst", "a", "b", "c"};
inline constexpr std::string_view kRegFields[] = {"r0", "r1", "r2", "r3"};

inline const BcastOperand* bcast_of_tile(const npu_insn_info& info, int tile) {
  for (const BcastOperand& b : kBcasts) {
    if (b.tile == tile && info.tile[tile] == 'T' && (info.flags & b.mask) != 0) return &b;
  }
  return nullptr;
}

// Operands that only a flag or a broadcast gives a meaning to are not written by position.
inline bool is_optional_tile(const npu_insn_info& info, int tile) {
  for (const FlagWord& flag : kFlags) {
    if (takes_flag(info, flag) && flag.tile == tile) return true;
  }
  return false;
}

inline bool is_optional_reg(const npu_insn_info& info, int reg) {
  if (rounds_by_flags(info)) return true;
  for (const FlagWord& flag : kFlags) {
    if (takes_flag(info, flag) && flag.reg == reg) return true;
  }
  for (const BcastOperand& b : kBcasts) {
    if ((info.flags & b.mask) != 0 && b.reg == reg) return true;
  }
  return false;
}

inline std::optional<uint32_t> find_word(std::span<const std::string_view> words,
                                         std::string_view word) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (!word.empty() && words[i] == word) return static_cast<uint32_t>(i);
  }
  return std::nullopt;
}

inline uint8_t& tile_field(npu_insn& insn, int i) {
  uint8_t* const fields[] = {&insn.dst, &insn.a, &insn.b, &insn.c};
  return *fields[i];
}
inline uint8_t tile_field(const npu_insn& insn, int i) {
  const uint8_t fields[] = {insn.dst, insn.a, insn.b, insn.c};
  return fields[i];
}

}  // namespace npu::isa::text
