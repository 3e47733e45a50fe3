// SPDX-License-Identifier: Apache-2.0
// Assembler and disassembler: exact round trip, and errors that name line, cause and remedy.
#include "tools/isa/text.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/unit/isa/random_program.h"
#include "tools/isa/codec.h"

namespace npu::isa {
namespace {

void expect_same(const Program& a, const Program& b) {
  EXPECT_EQ(std::memcmp(&a.note, &b.note, sizeof(a.note)), 0);
  ASSERT_EQ(a.insns.size(), b.insns.size());
  for (size_t pc = 0; pc < a.insns.size(); ++pc) {
    EXPECT_EQ(std::memcmp(&a.insns[pc], &b.insns[pc], sizeof(npu_insn)), 0)
        << "pc " << pc << ": " << format_insn(a.insns[pc]) << " | " << format_insn(b.insns[pc]);
  }
  ASSERT_EQ(a.args.size(), b.args.size());
  for (size_t i = 0; i < a.args.size(); ++i)
    EXPECT_EQ(std::memcmp(&a.args[i], &b.args[i], sizeof(npu_note_arg)), 0) << i;
  EXPECT_EQ(a.lines, b.lines);
  EXPECT_EQ(a.formats, b.formats);
}

Program assemble_one(std::string_view text) {
  Assembly assembly = assemble(text);
  if (assembly.error) {
    ADD_FAILURE() << "line " << assembly.error->line << ": " << assembly.error->text;
    return {};
  }
  EXPECT_EQ(assembly.programs.size(), 1u);
  return assembly.programs[0];
}

TEST(RoundTrip, EveryRandomProgramComesBackExactly) {
  std::printf("seeds 1 to 1000\n");
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    const Program program = testing::RandomProgram(seed).make();
    const std::string text = disassemble(program);
    const Assembly back = assemble(text);
    ASSERT_FALSE(back.error) << "seed " << seed << " line " << back.error->line << ": "
                             << back.error->text << "\n"
                             << text;
    ASSERT_EQ(back.programs.size(), 1u);
    expect_same(program, back.programs[0]);
    EXPECT_EQ(disassemble(back.programs[0]), text) << "seed " << seed;
    if (HasFailure()) FAIL() << "seed " << seed << "\n" << text;
  }
}

TEST(RoundTrip, EveryInstructionAloneComesBackExactly) {
  testing::RandomProgram random(7);
  for (int i = 0; i < 20000; ++i) {
    Program program;
    std::strcpy(program.note.name, "k");
    program.note.group_tiles = 16;
    program.note.args_bytes = NPU_ARGS_MAX_BYTES;
    program.formats = testing::RandomProgram::formats();
    program.insns.push_back(random.make_insn(NPU_ARGS_MAX_BYTES, 0, 16));
    program.insns.push_back({});
    program.note.insn_count = 2;
    expect_same(program, assemble_one(disassemble(program)));
    if (HasFailure()) FAIL() << disassemble(program);
  }
}

TEST(Formats, StandInTheTableOrInTheInstruction) {
  const Program program = assemble_one(R"(.kernel k
.format 1 "a = %d, b = %u"
  print 1, r1, r2
  print "a = %d, b = %u", r2, r1
  print "only text; no, really = 1"
  check "i = %u is too large", r3, r1
  check "never", r4
  halt
)");
  ASSERT_EQ(program.formats.size(), 4u);
  EXPECT_EQ(program.formats[1], "only text; no, really = 1");
  EXPECT_EQ(program.insns[1].imm, 1u);
  EXPECT_EQ(program.insns[1].r[0], 2);
  EXPECT_EQ(program.insns[3].op, NPU_OP_CHECK);
  EXPECT_EQ(program.insns[3].r[0], 3);
  EXPECT_EQ(program.insns[3].r[1], 1);
  expect_same(program, assemble_one(disassemble(program)));
}

TEST(Formats, WhatIsNoneIsRefused) {
  const auto refused = [](const std::string& lines, const std::string& part) {
    const Assembly result = assemble(".kernel k\n" + lines + "\n  halt\n");
    ASSERT_TRUE(result.error) << lines;
    EXPECT_NE(result.error->text.find(part), std::string::npos) << result.error->text;
  };
  for (const char* text : {"%s", "%n", "%ld", "%*d", "%.*f", "%", "%123d", "%.123f", "%#d", "%--d",
                           "%c", "%5%", "%d %d %d %d %d", "a\\x0ab", "a\\x1bb", "a\\xffb", ""}) {
    refused("  print \"" + std::string(text) + "\"", "is no format");
  }
  refused("  print 1", "not in the table");
  refused("  print 0", "counted from 1");
  refused("  print \"x\", r1", "there are more registers");
  refused("  print \"%d\", r1, r2", "there are more registers");
  refused("  check \"%d %d %d %d\", r1", "has room for 3");
  refused(".format 2 \"x\"", "this one is 1");
  refused("  print nothing", "neither a format");
  refused("  print", "needs an immediate");
}

TEST(RoundTrip, SeveralKernelsStayApart) {
  const Program programs[] = {testing::RandomProgram(1).make(), testing::RandomProgram(2).make()};
  const Assembly back = assemble(disassemble(programs));
  ASSERT_EQ(back.programs.size(), 2u);
  for (size_t i = 0; i < 2; ++i) expect_same(programs[i], back.programs[i]);
}

constexpr std::string_view kGolden = R"(.kernel scale_rows
.arg x dva 0
.arg n u32 8
.l1 98304
.acc 1024
.group 4
.loc 1 "kernels/scale.cpp" 12
  arg r1, 0  line 1
  argw r2, 8
  tset t0, r1, r2, r3, r3, hbm.bf16.panel
  loop r4, r2
    bz r4, L8
    ld t1, t0 !trans wait s0-=1, s1>=2 sig s2+1  line 1
    mm t3, t1, t2 !acc !tb wait1 s2-=1
    vmul t1, t1, r5
L8:
    vfma t1, t1, col t2, row t3 sig s3+1@2
    accst t1, t3 !scale=r6 !bias=t4 !act=gelu_erf
    mask t1, t1, r7, r0, -inf !causal !length=r8
  end
L12:
  vadd t1, t1, t2 r0=r9
  vfill t1, 0.1
  vfill t1, 0x7fc00001
  cmp r1, r2, r3, leu
  sreg r1, device_tiles
  semset r1, s63
  wait s0>=3
  sig s1+2
  bnz r1, L12
  halt
)";

