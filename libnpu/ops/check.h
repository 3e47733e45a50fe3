// SPDX-License-Identifier: Apache-2.0
// Checks of what a caller describes, before anything is submitted: structs, types, extents of operands.
#ifndef LIBNPU_OPS_CHECK_H_
#define LIBNPU_OPS_CHECK_H_

#include <npu/npu_ops.h>
#include <npu/npu_ops_train.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "libnpu/ops/error.h"
#include "libnpu/ops/type.h"

namespace npu::ops {

// Counts and distances that the programs take.
inline constexpr uint64_t kCountMax = INT32_MAX;

// Copies the caller's struct: what a shorter one of an earlier version lacks becomes zero; a longer one of a later version is taken when what this version does not know is zero.
npuResult read_struct(const void* from, void* to, uint32_t size_bytes, uint32_t first_bytes);

// The size that a struct had in the first release that has it.
template <typename Info>
inline constexpr uint32_t kFirstBytes = sizeof(Info);
template <>
inline constexpr uint32_t kFirstBytes<npuOpsGemmInfo> = offsetof(npuOpsGemmInfo, mixed);
static_assert(kFirstBytes<npuOpsGemmInfo> == 152);
template <>
inline constexpr uint32_t kFirstBytes<npuOpsAttentionInfo> = offsetof(npuOpsAttentionInfo, window);
static_assert(kFirstBytes<npuOpsAttentionInfo> == 168);
template <>
inline constexpr uint32_t kFirstBytes<npuOpsElementwiseInfo> = offsetof(npuOpsElementwiseInfo,
                                                                        scale);
static_assert(kFirstBytes<npuOpsElementwiseInfo> == 80);
template <>
inline constexpr uint32_t kFirstBytes<npuOpsAdamWInfo> = offsetof(npuOpsAdamWInfo, rounding);
static_assert(kFirstBytes<npuOpsAdamWInfo> == 88);

template <typename Info>
npuResult read_info(const void* from, Info* to) {
  return read_struct(from, to, sizeof(Info), kFirstBytes<Info>);
}

npuResult check_type(const char* name, npuDataType type);
inline uint32_t type_bytes(npuDataType type) { return layout_of(type).block_bytes; }
// 0 for fp32, 1 for bf16: as programs are counted.
inline uint32_t type_index(npuDataType type) { return type == NPU_BFLOAT16 ? 1 : 0; }

npuResult check_count(const char* name, uint64_t count);
npuResult check_enum(const char* name, int64_t value, int64_t count);
// What programs take at most.
npuResult check_limit(const char* name, uint64_t value, uint64_t limit);
npuResult check_zero(const char* name, uint64_t value);
npuResult check_reserved(uint64_t value);
// Of a result of |type|, called |name|.
npuResult check_rounding(const npuOpsRounding& rounding, const char* name, npuDataType type);

// |batch| matrices of rows x cols elements.
struct Extent {
  const char* name;
  npuDevPtr at;
  uint32_t elem_bytes;
  uint64_t rows, cols;
  uint64_t ld;  // 0: cols
  uint64_t batch = 1;
  uint64_t batch_stride = 0;  // elements
  uint32_t align_bytes = 0;   // 0: elem_bytes
};
// Fills in a dense ld. Nothing is asked of an operand without elements.
npuResult check_extent(Extent* extent);

// The first failing check ends a list of them.
#define NPU_OPS_TRY(expression)                  \
  do {                                           \
    const npuResult try_result = (expression);   \
    if (try_result != NPU_OK) return try_result; \
  } while (0)

}  // namespace npu::ops

#endif  // LIBNPU_OPS_CHECK_H_
