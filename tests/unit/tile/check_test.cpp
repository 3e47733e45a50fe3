// SPDX-License-Identifier: Apache-2.0
// The checking mode: accesses that nothing orders, bytes that nobody has written. Every program here comes out right on the interpreter; only the order that it
// writes down counts.
#include <gtest/gtest.h>

#include "machine.h"

namespace npu::model {
namespace {

constexpr uint8_t kHbm = 0, kX = 1, kY = 2, kAcc = 3, kHbmOut = 4, kZ = 5, kView = 6;
constexpr uint64_t kTileBytes = 16 * 16 * 4;

// Descriptors of 16 x 16 fp32: kX, kY, kZ one behind the other in L1.
Kernel kernel(uint32_t tiles = 1) {
  Kernel k(tiles);
  k.hbm(kHbm, kIn, 16, 16);
  k.hbm(kHbmOut, kOut, 16, 16);
  k.l1(kX, 0, 16, 16);
  k.l1(kY, kTileBytes, 16, 16);
  k.l1(kZ, 2 * kTileBytes, 16, 16);
  k.acc(kAcc, 0, 16, 16);
  return k;
}

GroupResult checked(const Program& program) {
  Machine m;
  m.launch.checks = true;
  GroupResult result = m.run(program);
  // What the checks find, the interpreter does not.
  if (result.fault.status == NPU_ST_KERNEL_RACE ||
      result.fault.status == NPU_ST_KERNEL_UNINITIALISED) {
    m.launch.checks = false;
    EXPECT_EQ(m.run(program).fault.status, NPU_ST_OK);
    EXPECT_NE(result.report, nullptr);
  }
  return result;
}

npu_status status_of(Kernel& k) { return checked(k.done()).fault.status; }

struct Parties {
  uint32_t pc, other_pc;
  npu_engine engine, other_engine;
  bool writes, other_writes;
};

void expect_race(Kernel& k, const Parties& p, const std::string& report) {
  const GroupResult result = checked(k.done());
  const Fault& f = result.fault;
  ASSERT_EQ(f.status, NPU_ST_KERNEL_RACE);
  EXPECT_EQ(f.pc, p.pc);
  EXPECT_EQ(f.line, p.pc + 1);
  EXPECT_EQ(f.engine, p.engine);
  EXPECT_EQ(f.access, p.writes ? NPU_ACCESS_WRITE : NPU_ACCESS_READ);
  EXPECT_EQ(NPU_CHECK_PC(f.value), p.other_pc);
  EXPECT_EQ(NPU_CHECK_ENGINE(f.value), p.other_engine);
  EXPECT_EQ(NPU_CHECK_WRITES(f.value), p.other_writes ? 1u : 0u);
  ASSERT_NE(result.report, nullptr);
  EXPECT_EQ(*result.report, report);
}

std::string at(uint32_t pc) { return "@" + std::to_string(pc) + "/" + std::to_string(pc + 1); }

TEST(Check, AReaderThatDoesNotWaitForTheLoadIsARace) {
  Kernel k = kernel();
  const uint32_t ld = k.here();
  k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_MM, kAcc, kX, kX);
  expect_race(k, {ld + 1, ld, NPU_ENGINE_MM, NPU_ENGINE_LD, false, true},
              "L1 [0x0, 0x400): mm " + at(ld + 1) + " reads of [0x0, 0x400), ld " + at(ld) +
                  " wrote of [0x0, 0x400), and nothing orders them");
}

TEST(Check, TheSameProgramWithItsWaitIsClean) {
  Kernel k = kernel();
  k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_MM, kAcc, kX, kX).wait0 = NPU_WAIT(0, 1, 1);
  EXPECT_EQ(status_of(k), NPU_ST_OK);
}

TEST(Check, AnAccumulatorIsSharedByTwoEngines) {
  Kernel k = kernel();
  k.op(NPU_OP_VFILL, kX).signal = NPU_SIGNAL(0, 1);
  const uint32_t mm = k.here();
  k.op(NPU_OP_MM, kAcc, kX, kX).wait0 = NPU_WAIT(0, 1, 1);
  k.op(NPU_OP_RELU, kX, kAcc);
  expect_race(k, {mm + 1, mm, NPU_ENGINE_VE, NPU_ENGINE_MM, false, true},
              "the accumulator [0x0, 0x400): relu " + at(mm + 1) + " reads of [0x0, 0x400), mm " +
                  at(mm) + " wrote of [0x0, 0x400), and nothing orders them");
}

