// SPDX-License-Identifier: Apache-2.0
// Reserves, clears and releases the host memory of scratchpads.
#include "firmware-model/tile/scratchpad.h"

#include <sys/mman.h>

#include <cstring>

namespace npu::model {
namespace {

// A clear of more than this gives the pages back instead of writing them.
constexpr size_t kDropPagesBytes = size_t{4} << 20;

}  // namespace

Scratchpad::~Scratchpad() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

bool Scratchpad::map(size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return false;
  if (data_ != nullptr) munmap(data_, bytes_);
  data_ = static_cast<std::byte*>(mapped);
  bytes_ = bytes;
  dirty_bytes_ = 0;
  return true;
}

void Scratchpad::clear() {
  if (dirty_bytes_ == 0) return;
  bool dropped = dirty_bytes_ > kDropPagesBytes && madvise(data_, bytes_, MADV_DONTNEED) == 0;
  if (!dropped) std::memset(data_, 0, dirty_bytes_);
  dirty_bytes_ = 0;
}

}  // namespace npu::model
