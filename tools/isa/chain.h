// SPDX-License-Identifier: Apache-2.0
// Automatic synchronisation of the kernel builder: keeps engine operations in program order across engines.
//
// Invariant: all engine operations of a chained stretch form one total order; at most one token is on its way, in the semaphore
// that belongs to the engine of the next operation. Since an engine takes its operations in order, the token cannot reach the
// wrong one. At borders of loops and conditions, where the next engine is not known, FENCE brings all engines to rest.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/isa/value.h"
#include "uapi/npu_isa.h"

namespace npu::isa {

class Chain {
 public:
  explicit Chain(Kernel& kernel) : kernel_(kernel) {}

  void enable(bool on);
  bool enabled() const { return enabled_; }

  void before_op(npu_insn& insn, const Loc& loc);  // may emit, and adds the wait
  void after_op(uint32_t index, uint8_t engine);
  void fenced();  // control has waited for all engines

  void loop_begin(const Loc& loc);      // before LOOP
  void loop_back_edge(const Loc& loc);  // before END
  void loop_end(const Loc& loc);        // after END
  void branch_begin(bool repeats);      // a stretch that may not run, or run again
  void branch_else();                   // the other stretch
  void branch_end();

 private:
  enum class State {
    kClean,  // all engines are at rest
    kLast,   // last_ is the only end of the order and gives no signal yet
    kTop,    // start of a loop body: either the entry or the end of the body comes before
    kDirty,  // operations may be under way and nothing will say when they are done
  };
  struct LoopState {
    State entry;
    uint32_t entry_last;
    uint8_t entry_engine;
    uint32_t fence, signal;  // reserved instructions before LOOP
    uint64_t ops_before;
    int engine = -1;  // of the first operation in the body; -1: the body does not begin with one
  };
  struct BranchState {
    State entry;
    uint64_t ops_before;
  };

  uint8_t sem(uint8_t engine);
  void enter_loop_body(uint8_t engine);
  void settle(const Loc& loc);  // to kClean

  Kernel& kernel_;
  bool enabled_ = false;
  State state_ = State::kClean;
  uint32_t last_ = 0;
  uint8_t last_engine_ = 0;
  uint64_t ops_ = 0;  // engine operations so far
  int sems_[NPU_ENGINE_COUNT] = {-1, -1, -1, -1, -1};
  std::vector<LoopState> loops_;
  std::vector<BranchState> branches_;
};

}  // namespace npu::isa
