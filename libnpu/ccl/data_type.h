// SPDX-License-Identifier: Apache-2.0
// The element types of collectives, by npuDataType.
#pragma once

#include <npu/npu_types.h>

#include <cstdint>
#include <iterator>

namespace npu::ccl {

struct DataType {
  const char* name;
  const char*
      program;  // in the names of the blob's reductions; nullptr: elements are moved, not added
  uint32_t bytes;
};

inline constexpr DataType kDataTypes[] = {
    {"float32", "f32", 4},      {"bfloat16", "bf16", 2}, {"float16", "f16", 2},
    {"int32", "i32", 4},        {"int64", nullptr, 8},   {"float8_e4m3", "e4m3", 1},
    {"float8_e5m2", "e5m2", 1}, {"int8", "i8", 1},
};
static_assert(std::size(kDataTypes) == NPU_INT8 + 1);

inline bool is_movable(npuDataType type) {
  return type >= 0 && static_cast<size_t>(type) < std::size(kDataTypes);
}
inline bool is_reducible(npuDataType type) {
  return is_movable(type) && kDataTypes[type].program != nullptr;
}
inline uint32_t bytes_of(npuDataType type) { return kDataTypes[type].bytes; }

}  // namespace npu::ccl
