// SPDX-License-Identifier: Apache-2.0
// Follows a work-group's operations: their order, and what they touch.
#include "firmware-model/tile/checker.h"

#include <cstdio>

#include "firmware-model/tile/handlers.h"
#include "firmware-model/tile/report.h"

namespace npu::model {
namespace {

bool accumulates(const npu_insn& insn) {
  return (insn.flags & NPU_F_ACC) != 0 &&
         (insn.op == NPU_OP_MM || insn.op == NPU_OP_MMD || insn.op == NPU_OP_MMS);
}

bool reads(const npu_insn& insn, OperandSlot slot) {
  if (slot == kDst) return accumulates(insn);
  return insn.op != NPU_OP_SMSTEP || slot != kC;
}

bool writes(const npu_insn& insn, OperandSlot slot) {
  return slot == kDst || (insn.op == NPU_OP_SMSTEP && slot != kA);
}

// Calls fn(begin, end) for each run of bytes of a tile until one returns false. Of a last panel that is not full an operation reads its columns, and writes all.
template <typename Fn>
bool for_runs(const Operand& t, bool writes, const Fn& fn) {
  if (t.empty()) return true;
  if (t.layout == NPU_LAYOUT_ROW) {
    if (t.contiguous()) return fn(t.base, t.base + t.extent_bytes);
    for (uint64_t i = 0, at = t.base; i < t.rows; ++i, at += t.stride_bytes()) {
      if (!fn(at, at + t.row_bytes())) return false;
    }
    return true;
  }
  const uint64_t line_bytes = uint64_t{NPU_PANEL_COLS} * t.elem_bytes;
  const uint64_t panel_bytes = t.stride * line_bytes;
  const uint64_t used_bytes = t.rows * line_bytes;
  uint64_t at = t.base;
  uint64_t cols = t.cols;
  if (t.stride == t.rows && (writes || cols % NPU_PANEL_COLS == 0)) {
    return fn(at, at + t.extent_bytes);
  }
  for (; cols >= NPU_PANEL_COLS || (writes && cols != 0); at += panel_bytes) {
    if (!fn(at, at + used_bytes)) return false;
    cols -= std::min<uint64_t>(cols, NPU_PANEL_COLS);
  }
  for (uint64_t i = 0; cols != 0 && i < t.rows; ++i, at += line_bytes) {
    if (!fn(at, at + cols * t.elem_bytes)) return false;
  }
  return true;
}

npu_status status_of(Conflict::Kind kind) {
  switch (kind) {
    case Conflict::kRace:
      return NPU_ST_KERNEL_RACE;
    case Conflict::kUnwritten:
      return NPU_ST_KERNEL_UNINITIALISED;
    default:
      return NPU_ST_OUT_OF_HOST_MEMORY;
  }
}

const char* space_name(uint8_t space) {
  if (space == NPU_SPACE_L1) return "L1";
  return space == NPU_SPACE_L2 ? "L2" : "the accumulator";
}

std::string range_text(uint64_t begin, uint64_t end) {
  char text[64];
  std::snprintf(text, sizeof text, "[0x%llx, 0x%llx)", static_cast<unsigned long long>(begin),
                static_cast<unsigned long long>(end));
  return text;
}

}  // namespace

void Checker::start(const Group& group) {
  const Program& program = *group.launch->program;
  group_ = &group;
  tiles_ = group.tile_count;
  units_ = tiles_ * NPU_ENGINE_COUNT;
  if (knows_.size() < units_) {
    knows_.resize(units_);
    recent_.resize(units_ * kRecent);
  }
  if (tile_states_.size() < tiles_) tile_states_ = std::vector<TileState>(tiles_);
  for (uint32_t unit = 0; unit < units_; ++unit) knows_[unit].clear(units_);
  for (uint32_t i = 0; i < tiles_; ++i) {
    TileState& state = tile_states_[i];
    for (SemaphoreOrder& sem : state.sems) sem.clear(units_);
    for (std::vector<Clocks>& issued : state.issued) issued.resize(group.engine_fifo);
    state.l1.restart(program.l1_bytes);
    state.acc.restart(program.acc_bytes);
  }
  l2_.restart(program.l2_bytes);
  write_count_ = 0;
}

void Checker::queued(const Tile& tile, npu_engine engine, uint32_t place) {
  const Clocks& control = knows_[unit_number(tile.index, NPU_ENGINE_CTRL)];
  tile_states_[tile.index].issued[engine][place].copy(control, units_);
}

void Checker::take(const Tile& tile, const npu_insn& insn, Clocks* knows) {
  for (const uint32_t wait : {insn.wait0, insn.wait1}) {
    if ((wait & NPU_WAIT_VALID) == 0) continue;
    tile_states_[tile.index].sems[NPU_WAIT_SEM(wait)].wait(
        NPU_WAIT_THRESHOLD(wait), (wait & NPU_WAIT_CONSUME) != 0, knows, units_);
  }
}

void Checker::give(const Tile& tile, const npu_insn& insn, uint32_t unit) {
  const uint32_t signal = insn.signal;
  if ((signal & NPU_SIGNAL_VALID) == 0) return;
  const bool to_peer = (signal & NPU_SIGNAL_PEER) != 0;
  const uint32_t target = to_peer ? NPU_SIGNAL_PEER_TILE(signal) : tile.index;
  if (target >= tiles_) return;  // the operation will fail
  tile_states_[target].sems[NPU_SIGNAL_SEM(signal)].signal(knows_[unit], unit,
                                                           NPU_SIGNAL_INC(signal), units_);
}

void Checker::begin(const Tile& tile, const npu_insn& insn, npu_engine engine, uint32_t place) {
  unit_ = unit_number(tile.index, engine);
  Clocks& knows = knows_[unit_];
  const Clocks& control = knows_[unit_number(tile.index, NPU_ENGINE_CTRL)];
  const bool was_queued = place != kNotQueued;
  knows.join(was_queued ? tile_states_[tile.index].issued[engine][place] : control, units_);
  take(tile, insn, &knows);
  const uint32_t step = knows.step(unit_);
  recent(unit_, step) = {.step = step, .ranges = {}};
  give(tile, insn, unit_);
}

void Checker::begin_control(const Tile& tile) {
  unit_ = unit_number(tile.index, NPU_ENGINE_CTRL);
  const uint32_t step = knows_[unit_].step(unit_);
  recent(unit_, step) = {.step = step, .ranges = {}};
}

bool Checker::use(Exec& exec, OperandSlot slot, const Operand& whole) {
  Operand operand = whole;
  if (exec.insn.op == NPU_OP_TLDW) {  // it reads the first element
    operand.rows = operand.cols = operand.stride = 1;
    operand.extent_bytes = operand.elem_bytes;
  }
  const uint32_t step = knows_[unit_].at(unit_);
  recent(unit_, step).ranges[slot] = {operand.base, operand.base + operand.extent_bytes};
  if (reads(exec.insn, slot) && !touch(exec, slot, operand, false)) return false;
  if (writes(exec.insn, slot)) writes_[write_count_++] = {slot, operand};
  return true;
}

bool Checker::end(Exec& exec) {
  for (uint32_t i = 0; i < write_count_; ++i) {
    if (!touch(exec, writes_[i].slot, writes_[i].operand, true)) return false;
  }
  write_count_ = 0;
  return true;
}

bool Checker::touch(Exec& exec, OperandSlot slot, const Operand& operand, bool writes) {
  return for_runs(operand, writes, [&](uint64_t begin, uint64_t end) {
    return touch_run(exec, slot, operand, writes, begin, end);
  });
}

bool Checker::touch_run(Exec& exec, OperandSlot slot, const Operand& operand, bool writes,
                        uint64_t begin, uint64_t end) {
  const Clocks& knows = knows_[unit_];
  const Touch mine{knows.at(unit_), static_cast<uint16_t>(&exec.insn - group_->code),
                   static_cast<uint8_t>(unit_), slot};
  Conflict conflict;
  const auto apply = [&](auto& shadow, uint32_t reader) {
    return writes ? shadow.write(begin, end, mine, knows, &conflict)
                  : shadow.read(begin, end, mine, reader, knows, &conflict);
  };
  TileState& state = tile_states_[exec.tile.index];
  const uint32_t engine = unit_ % NPU_ENGINE_COUNT;
  bool fine = false;
  if (operand.space == NPU_SPACE_L2) {
    fine = apply(l2_, exec.tile.index);  // LD alone reads it
  } else {
    fine = apply(operand.space == NPU_SPACE_L1 ? state.l1 : state.acc, engine);
  }
  return fine || fail(exec, slot, operand, writes, conflict);
}

bool Checker::fail(Exec& exec, OperandSlot slot, const Operand& operand, bool writes,
                   const Conflict& conflict) {
  const Touch& other = conflict.other;
  exec.fail(status_of(conflict.kind),
            NPU_CHECK_RESULT(conflict.begin, operand.space, other.pc, other.unit % NPU_ENGINE_COUNT,
                             other.unit / NPU_ENGINE_COUNT, conflict.other_writes),
            writes ? NPU_ACCESS_WRITE : NPU_ACCESS_READ);
  exec.group.result->report =
      std::make_unique<std::string>(describe(exec, slot, operand, writes, conflict));
  return false;
}

std::string Checker::range_of(const Touch& touch) const {
  const Recent& found = recent_[touch.unit * kRecent + touch.step % kRecent];
  if (found.step != touch.step) return "";
  return " of " + range_text(found.ranges[touch.slot].begin, found.ranges[touch.slot].end);
}

std::string Checker::describe(const Exec& exec, OperandSlot slot, const Operand& operand,
                              bool writes, const Conflict& conflict) const {
  const Touch mine{knows_[unit_].at(unit_), 0, static_cast<uint8_t>(unit_), slot};
  std::string text = space_name(operand.space);
  text += " " + range_text(conflict.begin, conflict.end) + ": ";
  text += place_text(*group_, exec.tile.index, exec.insn);
  text += (writes ? " writes" : " reads") + range_of(mine);
  if (conflict.kind == Conflict::kTooFine) return text + ", in too many pieces to be checked";
  if (conflict.kind == Conflict::kUnwritten) return text + ", which nobody has written";
  const Touch& other = conflict.other;
  text += ", " + place_text(*group_, other.unit / NPU_ENGINE_COUNT, group_->code[other.pc]);
  text += (conflict.other_writes ? " wrote" : " read") + range_of(other);
  return text + ", and nothing orders them";
}

void Checker::waited(const Tile& tile, const npu_insn& insn) {
  take(tile, insn, &knows_[unit_number(tile.index, NPU_ENGINE_CTRL)]);
}

void Checker::signalled(const Tile& tile, const npu_insn& insn) {
  const uint32_t unit = unit_number(tile.index, NPU_ENGINE_CTRL);
  knows_[unit].step(unit);
  give(tile, insn, unit);
}

void Checker::semaphore_set(const Tile& tile, uint32_t sem, uint32_t value) {
  const uint32_t unit = unit_number(tile.index, NPU_ENGINE_CTRL);
  knows_[unit].step(unit);
  SemaphoreOrder& order = tile_states_[tile.index].sems[sem];
  order.clear(units_);
  order.signal(knows_[unit], unit, value, units_);
}

void Checker::fenced(const Tile& tile) {
  Clocks& control = knows_[unit_number(tile.index, NPU_ENGINE_CTRL)];
  for (uint32_t engine = NPU_ENGINE_LD; engine < NPU_ENGINE_COUNT; ++engine) {
    control.join(knows_[unit_number(tile.index, engine)], units_);
  }
}

void Checker::barrier_left() {
  Clocks all;
  for (uint32_t i = 0; i < tiles_; ++i) all.join(knows_[unit_number(i, NPU_ENGINE_CTRL)], units_);
  for (uint32_t i = 0; i < tiles_; ++i) knows_[unit_number(i, NPU_ENGINE_CTRL)].join(all, units_);
}

}  // namespace npu::model