TEST(Check, AWriterThatDoesNotWaitForTheReaderIsARace) {
  Kernel k = kernel();
  k.op(NPU_OP_VFILL, kX).signal = NPU_SIGNAL(0, 1);
  const uint32_t st = k.here();
  k.op(NPU_OP_ST, kHbmOut, kX).wait0 = NPU_WAIT(0, 1, 1);
  k.op(NPU_OP_VADD, kX, kX, kX);  // VE knows its own fill; the ST may still be reading
  expect_race(k, {st + 1, st, NPU_ENGINE_VE, NPU_ENGINE_ST, true, false},
              "L1 [0x0, 0x400): vadd " + at(st + 1) + " writes of [0x0, 0x400), st " + at(st) +
                  " read of [0x0, 0x400), and nothing orders them");
}

TEST(Check, TwoWritersRaceToo) {
  Kernel k = kernel();
  const uint32_t ld = k.here();
  k.op(NPU_OP_LD, kX, kHbm);
  k.op(NPU_OP_VFILL, kX);
  const GroupResult result = checked(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_KERNEL_RACE);
  EXPECT_EQ(result.fault.pc, ld + 1);
}

TEST(Check, ASignalOfAnEarlierOperationDoesNotCoverALaterOne) {
  Kernel k = kernel();
  k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
  const uint32_t second = k.here();
  k.op(NPU_OP_LD, kY, kHbm);
  npu_insn& add = k.op(NPU_OP_VADD, kZ, kX, kY);
  add.wait0 = NPU_WAIT(0, 1, 1);
  const Fault fault = checked(k.done()).fault;
  EXPECT_EQ(fault.status, NPU_ST_KERNEL_RACE);
  EXPECT_EQ(NPU_CHECK_PC(fault.value), second);
  EXPECT_EQ(NPU_CHECK_OFFSET(fault.value), kTileBytes);
}

TEST(Check, AWaitForTooFewCountsIsARace) {
  for (uint32_t counts : {1u, 2u}) {
    Kernel k = kernel();
    k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
    k.op(NPU_OP_LD, kY, kHbm).signal = NPU_SIGNAL(0, 1);
    k.op(NPU_OP_VADD, kZ, kX, kY).wait0 = NPU_WAIT(0, counts, 1);
    EXPECT_EQ(status_of(k), counts == 2 ? NPU_ST_OK : NPU_ST_KERNEL_RACE) << counts;
  }
}

TEST(Check, OneCountOfTwoSignallersTellsOfNeither) {
  for (uint32_t counts : {1u, 2u}) {
    Kernel k = kernel();
    k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
    k.op(NPU_OP_VFILL, kY).signal = NPU_SIGNAL(0, 1);
    k.op(NPU_OP_ST, kHbmOut, kX).wait0 = NPU_WAIT(0, counts, 1);
    EXPECT_EQ(status_of(k), counts == 2 ? NPU_ST_OK : NPU_ST_KERNEL_RACE) << counts;
  }
}

TEST(Check, SignallersThatFollowEachOtherTellOfTheFirst) {
  // VE signals after it has waited for LD: the first count is LD's in every order of events.
  Kernel k = kernel();
  k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_LD, kZ, kHbm).signal = NPU_SIGNAL(1, 1);
  npu_insn& fill = k.op(NPU_OP_VFILL, kY);
  fill.wait0 = NPU_WAIT(1, 1, 1);
  fill.signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_ST, kHbmOut, kX).wait0 = NPU_WAIT(0, 1, 1);
  EXPECT_EQ(status_of(k), NPU_ST_OK);
}

TEST(Check, ControlOrdersWhatItWaitsForBeforeWhatItIssues) {
  for (bool waits : {false, true}) {
    Kernel k = kernel();
    k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
    if (waits) k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
    k.op(NPU_OP_RELU, kY, kX);
    EXPECT_EQ(status_of(k), waits ? NPU_ST_OK : NPU_ST_KERNEL_RACE);
  }
}

TEST(Check, AFenceOrdersAllEngines) {
  Kernel k = kernel();
  k.op(NPU_OP_LD, kX, kHbm);
  k.op(NPU_OP_FENCE);
  k.op(NPU_OP_RELU, kY, kX);
  k.op(NPU_OP_FENCE);
  k.op(NPU_OP_ST, kHbmOut, kY);
  EXPECT_EQ(status_of(k), NPU_ST_OK);
}

