// SPDX-License-Identifier: Apache-2.0
// Each simd_*.cpp file fills in its part of the table for the instruction set that Highway chose at run time; where that
// set has no fused multiply-add it leaves the entries as they are.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_PARTS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_PARTS_H_

#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model {

void simd_fill_mm(Numerics& table);
void simd_fill_dot(Numerics& table);
void simd_fill_layout(Numerics& table);
void simd_fill_convert(Numerics& table);
void simd_fill_small(Numerics& table);
void simd_fill_blocks(Numerics& table);
void simd_fill_encode(Numerics& table);
void simd_fill_stream(Numerics& table);
void simd_fill_stream_mx(Numerics& table);
void simd_fill_integer(Numerics& table);
void simd_fill_unary(Numerics& table);
void simd_fill_binary(Numerics& table);
void simd_fill_row(Numerics& table);

// A new table for the target that Highway would choose now. simd_numerics() keeps the first one; tests make one for each target.
Numerics make_simd_numerics();

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_PARTS_H_
