// SPDX-License-Identifier: Apache-2.0
// The queues of a tile's engines: issue, execution as soon as the waits hold, signals.
#ifndef NPU_MODEL_TILE_ENGINE_H_
#define NPU_MODEL_TILE_ENGINE_H_

#include "firmware-model/tile/group.h"

namespace npu::model {

// Forgets what engines hold from the last work-group and makes room for |fifo|
// operations an engine.
void reset_engines(Tile& tile, uint32_t fifo);

// Gives an engine operation to its engine: runs it at once when nothing is in its way, else queues
// it. kBlocked: the queue is full.
Step issue(Group& group, Tile& tile, const npu_insn& insn);

// Whether both waits of |insn| hold together.
bool waits_hold(const Tile& tile, const npu_insn& insn);
// Consumes what the waits consume; returns the time at which the last count that they need had
// come. Needs waits_hold().
uint64_t take_waits(Tile& tile, const npu_insn& insn);

// Gives the signal of |insn| at |time_ps|. False: a fault was recorded.
bool give_signal(Group& group, Tile& tile, const npu_insn& insn, uint64_t time_ps);

// Runs every queued operation that a signal has set free, until nothing moves: lowest tile first,
// engines in the order LD, ST, MM, VE. False: a fault was recorded.
bool drain(Group& group);

// The instruction that has waited longest on a tile that cannot move.
const npu_insn& oldest_blocked(const Group& group, const Tile& tile);

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_ENGINE_H_