TEST(Disassembler, TheCanonicalTextIsItsOwnDisassembly) {
  EXPECT_EQ(disassemble(assemble_one(kGolden)), kGolden);
}

TEST(Assembler, FriendlyFormsMeanTheSame) {
  const Program program = assemble_one(
      ".kernel k ; a comment\n.arg m u32\n.arg a dva\n.l1 96K\n"
      "start: again:\n\targw r1,m\n arg r2 a\n loop r3, r1\n bz r3, +1\n nop\n end\n br start\r\n");
  EXPECT_EQ(program.note.l1_bytes, 98304u);
  EXPECT_EQ(program.args[1].offset, 8u);
  EXPECT_EQ(program.note.args_bytes, 16u);
  EXPECT_EQ(program.insns[1].imm, 8u);
  EXPECT_EQ(program.insns[2].imm, 3u);
  EXPECT_EQ(static_cast<int32_t>(program.insns[5].imm), -3);
  EXPECT_EQ(static_cast<int32_t>(program.insns[6].imm), -6);
}

TEST(Assembler, HowAConversionRoundsIsWrittenInWords) {
  const Program program = assemble_one(
      ".kernel k\n"
      "  tset t0, r0, r0, r0, r0, hbm.mxfp6_e2m3.row\n"
      "  cvt t0, t1\n"
      "  cvt t2, t1 !overflow !random=r3 r1=r4 r2=r5\n"
      "  stc t0, t1 !rule=even\n"
      "  stc t0, t1 !random=r0 !rule=wide sig s1+1\n"
      "  halt\n");
  EXPECT_EQ(program.insns[0].imm, NPU_TDESC(NPU_SPACE_HBM, NPU_DTYPE_MXFP6_E2M3, NPU_LAYOUT_ROW));
  EXPECT_EQ(program.insns[1].flags, 0);
  EXPECT_EQ(program.insns[2].flags, NPU_F_OVERFLOW | NPU_F_RANDOM);
  EXPECT_EQ(program.insns[2].r[0], 3);
  EXPECT_EQ(program.insns[2].r[2], 5);
  EXPECT_EQ(program.insns[3].flags, NPU_SCALE_RULE_EVEN << NPU_F_SCALE_RULE_SHIFT);
  EXPECT_EQ(program.insns[4].flags, NPU_F_RANDOM | NPU_SCALE_RULE_WIDE << NPU_F_SCALE_RULE_SHIFT);
  expect_same(program, assemble_one(disassemble(program)));
}

