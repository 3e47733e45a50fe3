// SPDX-License-Identifier: Apache-2.0
// From the arguments of the submission functions to checked commands; queues, batches, prepared launches and graphs share it.
#pragma once

#include <npu/npu_queue.h>

#include <vector>

#include "libnpu/src/api/guard.h"
#include "libnpu/src/core/context.h"
#include "libnpu/src/core/module.h"
#include "libnpu/src/core/queue.h"

namespace npu::api {

// |kernel| must stay alive as long as |out| is used; so must info->args.
Status make_launch(Context& context, const Kernel& kernel, const npuLaunchInfo* info,
                   Submission* out);
Status make_copy(Context& context, npuDevPtr dst, npuDevPtr src, uint64_t size_bytes,
                 Submission* out);
Status make_copy(Context& context, const npuCopyInfo* info, Submission* out);
Status make_fill(Context& context, npuDevPtr dst, uint64_t pattern, uint32_t pattern_bytes,
                 uint64_t size_bytes, Submission* out);
Status make_signal(Context& context, npuDevPtr semaphore, uint64_t value, Submission* out);
Status make_wait(Context& context, npuDevPtr semaphore, uint64_t value, Submission* out);

// Checked commands of an array, and the kernels that they name.
class Batch {
 public:
  Batch() = default;
  // |memory|: of an earlier one, for its submissions.
  explicit Batch(std::vector<Submission> memory) : submissions_(std::move(memory)) {}

  // NPU_ERROR_...: the text names the element.
  Status read(Context& context, uint32_t count, const npuCommand* commands);
  // One command alone, whose errors name no index.
  Status read(Context& context, const npuCommand* command);
  std::span<const Submission> submissions() const { return submissions_; }
  std::vector<Submission> take_memory() { return std::move(submissions_); }

 private:
  Status read_one(Context& context, const npuCommand& command);
  Status read_element(Context& context, const unsigned char* bytes, uint32_t stride);

  std::vector<Submission> submissions_;
  std::vector<Ref<Kernel>> kernels_;
};

}  // namespace npu::api
