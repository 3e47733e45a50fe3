// SPDX-License-Identifier: Apache-2.0
// Storage: a buffer object, wherever it is mapped: the memory itself, and the host's view of it. Charged to the budget of its context for as long as it lives.
// Thread safety: all functions; host() may race with itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "libnpu/src/backend/mapping.h"
#include "libnpu/src/core/budget.h"
#include "libnpu/src/core/status.h"
#include "libnpu/src/core/vm.h"

namespace npu {

struct StorageInfo {
  Region region = Region::kHbm;
  Use use = Use::kAllocations;
  uint64_t size_bytes = 0;
  bool shared_words = false;  // it will hold words that host and device watch (a control block)
  bool exportable = false;    // other address spaces and processes may map it too
};

class Storage {
 public:
  static Result<std::shared_ptr<Storage>> create(Vm& vm, const StorageInfo& info);
  // The object or memfd behind |fd|, for [offset, offset + size_bytes) of the file (size 0: all behind offset): *out_offset and *out_bytes are that range in the storage.
  static Result<std::shared_ptr<Storage>> import(Vm& vm, int fd, uint64_t offset,
                                                 uint64_t size_bytes, bool readonly,
                                                 uint64_t* out_offset, uint64_t* out_bytes);
  // Memory of the process from |host| on, whole pages around it included.
  static Result<std::shared_ptr<Storage>> adopt(Vm& vm, void* host, uint64_t size_bytes,
                                                bool readonly);
  // A descriptor for import(), and the id that all who share it know it by.
  Status export_fd(int* out_fd, uint64_t* out_id);

  // No work of the device may use it any more.
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  uint32_t handle() const { return handle_; }
  Region region() const { return info_.region; }
  Use use() const { return info_.use; }
  uint64_t size_bytes() const { return info_.size_bytes; }
  bool exportable() const { return info_.exportable; }
  bool readonly() const { return readonly_; }

  // The host's view; mapped at the first call.
  Result<std::byte*> host();
  // The same if somebody has looked already, else null.
  std::byte* known_host() const { return host_.load(std::memory_order_acquire); }

  // Where its first byte is mapped, if it was: what a host address means to the device.
  uint64_t first_dva() const { return first_dva_.load(std::memory_order_relaxed); }
  void set_first_dva(uint64_t dva) { first_dva_.store(dva, std::memory_order_relaxed); }

 private:
  Storage(Vm& vm, const StorageInfo& info) : vm_(vm), info_(info) {}
  Status charge(uint64_t bytes);
  Status use_object();
  void map_peer(int fd);
  void show_mapping();
  Status use_file(int fd, uint64_t offset, uint64_t size_bytes);
  Status copy_of(const void* host, uint64_t in_page, uint64_t size_bytes);

  Vm& vm_;
  StorageInfo info_;
  uint32_t handle_ = 0;
  uint64_t charged_bytes_ = 0;
  bool readonly_ = false;
  bool borrowed_ = false;  // host_ is not ours, and no place to look it up by
  uint64_t map_token_ = 0;
  std::mutex map_mutex_;
  Mapping mapping_;
  std::atomic<std::byte*> host_{nullptr};
  std::atomic<uint64_t> first_dva_{0};
};

}  // namespace npu
