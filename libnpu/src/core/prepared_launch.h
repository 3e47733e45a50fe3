// SPDX-License-Identifier: Apache-2.0
// PreparedLaunch: a checked launch with its own argument block.
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "libnpu/src/core/module.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

class PreparedLaunch final : public Object {
 public:
  static constexpr Kind kKind = Kind::kPreparedLaunch;

  // |checked|: by make_launch().
  PreparedLaunch(Ref<Kernel> kernel, const Submission& checked);

  Kernel& kernel() const { return *kernel_; }
  // The kernel's handle, which goes stale when its module is unloaded.
  uint64_t kernel_handle() const { return kernel_->handle(); }

  Status set_args(uint32_t offset_bytes, const void* data, uint32_t size_bytes);
  Status submit(Queue& queue, uint64_t* out_value);

 private:
  ~PreparedLaunch() override = default;

  const Ref<Kernel> kernel_;
  const npu_cmd command_;
  std::mutex mutex_;
  std::vector<std::byte> args_;  // never changes its size
};

}  // namespace npu
