// SPDX-License-Identifier: Apache-2.0
// Access to memory that others write at the same time: 64-bit words, each read or written exactly
// once.
#ifndef NPU_MODEL_DEVICE_SHARED_MEMORY_H_
#define NPU_MODEL_DEVICE_SHARED_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace npu::model {

inline uint64_t load_word(const std::byte* at,
                          std::memory_order order = std::memory_order_relaxed) {
  // atomic_ref wants a non-const object in C++20; the load does not write.
  auto* word = reinterpret_cast<uint64_t*>(const_cast<std::byte*>(at));
  return std::atomic_ref<uint64_t>(*word).load(order);
}

inline void store_word(std::byte* at, uint64_t value,
                       std::memory_order order = std::memory_order_relaxed) {
  std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(at)).store(value, order);
}

// The single fetch of a struct that somebody else may be writing.
template <typename T>
void load_struct(const std::byte* at, T* out) {
  static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);
  // Straight to its place: a copy in wider pieces than were written just now makes the processor wait for its own writes.
#pragma GCC unroll 8
  for (size_t i = 0; i < sizeof(T); i += 8) {
    const uint64_t word = load_word(at + i);
    std::memcpy(reinterpret_cast<std::byte*>(out) + i, &word, 8);
  }
}

template <typename T>
void store_struct(std::byte* at, const T& value) {
  static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);
  for (size_t i = 0; i < sizeof(T); i += 8) {
    uint64_t word;
    std::memcpy(&word, reinterpret_cast<const std::byte*>(&value) + i, 8);
    store_word(at + i, word);
  }
}

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_SHARED_MEMORY_H_
