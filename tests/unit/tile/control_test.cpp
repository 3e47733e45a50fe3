// SPDX-License-Identifier: Apache-2.0
// Control instructions: what each leaves in its register.
#include <gtest/gtest.h>

#include <bit>

#include <functional>

#include "machine.h"

namespace npu::model {
namespace {

// Runs |body|, which leaves its result in register 1, and returns that.
uint64_t result_of(const std::function<void(Kernel&)>& body) {
  Machine m;
  Kernel k;
  body(k);
  k.emit(1, kOut);
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_OK) << "pc " << result.fault.pc;
  return m.memory.get<uint64_t>(kOut, 1)[0];
}

uint64_t alu_of(npu_op op, uint64_t x, uint64_t y, uint64_t z = 0) {
  return result_of([&](Kernel& k) {
    k.li(2, x);
    k.li(3, y);
    k.li(4, z);
    k.scalar(op, 1, 2, 3, op == NPU_OP_SEL ? 4 : 0);
  });
}

constexpr uint64_t kMinusOne = UINT64_MAX;
constexpr uint64_t kBig = 0x123456789abcdef0;

TEST(Control, LoadsImmediatesOf32And64Bits) {
  EXPECT_EQ(result_of([](Kernel& k) { k.li(1, kMinusOne); }), kMinusOne);
  EXPECT_EQ(result_of([](Kernel& k) { k.li(1, kBig); }), kBig);
}

TEST(Control, ArithmeticIsModulo64Bits) {
  EXPECT_EQ(alu_of(NPU_OP_MOV, kBig, 0), kBig);
  EXPECT_EQ(alu_of(NPU_OP_ADD, kMinusOne, 3), 2u);
  EXPECT_EQ(alu_of(NPU_OP_SUB, 2, 3), kMinusOne);
  EXPECT_EQ(alu_of(NPU_OP_MUL, kBig, kBig), kBig * kBig);
  EXPECT_EQ(alu_of(NPU_OP_DIVU, kMinusOne, 10), kMinusOne / 10);
  EXPECT_EQ(alu_of(NPU_OP_REMU, kMinusOne, 10), kMinusOne % 10);
}

TEST(Control, ShiftsTakeTheCountModulo64) {
  EXPECT_EQ(alu_of(NPU_OP_SHL, kBig, 4), kBig << 4);
  EXPECT_EQ(alu_of(NPU_OP_SHL, kBig, 68), kBig << 4);
  EXPECT_EQ(alu_of(NPU_OP_SHR, kMinusOne, 63), 1u);
  EXPECT_EQ(alu_of(NPU_OP_SHR, kBig, 64), kBig);
}

TEST(Control, LogicAndSignedExtremes) {
  EXPECT_EQ(alu_of(NPU_OP_AND, 0xff0f, 0x0fff), 0x0f0fu);
  EXPECT_EQ(alu_of(NPU_OP_OR, 0xf000, 0x000f), 0xf00fu);
  EXPECT_EQ(alu_of(NPU_OP_XOR, 0xffff, 0x0f0f), 0xf0f0u);
  EXPECT_EQ(alu_of(NPU_OP_MIN, kMinusOne, 1), kMinusOne);
  EXPECT_EQ(alu_of(NPU_OP_MAX, kMinusOne, 1), 1u);
}

TEST(Control, ImmediateFormsAreSignExtended) {
  auto with_imm = [](npu_op op, uint64_t x, int32_t imm) {
    return result_of([&](Kernel& k) {
      k.li(2, x);
      k.scalar(op, 1, 2).imm = static_cast<uint32_t>(imm);
    });
  };
  EXPECT_EQ(with_imm(NPU_OP_ADDI, 5, -7), static_cast<uint64_t>(-2));
  EXPECT_EQ(with_imm(NPU_OP_MULI, 5, -7), static_cast<uint64_t>(-35));
}

TEST(Control, ComparesSignedAndUnsigned) {
  auto compare = [](npu_cc condition, uint64_t x, uint64_t y) {
    return result_of([&](Kernel& k) {
      k.li(2, x);
      k.li(3, y);
      k.scalar(NPU_OP_CMP, 1, 2, 3).imm = condition;
    });
  };
  EXPECT_EQ(compare(NPU_CC_EQ, 4, 4), 1u);
  EXPECT_EQ(compare(NPU_CC_NE, 4, 4), 0u);
  EXPECT_EQ(compare(NPU_CC_LT, kMinusOne, 0), 1u);
  EXPECT_EQ(compare(NPU_CC_LE, 0, kMinusOne), 0u);
  EXPECT_EQ(compare(NPU_CC_LTU, kMinusOne, 0), 0u);
  EXPECT_EQ(compare(NPU_CC_LEU, 0, kMinusOne), 1u);
}

TEST(Control, SelectsByCondition) {
  EXPECT_EQ(alu_of(NPU_OP_SEL, 1, 10, 20), 10u);
  EXPECT_EQ(alu_of(NPU_OP_SEL, 0, 10, 20), 20u);
}

TEST(Control, RegisterZeroStaysZero) {
  EXPECT_EQ(result_of([](Kernel& k) {
              k.li(0, 77);
              k.scalar(NPU_OP_MOV, 1, 0);
            }),
            0u);
}

TEST(Control, BranchesSkipAndRepeat) {
  // Counts down from 10 by a conditional branch backwards, skips one instruction forwards.
  EXPECT_EQ(result_of([](Kernel& k) {
              k.li(2, 10);
              k.scalar(NPU_OP_ADDI, 1, 1).imm = 3;
              k.scalar(NPU_OP_ADDI, 2, 2).imm = static_cast<uint32_t>(-1);
              k.scalar(NPU_OP_BNZ, 2).imm = static_cast<uint32_t>(-2);
              k.op(NPU_OP_BR).imm = 2;
              k.li(1, 0);
              k.scalar(NPU_OP_BZ, 0).imm = 2;
              k.li(1, 0);
            }),
            30u);
}

void loop(Kernel& k, uint8_t counter, uint8_t count, const std::function<void()>& body) {
  uint32_t start = k.here();
  k.scalar(NPU_OP_LOOP, counter, count);
  body();
  k.program.code[start].imm = k.here() - start;
  uint32_t back = start - k.here();
  k.op(NPU_OP_END).imm = back;
}

TEST(Control, LoopsCountUpAndNest) {
  EXPECT_EQ(result_of([](Kernel& k) {
              k.li(2, 5);
              loop(k, 3, 2, [&] {
                loop(k, 4, 2, [&] {
                  k.scalar(NPU_OP_MUL, 5, 3, 4);
                  k.scalar(NPU_OP_ADD, 1, 1, 5);
                });
              });
            }),
            100u);  // (0 + 1 + 2 + 3 + 4)^2
}

TEST(Control, LoopReadsItsCountOnceAndKeepsItsOwnCounter) {
  EXPECT_EQ(result_of([](Kernel& k) {
              k.li(2, 4);
              loop(k, 2, 2, [&] {  // counter and count share a register
                k.scalar(NPU_OP_ADD, 1, 1, 2);
                k.li(2, 99);
              });
            }),
            6u);
}

TEST(Control, LoopWithoutCountSkipsItsBody) {
  for (uint64_t count : {uint64_t{0}, kMinusOne}) {
    EXPECT_EQ(result_of([&](Kernel& k) {
                k.li(2, count);
                k.li(1, 5);
                loop(k, 3, 2, [&] { k.li(1, 6); });
              }),
              5u);
  }
}

TEST(Control, BranchOutOfALoopLeavesNoFrameBehind) {
  // An inner loop that is left by a branch, 20 times: more often than frames exist.
  EXPECT_EQ(result_of([](Kernel& k) {
              k.li(2, 20);
              k.li(3, 3);
              uint32_t top = k.here();
              uint32_t start = k.here();
              k.scalar(NPU_OP_LOOP, 4, 3).imm = 3;
              k.scalar(NPU_OP_ADDI, 1, 1).imm = 1;
              k.op(NPU_OP_BR).imm = 2;
              k.op(NPU_OP_END).imm = start - k.here();
              k.scalar(NPU_OP_ADDI, 2, 2).imm = static_cast<uint32_t>(-1);
              uint32_t back = top - k.here();
              k.scalar(NPU_OP_BNZ, 2).imm = back;
            }),
            20u);
}

TEST(Control, ReadsArgumentsInThreeWidths) {
  std::vector<uint64_t> args = {kBig, 0xfffffffe};
  auto read = [&](npu_op op, uint32_t offset) {
    Machine m;
    Kernel k;
    k.program.args_bytes = 16;
    m.launch.args = std::as_bytes(std::span(args));
    k.scalar(op, 1).imm = offset;
    k.emit(1, kOut);
    EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
    return m.memory.get<uint64_t>(kOut, 1)[0];
  };
  EXPECT_EQ(read(NPU_OP_ARG, 0), kBig);
  EXPECT_EQ(read(NPU_OP_ARGW, 4), kBig >> 32);
  EXPECT_EQ(read(NPU_OP_ARGW, 8), 0xfffffffeu);
  EXPECT_EQ(read(NPU_OP_ARGS, 8), static_cast<uint64_t>(-2));
}

TEST(Control, SpecialRegistersTellPlaceAndSizes) {
  std::vector<uint64_t> seen;
  for (uint32_t reg = 0; reg < NPU_SREG_COUNT; ++reg) {
    Machine m;
    Kernel k;
    m.launch.grid = {3, 4, 5};
    k.scalar(NPU_OP_SREG, 1).imm = reg;
    k.emit(1, kOut);
    EXPECT_EQ(m.run(k.done(), 2 + 3 * (1 + 4 * 4)).fault.status, NPU_ST_OK);
    seen.push_back(m.memory.get<uint64_t>(kOut, 1)[0]);
  }
  EXPECT_EQ(seen,
            (std::vector<uint64_t>{2, 1, 4, 3, 4, 5, 0, 1, 512 << 10, 1 << 20, 128 << 10, 8}));
}

TEST(Control, LoadsWordsFromDeviceMemory) {
  auto load = [](npu_op op) {
    Machine m;
    Kernel k;
    m.memory.put<uint32_t>(kIn + 8, {0x80000001});
    k.li(2, kIn + 12);
    k.scalar(op, 1, 2).imm = static_cast<uint32_t>(-4);
    k.emit(1, kOut);
    GroupResult result = m.run(k.done());
    EXPECT_EQ(result.fault.status, NPU_ST_OK);
    EXPECT_EQ(result.stats.hbm_read_bytes, 4u);
    return m.memory.get<uint64_t>(kOut, 1)[0];
  };
  EXPECT_EQ(load(NPU_OP_SLDW), 0x80000001u);
  EXPECT_EQ(load(NPU_OP_SLDS), 0xffffffff80000001u);
}

TEST(Control, LoadsTheFirstWordOfANearTile) {
  auto load = [](auto prepare) {
    Machine m;
    Kernel k;
    prepare(k);
    k.scalar(NPU_OP_TLDW, 1).a = 0;
    k.emit(1, kOut);
    const GroupResult result = m.run(k.done());
    return std::pair(result.fault.status, m.memory.get<uint64_t>(kOut, 1)[0]);
  };
  auto filled = [](npu_space space, npu_dtype dtype, uint64_t rows) {
    return [=](Kernel& k) {
      k.set(0, {static_cast<uint8_t>(space), static_cast<uint8_t>(dtype)}, 64, rows, 2);
      npu_insn& fill = k.op(NPU_OP_VFILL, 0);
      fill.imm = std::bit_cast<uint32_t>(-3.0f);
      k.op(NPU_OP_FENCE);
    };
  };
  EXPECT_EQ(load(filled(NPU_SPACE_L1, NPU_DTYPE_F32, 1)),
            std::pair(NPU_ST_OK, uint64_t{std::bit_cast<uint32_t>(-3.0f)}));
  EXPECT_EQ(load(filled(NPU_SPACE_ACC, NPU_DTYPE_I32, 3)),
            std::pair(NPU_ST_OK, uint64_t{static_cast<uint32_t>(-3)}));
  EXPECT_EQ(load(filled(NPU_SPACE_L1, NPU_DTYPE_F32, 0)).first, NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(load(filled(NPU_SPACE_L1, NPU_DTYPE_BF16, 1)).first, NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(load([](Kernel& k) { k.hbm(0, kIn, 1, 1); }).first, NPU_ST_KERNEL_OPERANDS);
  EXPECT_EQ(load([](Kernel& k) { k.l1(0, uint64_t{1} << 40, 1, 1, NPU_DTYPE_I32); }).first,
            NPU_ST_KERNEL_BOUNDS);
}

TEST(Control, ViewsAndOffsetsOfDescriptorsNameTheRightElements) {
  Machine m;
  Kernel k;
  m.memory.put(kIn, random_floats(64, 1));
  k.hbm(0, kIn, 8, 8);
  k.li(1, 2);
  k.li(2, 3);
  k.li(3, 4);
  k.li(4, 2);
  npu_insn& view = k.scalar(NPU_OP_TVIEW, 1, 2, 3, 4);
  view.dst = 1;
  view.a = 0;
  k.li(5, 4);
  npu_insn& moved = k.scalar(NPU_OP_TADD, 5);
  moved.dst = 2;
  moved.a = 1;
  k.l1(3, 0, 4, 2);
  k.op(NPU_OP_LD, 3, 2);
  k.op(NPU_OP_FENCE);
  k.hbm(4, kOut, 4, 2);
  k.op(NPU_OP_ST, 4, 3);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto in = random_floats(64, 1);
  std::vector<float> expected;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 2; ++j) expected.push_back(in[(2 + i) * 8 + 3 + j + 1]);
  }
  EXPECT_EQ(m.memory.get<float>(kOut, 8), expected);
}

}  // namespace
}  // namespace npu::model
