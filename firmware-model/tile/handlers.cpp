// SPDX-License-Identifier: Apache-2.0
// Binds each row of isa.def to its handler. A row without a binding, or a binding without a
// function, does not compile.
#include "firmware-model/tile/handlers.h"

#include "firmware-model/tile/engine.h"

namespace npu::model {
namespace {

template <npu_op kOp>
struct Handler;  // no general case: each opcode has its own

#define NPU_BIND(NAME, function)                   \
  template <>                                      \
  struct Handler<NPU_OP_##NAME> {                  \
    static constexpr auto kFunction = &(function); \
  };
#define NPU_BIND_ALU(NAME) NPU_BIND(NAME, alu<NPU_OP_##NAME>)

NPU_BIND(HALT, halt)
NPU_BIND(NOP, nop)
NPU_BIND(LI, li)
NPU_BIND(LIH, lih)
NPU_BIND_ALU(MOV)
NPU_BIND_ALU(ADD)
NPU_BIND_ALU(SUB)
NPU_BIND_ALU(MUL)
NPU_BIND(DIVU, divide)
NPU_BIND(REMU, divide)
NPU_BIND_ALU(SHL)
NPU_BIND_ALU(SHR)
NPU_BIND_ALU(AND)
NPU_BIND_ALU(OR)
NPU_BIND_ALU(XOR)
NPU_BIND_ALU(MIN)
NPU_BIND_ALU(MAX)
NPU_BIND_ALU(ADDI)
NPU_BIND_ALU(MULI)
NPU_BIND(CMP, cmp)
NPU_BIND_ALU(SEL)
NPU_BIND(BR, br)
NPU_BIND(BZ, bz)
NPU_BIND(BNZ, bnz)
NPU_BIND(LOOP, loop)
NPU_BIND(END, end)
NPU_BIND(ARG, arg)
NPU_BIND(ARGW, arg)
NPU_BIND(ARGS, arg)
NPU_BIND(SREG, sreg)
NPU_BIND(SLDW, scalar_load)
NPU_BIND(SLDS, scalar_load)
NPU_BIND(TSET, tset)
NPU_BIND(TADD, tadd)
NPU_BIND(TVIEW, tview)
NPU_BIND(TLDW, near_load)
NPU_BIND(TRAP, trap)
NPU_BIND(ASSERT, assert_true)
NPU_BIND(PRINT, print)
NPU_BIND(CHECK, check)
NPU_BIND(WAIT, wait)
NPU_BIND(SIG, sig)
NPU_BIND(SEMSET, semset)
NPU_BIND(FENCE, fence)
NPU_BIND(BARRIER, barrier)

NPU_BIND(LD, ld)
NPU_BIND(LDC, ldc)
NPU_BIND(GATHER, gather)
NPU_BIND(ST, st)
NPU_BIND(STC, stc)
NPU_BIND(SCATTER, scatter)

NPU_BIND(MM, mm)
NPU_BIND(MMD, mmd)
NPU_BIND(MMS, mms)
NPU_BIND(ACCLD, accld)
NPU_BIND(ACCST, accst)

NPU_BIND(CVT, cvt)
NPU_BIND(NEG, unary)
NPU_BIND(ABS, unary)
NPU_BIND(RELU, unary)
NPU_BIND(EXP, unary)
NPU_BIND(LOG, unary)
NPU_BIND(SQRT, unary)
NPU_BIND(RSQRT, unary)
NPU_BIND(RCP, unary)
NPU_BIND(TANH, unary)
NPU_BIND(SIGMOID, unary)
NPU_BIND(ERF, unary)
NPU_BIND(GELU, unary)
NPU_BIND(GELU_ERF, unary)
NPU_BIND(SILU, unary)
NPU_BIND(SIN, unary)
NPU_BIND(COS, unary)
NPU_BIND(VADD, binary)
NPU_BIND(VSUB, binary)
NPU_BIND(VMUL, binary)
NPU_BIND(VDIV, binary)
NPU_BIND(VMAX, binary)
NPU_BIND(VMIN, binary)
NPU_BIND(VFMA, vfma)
NPU_BIND(VFILL, vfill)
NPU_BIND(IOTA, iota)
NPU_BIND(MASK, mask)
NPU_BIND(RSUM, row_reduce)
NPU_BIND(RSUMSQ, row_reduce)
NPU_BIND(RMAX, row_reduce)
NPU_BIND(RARGMAX, row_argmax)
NPU_BIND(SMSTEP, smstep)
NPU_BIND(ROPE, rope)

#undef NPU_BIND_ALU
#undef NPU_BIND

template <npu_engine kEngine, npu_op kOp>
constexpr ControlHandler control_entry() {
  if constexpr (kEngine == NPU_ENGINE_CTRL) {
    return Handler<kOp>::kFunction;
  } else {
    return &issue;
  }
}

template <npu_engine kEngine, npu_op kOp>
constexpr EngineHandler engine_entry() {
  if constexpr (kEngine == NPU_ENGINE_CTRL) {
    return nullptr;
  } else {
    return Handler<kOp>::kFunction;
  }
}

// What stands where no instruction has the code. No verified program holds one.
Step illegal(Group& group, Tile& tile, const npu_insn& insn) {
  group.fail(tile, insn, NPU_ST_KERNEL_OPERANDS, insn.op);
  return Step::kFault;
}

constexpr std::array<ControlHandler, 256> control_table() {
  std::array<ControlHandler, 256> table{};
  table.fill(&illegal);
#define NPU_INSN(code, NAME, mn, eng, d, a, b, c, r0, r1, r2, r3, imm, flags, doc) \
  table[code] = control_entry<NPU_ENGINE_##eng, NPU_OP_##NAME>();
#include "uapi/spec/isa.def"
  return table;
}

constexpr std::array<OpInfo, 256> op_table() {
  std::array<OpInfo, 256> table{};
#define NPU_INSN(code, NAME, mn, eng, d, a, b, c, r0, r1, r2, r3, imm, flags, doc) \
  table[code] = {engine_entry<NPU_ENGINE_##eng, NPU_OP_##NAME>(), NPU_ENGINE_##eng, #r0[0] == 'U'};
#include "uapi/spec/isa.def"
  return table;
}

}  // namespace

const std::array<ControlHandler, 256> kControlHandlers = control_table();
const std::array<OpInfo, 256> kOps = op_table();

}  // namespace npu::model
