// SPDX-License-Identifier: Apache-2.0
// The text form of programs: assembler and disassembler. assemble(disassemble(p)) gives p back for every valid program.
//
//   .kernel scale                       ; comments run from ; to the end of the line
//   .arg x dva                          ; name, kind (u32 i32 f32 u64 dva), byte offset (next free one when left out)
//   .arg n u32
//   .l1 96K                             ; also .l2 .acc .group .args
//   .loc 1 "kernels/scale.cpp" 12       ; row of the line table; instructions name it with `line 1`
//   .format 1 "i = %d"                  ; a text to print (uapi/npu_format.h); or in the instruction itself
//     argw r1, n                        ; or the byte offset
//     loop r2, r1                       ; loops close by nesting; branches take a label or a distance: bz r1, +3
//       mm t0, t1, t2 !acc !tb wait s0-=1, s1>=2 sig s3+1  line 1
//       vmul t0, t0, r3                 ; second operand: tile, row tile, col tile, or scalar register
//       accst t3, t0 !scale=r4 !bias=t5 !act=gelu sig s3+1@2   ; @2: to tile 2 of the work-group
//       print 1, r2                     ; or: print "i = %d", r2
//       check "n = %u is too large", r4, r1   ; r4 = 0: prints, and ends the job
//     end
//   done:
//     halt
//
// Thread safety: all functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/isa/program.h"

namespace npu::isa {

struct TextError {
  uint32_t line = 0;  // counted from 1
  std::string text;   // cause and remedy
};

struct AssembleOptions {
  // When not empty: an instruction without `line` gets a row in the line table that names its place in this file.
  std::string source_name;
};

struct Assembly {
  std::vector<Program> programs;
  std::optional<TextError> error;  // when set, programs is empty
};

// Every program that comes back has passed verify_program().
Assembly assemble(std::string_view text, const AssembleOptions& options = {});

std::string disassemble(const Program& program);
std::string disassemble(std::span<const Program> programs);

// One instruction, without its label and with branch distances as numbers.
std::string format_insn(const npu_insn& insn);

}  // namespace npu::isa
