// SPDX-License-Identifier: Apache-2.0
// Request: one checked call of an operation.
#pragma once

#include <npu/npu_ccl.h>

#include <string>
#include <vector>

#include "libnpu/ccl/reducer.h"
#include "libnpu/ccl/schedule/problem.h"
#include "libnpu/ccl/shared_memory.h"

namespace npu::ccl {

// Where the buffers of the other ranks lie that an operation touches.
struct Reached {
  struct Buffers {
    const npuDevPtr* windows = nullptr;  // by rank: Window::peers_dva
    uint64_t offset_bytes = 0;
    npuDevPtr of(uint32_t rank) const { return windows[rank] + offset_bytes; }
  };
  Buffers input, output;
};

struct Request {
  Problem problem;  // what all ranks have alike; of a message root sends to peer
  Reduction reduction;
  bool scales_input = false;  // by reduction.factor, before everything else
  npuCclRedOp called = NPU_CCL_SUM;
  npuDevPtr send = 0;
  npuDevPtr recv = 0;
  npuCclComm comm = nullptr;  // as it was called
  npuQueue queue = nullptr;
  uint64_t* out_value = nullptr;  // NULL in a group
  bool sends_message = false;     // or receives it
  bool is_captured = false;       // its queue is
  Placed placed{};                // Communicator::place()
  Reached reached;                // likewise

  bool is_message() const { return problem.op == Op::kSendRecv; }
};

// Completes the problem (in place or not) and checks the buffers of |rank|.
npuResult check_buffers(npuContext context, uint32_t rank, Request* request);

// What other ranks must have alike; of a pre-multiplied sum not the number of the operation, which is each rank's own.
Record record_of(const Request& request, uint64_t sequence);
// The sequence does not count.
bool agree(const Record& a, const Record& b);
bool agree(const Called& a, const Called& b);
// "allreduce of 100 float32, sum"
std::string describe(const Record& record);
// "..., send at byte 0 of window 1"
std::string describe(const Called& called);

}  // namespace npu::ccl
