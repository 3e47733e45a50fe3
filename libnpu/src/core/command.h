// SPDX-License-Identifier: Apache-2.0
// Commands: what the submission functions put into the ring, checked against the context's memory. The device checks again; here the caller learns at once and by name.
// Thread safety: pure, apart from looking into the context's books.
#pragma once

#include <cstdint>

#include "libnpu/src/core/context.h"
#include "libnpu/src/core/module.h"
#include "libnpu/src/core/status.h"
#include "uapi/npu_queue.h"

namespace npu {

struct Grid {
  uint32_t x = 1;
  uint32_t y = 1;
  uint32_t z = 1;
};

// A strided copy; see npuCopyInfo.
struct CopyShape {
  uint64_t dst = 0;
  uint64_t src = 0;
  uint64_t width_bytes = 0;
  uint32_t height = 1;
  uint32_t depth = 1;
  uint32_t dst_pitch = 0;
  uint32_t src_pitch = 0;
  uint64_t dst_slice_pitch = 0;
  uint64_t src_slice_pitch = 0;
};

// Bytes from the first to the last byte of one side of a copy. Rows and slices must come one after the other.
Status copy_extent(const CopyShape& shape, uint64_t pitch, uint64_t slice_pitch, const char* side,
                   uint64_t* out_bytes);

// Work-groups of one launch.
inline constexpr uint64_t kGroupsMax = 1ull << 31;

Status make_launch(const Kernel& kernel, const Grid& grid, const void* args, uint32_t args_bytes,
                   npu_cmd* out);
Result<npu_cmd> make_copy(Context& context, const CopyShape& shape);
Result<npu_cmd> make_fill(Context& context, uint64_t dst, uint64_t pattern, uint32_t pattern_bytes,
                          uint64_t size_bytes);
Result<npu_cmd> make_semaphore(Context& context, npu_cmd_op op, uint64_t dva, uint64_t value);
Result<npu_cmd> make_timestamp(Context& context, uint64_t dst);

}  // namespace npu
