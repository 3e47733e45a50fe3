// SPDX-License-Identifier: Apache-2.0
// The instruction table and the verifier of the tools: what is well-formed passes, each single mistake is named.
#include "tools/isa/codec.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/unit/isa/random_program.h"

namespace npu::isa {
namespace {

npu_insn insn_of(npu_op op) {
  npu_insn insn{};
  insn.op = static_cast<uint8_t>(op);
  return insn;
}

npu_insn branch_of(npu_op op, int32_t distance) {
  npu_insn insn = insn_of(op);
  insn.imm = static_cast<uint32_t>(distance);
  return insn;
}

using Insns = std::vector<npu_insn>;

void expect_error(const Insns& insns, uint32_t pc, const std::string& part,
                  const KernelLimits& limits = {}) {
  const auto error = verify_program(insns, limits);
  ASSERT_TRUE(error.has_value()) << "accepted; expected: " << part;
  EXPECT_EQ(error->pc, pc) << error->text;
  EXPECT_NE(error->text.find(part), std::string::npos) << error->text;
}

TEST(Encoding, EveryFieldLiesAtItsByte) {
  std::array<uint8_t, NPU_INSN_BYTES> bytes;
  bytes.fill(0xcc);
  npu_insn insn;
  std::memset(&insn, 0xcc, sizeof(insn));
  EXPECT_EQ(encode(insn), bytes);
  const auto expect_only = [&](size_t at, size_t size, const char* name) {
    const auto changed = encode(insn);
    for (size_t i = 0; i < NPU_INSN_BYTES; ++i) {
      EXPECT_EQ(changed[i], i >= at && i < at + size ? i - at + 1 : 0xcc) << name << " byte " << i;
    }
    const npu_insn back = decode(changed);
    EXPECT_EQ(std::memcmp(&back, &insn, sizeof(insn)), 0) << name;
    std::memset(&insn, 0xcc, sizeof(insn));
  };
  insn.op = 1, expect_only(0, 1, "op");
  insn.rsvd = 1, expect_only(1, 1, "rsvd");
  insn.flags = 0x0201, expect_only(2, 2, "flags");
  insn.dst = 1, expect_only(4, 1, "dst");
  insn.a = 1, expect_only(5, 1, "a");
  insn.b = 1, expect_only(6, 1, "b");
  insn.c = 1, expect_only(7, 1, "c");
  insn.wait0 = 0x04030201, expect_only(8, 4, "wait0");
  insn.wait1 = 0x04030201, expect_only(12, 4, "wait1");
  insn.signal = 0x04030201, expect_only(16, 4, "signal");
  insn.imm = 0x04030201, expect_only(20, 4, "imm");
  for (size_t i = 0; i < 4; ++i) insn.r[i] = 1, expect_only(24 + i, 1, "r");
  insn.line = 0x04030201, expect_only(28, 4, "line");
}

TEST(Table, EveryRowIsFoundByItsMnemonic) {
  size_t rows = 0;
  for (unsigned op = 0; op < 256; ++op) {
    if (kInsnTable[op].mnemonic == nullptr) continue;
    ++rows;
    EXPECT_EQ(find_opcode(kInsnTable[op].mnemonic), static_cast<uint8_t>(op));
  }
  EXPECT_EQ(rows, std::size(internal::kInsnRows));
  EXPECT_FALSE(find_opcode("no_such").has_value());
}

TEST(Instruction, RandomWellFormedOnesPassAndEveryStrayBitIsSeen) {
  const uint64_t seed = 20240607;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  testing::RandomProgram random(seed);
  for (int i = 0; i < 20000; ++i) {
    const npu_insn good = random.make_insn(64, 3, 4);
    ASSERT_EQ(check_insn(good), std::nullopt) << kInsnTable[good.op].mnemonic;
    const npu_insn_info& info = kInsnTable[good.op];
    npu_insn bad = good;
    bad.rsvd = 1;
    EXPECT_TRUE(check_insn(bad));
    bad = good;
    bad.flags = static_cast<uint16_t>(bad.flags | (~info.flags & (1u << random.below(16))));
    if (bad.flags != good.flags) {
      EXPECT_TRUE(check_insn(bad));
    }
    for (int r = 0; r < 4; ++r) {
      bad = good;
      bad.r[r] = info.reg[r] == 'N' ? 1 : 32;
      EXPECT_TRUE(check_insn(bad)) << info.mnemonic << " r" << r;
    }
    uint8_t npu_insn::*const tiles[] = {&npu_insn::dst, &npu_insn::a, &npu_insn::b, &npu_insn::c};
    for (int t = 0; t < 4; ++t) {
      bad = good;
      bad.*tiles[t] = info.tile[t] == 'N' ? 1 : 64;
      EXPECT_TRUE(check_insn(bad)) << info.mnemonic << " tile " << t;
    }
    if (info.imm == 'N') {
      bad = good;
      bad.imm = 1;
      EXPECT_TRUE(check_insn(bad)) << info.mnemonic;
    }
  }
}

TEST(Instruction, OpcodesThatDoNotExistAreRefused) {
  for (unsigned op = 0; op < 256; ++op) {
    npu_insn insn{};
    insn.op = static_cast<uint8_t>(op);
    if (kInsnTable[op].mnemonic == nullptr) {
      EXPECT_TRUE(check_insn(insn)) << op;
    }
  }
}

TEST(Instruction, ImmediatesStayInTheirRange) {
  const auto check = [](npu_op op, uint32_t imm) {
    npu_insn insn = insn_of(op);
    insn.imm = imm;
    return check_insn(insn).has_value();
  };
  EXPECT_FALSE(check(NPU_OP_CMP, NPU_CC_COUNT - 1));
  EXPECT_TRUE(check(NPU_OP_CMP, NPU_CC_COUNT));
  EXPECT_TRUE(check(NPU_OP_SREG, NPU_SREG_COUNT));
  EXPECT_TRUE(check(NPU_OP_SEMSET, 64));
  EXPECT_TRUE(check(NPU_OP_ARG, 4));
  EXPECT_FALSE(check(NPU_OP_ARGW, 4));
  EXPECT_TRUE(check(NPU_OP_ARGW, 2));
  EXPECT_TRUE(check(NPU_OP_ARG, NPU_ARGS_MAX_BYTES));
  EXPECT_FALSE(check(NPU_OP_ARG, NPU_ARGS_MAX_BYTES - 8));
  EXPECT_TRUE(check(NPU_OP_ARGW, 0xfffffffc));
  EXPECT_TRUE(check(NPU_OP_TSET, NPU_TDESC(NPU_SPACE_COUNT, 0, 0)));
  EXPECT_TRUE(check(NPU_OP_TSET, NPU_TDESC(0, NPU_DTYPE_COUNT, 0)));
  EXPECT_TRUE(check(NPU_OP_TSET, NPU_TDESC(0, 0, NPU_LAYOUT_COUNT)));
  EXPECT_TRUE(check(NPU_OP_TSET, 0x01000000));
  for (uint32_t block = 0; block < NPU_DTYPE_COUNT; ++block) {
    if (npu_dtype_in_blocks(block) == 0) continue;
    EXPECT_FALSE(check(NPU_OP_TSET, NPU_TDESC(NPU_SPACE_HBM, block, NPU_LAYOUT_ROW)));
    EXPECT_TRUE(check(NPU_OP_TSET, NPU_TDESC(NPU_SPACE_HBM, block, NPU_LAYOUT_PANEL)));
    for (uint32_t space : {NPU_SPACE_L1, NPU_SPACE_L2, NPU_SPACE_ACC})
      EXPECT_TRUE(check(NPU_OP_TSET, NPU_TDESC(space, block, NPU_LAYOUT_ROW)));
  }
}

TEST(Instruction, ActivationsAndScalarBroadcastsAreChecked) {
  npu_insn insn = insn_of(NPU_OP_ACCST);
  insn.flags = NPU_ACT_TANH << NPU_F_ACT_SHIFT;
  EXPECT_FALSE(check_insn(insn));
  insn.flags = NPU_F_ACT_MASK;
  EXPECT_TRUE(check_insn(insn));
  insn = insn_of(NPU_OP_VADD);
  insn.flags = NPU_F_BCAST_B_MASK;
  EXPECT_FALSE(check_insn(insn));
  insn.b = 1;
  EXPECT_TRUE(check_insn(insn));
}

TEST(Instruction, WaitsAndSignalsStandOnlyWhereTheyMay) {
  npu_insn insn = insn_of(NPU_OP_MM);
  insn.wait0 = NPU_WAIT(63, 65535, 1);
  insn.wait1 = NPU_WAIT(0, 0, 0);
  insn.signal = NPU_SIGNAL_TO(63, 65535, 15);
  EXPECT_FALSE(check_insn(insn));
  for (uint32_t bit = 1; bit != 0; bit <<= 1) {
    npu_insn bad = insn;
    bad.wait0 |= bit & NPU_WAIT_RESERVED;
    EXPECT_EQ(check_insn(bad).has_value(), (bit & NPU_WAIT_RESERVED) != 0);
    bad = insn;
    bad.signal |= bit & NPU_SIGNAL_RESERVED;
    EXPECT_EQ(check_insn(bad).has_value(), (bit & NPU_SIGNAL_RESERVED) != 0);
  }
  npu_insn bad = insn;
  bad.wait0 &= ~NPU_WAIT_VALID;
  EXPECT_TRUE(check_insn(bad));
  bad = insn;
  bad.signal &= ~NPU_SIGNAL_PEER;
  EXPECT_TRUE(check_insn(bad));
  for (npu_op op : {NPU_OP_ADD, NPU_OP_SIG, NPU_OP_FENCE, NPU_OP_HALT}) {
    bad = insn_of(op);
    bad.wait0 = NPU_WAIT(0, 1, 1);
    EXPECT_TRUE(check_insn(bad)) << op;
  }
  for (npu_op op : {NPU_OP_ADD, NPU_OP_WAIT, NPU_OP_FENCE, NPU_OP_HALT}) {
    bad = insn_of(op);
    bad.signal = NPU_SIGNAL(0, 1);
    EXPECT_TRUE(check_insn(bad)) << op;
  }
}

TEST(Verifier, RandomProgramsPass) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Program program = testing::RandomProgram(seed).make();
    const auto error = verify_program(program);
    ASSERT_FALSE(error.has_value())
        << "seed " << seed << " pc " << error->pc << ": " << error->text;
  }
}

