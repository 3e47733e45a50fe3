// SPDX-License-Identifier: Apache-2.0
// The checking mode of a work-group: accesses to scratchpads that nothing orders, and reads of bytes that nobody has written.
//
// The interpreter tells a Checker of every issue, wait, signal and operand. It decides by what the program orders (order.h), not by what ran first, so it finds a missing wait
// although the interpreter happened to do the right thing. Device memory is not looked at.
//
// Thread safety: belongs to one Worker, hence to one thread at a time.
#ifndef NPU_MODEL_TILE_CHECKER_H_
#define NPU_MODEL_TILE_CHECKER_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "firmware-model/tile/operand.h"
#include "firmware-model/tile/order.h"
#include "firmware-model/tile/shadow.h"

namespace npu::model {

class Checker {
 public:
  // Before each work-group.
  void start(const Group& group);

  // Control has put an operation into place |place| of the queue of |engine|.
  void queued(const Tile& tile, npu_engine engine, uint32_t place);
  // An operation begins, whose waits hold; |place| in its queue, or kNotQueued. Its signal counts from here on: nothing looks at it before the operation is over.
  static constexpr uint32_t kNotQueued = UINT32_MAX;
  void begin(const Tile& tile, const npu_insn& insn, npu_engine engine, uint32_t place);
  // It uses an operand in a scratchpad. False: a fault was recorded.
  bool use(Exec& exec, OperandSlot slot, const Operand& whole);
  // It has done its work. False: a fault was recorded.
  bool end(Exec& exec);

  // TLDW: control reads a word itself.
  void begin_control(const Tile& tile);

  // WAIT, SIG, SEMSET, FENCE of control; BARRIER, when a tile comes and when all leave.
  void waited(const Tile& tile, const npu_insn& insn);
  void signalled(const Tile& tile, const npu_insn& insn);
  void semaphore_set(const Tile& tile, uint32_t sem, uint32_t value);
  void fenced(const Tile& tile);
  void barrier_left();

 private:
  // Ranges of the operands of recent operations, for reports.
  struct Recent {
    uint32_t step = 0;
    struct {
      uint64_t begin = 0;
      uint64_t end = 0;
    } ranges[4];
  };
  static constexpr uint32_t kRecent = 256;

  struct TileState {
    std::array<SemaphoreOrder, NPU_TILE_SEMS> sems;
    std::array<std::vector<Clocks>, NPU_ENGINE_COUNT> issued;  // by place in the engine's queue
    Shadow<NPU_ENGINE_COUNT> l1;
    Shadow<NPU_ENGINE_COUNT> acc;
  };

  void take(const Tile& tile, const npu_insn& insn, Clocks* knows);
  void give(const Tile& tile, const npu_insn& insn, uint32_t unit);
  bool touch(Exec& exec, OperandSlot slot, const Operand& operand, bool writes);
  bool touch_run(Exec& exec, OperandSlot slot, const Operand& operand, bool writes, uint64_t begin,
                 uint64_t end);
  bool fail(Exec& exec, OperandSlot slot, const Operand& operand, bool writes,
            const Conflict& conflict);
  std::string describe(const Exec& exec, OperandSlot slot, const Operand& operand, bool writes,
                       const Conflict& conflict) const;
  std::string range_of(const Touch& touch) const;
  Recent& recent(uint32_t unit, uint32_t step) { return recent_[unit * kRecent + step % kRecent]; }

  const Group* group_ = nullptr;
  uint32_t tiles_ = 0;
  uint32_t units_ = 0;
  uint32_t unit_ = 0;  // of the operation that is under way
  std::vector<Clocks> knows_;
  std::vector<TileState> tile_states_;
  Shadow<NPU_GROUP_MAX_TILES> l2_;
  std::vector<Recent> recent_;
  // Operands that the operation writes, dealt with at its end: what it reads is then as it was before.
  struct Write {
    OperandSlot slot;
    Operand operand;
  };
  std::array<Write, 4> writes_;
  uint32_t write_count_ = 0;
};

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_CHECKER_H_
