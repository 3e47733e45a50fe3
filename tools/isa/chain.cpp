// SPDX-License-Identifier: Apache-2.0
// Automatic synchronisation of the kernel builder: where tokens are given, taken, and where a FENCE stands instead.
#include "tools/isa/chain.h"

#include "tools/isa/builder.h"
#include "tools/isa/codec.h"

namespace npu::isa {
namespace {

npu_insn fence_insn() {
  npu_insn insn{};
  insn.op = NPU_OP_FENCE;
  return insn;
}

npu_insn signal_insn(uint8_t sem) {
  npu_insn insn{};
  insn.op = NPU_OP_SIG;
  insn.signal = NPU_SIGNAL(sem, 1);
  return insn;
}

bool has_free_wait(const npu_insn& insn) { return insn.wait0 == 0 || insn.wait1 == 0; }

}  // namespace

void Chain::enable(bool on) {
  // In a block that may run again, what comes before this point is not known.
  if (on && !enabled_ && kernel_.block() != 0) state_ = State::kDirty;
  if (!on && state_ != State::kClean) state_ = State::kDirty;
  enabled_ = on;
}

uint8_t Chain::sem(uint8_t engine) {
  if (sems_[engine] < 0) sems_[engine] = kernel_.sem().number;
  return static_cast<uint8_t>(sems_[engine]);
}

void Chain::settle(const Loc& loc) {
  kernel_.emit(fence_insn(), loc);
  state_ = State::kClean;
}

void Chain::before_op(npu_insn& insn, const Loc& loc) {
  if (!enabled_) return;
  const uint8_t engine = kInsnTable[insn.op].engine;
  switch (state_) {
    case State::kClean:
      return;
    case State::kDirty:
      return settle(loc);
    case State::kTop:
      if (!has_free_wait(insn))
        kernel_.fail(loc, "the first operation of a chained loop body has no free wait");
      enter_loop_body(engine);
      return kernel_.add_wait(insn, Sem{sem(engine)}, 1, true, loc);
    case State::kLast:
      if (last_engine_ == engine) return;
      if (!has_free_wait(insn) || kernel_.insn(last_).signal != 0) return settle(loc);
      kernel_.insn(last_).signal = NPU_SIGNAL(sem(engine), 1);
      return kernel_.add_wait(insn, Sem{sem(engine)}, 1, true, loc);
  }
}

void Chain::after_op(uint32_t index, uint8_t engine) {
  ++ops_;
  state_ = enabled_ ? State::kLast : State::kDirty;
  last_ = index;
  last_engine_ = engine;
}

void Chain::fenced() { state_ = State::kClean; }

void Chain::loop_begin(const Loc& loc) {
  LoopState loop{};
  loop.entry = state_;
  loop.entry_last = last_;
  loop.entry_engine = last_engine_;
  loop.fence = kernel_.reserve(loc);
  loop.signal = kernel_.reserve(loc);
  loop.ops_before = ops_;
  loop.engine = -1;
  loops_.push_back(loop);
  state_ = State::kTop;
}

// The body begins with an operation of |engine|: on the way in, whatever comes before the loop gives it its token.
void Chain::enter_loop_body(uint8_t engine) {
  LoopState& loop = loops_.back();
  loop.engine = engine;
  if (loop.entry == State::kLast && kernel_.insn(loop.entry_last).signal == 0) {
    kernel_.insn(loop.entry_last).signal = NPU_SIGNAL(sem(engine), 1);
    return;
  }
  if (loop.entry != State::kClean) kernel_.activate(loop.fence, fence_insn());
  kernel_.activate(loop.signal, signal_insn(sem(engine)));
}

void Chain::loop_back_edge(const Loc& loc) {
  const LoopState& loop = loops_.back();
  if (loop.engine < 0) return;
  const uint8_t token = sem(static_cast<uint8_t>(loop.engine));
  if (state_ == State::kLast && kernel_.insn(last_).signal == 0) {
    kernel_.insn(last_).signal = NPU_SIGNAL(token, 1);
    return;
  }
  if (state_ != State::kClean) settle(loc);
  kernel_.emit(signal_insn(token), loc);
}

// After the loop one token is left, from the entry or from the last run of the body.
void Chain::loop_end(const Loc& loc) {
  const LoopState loop = loops_.back();
  loops_.pop_back();
  if (loop.engine >= 0) {
    settle(loc);
    kernel_.consume(Sem{sem(static_cast<uint8_t>(loop.engine))}, 1, loc);
  } else if (ops_ != loop.ops_before) {
    state_ = State::kDirty;
  } else {
    state_ = loop.entry;
    last_ = loop.entry_last;
    last_engine_ = loop.entry_engine;
  }
}

void Chain::branch_begin(bool repeats) {
  branches_.push_back({state_, ops_});
  if (repeats || state_ != State::kClean) state_ = State::kDirty;
}

void Chain::branch_else() {
  state_ = branches_.back().entry == State::kClean ? State::kClean : State::kDirty;
}

void Chain::branch_end() {
  const BranchState branch = branches_.back();
  branches_.pop_back();
  state_ = ops_ != branch.ops_before ? State::kDirty : branch.entry;
}

}  // namespace npu::isa