TEST(Verifier, AKernelEndsInHaltBranchOrTrap) {
  expect_error({}, 0, "no instructions");
  expect_error({insn_of(NPU_OP_NOP)}, 0, "run off its end");
  expect_error({branch_of(NPU_OP_BNZ, 0)}, 0, "run off its end");
  EXPECT_FALSE(verify_program(Insns{branch_of(NPU_OP_BR, 0)}, {}));
  EXPECT_FALSE(verify_program(Insns{insn_of(NPU_OP_TRAP)}, {}));
}

TEST(Verifier, BranchesStayInTheKernel) {
  const npu_insn halt = insn_of(NPU_OP_HALT);
  EXPECT_FALSE(verify_program(Insns{branch_of(NPU_OP_BZ, 1), halt}, {}));
  expect_error({branch_of(NPU_OP_BZ, 2), halt}, 0, "leaves the kernel");
  expect_error({branch_of(NPU_OP_BZ, -1), halt}, 0, "leaves the kernel");
  expect_error({branch_of(NPU_OP_BZ, INT32_MIN), halt}, 0, "leaves the kernel");
}

TEST(Verifier, LoopsMatchAndBranchesDoNotCrossThem) {
  const npu_insn halt = insn_of(NPU_OP_HALT);
  const npu_insn nop = insn_of(NPU_OP_NOP);
  const npu_insn loop = branch_of(NPU_OP_LOOP, 2);
  const npu_insn end = branch_of(NPU_OP_END, -2);
  EXPECT_FALSE(verify_program(Insns{loop, nop, end, halt}, {}));
  expect_error({loop, nop, halt}, 0, "LOOP without an END");
  expect_error({nop, end, halt}, 1, "END without a LOOP");
  expect_error({branch_of(NPU_OP_LOOP, 1), nop, end, halt}, 0, "LOOP must name its END");
  expect_error({loop, nop, branch_of(NPU_OP_END, -1), halt}, 2, "END must name its LOOP");
  EXPECT_FALSE(verify_program(Insns{loop, branch_of(NPU_OP_BZ, 1), end, halt}, {}));
  expect_error({loop, branch_of(NPU_OP_BZ, 2), end, halt}, 1, "crosses the border");
  expect_error({loop, branch_of(NPU_OP_BZ, -1), end, halt}, 1, "crosses the border");
  expect_error({branch_of(NPU_OP_BZ, 2), loop, nop, end, halt}, 0, "crosses the border");
  expect_error({branch_of(NPU_OP_BZ, 3), loop, nop, end, halt}, 0, "crosses the border");
}