TEST(Check, AnOperationIsOrderedByWhatControlKnewWhenItWasIssued) {
  // The MM is issued before control waits for the LD, and runs after that wait.
  Kernel k = kernel();
  k.op(NPU_OP_VFILL, kY);
  k.op(NPU_OP_FENCE);
  k.op(NPU_OP_MM, kAcc, kX, kY).wait0 = NPU_WAIT(5, 1, 1);
  k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
  Kernel by_control = k;
  by_control.op(NPU_OP_SIG).signal = NPU_SIGNAL(5, 1);  // says what control knows
  EXPECT_EQ(status_of(by_control), NPU_ST_OK);
  k.op(NPU_OP_VFILL, kZ).signal = NPU_SIGNAL(5, 1);
  EXPECT_EQ(status_of(k), NPU_ST_OK);  // issued after the wait, so that VE knows too
}

// Loads |rounds| tiles through two buffers, with |free| counts of free buffers at the start.
Kernel double_buffer(uint32_t free, uint32_t rounds) {
  Kernel k = kernel();
  k.li(1, free);
  k.scalar(NPU_OP_SEMSET, 1).imm = 0;
  for (uint32_t i = 0; i < rounds; ++i) {
    const uint8_t buffer = i % 2 == 0 ? kX : kY;
    npu_insn& ld = k.op(NPU_OP_LD, buffer, kHbm);
    ld.wait0 = NPU_WAIT(0, 1, 1);
    ld.signal = NPU_SIGNAL(1, 1);
    npu_insn& use = k.op(NPU_OP_RELU, kZ, buffer);
    use.wait0 = NPU_WAIT(1, 1, 1);
    use.signal = NPU_SIGNAL(0, 1);
  }
  return k;
}

TEST(Check, ADoubleBufferWithTwoFreeCountsIsClean) {
  Kernel k = double_buffer(2, 300);
  EXPECT_EQ(status_of(k), NPU_ST_OK);
}

TEST(Check, ADoubleBufferWithThreeFreeCountsIsARace) {
  Kernel k = double_buffer(3, 4);
  const Fault fault = checked(k.done()).fault;
  EXPECT_EQ(fault.status, NPU_ST_KERNEL_RACE);
  EXPECT_EQ(fault.engine, NPU_ENGINE_LD);
  EXPECT_EQ(NPU_CHECK_ENGINE(fault.value), NPU_ENGINE_VE);
}

TEST(Check, ADoubleBufferWithOneSemaphoreTooFewIsARace) {
  // Nothing tells LD that a buffer is free.
  Kernel k = kernel();
  for (uint32_t i = 0; i < 4; ++i) {
    const uint8_t buffer = i % 2 == 0 ? kX : kY;
    k.op(NPU_OP_LD, buffer, kHbm).signal = NPU_SIGNAL(1, 1);
    k.op(NPU_OP_RELU, kZ, buffer).wait0 = NPU_WAIT(1, 1, 1);
  }
  const GroupResult result = checked(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_KERNEL_RACE);
  EXPECT_EQ(result.fault.engine, NPU_ENGINE_LD);
  EXPECT_EQ(result.fault.access, NPU_ACCESS_WRITE);
}

TEST(Check, ManyCountsThatNobodyTakesAreFollowed) {
  // More than are remembered one by one; the last wait is for all of them.
  for (bool all : {false, true}) {
    Kernel k = kernel();
    for (int i = 0; i < 200; ++i) k.op(NPU_OP_LD, kX, kHbm).signal = NPU_SIGNAL(0, 1);
    if (!all) k.op(NPU_OP_LD, kX, kHbm);
    k.op(NPU_OP_RELU, kY, kX).wait0 = NPU_WAIT(0, 200, 0);
    EXPECT_EQ(status_of(k), all ? NPU_ST_OK : NPU_ST_KERNEL_RACE);
  }
}

TEST(Check, ColumnsSideBySideDoNotMeet) {
  for (uint32_t cols : {8u, 9u}) {
    Kernel k = kernel();
    k.l1(kX, 0, 16, cols, NPU_DTYPE_F32, 16);
    k.l1(kView, 8 * 4, 16, 8, NPU_DTYPE_F32, 16);
    k.hbm(kHbm, kIn, 16, cols);
    k.op(NPU_OP_LD, kX, kHbm);
    const uint32_t fill = k.here();
    k.op(NPU_OP_VFILL, kView);
    const Fault fault = checked(k.done()).fault;
    EXPECT_EQ(fault.status, cols == 8 ? NPU_ST_OK : NPU_ST_KERNEL_RACE) << cols;
    if (cols == 8) continue;
    EXPECT_EQ(fault.pc, fill);
    EXPECT_EQ(NPU_CHECK_OFFSET(fault.value), 32u);
  }
}

