// SPDX-License-Identifier: Apache-2.0
// Buffer: a Storage, or part of one, that is mapped at addresses of its own in a Vm.
// Thread safety: host() may race with itself; else as a plain object.
#pragma once

#include <cstdint>
#include <memory>

#include "libnpu/src/core/status.h"
#include "libnpu/src/core/storage.h"
#include "libnpu/src/core/vm.h"

namespace npu {

class Buffer {
 public:
  static Result<std::unique_ptr<Buffer>> create(Vm& vm, const StorageInfo& info);
  // |size_bytes| from |offset| on, whole pages; 0: all of it.
  static Result<std::unique_ptr<Buffer>> over(Vm& vm, std::shared_ptr<Storage> storage,
                                              uint64_t offset = 0, uint64_t size_bytes = 0);
  // Gives the memory back. No work of the device may use it any more.
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint64_t dva() const { return dva_; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint32_t handle() const { return storage_->handle(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  Result<std::byte*> host() { return storage_->host(); }

 private:
  Buffer(Vm& vm, std::shared_ptr<Storage> storage) : vm_(vm), storage_(std::move(storage)) {}

  Vm& vm_;
  const std::shared_ptr<Storage> storage_;
  uint64_t dva_ = 0;
  uint64_t size_bytes_ = 0;
  bool bound_ = false;
};

}  // namespace npu
