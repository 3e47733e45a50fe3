// SPDX-License-Identifier: Apache-2.0
// One engine operation of the kernel builder: k.mm(acc, a, b).acc().wait(full).signal(free) emits at the end of the statement.
// Thread safety: one kernel belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/isa/tile.h"
#include "tools/isa/value.h"

namespace npu::isa {

// A counting semaphore of the tile.
struct Sem {
  uint8_t number = 0;
};

// What a Kernel method hands to Op: which tiles and scalars stand where.
struct OpInit {
  npu_op op;
  std::array<const Tile*, 4> tiles{};     // dst, a, b, c
  std::vector<std::pair<int, Val>> regs;  // operand index, value
  uint32_t imm = 0;
  uint32_t flags = 0;
};

class [[maybe_unused]] Op {
 public:
  Op(Kernel& kernel, const OpInit& init, const Loc& loc);
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  ~Op();  // emits the instruction

  // Synchronisation. wait: starts when the semaphore is >= n; consume: as wait, and subtracts n; at most two of them.
  // signal: adds n when the operation is complete; at most one.
  Op& wait(Sem sem, uint32_t n = 1);
  Op& consume(Sem sem, uint32_t n = 1);
  Op& signal(Sem sem, uint32_t n = 1);
  Op& signal_peer(Sem sem, uint32_t tile, uint32_t n = 1);

  // Flags; one that the instruction does not take is refused.
  Op& acc(bool on = true) { return flag(NPU_F_ACC, on); }
  Op& tb(bool on = true) { return flag(NPU_F_TB, on); }
  Op& trans(bool on = true) { return flag(NPU_F_TRANS, on); }
  Op& half(bool on = true) { return flag(NPU_F_HALF, on); }
  Op& integer(bool on = true) { return flag(NPU_F_INTEGER, on); }  // mms of Q8_0, Q4_0
  Op& tiled(bool on = true) { return flag(NPU_F_TILED, on); }      // with integer()
  Op& scale(const F32& factor);                                    // accst, smstep
  Op& bias(const Tile& row);                                       // accst
  Op& act(Act activation);                                         // accst
  Op& causal(bool on = true) { return flag(NPU_F_CAUSAL, on); }    // mask
  Op& window(const Val& columns);                                  // mask
  Op& length(const Val& columns);                                  // mask
  // cvt, stc: into FP8, what is too large gives NaN or infinity
  Op& overflow(bool on = true) { return rounding_flag(NPU_F_OVERFLOW, on); }
  // cvt, stc: stochastic rounding by |seed| (64 bits); the element at [i, j] of the tile is number first + i * pitch + j of the matrix
  Op& random(const Val& seed, const Val& first, const Val& pitch);
  Op& scale_rule(ScaleRule rule);  // stc into MX

 private:
  Op& flag(uint32_t bits, bool on);
  Op& rounding_flag(uint32_t bits, bool on);
  void set_reg(int operand, const Val& value);
  void set_tile(int operand, const Tile& tile);
  void check() const;
  void check_rounding(const std::string& name) const;

  Kernel& kernel_;
  Loc loc_;
  npu_insn insn_{};
  std::array<const Tile*, 4> tiles_{};
  std::vector<Reg> temps_;  // constants and arguments that the operation loads
};

}  // namespace npu::isa
