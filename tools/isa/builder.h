// SPDX-License-Identifier: Apache-2.0
// Kernel: writes a program of the tile instruction set in C++. See README.md in this folder for how a kernel reads.
//
// Control runs ahead: engine operations are queued when they are issued and each engine (LD, ST, MM, VE) takes its own in order. Data
// that goes from one engine to another needs a semaphore, a Pipe (pipe.h), a fence, or chain(true). A mistake of the author ends the
// process with the place and a sentence: this code runs when kernels are built, never on a user's machine.
// Thread safety: one kernel belongs to one thread.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/isa/chain.h"
#include "tools/isa/op.h"
#include "tools/isa/program.h"
#include "tools/isa/tile.h"
#include "tools/isa/value.h"

namespace npu::isa {

// Body of a counted loop, from construction to destruction.
class Loop {
 public:
  Loop(Kernel& kernel, const Val& count, const Loc& loc);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();
  const Reg& index() const { return index_; }  // 0, 1, ...; do not assign to it

 private:
  Kernel& kernel_;
  Loc loc_;
  Reg index_;
  uint32_t loop_label_ = 0;
  uint32_t end_label_ = 0;
  bool chained_ = false;
};

// clang-format off
#define NPU_ISA_UNARY_OPS(X) \
  X(cvt, CVT) X(neg, NEG) X(abs, ABS) X(relu, RELU) X(exp, EXP) X(log, LOG) X(sqrt, SQRT) X(rsqrt, RSQRT) \
  X(rcp, RCP) X(tanh, TANH) X(sigmoid, SIGMOID) X(erf, ERF) X(gelu, GELU) X(gelu_erf, GELU_ERF) X(silu, SILU) \
  X(sin, SIN) X(cos, COS) X(rsum, RSUM) X(rsumsq, RSUMSQ) X(rmax, RMAX) X(rargmax, RARGMAX)
#define NPU_ISA_BINARY_OPS(X) \
  X(vadd, VADD) X(vsub, VSUB) X(vmul, VMUL) X(vdiv, VDIV) X(vmax, VMAX) X(vmin, VMIN)
// clang-format on

class Kernel {
 public:
  explicit Kernel(std::string_view name);
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  ~Kernel();

  // --- Arguments: laid out in the order of these calls, each aligned to its size -------------------------------
  Arg arg_dva(std::string_view name, Loc loc = Loc::current());
  Arg arg_u64(std::string_view name, Loc loc = Loc::current());
  Arg arg_u32(std::string_view name, Loc loc = Loc::current());
  Arg arg_i32(std::string_view name, Loc loc = Loc::current());
  Arg arg_f32(std::string_view name, Loc loc = Loc::current());

  // --- Resources: never given back; the kernel's need is the sum ------------------------------------------------
  Buf l1(uint32_t bytes, uint32_t align_bytes = 64, Loc loc = Loc::current());
  Buf l2(uint32_t bytes, uint32_t align_bytes = 64, Loc loc = Loc::current());
  Buf acc(uint32_t bytes, uint32_t align_bytes = 64, Loc loc = Loc::current());
  Sem sem(uint32_t initial = 0, Loc loc = Loc::current());  // emits SEMSET when initial is not 0
  void group(uint32_t tiles);                               // tiles a work-group; 1 when not called

  // --- Scalars (arithmetic is in value.h) -----------------------------------------------------------------------
  Reg reg(const Val& value = 0);                   // a new register with this value
  Reg f32(float value, Loc loc = Loc::current());  // a new register with these fp32 bits
  Reg sreg(npu_sreg which, Loc loc = Loc::current());
  Reg group_x(Loc loc = Loc::current()) { return sreg(NPU_SREG_GROUP_X, loc); }
  Reg group_y(Loc loc = Loc::current()) { return sreg(NPU_SREG_GROUP_Y, loc); }
  Reg group_z(Loc loc = Loc::current()) { return sreg(NPU_SREG_GROUP_Z, loc); }
  Reg tile_id(Loc loc = Loc::current()) { return sreg(NPU_SREG_TILE, loc); }
  Reg load_u32(const Val& dva, int32_t offset_bytes = 0, Loc loc = Loc::current());
  Reg load_i32(const Val& dva, int32_t offset_bytes = 0, Loc loc = Loc::current());
  // The 32 bits of a's first element, in L1 or ACC, once all engines are at rest: emits a fence.
  Reg word_of(const Tile& a, Loc loc = Loc::current());

