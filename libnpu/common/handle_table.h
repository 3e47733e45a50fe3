// SPDX-License-Identifier: Apache-2.0
// HandleTable: public handles of shared objects. A handle is the slot's number plus one in the low half and the slot's generation in the high half, so a stale one names nothing.
// Thread safety: all functions. Make it with new and never destroy it: other threads may still be inside the library when the process ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace npu::common {

template <typename Handle, typename Object>
class HandleTable {
 public:
  static constexpr size_t kMost = 1 << 16;

  // NULL: the table is full.
  Handle add(std::shared_ptr<Object> object) {
    std::lock_guard lock(mutex_);
    size_t number = 0;
    while (number < slots_.size() && slots_[number].object != nullptr) ++number;
    if (number == kMost) return nullptr;
    if (number == slots_.size()) slots_.emplace_back();
    slots_[number].object = std::move(object);
    const uint64_t bits = uint64_t{slots_[number].generation} << 32 | (number + 1);
    return reinterpret_cast<Handle>(static_cast<uintptr_t>(bits));
  }

  // Empty: no such handle.
  std::shared_ptr<Object> find(Handle handle) {
    std::lock_guard lock(mutex_);
    const Slot* slot = slot_of(handle);
    return slot != nullptr ? slot->object : nullptr;
  }

  // The handle names nothing from here on. The object may end with the caller's copy: not under the lock.
  std::shared_ptr<Object> take(Handle handle) {
    std::lock_guard lock(mutex_);
    Slot* slot = slot_of(handle);
    if (slot == nullptr) return nullptr;
    ++slot->generation;
    return std::exchange(slot->object, nullptr);
  }

 private:
  struct Slot {
    std::shared_ptr<Object> object;
    uint32_t generation = 1;
  };

  Slot* slot_of(Handle handle) {
    const auto bits = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(handle));
    const uint64_t number = bits & UINT32_MAX;
    if (number == 0 || number > slots_.size()) return nullptr;
    Slot& slot = slots_[number - 1];
    return slot.generation == bits >> 32 && slot.object != nullptr ? &slot : nullptr;
  }

  std::mutex mutex_;
  std::vector<Slot> slots_;
};

}  // namespace npu::common
