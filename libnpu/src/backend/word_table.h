// SPDX-License-Identifier: Apache-2.0
// WordTable: from the address of a word in this process to what the kernel calls it, (object, offset), and to the queue whose control page it lies in.
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace npu {

struct WordPlace {
  uint32_t handle = 0;       // of the object
  uint32_t queue_id = 0;     // whose control page begins at |ctrl_offset|
  uint64_t offset = 0;       // of the word in the object
  uint64_t ctrl_offset = 0;  // of the control page in the object
};

class WordTable {
 public:
  // An object of words, and what its mapping is asked for by.
  void add_object(uint32_t handle, uint64_t map_token);
  void remove_object(uint32_t handle);
  // [at, at + size_bytes) shows the object of |map_token| from its start on. A token of no object is none of ours.
  void add_mapping(uint64_t map_token, const void* at, uint64_t size_bytes);
  void add_queue(uint32_t queue_id, uint32_t handle, uint64_t ctrl_offset);
  void remove_queue(uint32_t queue_id);

  // False: no live queue has its control page there.
  bool find(const void* word, WordPlace* out) const;

 private:
  struct Object {
    uint64_t token = 0;
    uintptr_t base = 0;  // 0: not mapped
  };
  struct Range {
    uint64_t size_bytes = 0;
    uint32_t handle = 0;
  };
  using QueuePlace = std::pair<uint32_t, uint64_t>;  // object, offset of the control page

  void forget_range(uintptr_t base);

  mutable std::mutex mutex_;  // of what follows
  std::unordered_map<uint32_t, Object> objects_;
  std::unordered_map<uint64_t, uint32_t> handles_;  // by token
  std::map<uintptr_t, Range> ranges_;               // by address; they do not overlap
  std::map<QueuePlace, uint32_t> queues_;
  std::unordered_map<uint32_t, QueuePlace> places_;  // by queue
};

}  // namespace npu
