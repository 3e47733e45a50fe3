// SPDX-License-Identifier: Apache-2.0
// Sizes that the programs of npu_ops.nfw allow. The programs are written with the numbers of firmware-model/kernels/limits.h; a unit test holds
// the two together.
#ifndef LIBNPU_OPS_LIMITS_H_
#define LIBNPU_OPS_LIMITS_H_

#include <cstdint>

namespace npu::ops {

inline constexpr uint32_t kGemmBlockBytes = 128 << 10;  // of a block of A, or of B
inline constexpr uint32_t kGemmBlockRows = 256;
inline constexpr uint32_t kGemmBlockCols = 256;

inline constexpr uint32_t kAttentionQueries = 128;
inline constexpr uint32_t kAttentionKeys = 256;
inline constexpr uint32_t kAttentionHead = 256;
inline constexpr uint32_t kAttentionBlockBytes = 128 << 10;
inline constexpr uint32_t kDecodeHeads = 64;
inline constexpr uint32_t kDecodeKeys = 512;

inline constexpr uint32_t kSoftmaxElements = 144 << 10;
inline constexpr uint32_t kSoftmaxCols = 128 << 10;
inline constexpr uint32_t kNormElements = 64 << 10;
inline constexpr uint32_t kNormCols = 32 << 10;
inline constexpr uint32_t kArgmaxElements = 224 << 10;
inline constexpr uint32_t kRowsMax = 4096;

inline constexpr uint32_t kElementwiseElements = 32 << 10;
inline constexpr uint32_t kRopeElements = 64 << 10;
inline constexpr uint32_t kRopeRows = 1024;
inline constexpr uint32_t kRopeHead = 1024;

}  // namespace npu::ops

#endif  // LIBNPU_OPS_LIMITS_H_
