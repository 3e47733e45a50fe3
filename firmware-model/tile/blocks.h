// SPDX-License-Identifier: Apache-2.0
// Elements of every type, also those in blocks, as fp32 and back.
#ifndef NPU_MODEL_TILE_BLOCKS_H_
#define NPU_MODEL_TILE_BLOCKS_H_

#include "firmware-model/tile/rounding.h"

namespace npu::model {

// |n| elements of |dtype|, whole blocks of them, as fp32.
void decode(const Numerics& numerics, uint8_t dtype, float* to, const std::byte* from, uint64_t n);

// Into a type in blocks that STC writes. |i|: the row of the tile that they are.
void encode(const Numerics& numerics, uint8_t dtype, std::byte* to, const float* from, uint64_t n,
            const Rounding& rounding, uint64_t i);

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_BLOCKS_H_
