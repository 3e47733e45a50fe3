// SPDX-License-Identifier: Apache-2.0
// Host copies row by row and run by run.
#include "libnpu/src/core/host_copy.h"

#include <algorithm>
#include <cstring>

namespace npu {
namespace {

// Long enough that the calls do not count, short enough to stay in the first cache.
constexpr uint64_t kFillBlockBytes = 4096;

}  // namespace

void copy_strided(const HostView& dst, const HostView& src, const StridedCopy& shape) {
  for (uint64_t z = 0; z < shape.depth; z++) {
    for (uint64_t y = 0; y < shape.height; y++) {
      HostView::copy(dst, z * shape.dst_slice_pitch + y * shape.dst_pitch, src,
                     z * shape.src_slice_pitch + y * shape.src_pitch, shape.width_bytes);
    }
  }
}

void fill_view(const HostView& dst, const void* pattern, uint32_t pattern_bytes) {
  alignas(64) std::byte block[kFillBlockBytes];
  const uint64_t size_bytes = dst.size_bytes();
  const uint64_t used = std::min(size_bytes, kFillBlockBytes);
  for (uint64_t at = 0; at < used; at += pattern_bytes) {
    std::memcpy(block + at, pattern, pattern_bytes);
  }
  // A seam between pieces never cuts through a pattern: pieces are whole pages.
  for (uint64_t at = 0; at < size_bytes; at += kFillBlockBytes) {
    dst.write(at, block, std::min(kFillBlockBytes, size_bytes - at));
  }
}

void copy_tensor(const ShardLayout& dst_layout, const std::vector<HostView>& dst,
                 const ShardLayout& src_layout, const std::vector<HostView>& src) {
  ShardLayout::each_run(dst_layout, src_layout, [&](const ShardLayout::Run& run) {
    HostView::copy(dst[run.dst_shard], run.dst_offset, src[run.src_shard], run.src_offset,
                   run.size_bytes);
  });
}

}  // namespace npu
