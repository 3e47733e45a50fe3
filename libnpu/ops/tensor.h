// SPDX-License-Identifier: Apache-2.0
// Operands of the operators on tensors: types in blocks, checks, shapes.
#ifndef LIBNPU_OPS_TENSOR_H_
#define LIBNPU_OPS_TENSOR_H_

#include <npu/npu_tensor.h>

#include <cstdint>

#include "libnpu/ops/check.h"
#include "libnpu/ops/type.h"

namespace npu::ops {

inline constexpr uint32_t kDims = 4;

template <>
inline constexpr uint32_t kFirstBytes<npuOpsTensorRopeInfo> = offsetof(npuOpsTensorRopeInfo, x2);
static_assert(kFirstBytes<npuOpsTensorRopeInfo> == 392);

inline bool in_blocks(const npuOpsTensor& t) { return layout_of(t.type).block_elements > 1; }
// The bytes of a tensor in blocks as elements of 16 bits.
npuOpsTensor as_words(npuOpsTensor t);

// Sets of types that an operand may have.
constexpr uint32_t type_bit(npuDataType type) { return 1u << type; }
inline constexpr uint32_t kF32 = type_bit(NPU_FLOAT32);
inline constexpr uint32_t kFloats = kF32 | type_bit(NPU_BFLOAT16) | type_bit(NPU_FLOAT16);
inline constexpr uint32_t kI32 = type_bit(NPU_INT32);
inline constexpr uint32_t kI64 = type_bit(NPU_INT64);
inline constexpr uint32_t kBlocks =
    type_bit(NPU_Q8_0) | type_bit(NPU_Q4_0) | type_bit(NPU_Q4_K) | type_bit(NPU_Q6_K);
// Those that may lie in tiles, and the word of an operand that it may.
inline constexpr uint32_t kTiledTypes = type_bit(NPU_Q8_0) | type_bit(NPU_Q4_0);
inline constexpr uint32_t kTiled = 1u << 31;
// Of these the device writes:
inline constexpr uint32_t kWrittenBlocks = type_bit(NPU_Q8_0) | type_bit(NPU_Q4_0);

// 0 fp32, 1 bf16, 2 fp16: as programs on tensors are counted, and the letters of their names.
inline uint32_t float_index(npuDataType type) { return static_cast<uint32_t>(type); }
inline constexpr const char* kFloatNames[] = {"f32", "bf16", "f16"};
inline constexpr uint32_t kFloatCount = 3;

// Likewise of weights: those, then the types in blocks.
inline uint32_t weight_index(npuDataType type) {
  return type >= NPU_Q8_0 ? kFloatCount + static_cast<uint32_t>(type - NPU_Q8_0)
                          : float_index(type);
}
inline constexpr const char* kWeightNames[] = {"f32",  "bf16", "f16", "q8_0",
                                               "q4_0", "q4_k", "q6_k"};

// How programs multiply weights |a|: 0 in fp32, 1 as integers, 2 as integers in tiles.
inline uint32_t integers_of(uint32_t asked, const npuOpsTensor& a) {
  if (asked == 0 || (kTiledTypes & type_bit(a.type)) == 0) return 0;
  return a.tiled != 0 ? 2 : 1;
}
npuResult check_tiled_integers(uint32_t asked, const npuOpsTensor& a);
// Products that the tensor unit's model makes at once.
inline constexpr uint32_t kColumns = 8, kIntegerColumns = NPU_OPS_TILE_ROWS;

// Type, alignment, strides that are multiples of the element, an extent inside the address space. Nothing is asked of the address of an operand without elements.
npuResult check_tensor(const char* name, const npuOpsTensor& t, uint32_t types);
// All four sizes are equal.
npuResult check_same_sizes(const char* a_name, const npuOpsTensor& a, const char* b_name,
                           const npuOpsTensor& b);
// Each size of |b| divides that of |a| (or both are 0) from dimension |first| on.
npuResult check_repeats(const char* b_name, const npuOpsTensor& b, const char* a_name,
                        const npuOpsTensor& a, uint32_t first = 0);

inline bool is_empty(const npuOpsTensor& t) {
  return t.sizes[0] == 0 || t.sizes[1] == 0 || t.sizes[2] == 0 || t.sizes[3] == 0;
}
inline bool is_absent(const npuOpsTensor& t) { return t.data == 0; }
// Nothing but zeroes: a tensor that the struct does not name.
npuResult check_unnamed(const char* name, const npuOpsTensor& t);

// The bytes from the first one of a checked tensor to its last one; empty for one that is absent or has no elements.
struct Span {
  uint64_t begin = 0, end = 0;
  bool overlaps(const Span& o) const { return begin < o.end && o.begin < end; }
};
Span span_of(const npuOpsTensor& t);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_TENSOR_H_
