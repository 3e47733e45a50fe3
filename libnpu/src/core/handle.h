// SPDX-License-Identifier: Apache-2.0
// The handle table: from the numbers that callers hold to objects, and safe against any number.
//
// A handle is  5 | 0 | slot (24 bits) | tag (32 bits)  from the top: not a canonical address, so whoever dereferences it learns at once. The tag is the slot's generation and the
// object's kind; it changes whenever the slot is given to another object.
//
// Thread safety: all functions. Memory ordering: a slot's word carries tag, life bit and number of pins. insert() publishes the object with a release store of the word, pin() takes
// it with an acquire exchange; the one who finds the last pin gone of a dead slot frees the object (acq_rel on both sides).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "libnpu/src/core/object.h"

namespace npu {

class HandleTable {
 public:
  struct Slot {
    std::atomic<uint64_t> word{0};  // tag << 32 | alive << 31 | pins
    Object* object = nullptr;
  };

  // Tables of different |instance| give different handles: after a fork, those of the parent are stale.
  explicit HandleTable(uint32_t instance);
  ~HandleTable();
  HandleTable(const HandleTable&) = delete;
  HandleTable& operator=(const HandleTable&) = delete;

  // Gives |object| a handle (also stored in it). 0: the table is full.
  uint64_t insert(Ref<Object> object);

  // The slot of a live object of |kind|, pinned: its object stays until unpin(). nullptr: no such handle.
  Slot* pin(uint64_t handle, Kind kind);
  void unpin(Slot* slot);

  // Makes the handle stale; its object, or nothing if it was no handle of this kind. Of several callers one gets it.
  Ref<Object> remove(uint64_t handle, Kind kind);

  // Pins held by running calls, and removed objects whose last reference is not gone yet.
  uint64_t ending_count() const;

 private:
  static constexpr uint32_t kChunkLog2 = 12;
  static constexpr uint32_t kChunkSlots = 1u << kChunkLog2;
  static constexpr uint32_t kChunks = 1024;

  Slot* slot_of(uint64_t handle) const;
  void recycle(Slot* slot);

  const uint32_t first_generation_;
  std::array<std::atomic<Slot*>, kChunks> chunks_{};
  mutable std::mutex mutex_;  // of what follows
  std::vector<uint32_t> free_;
  uint32_t used_slots_ = 0;
};

}  // namespace npu