TEST(Check, BytesOfOneWordAreApart) {
  for (uint64_t gap : {0u, 1u}) {
    Kernel k = kernel();
    k.l1(kX, 0, 1, 5 - gap, NPU_DTYPE_I8);
    k.l1(kY, 4, 1, 3, NPU_DTYPE_I8);
    k.op(NPU_OP_VFILL, kX);
    k.hbm(kHbm, kIn, 1, 3, NPU_DTYPE_I8);
    k.op(NPU_OP_LD, kY, kHbm);
    EXPECT_EQ(status_of(k), gap == 1 ? NPU_ST_OK : NPU_ST_KERNEL_RACE);
  }
}

TEST(Check, TheUnusedColumnsOfAPanelAreWrittenAndNeverRead) {
  // Five columns by rows, with the pitch of a panel: the panel of them can be read, and another engine may have the rest.
  Kernel k = kernel();
  k.l1(kX, 0, 16, 5, NPU_DTYPE_F32, 16);
  k.set(kView, {NPU_SPACE_L1, NPU_DTYPE_F32, NPU_LAYOUT_PANEL}, 0, 16, 5);
  k.l1(kY, 5 * 4, 16, 11, NPU_DTYPE_F32, 16);
  k.l1(kZ, kTileBytes, 16, 16);
  k.acc(kAcc, 0, 16, 5);
  k.op(NPU_OP_VFILL, kX);
  k.op(NPU_OP_VFILL, kZ);
  k.op(NPU_OP_FENCE);
  Kernel loads = k;
  k.hbm(kHbm, kIn, 16, 11);
  k.op(NPU_OP_LD, kY, kHbm);
  k.op(NPU_OP_MM, kAcc, kZ, kView);
  EXPECT_EQ(status_of(k), NPU_ST_OK);
  // A load into the panel writes all of it.
  loads.op(NPU_OP_VFILL, kY);
  loads.hbm(kHbm, kIn, 16, 5);
  loads.op(NPU_OP_LD, kView, kHbm);
  EXPECT_EQ(status_of(loads), NPU_ST_KERNEL_RACE);
}

TEST(Check, PanelsWithAPitchAreApart) {
  // Two panels 32 rows apart, of which 16 are used; the rows between belong to another engine.
  for (uint64_t rows : {16u, 17u}) {
    Kernel k = kernel();
    k.set(kView, {NPU_SPACE_L1, NPU_DTYPE_F32, NPU_LAYOUT_PANEL}, 0, rows, 32, 32);
    k.l1(kY, kTileBytes, 16, 16);
    k.hbm(kHbm, kIn, rows, 32);
    k.op(NPU_OP_LD, kView, kHbm);
    k.op(NPU_OP_VFILL, kY);
    EXPECT_EQ(status_of(k), rows == 16 ? NPU_ST_OK : NPU_ST_KERNEL_RACE);
  }
}

TEST(Check, BytesThatNobodyHasWrittenAreNotRead) {
  Kernel k = kernel();
  k.l1(kView, 0, 1, 300);
  k.op(NPU_OP_VFILL, kX);
  const uint32_t relu = k.here();
  k.op(NPU_OP_RELU, kView, kView);
  const GroupResult result = checked(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_KERNEL_UNINITIALISED);
  EXPECT_EQ(result.fault.pc, relu);
  EXPECT_EQ(result.fault.access, NPU_ACCESS_READ);
  EXPECT_EQ(NPU_CHECK_OFFSET(result.fault.value), kTileBytes);
  EXPECT_EQ(NPU_CHECK_SPACE(result.fault.value), NPU_SPACE_L1);
  ASSERT_NE(result.report, nullptr);
  EXPECT_EQ(*result.report, "L1 [0x400, 0x4b0): relu " + at(relu) +
                                " reads of [0x0, 0x4b0), which nobody has written");
}

