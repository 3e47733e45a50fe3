// SPDX-License-Identifier: Apache-2.0
// The kernel builder: the instructions that scalars, tiles, loops, pipes and the chain come to.
#include "tools/isa/builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/isa/codec.h"
#include "tools/isa/pipe.h"

namespace npu::isa {
namespace {

std::vector<std::string> mnemonics(const Program& program) {
  std::vector<std::string> names;
  for (const npu_insn& insn : program.insns) names.emplace_back(kInsnTable[insn.op].mnemonic);
  return names;
}

using Names = std::vector<std::string>;

// The only instruction with this opcode.
const npu_insn& only(const Program& program, npu_op op) {
  const npu_insn* found = nullptr;
  for (const npu_insn& insn : program.insns) {
    if (insn.op != op) continue;
    EXPECT_EQ(found, nullptr) << "more than one";
    found = &insn;
  }
  EXPECT_NE(found, nullptr);
  return *found;
}

TEST(Builder, AnEmptyKernelHalts) {
  Kernel k("empty");
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program), Names({"halt"}));
  EXPECT_STREQ(program.note.name, "empty");
  EXPECT_EQ(program.note.group_tiles, 1u);
  EXPECT_EQ(program.note.insn_count, 1u);
}

TEST(Builder, ArgumentsAreAlignedToTheirSizeAndLoadedByKind) {
  Kernel k("args");
  Arg m = k.arg_u32("m");
  Arg a = k.arg_dva("a");
  Arg s = k.arg_i32("s");
  Arg f = k.arg_f32("f");
  Arg n = k.arg_u32("n");
  Reg rm = m, ra = a, rs = s, rf = f, rn = n;
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program), Names({"argw", "arg", "args", "argw", "argw", "halt"}));
  const uint32_t offsets[] = {0, 8, 16, 20, 24};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(program.insns[i].imm, offsets[i]);
  EXPECT_EQ(program.note.args_bytes, 32u);
  EXPECT_EQ(program.args[1].size, 8);
  EXPECT_EQ(program.args[1].kind, NPU_ARG_DVA);
  EXPECT_STREQ(program.args[4].name, "n");
}

TEST(Builder, ConstantsTakeTheShortestForm) {
  Kernel k("constants");
  Reg x = k.reg(7);
  Reg y = x + 5;
  Reg z = 3 * y;
  Reg w = z - 2;
  Reg v = k.reg(int64_t{1} << 40);
  Reg u = x + 0x123456789ll;
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program),
            Names({"li", "addi", "muli", "addi", "li", "lih", "li", "lih", "add", "halt"}));
  EXPECT_EQ(static_cast<int32_t>(program.insns[3].imm), -2);
  EXPECT_EQ(program.insns[5].imm, 256u);
}

TEST(Builder, AssignmentWritesIntoTheVariable) {
  Kernel k("assign");
  Reg x = k.reg(1);
  const uint8_t number = x.number();
  x = x + 1;
  EXPECT_EQ(x.number(), number);
  Reg y = k.reg(2);
  x = y;
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program), Names({"li", "addi", "li", "mov", "halt"}));
  EXPECT_EQ(program.insns[1].r[0], number);
  EXPECT_EQ(program.insns[1].r[1], number);
  EXPECT_EQ(program.insns[3].r[0], number);
}

TEST(Builder, AValueThatComesFromTwoWaysIsMovedNotRenamed) {
  Kernel k("two_ways");
  Reg x = k.reg(1);
  Reg t = k.reg(2);
  k.if_(x, [&] { t = t + 1; });
  x = std::move(t);
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program), Names({"li", "li", "bz", "addi", "mov", "halt"}));
}

TEST(Builder, RegistersAreUsedAgainAfterTheirScope) {
  Kernel k("scopes");
  for (int i = 0; i < 100; ++i) {
    Reg a = k.reg(i), b = a + 1;
    Reg c = min(a, b) * max(a, b) / 3;
  }
  EXPECT_EQ(k.reg(0).number(), 1);
}