TEST(Assembler, SourceLinesAreNotedOnRequest) {
  const Assembly assembly = assemble(".kernel k\n\nnop\n halt\n", {.source_name = "k.s"});
  ASSERT_FALSE(assembly.error);
  const Program& program = assembly.programs[0];
  EXPECT_EQ(program.lines[program.insns[1].line - 1], (SourceLine{"k.s", 4}));
}

struct Mistake {
  const char* text;
  uint32_t line;
  const char* part;
};

void expect_refused(const Mistake& mistake) {
  const Assembly assembly = assemble(mistake.text);
  ASSERT_TRUE(assembly.error) << mistake.text;
  EXPECT_TRUE(assembly.programs.empty());
  EXPECT_EQ(assembly.error->line, mistake.line) << mistake.text << assembly.error->text;
  EXPECT_NE(assembly.error->text.find(mistake.part), std::string::npos)
      << mistake.text << assembly.error->text;
}

TEST(Assembler, MistakesAreNamedWithTheirLine) {
  static constexpr Mistake kMistakes[] = {
      {"", 0, "begin one with '.kernel NAME'"},
      {"nop\n", 1, "stands before the first '.kernel"},
      {".kernel\n", 1, "write '.kernel NAME'"},
      {".kernel a/b\n", 1, "is no kernel name"},
      {".kernel k\nhalt\n.kernel k\nhalt\n", 3, "two kernels 'k'"},
      {".kernel k\n.l1 many\n", 2, "no number of bytes"},
      {".kernel k\n.l1 5000000M\n", 2, "no number of bytes"},
      {".kernel k\n.what 1\n", 2, "there is no directive '.what'"},
      {".kernel k\n.arg a f64\n", 2, "use u32, i32, f32, u64 or dva"},
      {".kernel k\n.arg a u32\n.arg a u32\n", 3, "two arguments 'a'"},
      {".kernel k\n.arg a u32 1024\n", 2, "outside the 1024 bytes"},
      {".kernel k\n.loc 2 \"f\" 1\n", 2, "this one is 1"},
      {".kernel k\n.loc 1 \"f 1\n", 2, "no closing"},
      {".kernel k\nfoo r1\n", 2, "'foo' is no instruction"},
      {".kernel k\nadd r1, r2\nhalt\n", 2, "'add' needs register operand r2"},
      {".kernel k\nadd r1, r2, r3, r4\n", 2, "no place for 'r4'"},
      {".kernel k\nadd r1, r2, r32\n", 2, "no place for 'r32'"},
      {".kernel k\nmm t0, t1\n", 2, "'mm' needs tile operand b"},
      {".kernel k\nmm t0, t1, t2 !half\n", 2, "'mm' does not take !half"},
      {".kernel k\nmm t0, t1, t2 !acc !acc\n", 2, "stands twice"},
      {".kernel k\nmm t0, t1, t2 !nope\n", 2, "there is no flag !nope"},
      {".kernel k\nsmstep t0, t1, t2, t3 !scale\n", 2, "needs its operand"},
      {".kernel k\naccst t0, t1 !act=foo\n", 2, "is no activation"},
      {".kernel k\nexp t0, t1 wait s64>=1\n", 2, "s0 to s63"},
      {".kernel k\nexp t0, t1 wait s1>=1, s2>=1, s3>=1\n", 2, "at most two"},
      {".kernel k\nexp t0, t1 wait\n", 2, "needs a semaphore"},
      {".kernel k\nexp t0, t1 sig s1\n", 2, "a signal is written"},
      {".kernel k\nexp t0, t1 sig s1+1@16\n", 2, "tiles are 0 to 15"},
      {".kernel k\nexp t0, t1 sig s1+1@3\nhalt\n", 2, "work-group of 1"},
      {".kernel k\nadd r1, r2, r3 sig s1+1\nhalt\n", 2, "a signal is not allowed"},
      {".kernel k\ncmp r1, r2, r3, gt\n", 2, "'gt' is no condition; there are eq ne"},
      {".kernel k\nsreg r1, pc\n", 2, "is no special register"},
      {".kernel k\ntset t0, r0, r0, r0, r0, l1.f64.row\n", 2, "is no descriptor"},
      {".kernel k\nvfill t0, 1.5x\n", 2, "is no fp32 number"},
      {".kernel k\nli r1, 99999999999\n", 2, "is no 32-bit number"},
      {".kernel k\nargw r1, m\n", 2, "neither an argument nor a byte offset"},
      {".kernel k\n.arg m dva\nargw r1, m\n", 3, "has 8 bytes; use arg"},
      {".kernel k\nargw r1, 0\nhalt\n", 2, "outside the 0 bytes"},
      {".kernel k\nbr nowhere\n", 2, "no label 'nowhere:'"},
      {".kernel k\nx: nop\nx: halt\n", 3, "two labels 'x:'"},
      {".kernel k\n1x: nop\n", 2, "is no label"},
      {".kernel k\nbr +2\nhalt\n", 2, "leaves the kernel"},
      {".kernel k\nend\n", 2, "'end' without a 'loop'"},
      {".kernel k\nnop\nloop r1, r2\nhalt\n", 3, "no 'end'"},
      {".kernel k\nnop\n", 2, "run off its end"},
      {".kernel k\nhalt line 1\n", 2, "not in the line table"},
      {".kernel k\n.insn 1 2\n", 2, "eight 32-bit numbers"},
      {".kernel k\n.insn 0xff 0 0 0 0 0 0 0\nhalt\n", 2, "opcode 255 does not exist"},
  };
  for (const Mistake& mistake : kMistakes) expect_refused(mistake);
}

TEST(Assembler, ConversionsAreRefusedWhatTheyDoNotTake) {
  static constexpr Mistake kMistakes[] = {
      {".kernel k\ncvt t0, t1 !rule=even\n", 2, "'cvt' does not take !rule"},
      {".kernel k\nstc t0, t1 !rule=odd\n", 2, "'odd' is no scale rule; there are floor"},
      {".kernel k\nvadd t0, t1, t2 !random=r1\n", 2, "'vadd' does not take !random"},
  };
  for (const Mistake& mistake : kMistakes) expect_refused(mistake);
}

TEST(Disassembler, AnInstructionThatCannotBeDecodedIsWrittenRaw) {
  npu_insn insn{};
  insn.op = 0xff;
  EXPECT_EQ(format_insn(insn),
            ".insn 0x000000ff 0x00000000 0x00000000 0x00000000 0x00000000 "
            "0x00000000 0x00000000 0x00000000");
}

}  // namespace
}  // namespace npu::isa
