// SPDX-License-Identifier: Apache-2.0
// Pipe<N>: N buffers between two engines, with the semaphores and the rotation of the buffers.
//
//   Pipe<2> p(k, bytes);
//   k.for_range(steps, [&](const Reg& i) {
//     p.produce([&](const Reg& at) { k.ld(k.tile_l1(DType::F32, at, rows, cols), source); });
//     p.consume([&](const Reg& at) { k.mm(acc, a, k.tile_l1(DType::F32, at, rows, cols)).acc(); });
//   });
//
// The first operation of a producer body takes a free buffer, the last one marks it full; the first operation of a consumer body
// takes a full buffer, the last one frees it. Both must always run: not inside a condition or a loop of the body. Operations of one
// body run on one engine, or the author orders them (the last one then waits for a semaphore of the author).
// Thread safety: one kernel belongs to one thread.
#pragma once

#include <cstdint>
#include <string>

#include "tools/isa/builder.h"

namespace npu::isa {

// The part of Pipe that does not depend on N being a constant.
class PipeEnds {
 public:
  PipeEnds(Kernel& kernel, uint32_t buffers, uint32_t bytes, Space space, const Loc& loc);

  Sem full() const { return full_; }  // buffers that hold data
  Sem free() const { return free_; }  // buffers that may be written
  Buf memory() const { return memory_; }

 protected:
  struct End {
    Reg base;  // offset of the buffer of the next body
  };
  void finish_body(size_t first_op, Sem take, Sem give, const Loc& loc);
  void rotate(End& end, const Loc& loc);

  Kernel& kernel_;
  uint32_t buffers_;
  uint32_t stride_bytes_;
  Buf memory_;
  Sem full_, free_;
  End producer_, consumer_;
};

template <uint32_t N>
class Pipe : public PipeEnds {
 public:
  static_assert(N >= 1 && N <= 64);
  // space: L1 or Acc. Bytes of one buffer.
  Pipe(Kernel& kernel, uint32_t bytes, Space space = Space::L1, Loc loc = Loc::current())
      : PipeEnds(kernel, N, bytes, space, loc) {}

  template <typename Body>
  void produce(Body&& body, Loc loc = Loc::current()) {
    const size_t first = kernel_.issued_ops().size();
    body(static_cast<const Reg&>(producer_.base));
    finish_body(first, free_, full_, loc);
    rotate(producer_, loc);
  }

  template <typename Body>
  void consume(Body&& body, Loc loc = Loc::current()) {
    const size_t first = kernel_.issued_ops().size();
    body(static_cast<const Reg&>(consumer_.base));
    finish_body(first, full_, free_, loc);
    rotate(consumer_, loc);
  }
};

}  // namespace npu::isa
