// SPDX-License-Identifier: Apache-2.0
// What the memory functions share.
#pragma once

#include <npu/npu_memory.h>

#include "libnpu/src/core/error.h"
#include "libnpu/src/core/region.h"
#include "libnpu/src/core/status.h"

namespace npu::api {

inline Status region_of(npuMemKind kind, Region* out) {
  if (kind != NPU_MEM_DEVICE && kind != NPU_MEM_HOST) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "kind is %d, it must be NPU_MEM_DEVICE or NPU_MEM_HOST",
                kind);
  }
  *out = kind == NPU_MEM_DEVICE ? Region::kHbm : Region::kSystem;
  return Status::ok();
}

inline Status check_flags(uint32_t flags, uint32_t known) {
  if ((flags & ~known) == 0) return Status::ok();
  return fail(NPU_ERROR_INVALID_ARGUMENT, "flags are 0x%x, known are 0x%x", flags, known);
}

}  // namespace npu::api
