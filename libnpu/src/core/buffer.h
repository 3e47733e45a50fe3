// SPDX-License-Identifier: Apache-2.0
// Buffer: a buffer object, mapped in a Vm, and in this process once somebody looks at it.
// Thread safety: host() may race with itself; else as a plain object.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "libnpu/src/backend/mapping.h"
#include "libnpu/src/core/status.h"
#include "libnpu/src/core/vm.h"

namespace npu {

enum class Region { kSystem, kHbm };

class Buffer {
 public:
  // |shared_words|: it will hold words that host and device watch (a control block).
  static Result<std::unique_ptr<Buffer>> create(Vm& vm, Region region, uint64_t size_bytes,
                                                bool shared_words = false);
  // Gives the memory back. No work of the device may use it any more.
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint64_t dva() const { return dva_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint32_t handle() const { return handle_; }
  // The host's view; mapped at the first call.
  Result<std::byte*> host();

 private:
  explicit Buffer(Vm& vm) : vm_(vm) {}

  Vm& vm_;
  uint32_t handle_ = 0;
  uint64_t dva_ = 0;
  uint64_t size_bytes_ = 0;
  uint64_t map_token_ = 0;
  bool bound_ = false;
  std::mutex map_mutex_;
  Mapping mapping_;
  std::atomic<std::byte*> host_{nullptr};
};

}  // namespace npu
