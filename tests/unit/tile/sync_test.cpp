// SPDX-License-Identifier: Apache-2.0
// Semaphores, queues, barriers between tiles, and what happens when nobody can move.
#include <gtest/gtest.h>

#include "firmware-model/tile/semaphore.h"
#include "machine.h"

namespace npu::model {
namespace {

TEST(Semaphore, RemembersWhenEachCountCame) {
  Semaphore s;
  s.reset();
  EXPECT_TRUE(s.add(2, 10));
  EXPECT_TRUE(s.add(1, 30));
  EXPECT_TRUE(s.add(4, 20));  // times never fall
  EXPECT_EQ(s.value(), 7u);
  EXPECT_EQ(s.time_reached_ps(0), 0u);
  EXPECT_EQ(s.time_reached_ps(2), 10u);
  EXPECT_EQ(s.time_reached_ps(3), 30u);
  EXPECT_EQ(s.time_reached_ps(7), 30u);
  EXPECT_EQ(s.consume(1), 10u);
  EXPECT_EQ(s.consume(2), 30u);
  EXPECT_EQ(s.value(), 4u);
  EXPECT_EQ(s.consume(4), 30u);
  EXPECT_EQ(s.value(), 0u);
}

TEST(Semaphore, KeepsItsCountWhenThePlacesForTimesRunOut) {
  Semaphore s;
  s.reset();
  for (uint32_t i = 0; i < 1000; ++i) EXPECT_TRUE(s.add(1, i));
  EXPECT_EQ(s.value(), 1000u);
  EXPECT_EQ(s.time_reached_ps(1000), 999u);
  EXPECT_GE(s.time_reached_ps(1), 0u);
  EXPECT_EQ(s.consume(999), 998u);
  EXPECT_EQ(s.consume(1), 999u);
}

TEST(Semaphore, StopsAt65535) {
  Semaphore s;
  s.reset();
  EXPECT_TRUE(s.add(65535, 1));
  EXPECT_TRUE(s.add(0, 2));
  EXPECT_FALSE(s.add(1, 3));
  EXPECT_EQ(s.value(), 65535u);
}

// ST is issued before the LD that it waits for: it must stay in its queue while control runs ahead.
TEST(Sync, AnOperationMayWaitForASignalThatComesLaterInTheProgram) {
  Machine m;
  auto in = random_floats(64, 1);
  m.memory.put(kIn, in);
  Kernel k;
  k.hbm(0, kIn, 8, 8);
  k.l1(1, 0, 8, 8);
  k.hbm(2, kOut, 8, 8);
  k.op(NPU_OP_ST, 2, 1).wait0 = NPU_WAIT(5, 1, 1);
  // Captured at issue: changing the descriptor afterwards does not matter.
  k.hbm(2, kIn2, 8, 8);
  k.op(NPU_OP_VADD, 1, 1, 1).wait0 = NPU_WAIT(4, 1, 1);
  k.program.code.back().signal = NPU_SIGNAL(5, 1);
  k.op(NPU_OP_LD, 1, 0).signal = NPU_SIGNAL(4, 1);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  auto out = m.memory.get<float>(kOut, 64);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], in[i] + in[i]);
}

TEST(Sync, AFullQueueHoldsControlUntilAPlaceIsFree) {
  // Six STs wait for tile 1's signals; the queue holds four.
  Machine m;
  m.memory.put(kOut, std::vector<float>(8, 0.0f));
  Kernel k(2);
  k.only(0);
  k.l1(1, 0, 1, 1);
  k.op(NPU_OP_VFILL, 1).imm = 0x3f800000;
  for (int i = 0; i < 6; ++i) {
    k.hbm(2, kOut + 4 * i, 1, 1);
    k.op(NPU_OP_ST, 2, 1).wait0 = NPU_WAIT(0, 1, 1);
  }
  k.end_only();
  k.only(1);
  for (int i = 0; i < 6; ++i) k.op(NPU_OP_SIG).signal = NPU_SIGNAL_TO(0, 1, 0);
  k.end_only();
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<float>(kOut, 8), (std::vector<float>{1, 1, 1, 1, 1, 1, 0, 0}));
}

TEST(Sync, TwoWaitsOnOneSemaphoreNeedBothCounts) {
  Machine m;
  Kernel k;
  k.op(NPU_OP_SIG).signal = NPU_SIGNAL(3, 1);
  npu_insn& wait = k.op(NPU_OP_WAIT);
  wait.wait0 = NPU_WAIT(3, 1, 1);
  wait.wait1 = NPU_WAIT(3, 1, 1);
  k.done();
  EXPECT_EQ(m.run(k.program).fault.status, NPU_ST_KERNEL_DEADLOCK);
  k.program.code[0].signal = NPU_SIGNAL(3, 2);
  EXPECT_EQ(m.run(k.program).fault.status, NPU_ST_OK);
}

TEST(Sync, SemaphoresStartAtZeroInEveryWorkGroup) {
  Machine m;
  Kernel signals;
  signals.op(NPU_OP_SIG).signal = NPU_SIGNAL(9, 5);
  ASSERT_EQ(m.run(signals.done()).fault.status, NPU_ST_OK);
  Kernel waits;
  waits.op(NPU_OP_WAIT).wait0 = NPU_WAIT(9, 1, 0);
  EXPECT_EQ(m.run(waits.done()).fault.status, NPU_ST_KERNEL_DEADLOCK);
}

TEST(Sync, SemsetSetsAndWaitsTestOrTake) {
  Machine m;
  Kernel k;
  k.li(1, 3);
  k.scalar(NPU_OP_SEMSET, 1).imm = 7;
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(7, 3, 0);  // leaves 3
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(7, 2, 1);  // leaves 1
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(7, 1, 1);
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(7, 0, 1);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  k.program.code.pop_back();
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(7, 1, 1);
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_KERNEL_DEADLOCK);
}