TEST(Verifier, LoopsNestAtMostEightDeep) {
  const auto nest = [](int32_t depth) {
    Insns insns;
    for (int32_t i = 0; i < depth; ++i)
      insns.push_back(branch_of(NPU_OP_LOOP, 2 * (depth - i) - 1));
    for (int32_t i = 0; i < depth; ++i) insns.push_back(branch_of(NPU_OP_END, -(2 * i + 1)));
    insns.push_back(insn_of(NPU_OP_HALT));
    return insns;
  };
  EXPECT_FALSE(verify_program(nest(8), {}));
  expect_error(nest(9), 8, "more than 8 deep");
}

TEST(Verifier, ArgumentsPeersAndLinesStayInTheirLimits) {
  npu_insn arg = insn_of(NPU_OP_ARG);
  arg.imm = 8;
  const npu_insn halt = insn_of(NPU_OP_HALT);
  EXPECT_FALSE(verify_program(Insns{arg, halt}, {.args_bytes = 16}));
  expect_error({arg, halt}, 0, "outside the 8 bytes", {.args_bytes = 8});
  npu_insn sig = insn_of(NPU_OP_SIG);
  sig.signal = NPU_SIGNAL_TO(0, 1, 3);
  EXPECT_FALSE(verify_program(Insns{sig, halt}, {.group_tiles = 4}));
  expect_error({sig, halt}, 0, "work-group of 3", {.group_tiles = 3});
  npu_insn line = halt;
  line.line = 2;
  EXPECT_FALSE(verify_program(Insns{line}, {.line_count = 2}));
  expect_error({line}, 0, "not in the line table", {.line_count = 1});
}

