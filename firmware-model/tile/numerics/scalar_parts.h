// SPDX-License-Identifier: Apache-2.0
// Each scalar_*.cpp file fills in its part of the table.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_PARTS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_PARTS_H_

#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model {

void scalar_fill_matrix(Numerics& table);
void scalar_fill_layout(Numerics& table);
void scalar_fill_convert(Numerics& table);
void scalar_fill_small(Numerics& table);
void scalar_fill_blocks(Numerics& table);
void scalar_fill_mx(Numerics& table);
void scalar_fill_random(Numerics& table);
void scalar_fill_stream(Numerics& table);
void scalar_fill_integer(Numerics& table);
void scalar_fill_elementwise(Numerics& table);
void scalar_fill_row(Numerics& table);

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SCALAR_PARTS_H_
