// SPDX-License-Identifier: Apache-2.0
// Control instructions that wait or signal.
#include <algorithm>

#include "firmware-model/tile/checker.h"
#include "firmware-model/tile/engine.h"
#include "firmware-model/tile/handlers.h"

namespace npu::model {
namespace {

// Control moves on when the last engine has finished.
void join_engines(Group& group, Tile& tile) {
  for (const Engine& engine : tile.engines) tile.time_ps = std::max(tile.time_ps, engine.free_ps);
  if (group.checker != nullptr) [[unlikely]]
    group.checker->fenced(tile);
}

// The last tile has come: all leave at the time of the latest.
void release_barrier(Group& group) {
  uint64_t latest_ps = 0;
  for (uint32_t i = 0; i < group.tile_count; ++i) {
    latest_ps = std::max(latest_ps, group.tiles[i].time_ps);
  }
  for (uint32_t i = 0; i < group.tile_count; ++i) {
    group.tiles[i].time_ps = latest_ps;
    group.tiles[i].barrier = BarrierState::kReleased;
  }
  group.at_barrier = 0;
  if (group.checker != nullptr) [[unlikely]]
    group.checker->barrier_left();
}

}  // namespace

Step wait(Group& group, Tile& tile, const npu_insn& insn) {
  if (!waits_hold(tile, insn)) return Step::kBlocked;
  if (group.checker != nullptr) [[unlikely]]
    group.checker->waited(tile, insn);
  tile.time_ps = std::max(tile.time_ps, take_waits(tile, insn));
  return Step::kNext;
}

Step sig(Group& group, Tile& tile, const npu_insn& insn) {
  if (group.checker != nullptr) [[unlikely]]
    group.checker->signalled(tile, insn);
  return give_signal(group, tile, insn, tile.time_ps) && drain(group) ? Step::kNext : Step::kFault;
}

Step semset(Group& group, Tile& tile, const npu_insn& insn) {
  uint64_t value = tile.regs[insn.r[0]];
  if (value > Semaphore::kMaxValue || insn.imm >= NPU_TILE_SEMS) {
    group.fail(tile, insn, NPU_ST_KERNEL_OPERANDS, value);
    return Step::kFault;
  }
  tile.sems[insn.imm].set(static_cast<uint32_t>(value), tile.time_ps);
  if (group.checker != nullptr) [[unlikely]]
    group.checker->semaphore_set(tile, insn.imm, static_cast<uint32_t>(value));
  tile.sems_used |= uint64_t{1} << insn.imm;
  if (tile.queued_engines != 0) group.drain_mask |= 1u << tile.index;
  return drain(group) ? Step::kNext : Step::kFault;
}

Step fence(Group& group, Tile& tile, const npu_insn&) {
  if (tile.queued_engines != 0) return Step::kBlocked;
  join_engines(group, tile);
  return Step::kNext;
}

Step barrier(Group& group, Tile& tile, const npu_insn&) {
  if (tile.barrier == BarrierState::kNone) {
    if (tile.queued_engines != 0) return Step::kBlocked;
    join_engines(group, tile);
    tile.barrier = BarrierState::kArrived;
    ++group.progress;
    if (++group.at_barrier == group.tile_count) release_barrier(group);
  }
  if (tile.barrier != BarrierState::kReleased) return Step::kBlocked;
  tile.barrier = BarrierState::kNone;
  return Step::kNext;
}

}  // namespace npu::model