TEST(Check, WhatAnEarlierWorkGroupWroteDoesNotCount) {
  Machine m;
  m.launch.checks = true;
  m.launch.grid = {2, 1, 1};
  Kernel k = kernel();
  k.scalar(NPU_OP_SREG, 1).imm = NPU_SREG_GROUP_X;
  const uint32_t branch = k.here();
  k.scalar(NPU_OP_BNZ, 1).imm = 2;
  k.op(NPU_OP_VFILL, kX);
  k.op(NPU_OP_RELU, kX, kX);
  EXPECT_EQ(branch + 2, k.here() - 1);
  k.done();
  EXPECT_EQ(m.run(k.program, 0).fault.status, NPU_ST_OK);
  EXPECT_EQ(m.run(k.program, 1).fault.status, NPU_ST_KERNEL_UNINITIALISED);
}

TEST(Check, AnAccumulationReadsItsDestination) {
  for (uint16_t flags : {uint16_t{0}, uint16_t{NPU_F_ACC}}) {
    Kernel k = kernel();
    k.op(NPU_OP_VFILL, kX);
    k.op(NPU_OP_FENCE);
    k.op(NPU_OP_MM, kAcc, kX, kX).flags = flags;
    EXPECT_EQ(status_of(k), flags == 0 ? NPU_ST_OK : NPU_ST_KERNEL_UNINITIALISED);
  }
}

TEST(Check, TilesShareL2AndNotL1) {
  for (bool barrier : {false, true}) {
    Kernel k = kernel(2);
    k.set(kView, {NPU_SPACE_L2}, 0, 16, 16);
    k.only(0);
    k.op(NPU_OP_VFILL, kX).signal = NPU_SIGNAL(0, 1);
    k.op(NPU_OP_ST, kView, kX).wait0 = NPU_WAIT(0, 1, 1);
    k.end_only();
    if (barrier) k.op(NPU_OP_BARRIER);
    k.only(1);
    const uint32_t ld = k.here();
    k.op(NPU_OP_LD, kX, kView);
    k.end_only();
    const GroupResult result = checked(k.done());
    EXPECT_EQ(result.fault.status, barrier ? NPU_ST_OK : NPU_ST_KERNEL_RACE);
    if (barrier) continue;
    EXPECT_EQ(result.fault.pc, ld);
    EXPECT_EQ(NPU_CHECK_SPACE(result.fault.value), NPU_SPACE_L2);
    EXPECT_EQ(NPU_CHECK_TILE(result.fault.value), 0u);
    EXPECT_NE(result.report->find("on tile 1 reads"), std::string::npos) << *result.report;
  }
}

TEST(Check, ASignalToAPeerOrders) {
  Kernel k = kernel(2);
  k.set(kView, {NPU_SPACE_L2}, 0, 16, 16);
  k.only(0);
  k.op(NPU_OP_VFILL, kX).signal = NPU_SIGNAL(0, 1);
  npu_insn& st = k.op(NPU_OP_ST, kView, kX);
  st.wait0 = NPU_WAIT(0, 1, 1);
  st.signal = NPU_SIGNAL_TO(3, 1, 1);
  k.end_only();
  k.only(1);
  k.op(NPU_OP_LD, kX, kView).wait0 = NPU_WAIT(3, 1, 1);
  k.end_only();
  EXPECT_EQ(status_of(k), NPU_ST_OK);
}

TEST(Check, AScatteredWriteOfTooManyPiecesEndsTheLaunchAndNotTheModel) {
  TileParams params = test_params();
  params.l1_bytes = 8 << 20;
  Machine m(params);
  m.launch.checks = true;
  Kernel k;
  k.program.l1_bytes = params.l1_bytes;
  for (uint64_t base : {0u, 4u << 20}) {
    k.l1(kX, base, 2 << 20, 1, NPU_DTYPE_I8, 2);
    k.op(NPU_OP_VFILL, kX);
  }
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OUT_OF_HOST_MEMORY);
  m.launch.checks = false;
  EXPECT_EQ(m.run(k.program).fault.status, NPU_ST_OK);
}

TEST(Check, ControlReadsAWordOfWhatItHasWaitedFor) {
  for (bool waits : {false, true}) {
    Kernel k = kernel();
    const uint32_t fill = k.here();
    k.op(NPU_OP_VFILL, kX).signal = NPU_SIGNAL(0, 1);
    if (waits) k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
    npu_insn& load = k.scalar(NPU_OP_TLDW, 1);
    load.a = kX;
    const Fault fault = checked(k.done()).fault;
    EXPECT_EQ(fault.status, waits ? NPU_ST_OK : NPU_ST_KERNEL_RACE);
    if (waits) continue;
    EXPECT_EQ(fault.engine, NPU_ENGINE_CTRL);
    EXPECT_EQ(NPU_CHECK_PC(fault.value), fill);
  }
}

