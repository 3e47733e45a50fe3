// SPDX-License-Identifier: Apache-2.0
// Pieces of memory as one range.
#include "libnpu/src/core/host_view.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>

namespace npu {

HostView::HostView(void* host, uint64_t size_bytes) {
  add(nullptr, static_cast<std::byte*>(host), size_bytes, false);
}

void HostView::add(std::shared_ptr<Storage> storage, std::byte* host, uint64_t size_bytes,
                   bool readonly) {
  spans_.push_back({std::move(storage), host, size_bytes_, size_bytes});
  size_bytes_ += size_bytes;
  readonly_ = readonly_ || readonly;
}

std::byte* HostView::at(uint64_t offset, uint64_t* out_bytes) const {
  const Span* span = &spans_.front();
  if (spans_.size() > 1) {
    const auto after =
        std::upper_bound(spans_.begin(), spans_.end(), offset,
                         [](uint64_t at, const Span& candidate) { return at < candidate.begin; });
    span = &*std::prev(after);
  }
  *out_bytes = span->size_bytes - (offset - span->begin);
  return span->host + (offset - span->begin);
}

void HostView::write(uint64_t offset, const void* from, uint64_t size_bytes) const {
  const auto* bytes = static_cast<const std::byte*>(from);
  while (size_bytes > 0) {
    uint64_t room = 0;
    std::byte* to = at(offset, &room);
    const uint64_t step = std::min(size_bytes, room);
    std::memmove(to, bytes, step);  // the caller may copy from a mapping of this very memory
    bytes += step;
    offset += step;
    size_bytes -= step;
  }
}

void HostView::read(uint64_t offset, void* to, uint64_t size_bytes) const {
  auto* bytes = static_cast<std::byte*>(to);
  while (size_bytes > 0) {
    uint64_t room = 0;
    const std::byte* from = at(offset, &room);
    const uint64_t step = std::min(size_bytes, room);
    std::memmove(bytes, from, step);  // likewise
    bytes += step;
    offset += step;
    size_bytes -= step;
  }
}

void finish_host_writes() { std::atomic_thread_fence(std::memory_order_seq_cst); }

void HostView::copy(const HostView& dst, uint64_t dst_offset, const HostView& src,
                    uint64_t src_offset, uint64_t size_bytes) {
  while (size_bytes > 0) {
    uint64_t dst_bytes = 0;
    uint64_t src_bytes = 0;
    std::byte* to = dst.at(dst_offset, &dst_bytes);
    const std::byte* from = src.at(src_offset, &src_bytes);
    const uint64_t step = std::min({size_bytes, dst_bytes, src_bytes});
    std::memmove(to, from, step);  // two views may show the same memory
    dst_offset += step;
    src_offset += step;
    size_bytes -= step;
  }
}

}  // namespace npu
