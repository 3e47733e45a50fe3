// SPDX-License-Identifier: Apache-2.0
// Virtual time: latencies, overlap of engines, and that nothing but the program decides it.
#include <gtest/gtest.h>

#include "machine.h"

namespace npu::model {
namespace {

constexpr uint64_t kCycle = 1000;

// Busy time of |engine| for the one operation that |body| gives it.
uint64_t busy(npu_engine engine, void (*body)(Kernel&), TileParams params = test_params()) {
  Machine m(params);
  Kernel k;
  body(k);
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_OK);
  return result.stats.engine_busy_ps[engine];
}

TEST(Timing, EachControlInstructionTakesACycle) {
  Machine m;
  Kernel k;
  for (int i = 0; i < 9; ++i) k.op(NPU_OP_NOP);
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.stats.instructions, 10u);
  EXPECT_EQ(result.duration_ps, 10 * kCycle);
  EXPECT_EQ(result.stats.engine_busy_ps[NPU_ENGINE_CTRL], 10 * kCycle);
}

TEST(Timing, MmTakesFillPlusItsProductsAtTheRateOfItsType) {
  auto f32 = [](Kernel& k) {
    k.acc(0, 0, 32, 32);
    k.l1(1, 0, 32, 33);
    k.l1(2, 8192, 33, 32);
    k.op(NPU_OP_MM, 0, 1, 2);
  };
  auto bf16 = [](Kernel& k) {
    k.acc(0, 0, 32, 32);
    k.l1(1, 0, 32, 33, NPU_DTYPE_BF16);
    k.l1(2, 8192, 33, 32, NPU_DTYPE_BF16);
    k.op(NPU_OP_MM, 0, 1, 2);
  };
  EXPECT_EQ(busy(NPU_ENGINE_MM, f32), (32 + 33) * kCycle);
  EXPECT_EQ(busy(NPU_ENGINE_MM, bf16), (32 + 9) * kCycle);  // 33,792 / 4,096 rounded up
}

// Cycles of a product of 65,536 multiply-adds after LDC of operands of these types; |between| runs before it.
uint64_t product_cycles(uint8_t a, uint8_t b, void (*between)(Kernel&) = nullptr) {
  Machine m;
  Kernel k;
  k.hbm(4, kIn, 32, 64, a);
  k.hbm(5, kIn, 32, 64, b);
  k.acc(0, 0, 32, 32);
  k.l1(1, 0, 32, 64);
  k.l1(2, 8192, 32, 64);
  k.op(NPU_OP_LDC, 1, 4);
  k.op(NPU_OP_LDC, 2, 5);
  if (between != nullptr) between(k);
  k.op(NPU_OP_MM, 0, 1, 2).flags = NPU_F_TB;
  const GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_OK);
  return result.stats.engine_busy_ps[NPU_ENGINE_MM] / kCycle - 32;
}

TEST(Timing, AProductHasTheRateOfTheTypesThatLdcHasRead) {
  EXPECT_EQ(product_cycles(NPU_DTYPE_MXFP4, NPU_DTYPE_MXFP4), 4u);
  EXPECT_EQ(product_cycles(NPU_DTYPE_MXFP8_E4M3, NPU_DTYPE_MX9), 8u);
  EXPECT_EQ(product_cycles(NPU_DTYPE_MXFP8_E5M2, NPU_DTYPE_MXFP4), 6u);
  EXPECT_EQ(product_cycles(NPU_DTYPE_MXFP4, NPU_DTYPE_BF16), 16u);
  EXPECT_EQ(product_cycles(NPU_DTYPE_Q8_0, NPU_DTYPE_Q8_0), 64u);
  EXPECT_EQ(product_cycles(NPU_DTYPE_MXFP4, NPU_DTYPE_F32), 64u);
}

