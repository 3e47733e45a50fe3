// SPDX-License-Identifier: Apache-2.0
// Sizes of the blocks that the programs keep in a tile's scratchpads. The smallest device (profile `tiny`) has 1 MiB of L1.
//
// libnpu/ops/limits.h repeats the numbers that host code needs; a unit test holds the two together.
#ifndef NPU_FIRMWARE_MODEL_KERNELS_LIMITS_H_
#define NPU_FIRMWARE_MODEL_KERNELS_LIMITS_H_

#include <cstdint>

namespace npu::kernels {

// GEMM: one block of A, one of B (two of each are held), one of C.
inline constexpr uint32_t kGemmBlockABytes = 128 << 10;
inline constexpr uint32_t kGemmBlockBBytes = 128 << 10;
inline constexpr uint32_t kGemmBlockCElements = 64 << 10;
inline constexpr uint32_t kGemmBlockCols = 256;

// Attention: queries and keys of one block, the largest head, and bytes of one block of keys or values.
inline constexpr uint32_t kAttentionQueries = 128;
inline constexpr uint32_t kAttentionKeys = 256;
inline constexpr uint32_t kAttentionHead = 256;
inline constexpr uint32_t kAttentionBlockBytes = 128 << 10;
// Decode: query heads that share a head of K and V, and keys of one block.
inline constexpr uint32_t kDecodeHeads = 64;
inline constexpr uint32_t kDecodeKeys = 512;

// Row programs: elements of one block (whole rows), and of a row of weights.
inline constexpr uint32_t kSoftmaxElements = 144 << 10;
inline constexpr uint32_t kNormElements = 64 << 10;
inline constexpr uint32_t kNormCols = 32 << 10;
inline constexpr uint32_t kArgmaxElements = 224 << 10;
inline constexpr uint32_t kRowsMax = 4096;  // rows of one block, where a value is kept for each

// Element by element: elements of one block.
inline constexpr uint32_t kElementwiseElements = 32 << 10;

// RoPE: elements of one block, and rows of it.
inline constexpr uint32_t kRopeElements = 64 << 10;
inline constexpr uint32_t kRopeRows = 1024;

}  // namespace npu::kernels

#endif  // NPU_FIRMWARE_MODEL_KERNELS_LIMITS_H_
