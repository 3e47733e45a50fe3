// SPDX-License-Identifier: Apache-2.0
// Argument blocks of prepared launches.
#include "libnpu/src/core/prepared_launch.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "libnpu/src/core/error.h"
#include "uapi/npu_isa.h"

namespace npu {

PreparedLaunch::PreparedLaunch(Ref<Kernel> kernel, const Submission& checked)
    : Object(kKind),
      kernel_(std::move(kernel)),
      command_(checked.command),
      args_(static_cast<const std::byte*>(checked.args),
            static_cast<const std::byte*>(checked.args) + checked.args_bytes) {}

Status PreparedLaunch::set_args(uint32_t offset_bytes, const void* data, uint32_t size_bytes) {
  std::lock_guard lock(mutex_);
  if (offset_bytes > args_.size() || size_bytes > args_.size() - offset_bytes) {
    return fail(NPU_ERROR_ARGUMENT_LAYOUT,
                "[%u, + %u bytes) leaves the argument block of kernel '%s', which has %zu",
                offset_bytes, size_bytes, kernel_->image().note.name, args_.size());
  }
  if (size_bytes != 0) std::memcpy(args_.data() + offset_bytes, data, size_bytes);
  return Status::ok();
}

Status PreparedLaunch::submit(Queue& queue, uint64_t* out_value) {
  // A copy: the lock is not held while a full ring empties.
  std::array<std::byte, NPU_ARGS_MAX_BYTES> args;
  const auto args_bytes = static_cast<uint32_t>(args_.size());
  {
    std::lock_guard lock(mutex_);
    std::copy(args_.begin(), args_.end(), args.begin());  // there may be none
  }
  const Submission one{.command = command_,
                       .args = args.data(),
                       .args_bytes = args_bytes,
                       .kernel = kernel_.get(),
                       .prints = kernel_->image().use.prints};
  return queue.submit({&one, 1}, out_value);
}

}  // namespace npu
