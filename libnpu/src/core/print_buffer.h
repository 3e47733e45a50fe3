// SPDX-License-Identifier: Apache-2.0
// PrintBuffer: the memory in which a queue's kernels leave what they print (uapi/npu_queue.h : npu_print_ctrl), until somebody takes it.
// Thread safety: none; guarded by the mutex of its queue. The device's side is hostile: counts and records are read once and bounded.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/status.h"
#include "uapi/npu_queue.h"

namespace npu {

class PrintBuffer {
 public:
  static Result<std::unique_ptr<PrintBuffer>> create(Vm& vm);

  // Makes it the print buffer of a queue.
  npu_cmd command() const;
  // As new. No queue prints into it.
  void restart();
  // Appends the records that came since, oldest first; how many were lost since.
  uint64_t take(std::vector<npu_print_record>* out);

 private:
  PrintBuffer() = default;
  npu_print_ctrl* ctrl() const { return reinterpret_cast<npu_print_ctrl*>(base_); }

  std::unique_ptr<Buffer> memory_;
  std::byte* base_ = nullptr;
  uint64_t read_ = 0;
  uint64_t dropped_ = 0;
};

}  // namespace npu
