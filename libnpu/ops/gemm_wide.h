// SPDX-License-Identifier: Apache-2.0
// Whether a product is better cut into the large blocks that fill a tile's scratchpads, and into which. Pure functions.
#ifndef LIBNPU_OPS_GEMM_WIDE_H_
#define LIBNPU_OPS_GEMM_WIDE_H_

#include <optional>

#include "libnpu/ops/chip.h"
#include "libnpu/ops/type.h"

namespace npu::ops {

// A block of C a work-group, and the depth of the blocks of A and B that pass by.
struct Blocks {
  uint32_t m, n, k;
};

// A product as far as its time depends on it.
struct ProductShape {
  uint32_t m, n, k;
  uint64_t times;  // matrices of a batch, parts of K
  npuDataType a_type, b_type;
  uint32_t l1_elem_bytes;  // of an operand, in L1
  uint32_t align_k;        // a block of K is a multiple of it
  uint32_t columns;        // a block of C has a multiple of so many
  uint32_t result_bytes;   // of an element that is written
  bool sums_lie_in_l1;     // all of them, none in the accumulator
};

struct WideBlocks {
  Blocks block;
  uint32_t block_bytes;  // of a block of A, or of B
  uint32_t acc_rows;     // of C that lie in the accumulator
};

// From so many rows and columns on a product is looked at.
inline constexpr uint32_t kWideLeast = 512;
inline bool may_be_wide(uint32_t m, uint32_t n) { return m >= kWideLeast && n >= kWideLeast; }

// Device time of a product in such blocks, in seconds: as many turns as there are more blocks than tiles; in each the longer one of multiplying and loading, and the ways in and out. It
// decides between blocks and predicts nothing.
double time_of(const ProductShape& p, const Blocks& block, const Chip& chip);

// The best wide blocks, where they are clearly faster than |narrow|.
std::optional<WideBlocks> choose_wide(const ProductShape& p, const Blocks& narrow,
                                      const Chip& chip);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_GEMM_WIDE_H_
