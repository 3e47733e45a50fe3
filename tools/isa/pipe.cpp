// SPDX-License-Identifier: Apache-2.0
// Pipe<N>: which operations take and give the semaphores, and how a buffer follows the one before.
#include "tools/isa/pipe.h"

#include "tools/isa/codec.h"

namespace npu::isa {

PipeEnds::PipeEnds(Kernel& kernel, uint32_t buffers, uint32_t bytes, Space space, const Loc& loc)
    : kernel_(kernel), buffers_(buffers), stride_bytes_((bytes + 63) / 64 * 64) {
  if (space != Space::L1 && space != Space::Acc)
    kernel.fail(loc, "the buffers of a Pipe lie in L1 or in the accumulator");
  if (bytes == 0 || bytes > (1u << 30) / buffers)
    kernel.fail(loc, "the buffers of a Pipe have a size that cannot be");
  const uint32_t total_bytes = stride_bytes_ * buffers;
  memory_ = space == Space::L1 ? kernel.l1(total_bytes, 64, loc) : kernel.acc(total_bytes, 64, loc);
  full_ = kernel.sem(0, loc);
  free_ = kernel.sem(buffers, loc);
  producer_.base = kernel.reg(Val(memory_, loc));
  consumer_.base = kernel.reg(Val(memory_, loc));
}

void PipeEnds::finish_body(size_t first_op, Sem take, Sem give, const Loc& loc) {
  const auto& ops = kernel_.issued_ops();
  if (kernel_.chain_state().enabled())
    kernel_.fail(loc, "a Pipe does its own synchronisation; switch chain() off around it");
  if (ops.size() == first_op) kernel_.fail(loc, "the body of a Pipe issues no engine operation");
  const auto first = ops[first_op];
  const auto last = ops.back();
  if (first.block != kernel_.block() || last.block != kernel_.block())
    kernel_.fail(loc,
                 "the first and the last operation of a Pipe body must always run, so they cannot "
                 "stand in a condition or a loop of the body");
  npu_insn& head = kernel_.insn(first.index);
  npu_insn& tail = kernel_.insn(last.index);
  if (kInsnTable[head.op].engine != kInsnTable[tail.op].engine && tail.wait0 == 0)
    kernel_.fail(loc,
                 "the first and the last operation of a Pipe body run on different engines and "
                 "nothing orders them; let the last one wait for a semaphore of the one before");
  if (tail.signal != 0)
    kernel_.fail(loc, "the last operation of a Pipe body gives the signal of the Pipe; it has one");
  kernel_.add_wait(head, take, 1, true, loc);
  tail.signal = NPU_SIGNAL(give.number, 1);
}

void PipeEnds::rotate(End& end, const Loc& loc) {
  if (buffers_ == 1) return;
  if (buffers_ == 2) {
    // The other one of two: first + second - this.
    end.base = Val(static_cast<int64_t>(2) * memory_.offset_bytes + stride_bytes_, loc) - end.base;
    return;
  }
  Reg next = Val(end.base, loc) + stride_bytes_;
  Reg inside = Val(next, loc) < memory_.offset_bytes + memory_.size_bytes;
  end.base = select(Val(inside, loc), next, Val(memory_, loc));
}

}  // namespace npu::isa