  // --- Tiles. stride in elements, 0 = dense (ROW: cols, PANEL: rows) ---------------------------------------------
  Tile tile(Space space, DType dtype, const Val& base, const Val& rows, const Val& cols,
            const Val& stride = 0, Layout layout = Layout::Row, Loc loc = Loc::current());
  Tile tile_hbm(DType dtype, const Val& base_dva, const Val& rows, const Val& cols,
                const Val& stride = 0, Loc loc = Loc::current());
  Tile tile_l1(DType dtype, const Val& base, const Val& rows, const Val& cols,
               const Val& stride = 0, Loc loc = Loc::current());
  Tile panel_l1(DType dtype, const Val& base, const Val& rows, const Val& cols,
                const Val& stride = 0, Loc loc = Loc::current());
  Tile tile_l2(DType dtype, const Val& base, const Val& rows, const Val& cols,
               const Val& stride = 0, Loc loc = Loc::current());
  Tile tile_acc(const Val& base, const Val& rows, const Val& cols, const Val& stride = 0,
                Loc loc = Loc::current());

  // --- Control flow -----------------------------------------------------------------------------------------------
  // A count that is zero or negative skips the body. The body gets the index as a const Reg&.
  Loop loop(const Val& count, Loc loc = Loc::current()) { return Loop(*this, count, loc); }
  template <typename Body>
  void for_range(const Val& count, Body&& body, Loc loc = Loc::current());
  template <std::same_as<Reg> Count, typename Body>  // a count that nobody needs any more
  void for_range(Count&& count, Body&& body, Loc loc = Loc::current());
  // begin, begin + step, ... below end; step > 0
  template <typename Body>
  void for_range(const Val& begin, const Val& end, const Val& step, Body&& body,
                 Loc loc = Loc::current());
  void if_(const Val& condition, const std::function<void()>& then,
           const std::function<void()>& otherwise = {}, Loc loc = Loc::current());
  template <std::same_as<Reg> Condition>  // a condition that nobody needs any more
  void if_(Condition&& condition, const std::function<void()>& then,
           const std::function<void()>& otherwise = {}, Loc loc = Loc::current()) {
    if_once(std::move(condition), then, otherwise, loc);
  }
  void while_(const std::function<Reg()>& condition, const std::function<void()>& body,
              Loc loc = Loc::current());
  void halt(Loc loc = Loc::current());
  void trap(uint32_t code, Loc loc = Loc::current());
  void assert_that(const Val& condition, uint32_t code, Loc loc = Loc::current());
  // Prints a line to whoever listens on the queue (uapi/npu_format.h); check() if |condition| is 0, and ends the job with NPU_ERROR_KERNEL_ASSERT then.
  // An fp32 argument (%f %e %g) is its 32 bits. Up to 4 arguments, of check() 3.
  void print(std::string_view format, std::initializer_list<Val> args = {},
             Loc loc = Loc::current());
  void check(const Val& condition, std::string_view format, std::initializer_list<Val> args = {},
             Loc loc = Loc::current());

  // --- Synchronisation by control -----------------------------------------------------------------------------------
  void fence(Loc loc = Loc::current());
  void barrier(Loc loc = Loc::current());
  void wait(Sem sem, uint32_t n = 1, Loc loc = Loc::current());
  void consume(Sem sem, uint32_t n = 1, Loc loc = Loc::current());
  void signal(Sem sem, uint32_t n = 1, Loc loc = Loc::current());
  void signal_peer(Sem sem, uint32_t tile, uint32_t n = 1, Loc loc = Loc::current());
  // From here on every engine operation waits for the one before it, on whichever engine that ran. Right without any
  // semaphore of the author, and without overlap: for short vector kernels. Same setting at both ends of a block.
  void chain(bool on) { chain_.enable(on); }

