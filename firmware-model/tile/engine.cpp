// SPDX-License-Identifier: Apache-2.0
// Issue, execution and signals of engine operations.
//
// Order: an operation acts on memory when it runs, and it runs as soon as it is the oldest of its
// engine and its waits hold. That order depends on the program alone; virtual time is computed
// beside it and never decides what runs next.
#include "firmware-model/tile/engine.h"

#include <algorithm>
#include <bit>

#include "firmware-model/tile/checker.h"
#include "firmware-model/tile/handlers.h"

namespace npu::model {
namespace {

uint32_t next_place(uint32_t place, uint32_t size) { return place + 1 == size ? 0 : place + 1; }

bool holds(const Tile& tile, uint32_t wait, uint32_t taken_before) {
  uint32_t value = tile.sems[NPU_WAIT_SEM(wait)].value();
  return value >= taken_before && value - taken_before >= NPU_WAIT_THRESHOLD(wait);
}

uint64_t take(Tile& tile, uint32_t wait) {
  if ((wait & NPU_WAIT_VALID) == 0) return 0;
  Semaphore& sem = tile.sems[NPU_WAIT_SEM(wait)];
  uint32_t threshold = NPU_WAIT_THRESHOLD(wait);
  return (wait & NPU_WAIT_CONSUME) != 0 ? sem.consume(threshold) : sem.time_reached_ps(threshold);
}

uint64_t hbm_bytes(const GroupStats& stats) { return stats.hbm_read_bytes + stats.hbm_write_bytes; }

void record(const Exec& exec, npu_engine engine, uint64_t start_ps, uint64_t bytes_before) {
  GroupOps& ops = *exec.group.result->ops;
  if (ops.records.size() >= exec.group.launch->ops_most) {
    ++ops.dropped;
    return;
  }
  ops.records.push_back({start_ps, add_capped(start_ps, exec.latency_ps),
                         hbm_bytes(exec.group.result->stats) - bytes_before, exec.insn.line,
                         exec.tile.index, exec.insn.op, static_cast<uint8_t>(engine)});
}

// Runs the operation in |exec|, whose waits hold. False: a fault was recorded.
bool execute(Exec& exec, const OpInfo& info, uint64_t issue_ps) {
  Group& group = exec.group;
  Tile& tile = exec.tile;
  Engine& engine = tile.engines[info.engine];
  Checker* const checker = group.checker;
  if (checker != nullptr) [[unlikely]] {
    const uint32_t place = engine.queued != 0 ? engine.head : Checker::kNotQueued;
    checker->begin(tile, exec.insn, info.engine, place);
  }
  uint64_t start_ps = std::max({engine.free_ps, issue_ps, take_waits(tile, exec.insn)});
  const uint64_t bytes_before = hbm_bytes(group.result->stats);
  if (!info.run(exec)) return false;
  if (checker != nullptr && !checker->end(exec)) [[unlikely]]
    return false;
  uint64_t end_ps = add_capped(start_ps, exec.latency_ps);
  engine.started_ps[engine.place] = start_ps;
  engine.place = next_place(engine.place, group.engine_fifo);
  engine.free_ps = end_ps;
  uint64_t& busy_ps = group.result->stats.engine_busy_ps[info.engine];
  busy_ps = add_capped(busy_ps, exec.latency_ps);
  if (group.result->ops != nullptr) [[unlikely]]
    record(exec, info.engine, start_ps, bytes_before);
  ++group.progress;
  return give_signal(group, tile, exec.insn, end_ps);
}

// Returns the place in the queue.
uint32_t capture(Tile& tile, Engine& engine, uint32_t fifo, const npu_insn& insn,
                 uint64_t issue_ps) {
  uint32_t place = engine.head + engine.queued;
  if (place >= fifo) place -= fifo;
  QueuedOp& op = engine.queue[place];
  const uint8_t slots[4] = {insn.dst, insn.a, insn.b, insn.c};
  op.insn = &insn;
  op.issue_ps = issue_ps;
  op.sequence = tile.issued;
  for (int i = 0; i < 4; ++i) {
    op.desc[i] = tile.desc[slots[i]];
    op.scalar[i] = tile.regs[insn.r[i]];
  }
  ++engine.queued;
  return place;
}

// Runs the head of |engine| if its waits hold. *moved tells; false: a fault was recorded.
bool run_head(Group& group, Tile& tile, npu_engine which, bool* moved) {
  Engine& engine = tile.engines[which];
  *moved = false;
  if (engine.queued == 0) return true;
  QueuedOp& op = engine.queue[engine.head];
  if (!waits_hold(tile, *op.insn)) return true;
  Exec exec{group, tile, *op.insn, {&op.desc[0], &op.desc[1], &op.desc[2], &op.desc[3]}, op.scalar};
  if (group.canceled()) return exec.fail(NPU_ST_CANCELED);
  if (!execute(exec, kOps[op.insn->op], op.issue_ps)) return false;
  engine.head = next_place(engine.head, group.engine_fifo);
  if (--engine.queued == 0) tile.queued_engines &= ~(1u << which);
  *moved = true;
  return true;
}

bool drain_tile(Group& group, Tile& tile) {
  for (bool again = true; again;) {
    again = false;
    for (npu_engine which : {NPU_ENGINE_LD, NPU_ENGINE_ST, NPU_ENGINE_MM, NPU_ENGINE_VE}) {
      bool moved = true;
      while (moved) {
        if (!run_head(group, tile, which, &moved)) return false;
        again |= moved;
      }
    }
  }
  return true;
}

}  // namespace

void reset_engines(Tile& tile, uint32_t fifo) {
  tile.queued_engines = 0;
  tile.issued = 0;
  tile.fifo = fifo;
  for (int which = NPU_ENGINE_LD; which < NPU_ENGINE_COUNT; ++which) {
    Engine& engine = tile.engines[which];
    if (engine.queue.size() != fifo) engine.queue.resize(fifo);
    engine.started_ps.assign(fifo, 0);
    engine.head = 0;
    engine.queued = 0;
    engine.place = 0;
    engine.slot = 0;
    engine.free_ps = 0;
  }
}

bool waits_hold(const Tile& tile, const npu_insn& insn) {
  uint32_t taken = 0;
  if ((insn.wait0 & NPU_WAIT_VALID) != 0) {
    if (!holds(tile, insn.wait0, 0)) return false;
    bool consumes_for_both = (insn.wait0 & NPU_WAIT_CONSUME) != 0 &&
                             NPU_WAIT_SEM(insn.wait0) == NPU_WAIT_SEM(insn.wait1);
    if (consumes_for_both) taken = NPU_WAIT_THRESHOLD(insn.wait0);
  }
  return (insn.wait1 & NPU_WAIT_VALID) == 0 || holds(tile, insn.wait1, taken);
}

uint64_t take_waits(Tile& tile, const npu_insn& insn) {
  if (((insn.wait0 | insn.wait1) & NPU_WAIT_VALID) == 0) return 0;
  uint64_t first_ps = take(tile, insn.wait0);
  return std::max(first_ps, take(tile, insn.wait1));
}

bool give_signal(Group& group, Tile& tile, const npu_insn& insn, uint64_t time_ps) {
  uint32_t signal = insn.signal;
  if ((signal & NPU_SIGNAL_VALID) == 0) return true;
  Tile* target = &tile;
  if ((signal & NPU_SIGNAL_PEER) != 0) {
    uint32_t peer = NPU_SIGNAL_PEER_TILE(signal);
    if (peer >= group.tile_count) return group.fail(tile, insn, NPU_ST_KERNEL_OPERANDS, peer);
    target = &group.tiles[peer];
  }
  uint32_t sem = NPU_SIGNAL_SEM(signal);
  target->sems_used |= uint64_t{1} << sem;
  if (!target->sems[sem].add(NPU_SIGNAL_INC(signal), time_ps)) {
    return group.fail(tile, insn, NPU_ST_KERNEL_OPERANDS, sem);
  }
  if (target->queued_engines != 0) group.drain_mask |= 1u << target->index;
  return true;
}

Step issue(Group& group, Tile& tile, const npu_insn& insn) {
  const OpInfo& info = kOps[insn.op];
  Engine& engine = tile.engines[info.engine];
  if (engine.queued == group.engine_fifo) return Step::kBlocked;
  uint64_t issue_ps = std::max(tile.time_ps, engine.started_ps[engine.slot]);
  engine.slot = next_place(engine.slot, group.engine_fifo);
  tile.time_ps = issue_ps;
  ++tile.issued;
  if (engine.queued != 0 || !waits_hold(tile, insn)) {
    const uint32_t place = capture(tile, engine, group.engine_fifo, insn, issue_ps);
    if (group.checker != nullptr) [[unlikely]]
      group.checker->queued(tile, info.engine, place);
    tile.queued_engines |= 1u << info.engine;
    return Step::kNext;
  }
  uint64_t scalars[4] = {};
  if (info.scalars) {
    for (int i = 0; i < 4; ++i) scalars[i] = tile.regs[insn.r[i]];
  }
  Exec exec{group,
            tile,
            insn,
            {&tile.desc[insn.dst], &tile.desc[insn.a], &tile.desc[insn.b], &tile.desc[insn.c]},
            scalars};
  return execute(exec, info, issue_ps) && drain(group) ? Step::kNext : Step::kFault;
}

bool drain(Group& group) {
  while (group.drain_mask != 0) {
    int lowest = std::countr_zero(group.drain_mask);
    group.drain_mask &= group.drain_mask - 1;
    if (!drain_tile(group, group.tiles[lowest])) return false;
  }
  return true;
}

const npu_insn& oldest_blocked(const Group& group, const Tile& tile) {
  const QueuedOp* oldest = nullptr;
  for (const Engine& engine : tile.engines) {
    if (engine.queued == 0) continue;
    const QueuedOp& head = engine.queue[engine.head];
    if (oldest == nullptr || head.sequence < oldest->sequence) oldest = &head;
  }
  return oldest != nullptr ? *oldest->insn : group.code[tile.pc];
}

}  // namespace npu::model
