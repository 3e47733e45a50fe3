// SPDX-License-Identifier: Apache-2.0
// Device memory: from blocks to extents, and the mappings behind them.
#include "firmware-model/server/hbm.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>

namespace npu::model::server {
namespace {

constexpr unsigned kHugeLog2 = 21;

unsigned ceil_log2(uint64_t value) { return static_cast<unsigned>(std::bit_width(value - 1)); }
unsigned floor_log2(uint64_t value) { return static_cast<unsigned>(std::bit_width(value)) - 1; }

void append(std::vector<Extent>* extents, uint64_t offset, uint64_t bytes) {
  if (!extents->empty() && extents->back().offset + extents->back().bytes == offset) {
    extents->back().bytes += bytes;
  } else {
    extents->push_back({offset, bytes});
  }
}

}  // namespace

int Hbm::allocate(const HbmRequest& request, std::vector<Extent>* out) {
  out->clear();
  if (request.bytes == 0 || request.bytes > buddy_.free_bytes()) return ENOSPC;
  if (allocate_one(request, out)) return 0;
  if (request.contiguous || request.align_log2 > Buddy::kGranuleLog2) return ENOSPC;
  return allocate_pieces(request, out) ? 0 : ENOSPC;
}

bool Hbm::allocate_one(const HbmRequest& request, std::vector<Extent>* out) {
  unsigned log2 = std::max(ceil_log2(request.bytes), request.align_log2);
  if (request.huge) log2 = std::max(log2, kHugeLog2);
  uint64_t offset = 0;
  if (log2 > 62 || !buddy_.allocate(log2, &offset)) return false;
  // What the power of two holds too much goes back at once.
  const uint64_t block = std::max<uint64_t>(1ull << log2, Buddy::kGranuleBytes);
  if (block > request.bytes) buddy_.release(offset + request.bytes, block - request.bytes);
  out->push_back({offset, request.bytes});
  return true;
}

bool Hbm::allocate_pieces(const HbmRequest& request, std::vector<Extent>* out) {
  const unsigned least = request.huge ? kHugeLog2 : Buddy::kGranuleLog2;
  uint64_t left = request.bytes;
  unsigned log2 = floor_log2(left);
  while (left > 0) {
    log2 = std::min(log2, floor_log2(left));
    uint64_t offset = 0;
    while (log2 >= least && !buddy_.allocate(log2, &offset)) --log2;
    if (log2 < least) {
      for (const Extent& extent : *out) buddy_.release(extent.offset, extent.bytes);
      out->clear();
      return false;
    }
    append(out, offset, 1ull << log2);
    left -= 1ull << log2;
  }
  return true;
}

int Hbm::attach(int fd, const std::vector<Extent>& extents) {
  off_t at = 0;
  for (size_t i = 0; i < extents.size(); ++i) {
    // Not mapped_region: it would unmap its range at its end, and the range is the device's.
    void* mapped = mmap(base_ + extents[i].offset, extents[i].bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, at);
    if (mapped == MAP_FAILED) {
      for (size_t k = 0; k < i; ++k) make_fresh(extents[k]);
      return ENOMEM;
    }
    at += static_cast<off_t>(extents[i].bytes);
  }
  return 0;
}

void Hbm::release(const std::vector<Extent>& extents) {
  for (const Extent& extent : extents) {
    // Memory that cannot be made fresh would show its old content to the next owner: it stays out
    // of use.
    if (make_fresh(extent)) buddy_.release(extent.offset, extent.bytes);
  }
}

bool Hbm::make_fresh(const Extent& extent) {
  void* mapped = mmap(base_ + extent.offset, extent.bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  return mapped != MAP_FAILED;
}

}  // namespace npu::model::server
