// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <climits>

namespace npu::ccl {

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = UINT32_MAX;
  while (!bytes.empty()) {
    const size_t piece = std::min<size_t>(bytes.size(), INT_MAX);
    // It only reads, though its type does not say so.
    auto* at = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));
    crc = crc32_iscsi(at, static_cast<int>(piece), crc);
    bytes = bytes.subspan(piece);
  }
  return ~crc;
}

}  // namespace npu::ccl
