// SPDX-License-Identifier: Apache-2.0
// Access to memory that others write at the same time: 64-bit words, each read or written exactly
// once.
#ifndef NPU_MODEL_DEVICE_SHARED_MEMORY_H_
#define NPU_MODEL_DEVICE_SHARED_MEMORY_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

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
T load_struct(const std::byte* at) {
  static_assert(sizeof(T) % 8 == 0);
  std::array<uint64_t, sizeof(T) / 8> words;
  for (size_t i = 0; i < words.size(); ++i) words[i] = load_word(at + i * 8);
  return std::bit_cast<T>(words);
}

template <typename T>
void store_struct(std::byte* at, const T& value) {
  static_assert(sizeof(T) % 8 == 0);
  const auto words = std::bit_cast<std::array<uint64_t, sizeof(T) / 8>>(value);
  for (size_t i = 0; i < words.size(); ++i) store_word(at + i * 8, words[i]);
}

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_SHARED_MEMORY_H_
