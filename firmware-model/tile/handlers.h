// SPDX-License-Identifier: Apache-2.0
// The two handler tables, one place an opcode: control instructions and engine operations.
#ifndef NPU_MODEL_TILE_HANDLERS_H_
#define NPU_MODEL_TILE_HANDLERS_H_

#include <array>
#include <cstdint>

#include "firmware-model/tile/operand.h"

namespace npu::model {

// pc already stands behind |insn|; a handler that branches moves it, the caller moves it back when
// a handler returns kBlocked.
using ControlHandler = Step (*)(Group& group, Tile& tile, const npu_insn& insn);
// Checks, acts, sets latency_ps. False: a fault was recorded.
using EngineHandler = bool (*)(Exec& exec);

struct OpInfo {
  EngineHandler run = nullptr;
  npu_engine engine = NPU_ENGINE_CTRL;
  bool scalars = false;  // reads scalar registers
};

// An engine operation's control handler is issue().
extern const std::array<ControlHandler, 256> kControlHandlers;
extern const std::array<OpInfo, 256> kOps;

// control.cpp
template <npu_op kOp>
Step alu(Group& group, Tile& tile, const npu_insn& insn);
Step halt(Group& group, Tile& tile, const npu_insn& insn);
Step nop(Group& group, Tile& tile, const npu_insn& insn);
Step li(Group& group, Tile& tile, const npu_insn& insn);
Step lih(Group& group, Tile& tile, const npu_insn& insn);
Step divide(Group& group, Tile& tile, const npu_insn& insn);
Step cmp(Group& group, Tile& tile, const npu_insn& insn);
Step br(Group& group, Tile& tile, const npu_insn& insn);
Step bz(Group& group, Tile& tile, const npu_insn& insn);
Step bnz(Group& group, Tile& tile, const npu_insn& insn);
Step loop(Group& group, Tile& tile, const npu_insn& insn);
Step end(Group& group, Tile& tile, const npu_insn& insn);
Step arg(Group& group, Tile& tile, const npu_insn& insn);
Step sreg(Group& group, Tile& tile, const npu_insn& insn);
Step scalar_load(Group& group, Tile& tile, const npu_insn& insn);
Step near_load(Group& group, Tile& tile, const npu_insn& insn);
Step trap(Group& group, Tile& tile, const npu_insn& insn);
Step assert_true(Group& group, Tile& tile, const npu_insn& insn);

// print.cpp
Step print(Group& group, Tile& tile, const npu_insn& insn);
Step check(Group& group, Tile& tile, const npu_insn& insn);

// descriptor.cpp
Step tset(Group& group, Tile& tile, const npu_insn& insn);
Step tadd(Group& group, Tile& tile, const npu_insn& insn);
Step tview(Group& group, Tile& tile, const npu_insn& insn);

// sync.cpp
Step wait(Group& group, Tile& tile, const npu_insn& insn);
Step sig(Group& group, Tile& tile, const npu_insn& insn);
Step semset(Group& group, Tile& tile, const npu_insn& insn);
Step fence(Group& group, Tile& tile, const npu_insn& insn);
Step barrier(Group& group, Tile& tile, const npu_insn& insn);

// dma.cpp
bool ld(Exec& exec);
bool st(Exec& exec);
bool gather(Exec& exec);
bool scatter(Exec& exec);

// convert.cpp
bool ldc(Exec& exec);

// store.cpp
bool stc(Exec& exec);

// stream.cpp
bool mms(Exec& exec);

// tensor.cpp
bool mm(Exec& exec);
bool mmd(Exec& exec);
bool accld(Exec& exec);
bool accst(Exec& exec);

// vector.cpp
bool cvt(Exec& exec);
bool unary(Exec& exec);
bool binary(Exec& exec);
bool vfma(Exec& exec);
bool vfill(Exec& exec);
bool iota(Exec& exec);
bool mask(Exec& exec);

// vector_rows.cpp
bool row_reduce(Exec& exec);
bool row_argmax(Exec& exec);
bool smstep(Exec& exec);
bool rope(Exec& exec);

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_HANDLERS_H_
