// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli), by ISA-L, which takes what the processor has for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace npu::ccl {

uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace npu::ccl
