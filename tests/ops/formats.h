// SPDX-License-Identifier: Apache-2.0
// Narrow element types and types in blocks on the host, written down once more from docs/reference/isa.md: random tensors of bytes, and their values.
#pragma once

#include <npu/npu_types.h>

#include <cstdint>
#include <random>
#include <vector>

namespace npu::test {

struct Format {
  npuDataType type;
  const char* name;
  uint32_t block_elements, block_bytes;
};

// Every type that a product reads; those that are written come first.
const std::vector<Format>& formats();
constexpr size_t kWrittenFormats = 17;
const Format& format_of(npuDataType type);

inline uint64_t row_elements(const Format& f, uint64_t cols) {
  return (cols + f.block_elements - 1) / f.block_elements * f.block_elements;
}
inline uint64_t row_bytes(const Format& f, uint64_t cols) {
  return row_elements(f, cols) / f.block_elements * f.block_bytes;
}

// rows x cols elements in whole blocks, finite and of moderate size; what fills up the last block of a row is as random as the rest.
std::vector<uint8_t> random_bytes(const Format& f, uint64_t rows, uint64_t cols,
                                  std::mt19937& engine);

// The values of rows of whole blocks, |cols| of each row. Not of Q4_K and Q6_K.
std::vector<float> values_of(const Format& f, const std::vector<uint8_t>& bytes, uint64_t rows,
                             uint64_t cols);

// The values of an element without its scale, by code; empty where an element is no code of at most 8 bits.
std::vector<float> element_values(npuDataType type);

}  // namespace npu::test