TEST(Timing, WhatIsWrittenOverANarrowOperandIsFp32) {
  const uint8_t mx = NPU_DTYPE_MXFP4;
  EXPECT_EQ(product_cycles(mx, mx, [](Kernel& k) { k.op(NPU_OP_NEG, 1, 1); }), 64u);
  EXPECT_EQ(product_cycles(mx, mx, [](Kernel& k) { k.l1(6, 8192, 1, 1), k.op(NPU_OP_VFILL, 6); }),
            64u);
  EXPECT_EQ(product_cycles(mx, mx, [](Kernel& k) { k.l1(6, 16384, 1, 1), k.op(NPU_OP_VFILL, 6); }),
            4u);
  // Part of it is something else.
  EXPECT_EQ(product_cycles(mx, mx,
                           [](Kernel& k) {
                             k.hbm(6, kIn, 1, 32, NPU_DTYPE_MXFP8_E4M3);
                             k.l1(7, 0, 1, 32);
                             k.op(NPU_OP_LDC, 7, 6);
                           }),
            64u);
}

TEST(Timing, OnlyTheLastSixteenNarrowOperandsAreKnown) {
  EXPECT_EQ(product_cycles(NPU_DTYPE_MXFP4, NPU_DTYPE_MXFP4,
                           [](Kernel& k) {
                             k.hbm(6, kIn, 1, 32, NPU_DTYPE_MXFP4);
                             for (int i = 0; i < 15; ++i) {
                               k.l1(7, 32768 + 128 * i, 1, 32);
                               k.op(NPU_OP_LDC, 7, 6);
                             }
                           }),
            64u);
}

TEST(Timing, VectorOperationsCostByTheirKind) {
  auto with = [](npu_op op) {
    Machine m;
    Kernel k;
    k.l1(0, 0, 10, 65);
    k.op(op, 0, 0);
    return m.run(k.done()).stats.engine_busy_ps[NPU_ENGINE_VE];
  };
  EXPECT_EQ(with(NPU_OP_NEG), (8 + 11) * kCycle);
  EXPECT_EQ(with(NPU_OP_SQRT), (8 + 4 * 11) * kCycle);
  EXPECT_EQ(with(NPU_OP_EXP), (8 + 8 * 11) * kCycle);
}

TEST(Timing, DmaIsLimitedByItsPortOrByItsShareOfDeviceMemory) {
  auto hbm = [](Kernel& k) {
    k.hbm(0, kIn, 64, 64);
    k.l1(1, 0, 64, 64);
    k.op(NPU_OP_LD, 1, 0);
  };
  auto l2 = [](Kernel& k) {
    k.set(0, {NPU_SPACE_L2}, 0, 64, 64);
    k.l1(1, 0, 64, 64);
    k.op(NPU_OP_LD, 1, 0);
  };
  // 16,384 bytes: 128 cycles at the port, 256,000 ps at 64,000 bytes a microsecond.
  EXPECT_EQ(busy(NPU_ENGINE_LD, hbm), 100 * kCycle + 256000);
  EXPECT_EQ(busy(NPU_ENGINE_LD, l2), (100 + 128) * kCycle);
}

TEST(Timing, AWaitStartsWhenTheAwaitedSignalWasGiven) {
  Machine m;
  Kernel k;
  k.set(0, {NPU_SPACE_L2}, 0, 64, 64);
  k.l1(1, 0, 64, 64);
  uint64_t before = k.here();
  k.op(NPU_OP_LD, 1, 0).signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_NEG, 1, 1).wait0 = NPU_WAIT(0, 1, 1);
  GroupResult result = m.run(k.done());
  uint64_t ve = (8 + 64) * kCycle;
  EXPECT_EQ(result.duration_ps, before * kCycle + (100 + 128) * kCycle + ve);
}

TEST(Timing, FenceAndWaitBringControlToTheEndOfTheWork) {
  for (bool fence : {true, false}) {
    Machine m;
    Kernel k;
    k.set(0, {NPU_SPACE_L2}, 0, 64, 64);
    k.l1(1, 0, 64, 64);
    uint64_t before = k.here();
    k.op(NPU_OP_LD, 1, 0).signal = NPU_SIGNAL(0, 1);
    if (fence) k.op(NPU_OP_FENCE);
    if (!fence) k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
    uint64_t after = 2;  // this instruction and HALT
    EXPECT_EQ(m.run(k.done()).duration_ps, (before + 228 + after) * kCycle);
  }
}

