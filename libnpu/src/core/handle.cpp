// SPDX-License-Identifier: Apache-2.0
// The handle table; see handle.h for the layout of handles and slots.
#include "libnpu/src/core/handle.h"

namespace npu {
namespace {

constexpr uint64_t kMark = 5ull << 60;
constexpr uint64_t kMarkMask = 0xffull << 56;
constexpr uint64_t kAlive = 1ull << 31;
constexpr uint64_t kPinMask = kAlive - 1;
constexpr uint32_t kKindBits = 5;
// Neighbouring slots begin far apart: a handle with one wrong bit is no other object's.
constexpr uint32_t kSlotStep = 0x009e3779;

uint32_t make_tag(uint32_t generation, Kind kind) {
  return generation << kKindBits | static_cast<uint32_t>(kind);
}
uint32_t index_of(uint64_t handle) { return static_cast<uint32_t>(handle >> 32) & 0xffffff; }
uint32_t generation_of(uint64_t word) { return static_cast<uint32_t>(word >> 32) >> kKindBits; }
uint64_t make_handle(uint32_t index, uint32_t tag) { return kMark | uint64_t{index} << 32 | tag; }

}  // namespace

// A large odd step keeps the generations of two instances apart for millions of re-uses of one slot.
HandleTable::HandleTable(uint32_t instance) : first_generation_(1 + instance * 0x01234567u) {}

HandleTable::~HandleTable() {
  for (std::atomic<Slot*>& chunk : chunks_) delete[] chunk.load();
}

HandleTable::Slot* HandleTable::slot_of(uint64_t handle) const {
  if ((handle & kMarkMask) != kMark) return nullptr;
  const uint32_t index = index_of(handle);
  if (index >= kChunks * kChunkSlots) return nullptr;
  // pairs with handle.cpp : HandleTable::insert
  Slot* chunk = chunks_[index >> kChunkLog2].load(std::memory_order_acquire);
  return chunk == nullptr ? nullptr : chunk + (index & (kChunkSlots - 1));
}

uint64_t HandleTable::insert(Ref<Object> object) {
  std::lock_guard lock(mutex_);
  uint32_t index = 0;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    index = used_slots_;
    if (index >= kChunks * kChunkSlots) return 0;
    if ((index & (kChunkSlots - 1)) == 0) {
      free_.reserve(index + kChunkSlots);  // so that giving a handle back never needs memory
      // pairs with handle.cpp : HandleTable::slot_of
      chunks_[index >> kChunkLog2].store(new Slot[kChunkSlots], std::memory_order_release);
    }
    used_slots_++;
  }
  Slot* slot =
      chunks_[index >> kChunkLog2].load(std::memory_order_relaxed) + (index & (kChunkSlots - 1));
  const uint64_t old = slot->word.load(std::memory_order_relaxed);
  const uint32_t tag = make_tag(
      old == 0 ? first_generation_ + index * kSlotStep : generation_of(old) + 1, object->kind());
  const uint64_t handle = make_handle(index, tag);
  object->set_handle(handle);
  object->set_birth(Call::birth());
  slot->object = object.leak();
  // pairs with handle.cpp : HandleTable::pin
  slot->word.store(uint64_t{tag} << 32 | kAlive, std::memory_order_release);
  return handle;
}

HandleTable::Slot* HandleTable::pin(uint64_t handle, Kind kind) {
  Slot* slot = slot_of(handle);
  if (slot == nullptr) return nullptr;
  const uint64_t tag = handle & 0xffffffff;
  if ((tag & ((1u << kKindBits) - 1)) != static_cast<uint32_t>(kind)) return nullptr;
  uint64_t word = slot->word.load(std::memory_order_relaxed);
  do {
    if (word >> 32 != tag || (word & kAlive) == 0) return nullptr;
    // pairs with handle.cpp : HandleTable::insert
  } while (!slot->word.compare_exchange_weak(word, word + 1, std::memory_order_acquire,
                                             std::memory_order_relaxed));
  return slot;
}

void HandleTable::unpin(Slot* slot) {
  const uint64_t before = slot->word.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kPinMask) == 1 && (before & kAlive) == 0) recycle(slot);
}

Ref<Object> HandleTable::remove(uint64_t handle, Kind kind) {
  Slot* slot = pin(handle, kind);
  if (slot == nullptr) return {};
  uint64_t word = slot->word.load(std::memory_order_relaxed);
  do {
    if ((word & kAlive) == 0) {  // another caller was first
      unpin(slot);
      return {};
    }
  } while (!slot->word.compare_exchange_weak(word, word & ~kAlive, std::memory_order_acq_rel,
                                             std::memory_order_relaxed));
  Ref<Object> object = Ref<Object>::share(slot->object);
  unpin(slot);
  return object;
}

void HandleTable::recycle(Slot* slot) {
  Object* object = slot->object;
  slot->object = nullptr;
  const uint32_t index = index_of(object->handle());
  object->release();
  std::lock_guard lock(mutex_);
  free_.push_back(index);  // last: ending_count() tells by it that the object is gone
}

uint64_t HandleTable::ending_count() const {
  uint64_t pins = 0;
  uint64_t alive = 0;
  std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < used_slots_; i++) {
    const Slot* chunk = chunks_[i >> kChunkLog2].load(std::memory_order_acquire);
    const uint64_t word = chunk[i & (kChunkSlots - 1)].word.load(std::memory_order_acquire);
    pins += word & kPinMask;
    if ((word & kAlive) != 0) alive++;
  }
  return pins + used_slots_ - free_.size() - alive;
}

}  // namespace npu
