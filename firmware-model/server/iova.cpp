// SPDX-License-Identifier: Apache-2.0
// Bus addresses: next-fit placement, so that an address is not used again soon after its end.
#include "firmware-model/server/iova.h"

#include <errno.h>

#include <mutex>

namespace npu::model::server {
namespace {

constexpr uint64_t kAlign = 0x10000;
constexpr uint64_t kLargeAlign = 0x200000;

uint64_t align_up(uint64_t value, uint64_t align) { return (value + align - 1) & ~(align - 1); }

}  // namespace

bool IovaMap::place(uint64_t begin, uint64_t end, uint64_t bytes, uint64_t align,
                    uint64_t* out) const {
  uint64_t at = align_up(begin, align);
  auto next = ranges_.lower_bound(begin);
  if (next != ranges_.begin()) {
    const auto& [start, range] = *std::prev(next);
    if (start + range.bytes >= at) at = align_up(start + range.bytes + 1, align);
  }
  // One byte at least stays free between two ranges: a run past the end finds nothing.
  for (; next != ranges_.end() && next->first < end; ++next) {
    if (at + bytes < next->first) break;
    at = align_up(next->first + next->second.bytes + 1, align);
  }
  if (at >= end || bytes >= end - at) return false;
  *out = at;
  return true;
}

int IovaMap::add(std::byte* host, uint64_t bytes, bool writable, uint64_t* out_iova) {
  if (bytes == 0 || bytes > kEnd - kBegin) return ENOSPC;
  const uint64_t align = bytes >= kLargeAlign ? kLargeAlign : kAlign;
  std::unique_lock lock(mutex_);
  uint64_t at = 0;
  if (!place(next_, kEnd, bytes, align, &at) && !place(kBegin, kEnd, bytes, align, &at)) {
    return ENOSPC;
  }
  ranges_.emplace(at, Range{bytes, host, writable});
  next_ = at + bytes;
  *out_iova = at;
  return 0;
}

void IovaMap::remove(uint64_t iova) {
  std::unique_lock lock(mutex_);
  ranges_.erase(iova);
}

void* IovaMap::find(uint64_t iova, bool write, uint64_t* out_bytes) const {
  std::shared_lock lock(mutex_);
  auto next = ranges_.upper_bound(iova);
  if (next == ranges_.begin()) return nullptr;
  const auto& [start, range] = *std::prev(next);
  const uint64_t inside = iova - start;
  if (inside >= range.bytes || (write && !range.writable)) return nullptr;
  *out_bytes = range.bytes - inside;
  return range.host + inside;
}

size_t IovaMap::size() const {
  std::shared_lock lock(mutex_);
  return ranges_.size();
}

}  // namespace npu::model::server
