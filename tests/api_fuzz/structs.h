// SPDX-License-Identifier: Apache-2.0
// Random contents of the structs that calls read. A struct without a line here does not link: it needs one.
#pragma once

#include "tests/api_fuzz/fuzzer.h"

namespace npu::fuzz {

// What is not named here is zero; the size is set by the caller.
template <typename T>
void fill(Fuzzer& f, T& out);

// Any bit of it may be wrong: it holds no pointer of the host, which a caller must not get wrong, and no size of work that would take for ever.
template <typename T>
inline constexpr bool kAnyBit = false;
template <>
inline constexpr bool kAnyBit<npuQueueInfo> = true;
template <>
inline constexpr bool kAnyBit<npuCopyInfo> = true;
template <>
inline constexpr bool kAnyBit<npuMemPoolInfo> = true;

// A size for |proper| bytes of struct, in memory of kStructRoom bytes.
inline constexpr size_t kStructRoom = 4096 + 64;
uint32_t struct_size(Fuzzer& f, size_t proper);

// A struct that a call reads, or NULL.
template <typename T>
T* make_struct(Fuzzer& f) {
  if (!f.valid_only && f.rng.percent(4)) return nullptr;
  auto* const bytes = static_cast<unsigned char*>(f.scratch(kStructRoom));
  __builtin_memset(bytes, 0, kStructRoom);
  T* const out = reinterpret_cast<T*>(bytes);
  fill(f, *out);
  out->struct_size = struct_size(f, sizeof(T));
  if (kAnyBit<T> && !f.valid_only && f.rng.percent(6)) {
    bytes[4 + f.rng.below(sizeof(T) + 8)] ^= static_cast<unsigned char>(1u << f.rng.below(8));
  }
  return out;
}

}  // namespace npu::fuzz