TEST(BuilderDeathTest, RunningOutOfRegistersSaysSo) {
  Kernel k("many");
  std::vector<Reg> regs;
  for (int i = 0; i < 31; ++i) regs.push_back(k.reg(i));
  EXPECT_DEATH(k.reg(31), "builder_test.cpp.*kernel 'many'.*all 31 scalar registers");
}

TEST(BuilderDeathTest, MistakesOfTheAuthorNameThePlace) {
  Kernel k("wrong");
  Tile l1 = k.tile_l1(DType::F32, 0, 4, 4);
  Tile hbm = k.tile_hbm(DType::BF16, 0, 4, 4);
  Sem s = k.sem();
  EXPECT_DEATH(k.ld(hbm, l1), "ld: destination lies in the wrong memory");
  EXPECT_DEATH(k.ld(l1, hbm), "different types");
  EXPECT_DEATH(k.exp(l1, l1).acc(), "'exp' has no such flag");
  EXPECT_DEATH(k.exp(l1, l1).signal(s).signal(s), "one signal");
  EXPECT_DEATH(k.exp(l1, l1).wait(s).wait(s).wait(s), "at most two");
  EXPECT_DEATH(k.tile(Space::Acc, DType::BF16, 0, 1, 1), "accumulator is fp32");
}

TEST(Builder, LoopsAndConditionsBranchToTheRightPlaces) {
  Kernel k("control");
  Reg n = k.arg_u32("n");
  Reg sum = k.reg(0);
  k.for_range(n, [&](const Reg& i) {
    k.if_(
        i < 3, [&] { sum += i; }, [&] { sum += 1; });
  });
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program),
            Names({"argw", "li", "loop", "li", "cmp", "bz", "add", "br", "addi", "end", "halt"}));
  EXPECT_EQ(program.insns[2].imm, 7u);
  EXPECT_EQ(static_cast<int32_t>(program.insns[9].imm), -7);
  EXPECT_EQ(program.insns[5].imm, 3u);
  EXPECT_EQ(program.insns[7].imm, 2u);
}

TEST(Builder, AStepLoopCountsUpFromItsBegin) {
  Kernel k("step");
  Reg n = k.arg_u32("n");
  k.for_range(4, n, 16, [&](const Reg&) { k.fence(); });
  const Program program = k.finish();
  EXPECT_EQ(mnemonics(program), Names({"argw", "li", "addi", "max", "addi", "addi", "li", "divu",
                                       "loop", "fence", "addi", "end", "halt"}));
}

TEST(Builder, ATileIsSetFromConstantsAndRegisters) {
  Kernel k("tiles");
  Reg rows = k.arg_u32("rows");
  Buf buf = k.l1(1000);
  Buf next = k.l1(64);
  EXPECT_EQ(next.offset_bytes, 1024u);
  Tile t = k.tile_l1(DType::BF16, next, rows, 32);
  Tile p = k.panel_l1(DType::F32, buf, rows, 32);
  Tile v = t.view(1, 0, 2, 32);
  v.advance(64);
  t = v.moved(128);
  const Program program = k.finish();
  EXPECT_EQ(program.note.l1_bytes, 1088u);
  const npu_insn& set = program.insns[3];
  EXPECT_EQ(set.op, NPU_OP_TSET);
  EXPECT_EQ(set.imm, NPU_TDESC(NPU_SPACE_L1, NPU_DTYPE_BF16, NPU_LAYOUT_ROW));
  EXPECT_EQ(set.r[1], rows.number());
  EXPECT_EQ(set.r[2], set.r[3]);
  const npu_insn& last = program.insns[program.insns.size() - 2];
  EXPECT_EQ(last.op, NPU_OP_TADD);
  EXPECT_EQ(last.dst, t.number());
  EXPECT_EQ(last.a, v.number());
}

TEST(Builder, WeightsInBlocksAreLoadedByConversion) {
  Kernel k("blocks");
  Tile from = k.tile_hbm(DType::Q4_K, k.arg_dva("w"), 4, 512);
  Tile to = k.tile_l1(DType::F32, k.l1(512 * 16), 512, 4);
  k.ldc(to, from).trans();
  const Program program = k.finish();
  const npu_insn& ldc = only(program, NPU_OP_LDC);
  EXPECT_EQ(ldc.dst, to.number());
  EXPECT_EQ(ldc.a, from.number());
  EXPECT_EQ(ldc.flags, NPU_F_TRANS);
  const auto set = std::find_if(program.insns.begin(), program.insns.end(),
                                [](const npu_insn& insn) { return insn.op == NPU_OP_TSET; });
  EXPECT_EQ(set->imm, NPU_TDESC(NPU_SPACE_HBM, NPU_DTYPE_Q4_K, NPU_LAYOUT_ROW));
  static_assert(block_shape(DType::Q4_K).bytes == 144 && block_shape(DType::BF16).bytes == 2);
}