TEST(Verifier, ResourcesAndNamesOfAProgramAreChecked) {
  const auto base = [] {
    Program program;
    std::strcpy(program.note.name, "k");
    program.note.group_tiles = 1;
    program.note.insn_count = 1;
    program.note.args_bytes = 8;
    program.note.nargs = 1;
    program.insns.push_back(insn_of(NPU_OP_HALT));
    npu_note_arg arg{};
    std::strcpy(arg.name, "a");
    arg.kind = NPU_ARG_U32;
    arg.size = 4;
    program.args.push_back(arg);
    return program;
  };
  EXPECT_FALSE(verify_program(base()));
  const auto refused = [&base](auto change) {
    Program program = base();
    change(program);
    return verify_program(program).has_value();
  };
  EXPECT_TRUE(refused([](Program& p) { p.note.name[0] = 0; }));
  EXPECT_TRUE(refused([](Program& p) { std::memset(p.note.name, 'x', sizeof(p.note.name)); }));
  EXPECT_TRUE(refused([](Program& p) { p.note.name[5] = 'x'; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.name[0] = '/'; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.group_tiles = 0; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.group_tiles = 17; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.insn_count = 2; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.nargs = 2; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.args_bytes = 4; }));
  EXPECT_TRUE(refused([](Program& p) { p.note.args_bytes = 1032; }));
  EXPECT_TRUE(refused([](Program& p) { p.args[0].offset = 8; }));
  EXPECT_TRUE(refused([](Program& p) { p.args[0].offset = 2; }));
  EXPECT_TRUE(refused([](Program& p) { p.args[0].size = 8; }));
  EXPECT_TRUE(refused([](Program& p) { p.args[0].kind = 9; }));
  EXPECT_TRUE(refused([](Program& p) { p.args[0].rsvd = 1; }));
  EXPECT_TRUE(refused([](Program& p) { p.args[0].name[0] = 0; }));
}

}  // namespace
}  // namespace npu::isa
