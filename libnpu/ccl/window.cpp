// SPDX-License-Identifier: Apache-2.0
// Sharing and mapping the memory of windows.
#include "libnpu/ccl/window.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace npu::ccl {
namespace {

constexpr uint64_t kPageBytes = 64 << 10;  // of HBM; of host memory a multiple

npuResult look_up(npuContext context, npuDevPtr at, npuMemInfo* out) {
  *out = {};
  out->struct_size = sizeof(*out);
  return passed_on(npuMemQuery(context, at, out));
}

__attribute__((format(printf, 2, 3))) void refuse(WindowOffer* offer, const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::vsnprintf(offer->text, sizeof(offer->text), format, args);
  va_end(args);
  offer->state = WindowState::kRefused;
}

}  // namespace

Window::~Window() {
  for (const npuDevPtr dva : imports_dva_) npuMemFree(context_, dva);
}

npuResult Window::import(uint32_t rank, const WindowOffer& offer, const Fd& fd) {
  const uint64_t start = offer.offset_bytes / kPageBytes * kPageBytes;
  const uint64_t inside = offer.offset_bytes - start;
  if (size_bytes > UINT64_MAX - inside - kPageBytes) {
    return fail(NPU_ERROR_OVERFLOW, "the window of rank %u would end beyond 2^64", rank);
  }
  // No page more than the window has; the last one may be cut off where host memory ends.
  const uint64_t whole = (inside + size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  npuDevPtr dva = 0;
  if (npuMemImportFd(context_, fd.get(), start, whole, 0, &dva) != NPU_OK) {
    NPU_CCL_TRY(passed_on(npuMemImportFd(context_, fd.get(), start, 0, 0, &dva)));
  }
  imports_dva_.push_back(dva);
  npuMemInfo info;
  NPU_CCL_TRY(look_up(context_, dva, &info));
  if (info.size_bytes < inside + size_bytes) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "rank %u offers %" PRIu64 " bytes behind a descriptor of %" PRIu64, rank,
                offer.offset_bytes + size_bytes, start + info.size_bytes);
  }
  peers_dva[rank] = dva + inside;
  return NPU_OK;
}

bool Window::is_there() const {
  npuMemInfo info;
  return look_up(context_, base_dva, &info) == NPU_OK && info.allocation_id == allocation_id;
}

void offer_memory(npuContext context, uint32_t rank, npuDevPtr base, uint64_t bytes,
                  WindowOffer* offer, uint64_t* out_allocation_id, Fd* out_fd) {
  npuMemInfo info;
  if (bytes == 0 || base % kWindowAlignBytes != 0) {
    return refuse(offer,
                  "rank %u: the window has no bytes, or its start is no multiple of %" PRIu64, rank,
                  kWindowAlignBytes);
  }
  if (look_up(context, base, &info) != NPU_OK || info.kind == NPU_MEM_UNKNOWN ||
      bytes > info.size_bytes - (base - info.base)) {
    return refuse(offer, "rank %u: the window lies not inside one allocation of its context", rank);
  }
  int fd = -1;
  if ((info.flags & NPU_MEM_IS_READONLY) != 0 ||
      npuMemExportFd(context, info.base, &fd, nullptr) != NPU_OK) {
    return refuse(
        offer, "rank %u: this memory cannot be shared; allocate it with NPU_MEM_EXPORTABLE", rank);
  }
  *out_fd = Fd(fd);
  *out_allocation_id = info.allocation_id;
  offer->offset_bytes = base - info.base;
  offer->state = WindowState::kShared;
}

}  // namespace npu::ccl