// |blocks| of LD -> MM, with |buffers| places for operands.
uint64_t stream(int blocks, int buffers, const Numerics& numerics, uint32_t fifo = 4) {
  TileParams params = test_params();
  params.engine_fifo = fifo;
  Machine m(params);
  m.launch.numerics = &numerics;
  Kernel k;
  k.acc(0, 0, 64, 64);
  k.li(1, buffers);
  k.scalar(NPU_OP_SEMSET, 1).imm = 0;  // free
  for (int i = 0; i < blocks; ++i) {
    k.hbm(1, kIn, 64, 64);
    k.l1(2, 16384 * (i % buffers), 64, 64);
    npu_insn& ld = k.op(NPU_OP_LD, 2, 1);
    ld.wait0 = NPU_WAIT(0, 1, 1);
    ld.signal = NPU_SIGNAL(1, 1);
    npu_insn& mm = k.op(NPU_OP_MM, 0, 2, 2);
    mm.flags = NPU_F_ACC;
    mm.wait0 = NPU_WAIT(1, 1, 1);
    mm.signal = NPU_SIGNAL(0, 1);
  }
  GroupResult result = m.run(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_GE(result.duration_ps, result.stats.engine_busy_ps[NPU_ENGINE_LD]);
  EXPECT_GE(result.duration_ps, result.stats.engine_busy_ps[NPU_ENGINE_MM]);
  return result.duration_ps;
}

TEST(Timing, DoubleBufferingIsShorterThanOneBuffer) {
  uint64_t serial = stream(16, 1, simd_numerics());
  uint64_t pipelined = stream(16, 2, simd_numerics());
  // LD takes 356 cycles a block, MM 288.
  EXPECT_GE(serial, 16u * (356 + 288) * kCycle);
  EXPECT_LE(pipelined, (16u * 356 + 288 + 100) * kCycle);
  EXPECT_GE(pipelined, 16u * 356 * kCycle);
}

TEST(Timing, DependsOnNeitherTheArithmeticNorWhatRanBefore) {
  uint64_t once = stream(20, 3, scalar_numerics());
  EXPECT_EQ(stream(20, 3, simd_numerics()), once);
  Machine m;
  Kernel k;
  k.l1(0, 0, 100, 100);
  k.op(NPU_OP_EXP, 0, 0);
  k.done();
  uint64_t first = m.run(k.program).duration_ps;
  EXPECT_EQ(m.run(k.program).duration_ps, first);
}

TEST(Timing, AShortQueueHoldsControlBack) {
  // Five LDs of equal length without waits: with a queue of one, the last is issued when the fourth
  // starts.
  auto control_end = [](uint32_t fifo) {
    TileParams params = test_params();
    params.engine_fifo = fifo;
    Machine m(params);
    Kernel k;
    k.set(0, {NPU_SPACE_L2}, 0, 64, 64);
    k.l1(1, 0, 64, 64);
    for (int i = 0; i < 5; ++i) k.op(NPU_OP_LD, 1, 0);
    k.op(NPU_OP_NEG, 1, 1).signal = NPU_SIGNAL(0, 1);  // runs beside the LDs
    k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
    for (int i = 0; i < 2000; ++i) k.op(NPU_OP_NOP);
    return m.run(k.done()).duration_ps;
  };
  uint64_t deep = control_end(8);
  EXPECT_EQ(control_end(1) - deep, (3 * 228 - 4) * kCycle);
}

TEST(Timing, ATimeThatLeaves64BitsEndsTheProgram) {
  TileParams params = test_params();
  params.vector_setup_cycles = UINT32_MAX;
  params.core_clock_khz = 1;
  Machine m(params);
  Kernel k;
  k.l1(0, 0, 1, 1);
  for (int i = 0; i < 8; ++i) k.op(NPU_OP_NEG, 0, 0);
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_WATCHDOG);
}

}  // namespace
}  // namespace npu::model
