// SPDX-License-Identifier: Apache-2.0
// Vm: one device address space. Thread safety: all functions.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "libnpu/src/backend/backend.h"
#include "libnpu/src/core/address_space.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Vm {
 public:
  static Result<std::unique_ptr<Vm>> create(Backend& backend);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  Backend& backend() const { return backend_; }
  uint32_t id() const { return id_; }

  // A free range of addresses; give_back() with the same size.
  Result<uint64_t> take_range(uint64_t size_bytes);
  void give_back_range(uint64_t dva, uint64_t size_bytes);

  // Maps a whole object at |dva|. 0 or an errno.
  int bind(uint32_t bo_handle, uint64_t dva, uint64_t size_bytes);
  int unbind(uint64_t dva, uint64_t size_bytes);

 private:
  Vm(Backend& backend, uint32_t id, uint64_t end);
  int change(uint32_t kind, uint32_t bo_handle, uint64_t dva, uint64_t size_bytes);

  Backend& backend_;
  const uint32_t id_;
  std::mutex mutex_;
  AddressSpace space_;
};

}  // namespace npu