TEST(Builder, AConvertingStoreSaysHowItRounds) {
  Kernel k("stores");
  Tile from = k.tile_l1(DType::F32, k.l1(4 * 64 * 4), 4, 64);
  Tile fp8 = k.tile_l1(DType::E5M2, k.l1(4 * 64), 4, 64);
  Tile blocks = k.tile_hbm(DType::MXFP4, k.arg_dva("d"), 4, 64);
  Reg seed = k.arg_u64("seed");
  k.stc(blocks, from).scale_rule(ScaleRule::Ceil).random(seed, 0, 64);
  k.cvt(fp8, from).overflow();
  const Program program = k.finish();
  const npu_insn& stc = only(program, NPU_OP_STC);
  EXPECT_EQ(stc.dst, blocks.number());
  EXPECT_EQ(stc.flags, NPU_F_RANDOM | NPU_SCALE_RULE_CEIL << NPU_F_SCALE_RULE_SHIFT);
  EXPECT_EQ(stc.r[0], seed.number());
  EXPECT_EQ(stc.r[1], 0);
  EXPECT_NE(stc.r[2], 0);
  EXPECT_EQ(only(program, NPU_OP_CVT).flags, NPU_F_OVERFLOW);
  static_assert(block_shape(DType::MXFP4).bytes == 17 && dtype_bytes(DType::E5M2) == 1);
}

TEST(BuilderDeathTest, ConversionsThatDoNotExistAreRefused) {
  Kernel k("wrong");
  Tile f32 = k.tile_l1(DType::F32, 0, 4, 256);
  Tile i8 = k.tile_l1(DType::I8, 0, 4, 256);
  Tile q4_k = k.tile_hbm(DType::Q4_K, 0, 4, 256);
  Tile mx9 = k.tile_hbm(DType::MX9, 0, 4, 256);
  EXPECT_DEATH(k.stc(q4_k, f32), "not into Q4_K");
  EXPECT_DEATH(k.stc(mx9, i8), "from a floating type");
  EXPECT_DEATH(k.stc(mx9, f32).scale_rule(ScaleRule::Even), "OCP MX types");
  EXPECT_DEATH(k.cvt(i8, f32).overflow(), "is for FP8");
  EXPECT_DEATH(k.cvt(i8, f32).random(1, 0, 256), "is for bf16, fp16, FP8 and MX");
  EXPECT_DEATH(k.mm(f32, i8, i8), "of i8 it is i32");
  EXPECT_DEATH(k.vadd(f32, f32, row(f32)).overflow(), "no such flag");
}

TEST(Builder, ModifiersOfAnOperationSetItsFields) {
  Kernel k("fields");
  Tile acc = k.tile_acc(0, 16, 16);
  Tile a = k.tile_l1(DType::BF16, 0, 16, 16);
  Tile bias = k.tile_l1(DType::F32, 4096, 1, 16);
  Sem s = k.sem(), full = k.sem(), done = k.sem();
  k.mm(acc, a, a).acc().tb().wait(s).consume(full, 2).signal_peer(done, 3, 4);
  k.accst(a, acc).scale(0.5f).bias(bias).act(Act::Gelu);
  k.vfma(a, a, col(bias), 2.0);
  k.mask(a, a, 8, 0).causal().length(100);
  k.group(4);
  const Program program = k.finish();
  const npu_insn& mm = only(program, NPU_OP_MM);
  EXPECT_EQ(mm.flags, NPU_F_ACC | NPU_F_TB);
  EXPECT_EQ(mm.wait0, NPU_WAIT(s.number, 1, 0));
  EXPECT_EQ(mm.wait1, NPU_WAIT(full.number, 2, 1));
  EXPECT_EQ(mm.signal, NPU_SIGNAL_TO(done.number, 4, 3));
  const npu_insn& accst = only(program, NPU_OP_ACCST);
  EXPECT_EQ(accst.flags, NPU_F_SCALE | NPU_F_BIAS | (NPU_ACT_GELU << NPU_F_ACT_SHIFT));
  EXPECT_EQ(accst.b, bias.number());
  EXPECT_NE(accst.r[0], 0);
  const npu_insn& vfma = only(program, NPU_OP_VFMA);
  EXPECT_EQ(vfma.flags,
            NPU_BCAST_COL << NPU_F_BCAST_B_SHIFT | NPU_BCAST_SCALAR << NPU_F_BCAST_C_SHIFT);
  EXPECT_NE(vfma.r[1], 0);
  const npu_insn& mask = only(program, NPU_OP_MASK);
  EXPECT_EQ(mask.flags, NPU_F_CAUSAL | NPU_F_LENGTH);
  EXPECT_EQ(mask.imm, 0xff800000u);
}

