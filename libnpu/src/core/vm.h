// SPDX-License-Identifier: Apache-2.0
// Vm: one device address space. Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "libnpu/src/backend/backend.h"
#include "libnpu/src/core/address_space.h"
#include "libnpu/src/core/budget.h"
#include "libnpu/src/core/status.h"

namespace npu {

class Storage;

class Vm {
 public:
  // Part of an object at an address.
  struct Piece {
    uint32_t bo_handle = 0;
    uint64_t bo_offset = 0;
    uint64_t dva = 0;
    uint64_t size_bytes = 0;
    bool readonly = false;
  };

  static Result<std::unique_ptr<Vm>> create(Backend& backend);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  Backend& backend() const { return backend_; }
  uint32_t id() const { return id_; }

  Budget& budget() { return budget_; }

  // A free range of addresses; give_back() with the same size. |align_bytes|: a power of two; 2 MiB at least is given.
  Result<uint64_t> take_range(uint64_t size_bytes, uint64_t align_bytes = 0);
  void give_back_range(uint64_t dva, uint64_t size_bytes);

  // Maps. 0 or an errno.
  int bind(const Piece& piece);
  int unbind(uint64_t dva, uint64_t size_bytes);

  // The address that the device has for what this process sees at |host|; 0: none. Storages tell where the host sees them.
  uint64_t dva_of_host(const void* host);
  void remember_host(const std::byte* host, const Storage* storage);
  void forget_host(const std::byte* host);

 private:
  Vm(Backend& backend, uint32_t id, uint64_t end);

  Backend& backend_;
  const uint32_t id_;
  std::mutex mutex_;
  AddressSpace space_;
  Budget budget_;
  std::mutex hosts_mutex_;  // of hosts_
  std::map<const std::byte*, const Storage*> hosts_;
};

}  // namespace npu