  // --- Engine operations: operands as in isa.def, destination first -------------------------------------------------
  Op ld(const Tile& d, const Tile& a, Loc loc = Loc::current());
  // As ld(), converted to d's type: the way in for types in blocks.
  Op ldc(const Tile& d, const Tile& a, Loc loc = Loc::current());
  Op gather(const Tile& d, const Tile& a, const Tile& index, Loc loc = Loc::current());
  Op st(const Tile& d, const Tile& a, Loc loc = Loc::current());
  // As st(), converted to d's type: the way out for types in blocks. .scale_rule() .overflow() .random()
  Op stc(const Tile& d, const Tile& a, Loc loc = Loc::current());
  Op scatter(const Tile& d, const Tile& a, const Tile& index, Loc loc = Loc::current());
  Op mm(const Tile& d, const Tile& a, const Tile& b, Loc loc = Loc::current());
  Op mmd(const Tile& d, const Tile& a, const Tile& b, Loc loc = Loc::current());
  // As mmd(), with b in HBM: weights that are used once need no way through L1.
  Op mms(const Tile& d, const Tile& a, const Tile& b, Loc loc = Loc::current());
  Op accld(const Tile& d, const Tile& a, Loc loc = Loc::current());
  Op accst(const Tile& d, const Tile& a, Loc loc = Loc::current());
#define NPU_ISA_UNARY(name, NAME)                                                \
  Op name(const Tile& d, const Tile& a, Loc loc = Loc::current()) {              \
    return Op(*this, {.op = NPU_OP_##NAME, .tiles = {&d, &a}, .regs = {}}, loc); \
  }
  NPU_ISA_UNARY_OPS(NPU_ISA_UNARY)
#undef NPU_ISA_UNARY
#define NPU_ISA_BINARY(name, NAME)                                                     \
  Op name(const Tile& d, const Tile& a, const BOperand& b, Loc loc = Loc::current()) { \
    return vector_op(NPU_OP_##NAME, d, a, b, loc);                                     \
  }
  NPU_ISA_BINARY_OPS(NPU_ISA_BINARY)
#undef NPU_ISA_BINARY
  Op vfma(const Tile& d, const Tile& a, const BOperand& b, const BOperand& c,
          Loc loc = Loc::current());
  Op vfill(const Tile& d, float value, Loc loc = Loc::current());
  // d[i,j] = start + i * row_step + j * col_step
  Op iota(const Tile& d, const Val& start, const Val& row_step, const Val& col_step,
          Loc loc = Loc::current());
  // d = a where all of .causal() .window(columns) .length(columns) hold, else |fill|; row0, col0: place of d[0,0]
  Op mask(const Tile& d, const Tile& a, const Val& row0, const Val& col0,
          float fill = -std::numeric_limits<float>::infinity(), Loc loc = Loc::current());
  // state [m, 2] = (largest, sum) so far, fp32; factor [m, 1]
  Op smstep(const Tile& d, const Tile& a, const Tile& state, const Tile& factor,
            Loc loc = Loc::current());
  Op rope(const Tile& d, const Tile& a, const Tile& cos, const Tile& sin, Loc loc = Loc::current());

  // Ends the program (with HALT where it does not end already), verifies it and hands it out. Once.
  Program finish(Loc loc = Loc::current());

  // --- For the parts of the builder -----------------------------------------------------------------------------------
  static constexpr uint32_t kNoLabel = UINT32_MAX;
  [[noreturn]] void fail(const Loc& loc, std::string_view text) const;
  uint32_t emit(npu_insn insn, const Loc& loc, uint32_t label = kNoLabel);
  uint32_t reserve(const Loc& loc);  // an instruction that stays away unless activated
  void activate(uint32_t index, const npu_insn& insn);
  uint32_t new_label();
  void bind(uint32_t label);
  uint8_t use(const Val& value, Reg& temp);  // register number; loads into |temp| when needed
  Reg new_reg(const Loc& loc);
  void free_reg(uint8_t number) { regs_used_ &= ~(1u << number); }
  void free_tile(uint8_t number) { tiles_used_ &= ~(uint64_t{1} << number); }
  Reg alu(npu_op op, const Val& a, const Val& b, uint32_t imm = 0);
  void write(Reg& reg, const Val& value);  // reg = value
  void write(Reg& reg, Reg&& value);       // by renaming where possible
  void write(Tile& tile, Tile&& value);
  void copy_tile(const Tile& d, const Tile& a, const Val& move, const Loc& loc);
  void set_tile(const Tile& d, const Val& base, const Val& rows, const Val& cols, const Val& stride,
                const Loc& loc);
  Tile view_tile(const Tile& a, const Val& row, const Val& col, const Val& rows, const Val& cols,
                 const Loc& loc);
  Tile new_tile(Space space, DType dtype, Layout layout, const Loc& loc);
  uint32_t emit_op(npu_insn insn, const Loc& loc);  // an engine operation, with the chain
  void add_wait(npu_insn& insn, Sem sem, uint32_t n, bool consume, const Loc& loc) const;
  npu_insn& insn(uint32_t index) { return slots_[index].insn; }
  Loc loc_of(uint32_t index) const { return slots_[index].loc; }
  // Operations since the start, as (instruction index, block): Pipe looks at those of its body.
  struct IssuedOp {
    uint32_t index;
    uint32_t block;
  };
  const std::vector<IssuedOp>& issued_ops() const { return issued_; }
  uint32_t block() const { return blocks_.empty() ? 0 : blocks_.back(); }
  void enter_block() { blocks_.push_back(++block_count_); }
  void leave_block() { blocks_.pop_back(); }
  Chain& chain_state() { return chain_; }
  const std::string& name() const { return name_; }

 private:
  friend class Loop;
  struct Slot {
    npu_insn insn;
    Loc loc;
    uint32_t label = kNoLabel;
    bool dead = false;
  };

  Arg add_arg(std::string_view name, npu_arg_kind kind, const Loc& loc);
  Buf take(uint32_t& used_bytes, uint32_t bytes, uint32_t align_bytes, const Loc& loc);
  Op vector_op(npu_op op, const Tile& d, const Tile& a, const BOperand& b, const Loc& loc);
  bool last_writes(bool tile, uint8_t number) const;
  void branch(npu_op op, uint8_t reg, uint32_t label, const Loc& loc);
  void if_once(Reg&& condition, const std::function<void()>& then,
               const std::function<void()>& otherwise, const Loc& loc);
  void branches(uint32_t else_label, const std::function<void()>& then,
                const std::function<void()>& otherwise, const Loc& loc);
  void sync(npu_op op, uint32_t wait, uint32_t signal, const Loc& loc);
  Reg load_scalar(npu_op op, const Val& dva, int32_t offset_bytes, const Loc& loc);
  uint32_t line_id(const Loc& loc);
  void emit_format(npu_op op, std::string_view format, std::span<const Val> operands,
                   const Loc& loc);
  void place_labels(const std::vector<uint32_t>& new_index);

  std::string name_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> labels_;  // slot that each stands before
  uint32_t last_bound_ = UINT32_MAX;
  uint32_t regs_used_ = 1;  // register 0 is the constant 0
  uint64_t tiles_used_ = 0;
  uint32_t sems_used_ = 0;
  uint32_t loop_depth_ = 0;
  std::vector<uint32_t> blocks_;
  uint32_t block_count_ = 0;
  std::vector<IssuedOp> issued_;
  Chain chain_{*this};
  Program program_;
  uint32_t args_end_bytes_ = 0;
  bool finished_ = false;
};

template <typename Body>
void Kernel::for_range(const Val& count, Body&& body, Loc loc) {
  Loop loop(*this, count, loc);
  body(loop.index());
}

template <std::same_as<Reg> Count, typename Body>
void Kernel::for_range(Count&& count, Body&& body, Loc loc) {
  Loop loop(*this, count, loc);
  count.free();  // LOOP has read it
  body(loop.index());
}

template <typename Body>
void Kernel::for_range(const Val& begin, const Val& end, const Val& step, Body&& body, Loc loc) {
  Reg index = reg(begin);
  Reg trips = max(alu(NPU_OP_SUB, end, begin), 0);
  if (!step.is_imm() || step.imm() != 1) trips = ceil_div(trips, step);
  Loop loop(*this, trips, loc);
  trips.free();
  body(static_cast<const Reg&>(index));
  index += step;
}

}  // namespace npu::isa
