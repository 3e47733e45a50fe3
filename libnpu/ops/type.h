// SPDX-License-Identifier: Apache-2.0
// Element types: what their memory consists of, and their numbers in the instruction set.
#ifndef LIBNPU_OPS_TYPE_H_
#define LIBNPU_OPS_TYPE_H_

#include <npu/npu_types.h>

#include <cstdint>

namespace npu::ops {

// Elements of a block and its bytes; plain types are blocks of one element.
struct TypeLayout {
  uint32_t block_elements;
  uint32_t block_bytes;
  uint32_t align_bytes;
};
TypeLayout layout_of(npuDataType type);

bool is_type(npuDataType type);

// enum npu_dtype; not of NPU_INT64, which no engine computes with.
uint32_t device_type(npuDataType type);

inline bool in_blocks(npuDataType type) { return layout_of(type).block_elements > 1; }
inline bool is_fp8(npuDataType type) { return type == NPU_FLOAT8_E4M3 || type == NPU_FLOAT8_E5M2; }
// In blocks whose scale is a power of two.
inline bool is_mx(npuDataType type) { return type >= NPU_MXFP8_E4M3 && type <= NPU_MX4; }
// Those of 32 elements, whose scale is chosen by a rule.
inline bool is_ocp_mx(npuDataType type) { return type >= NPU_MXFP8_E4M3 && type <= NPU_MXINT8; }

}  // namespace npu::ops

#endif  // LIBNPU_OPS_TYPE_H_
