// SPDX-License-Identifier: Apache-2.0
// Operations of VM_BIND and COPY_SUBMIT, filled in.
#pragma once

#include <cstdint>

#include "uapi/npu_accel.h"

namespace npu::parity {

inline npu_bind_op map_op(uint32_t handle, uint64_t offset, uint64_t dva, uint64_t bytes,
                          uint32_t flags = 0) {
  npu_bind_op op{};
  op.kind = NPU_BIND_MAP;
  op.flags = flags;
  op.bo_handle = handle;
  op.bo_offset = offset;
  op.dva = dva;
  op.size_bytes = bytes;
  return op;
}

inline npu_bind_op unmap_op(uint64_t dva, uint64_t bytes) {
  npu_bind_op op{};
  op.kind = NPU_BIND_UNMAP;
  op.dva = dva;
  op.size_bytes = bytes;
  return op;
}

inline npu_copy_op copy_op(uint32_t src, uint64_t src_offset, uint32_t dst, uint64_t dst_offset,
                           uint64_t bytes) {
  npu_copy_op op{};
  op.src_handle = src;
  op.src_offset = src_offset;
  op.dst_handle = dst;
  op.dst_offset = dst_offset;
  op.size_bytes = bytes;
  return op;
}

inline npu_copy_op fill_op(uint32_t dst, uint64_t offset, uint64_t bytes, uint64_t pattern) {
  npu_copy_op op{};
  op.kind = NPU_COPY_FILL;
  op.dst_handle = dst;
  op.dst_offset = offset;
  op.size_bytes = bytes;
  op.pattern = pattern;
  return op;
}

}  // namespace npu::parity
