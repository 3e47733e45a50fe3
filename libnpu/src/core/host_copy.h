// SPDX-License-Identifier: Apache-2.0
// Copies and fills that the host does, over views of memory.
// Thread safety: the functions have no state; the bytes are the caller's.
#pragma once

#include <cstdint>
#include <vector>

#include "libnpu/src/core/host_view.h"
#include "libnpu/src/core/shard_layout.h"

namespace npu {

struct StridedCopy {
  uint64_t width_bytes = 0;
  uint32_t height = 1;
  uint32_t depth = 1;
  uint64_t dst_pitch = 0;
  uint64_t src_pitch = 0;
  uint64_t dst_slice_pitch = 0;
  uint64_t src_slice_pitch = 0;
};

// The views hold the extents.
void copy_strided(const HostView& dst, const HostView& src, const StridedCopy& shape);

// |pattern_bytes|: 1, 2, 4, 8 or 16; the view's size is a multiple.
void fill_view(const HostView& dst, const void* pattern, uint32_t pattern_bytes);

// One view for each shard; those of shards without elements may be empty.
void copy_tensor(const ShardLayout& dst_layout, const std::vector<HostView>& dst,
                 const ShardLayout& src_layout, const std::vector<HostView>& src);

}  // namespace npu