TEST(Check, WhatControlReadsIsOneWordAndOrderedBeforeWhatItIssues) {
  Kernel k = kernel();
  k.l1(kView, 0, 1, 1);
  k.op(NPU_OP_VFILL, kView);
  k.op(NPU_OP_FENCE);
  k.scalar(NPU_OP_TLDW, 1).a = kX;  // 16 x 16, of which one word is written
  k.op(NPU_OP_LD, kX, kHbm);
  EXPECT_EQ(status_of(k), NPU_ST_OK);
}

TEST(Check, StatsAndTimesAreTheSameWithChecks) {
  Kernel k = double_buffer(2, 20);
  Machine m;
  const GroupResult plain = m.run(k.done());
  m.launch.checks = true;
  const GroupResult with = m.run(k.program);
  EXPECT_EQ(plain.fault.status, NPU_ST_OK);
  EXPECT_EQ(with.fault.status, NPU_ST_OK);
  EXPECT_EQ(plain.duration_ps, with.duration_ps);
  EXPECT_EQ(plain.stats.instructions, with.stats.instructions);
}

TEST(Deadlock, TheReportShowsTheCycle) {
  Kernel k = kernel();
  const uint32_t ld = k.here();
  npu_insn& load = k.op(NPU_OP_LD, kX, kHbm);
  load.wait0 = NPU_WAIT(0, 1, 1);
  load.signal = NPU_SIGNAL(1, 1);
  npu_insn& use = k.op(NPU_OP_RELU, kY, kX);
  use.wait0 = NPU_WAIT(1, 1, 1);
  use.signal = NPU_SIGNAL(0, 1);
  const GroupResult result = checked(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_KERNEL_DEADLOCK);
  EXPECT_EQ(result.fault.pc, ld);
  ASSERT_NE(result.report, nullptr);
  EXPECT_EQ(*result.report, "LD waits at ld " + at(ld) + ", s0 is 0 of 1, for relu " + at(ld + 1) +
                                "; VE waits at relu " + at(ld + 1) + ", s1 is 0 of 1, for ld " +
                                at(ld) + "; LD again: a cycle");
}

TEST(Deadlock, ASignalThatControlNeverComesTo) {
  Kernel k = kernel();
  const uint32_t ld = k.here();
  k.op(NPU_OP_LD, kX, kHbm).wait0 = NPU_WAIT(0, 2, 1);
  k.op(NPU_OP_FENCE);
  k.op(NPU_OP_SIG).signal = NPU_SIGNAL(0, 2);
  const GroupResult result = checked(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_KERNEL_DEADLOCK);
  ASSERT_NE(result.report, nullptr);
  EXPECT_EQ(*result.report, "LD waits at ld " + at(ld) + ", s0 is 0 of 2, for sig " + at(ld + 2) +
                                ", not issued; CTRL waits at fence " + at(ld + 1) +
                                " until LD has run dry; LD again: a cycle");
}

TEST(Deadlock, ASemaphoreThatNobodySignals) {
  Kernel k = kernel();
  const uint32_t ld = k.here();
  k.op(NPU_OP_LD, kX, kHbm).wait0 = NPU_WAIT(7, 1, 1);
  const GroupResult result = checked(k.done());
  ASSERT_NE(result.report, nullptr);
  EXPECT_EQ(*result.report,
            "LD waits at ld " + at(ld) + ", s7 is 0 of 1, and nothing is left to signal it");
}

TEST(Deadlock, AcrossTiles) {
  Kernel k = kernel(2);
  k.only(0);
  const uint32_t barrier = k.here();
  k.op(NPU_OP_BARRIER);
  k.op(NPU_OP_SIG).signal = NPU_SIGNAL_TO(0, 1, 1);
  k.end_only();
  k.only(1);
  const uint32_t wait = k.here();
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
  k.op(NPU_OP_BARRIER);
  k.end_only();
  const GroupResult result = checked(k.done());
  EXPECT_EQ(result.fault.status, NPU_ST_KERNEL_DEADLOCK);
  ASSERT_NE(result.report, nullptr);
  EXPECT_EQ(*result.report, "CTRL of tile 0 waits at barrier " + at(barrier) +
                                " until tile 1 comes; CTRL of tile 1 waits at wait " + at(wait) +
                                ", s0 is 0 of 1, for sig " + at(barrier + 1) +
                                " on tile 0, not issued; CTRL of tile 0 again: a cycle");
}

}  // namespace
}  // namespace npu::model
