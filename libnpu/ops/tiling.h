// SPDX-License-Identifier: Apache-2.0
// Weights in tiles on the host: npuOpsTileWeights and the way back.
#ifndef LIBNPU_OPS_TILING_H_
#define LIBNPU_OPS_TILING_H_

#include <npu/npu_tensor.h>

#include <cstdint>

namespace npu::ops {

// Which way: from rows of blocks to tiles, or from tiles to rows.
enum class Tiling { kToTiles, kToRows };

npuResult tile_weights(Tiling way, npuDataType type, uint64_t rows, uint64_t cols, const void* src,
                       void* dst);

}  // namespace npu::ops

#endif  // LIBNPU_OPS_TILING_H_
