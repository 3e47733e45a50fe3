// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli), by the processor's instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace npu::ccl {

uint32_t crc32c(std::span<const std::byte> bytes);
// The same without the instruction.
uint32_t crc32c_portable(std::span<const std::byte> bytes);

}  // namespace npu::ccl