TEST(Builder, EveryInstructionNamesItsSourceLine) {
  Kernel k("lines");
  Reg x = k.reg(1);
  const uint32_t line = __LINE__ + 1;
  Reg y = x + 2;
  const Program program = k.finish();
  const SourceLine& source = program.lines[program.insns[1].line - 1];
  EXPECT_EQ(source.line, line);
  EXPECT_EQ(source.file, "tests/unit/isa/builder_test.cpp");
}

TEST(Pipe, FirstAndLastOperationsCarryTheSemaphores) {
  Kernel k("pipe");
  Reg n = k.arg_u32("n");
  Reg a = k.arg_dva("a");
  Pipe<2> p(k, 4096);
  Tile source = k.tile_hbm(DType::F32, a, 16, 32);
  Tile acc = k.tile_acc(0, 16, 16);
  k.for_range(n, [&](const Reg&) {
    p.produce([&](const Reg& at) {
      k.ld(k.tile_l1(DType::F32, at, 16, 32), source);
      k.ld(k.tile_l1(DType::F32, at + 2048, 16, 32), source);
    });
    p.consume([&](const Reg& at) {
      Tile t = k.tile_l1(DType::F32, at, 16, 32);
      k.mm(acc, t, k.tile_l1(DType::F32, at + 2048, 16, 32)).tb();
    });
  });
  const Program program = k.finish();
  std::vector<npu_insn> ops;
  for (const npu_insn& insn : program.insns) {
    if (kInsnTable[insn.op].engine != NPU_ENGINE_CTRL) ops.push_back(insn);
  }
  ASSERT_EQ(ops.size(), 3u);
  EXPECT_EQ(ops[0].wait0, NPU_WAIT(p.free().number, 1, 1));
  EXPECT_EQ(ops[0].signal, 0u);
  EXPECT_EQ(ops[1].wait0, 0u);
  EXPECT_EQ(ops[1].signal, NPU_SIGNAL(p.full().number, 1));
  EXPECT_EQ(ops[2].wait0, NPU_WAIT(p.full().number, 1, 1));
  EXPECT_EQ(ops[2].signal, NPU_SIGNAL(p.free().number, 1));
  EXPECT_EQ(program.note.l1_bytes, 8192u);
  const npu_insn& semset = only(program, NPU_OP_SEMSET);
  EXPECT_EQ(semset.imm, p.free().number);
  EXPECT_EQ(program.insns[&semset - program.insns.data() - 1].imm, 2u);
}

TEST(PipeDeathTest, AnOperationThatMayNotRunIsRefused) {
  Kernel k("pipe");
  Reg x = k.arg_u32("x");
  Tile source = k.tile_hbm(DType::F32, 0, 16, 32);
  Pipe<3> p(k, 4096);
  EXPECT_DEATH(p.produce([&](const Reg& at) {
    k.if_(x, [&] { k.ld(k.tile_l1(DType::F32, at, 16, 32), source); });
  }),
               "must always run");
  EXPECT_DEATH(p.produce([&](const Reg&) {}), "no engine operation");
}

}  // namespace
}  // namespace npu::isa
