// SPDX-License-Identifier: Apache-2.0
// Bookkeeping of objects with words, their mappings and queues; every step costs a logarithm.
#include "libnpu/src/backend/word_table.h"

#include "uapi/npu_queue.h"

namespace npu {

void WordTable::add_object(uint32_t handle, uint64_t map_token) {
  std::lock_guard lock(mutex_);
  objects_[handle] = {map_token, 0};
  handles_[map_token] = handle;
}

void WordTable::forget_range(uintptr_t base) {
  const auto range = ranges_.find(base);
  if (range == ranges_.end()) return;
  const auto object = objects_.find(range->second.handle);
  if (object != objects_.end() && object->second.base == base) object->second.base = 0;
  ranges_.erase(range);
}

void WordTable::remove_object(uint32_t handle) {
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(handle);
  if (found == objects_.end()) return;
  const Object object = found->second;
  if (object.base != 0) forget_range(object.base);
  handles_.erase(object.token);
  objects_.erase(handle);
}

void WordTable::add_mapping(uint64_t map_token, const void* at, uint64_t size_bytes) {
  const auto base = reinterpret_cast<uintptr_t>(at);
  std::lock_guard lock(mutex_);
  // Nobody tells of the end of a mapping: what lay here before is gone, or this one would not be here.
  auto next = ranges_.lower_bound(base);
  if (next != ranges_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second.size_bytes > base) forget_range(before->first);
  }
  for (next = ranges_.lower_bound(base); next != ranges_.end() && next->first < base + size_bytes;
       next = ranges_.lower_bound(base)) {
    forget_range(next->first);
  }
  const auto handle = handles_.find(map_token);
  if (handle == handles_.end()) return;
  Object& object = objects_[handle->second];
  if (object.base != 0) ranges_.erase(object.base);
  object.base = base;
  ranges_[base] = {size_bytes, handle->second};
}

void WordTable::add_queue(uint32_t queue_id, uint32_t handle, uint64_t ctrl_offset) {
  std::lock_guard lock(mutex_);
  queues_[{handle, ctrl_offset}] = queue_id;
  places_[queue_id] = {handle, ctrl_offset};
}

void WordTable::remove_queue(uint32_t queue_id) {
  std::lock_guard lock(mutex_);
  const auto found = places_.find(queue_id);
  if (found == places_.end()) return;
  queues_.erase(found->second);
  places_.erase(found);
}

bool WordTable::find(const void* word, WordPlace* out) const {
  const auto address = reinterpret_cast<uintptr_t>(word);
  std::lock_guard lock(mutex_);
  auto range = ranges_.upper_bound(address);
  if (range == ranges_.begin()) return false;
  --range;
  const uint64_t offset = address - range->first;
  if (offset >= range->second.size_bytes) return false;
  const uint32_t handle = range->second.handle;
  auto queue = queues_.upper_bound({handle, offset});
  if (queue == queues_.begin()) return false;
  --queue;
  if (queue->first.first != handle || offset - queue->first.second >= NPU_CTRL_BYTES) return false;
  *out = {handle, queue->second, offset, queue->first.second};
  return true;
}

}  // namespace npu