TEST(Sync, TilesHandAValueRoundARing) {
  constexpr uint32_t kTiles = 16;
  Machine m;
  m.memory.put(kIn, std::vector<float>{1.0f});
  Kernel k(kTiles);
  // Tile t waits for its turn, doubles the word in L2, wakes t + 1; the last one stores it.
  k.l1(1, 0, 1, 1);
  k.set(2, {NPU_SPACE_L2}, 0, 1, 1);
  k.hbm(3, kIn, 1, 1);
  k.hbm(4, kOut, 1, 1);
  for (uint32_t t = kTiles; t-- > 0;) {
    k.only(t);
    if (t != 0) k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(0, 1, 1);
    k.op(NPU_OP_LD, 1, t == 0 ? 3 : 2).signal = NPU_SIGNAL(1, 1);
    k.op(NPU_OP_VADD, 1, 1, 1).wait0 = NPU_WAIT(1, 1, 1);
    k.program.code.back().signal = NPU_SIGNAL(2, 1);
    npu_insn& st = k.op(NPU_OP_ST, t + 1 == kTiles ? 4 : 2, 1);
    st.wait0 = NPU_WAIT(2, 1, 1);
    if (t + 1 != kTiles) st.signal = NPU_SIGNAL_TO(0, 1, t + 1);
    k.end_only();
  }
  GroupResult result = m.run(k.done());
  ASSERT_EQ(result.fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<float>(kOut, 1)[0], 65536.0f);
}

TEST(Sync, ABarrierHoldsEveryTileUntilTheLastHasCome) {
  // Tile t stores its number, all meet, tile t reads its neighbour's; twice over.
  Machine m;
  Kernel k(4);
  k.scalar(NPU_OP_SREG, 1).imm = NPU_SREG_TILE;
  k.l1(1, 0, 1, 1, NPU_DTYPE_I32);
  for (int round = 0; round < 2; ++round) {
    k.li(2, 4);
    k.scalar(NPU_OP_MUL, 3, 1, 2);
    k.set(2, {NPU_SPACE_L2, NPU_DTYPE_I32}, 64 * round, 1, 1);
    npu_insn& own = k.scalar(NPU_OP_TADD, 3);
    own.dst = 3;
    own.a = 2;
    if (round == 0) k.scalar(NPU_OP_IOTA, 1).dst = 1;
    k.op(NPU_OP_ST, 3, 1);
    k.op(NPU_OP_BARRIER);
    k.scalar(NPU_OP_ADDI, 4, 1).imm = 1;
    k.scalar(NPU_OP_REMU, 4, 4, 2);
    k.scalar(NPU_OP_MUL, 4, 4, 2);
    npu_insn& next = k.scalar(NPU_OP_TADD, 4);
    next.dst = 4;
    next.a = 2;
    k.op(NPU_OP_LD, 1, 4);
  }
  k.hbm(5, kOut, 1, 1, NPU_DTYPE_I32);
  npu_insn& place = k.scalar(NPU_OP_TADD, 3);
  place.dst = 5;
  place.a = 5;
  k.op(NPU_OP_ST, 5, 1);
  ASSERT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
  EXPECT_EQ(m.memory.get<int32_t>(kOut, 4), (std::vector<int32_t>{2, 3, 0, 1}));
}

TEST(Sync, ADeadlockNamesTheOldestBlockedOperationOfTheLowestTile) {
  Machine m;
  Kernel k(2);
  k.l1(1, 0, 1, 1);
  k.hbm(2, kOut, 1, 1);
  k.only(1);
  uint32_t blocked = k.here();
  k.op(NPU_OP_ST, 2, 1).wait0 = NPU_WAIT(0, 1, 1);
  k.op(NPU_OP_WAIT).wait0 = NPU_WAIT(1, 1, 1);
  k.end_only();
  Fault fault = m.run(k.done()).fault;
  EXPECT_EQ(fault.status, NPU_ST_KERNEL_DEADLOCK);
  EXPECT_EQ(fault.tile_in_group, 1);
  EXPECT_EQ(fault.pc, blocked);
  EXPECT_EQ(fault.line, blocked + 1);
  EXPECT_EQ(fault.engine, NPU_ENGINE_ST);
}

TEST(Sync, ABarrierThatAHaltedTileWillNeverReachIsADeadlock) {
  Machine m;
  Kernel k(2);
  k.only(0);
  k.op(NPU_OP_BARRIER);
  k.end_only();
  Fault fault = m.run(k.done()).fault;
  EXPECT_EQ(fault.status, NPU_ST_KERNEL_DEADLOCK);
  EXPECT_EQ(fault.tile_in_group, 0);
  EXPECT_EQ(fault.engine, NPU_ENGINE_CTRL);
}

TEST(Sync, ATileThatPollsMemoryDoesNotStarveTheOthers) {
  Machine m;
  m.memory.put(kOut, std::vector<uint32_t>{0});
  Kernel k(2);
  k.only(0);
  k.li(1, kOut);
  k.scalar(NPU_OP_SLDW, 2, 1);
  k.scalar(NPU_OP_BZ, 2).imm = static_cast<uint32_t>(-1);
  k.end_only();
  k.only(1);
  k.l1(1, 0, 1, 1);
  k.hbm(2, kOut, 1, 1);
  k.op(NPU_OP_VFILL, 1).imm = 0x3f800000;
  k.op(NPU_OP_ST, 2, 1);
  k.end_only();
  EXPECT_EQ(m.run(k.done()).fault.status, NPU_ST_OK);
}

}  // namespace
}  // namespace npu::model
