// SPDX-License-Identifier: Apache-2.0
// How CVT and STC round, from the flags and scalars of the instruction.
#ifndef NPU_MODEL_TILE_ROUNDING_H_
#define NPU_MODEL_TILE_ROUNDING_H_

#include "firmware-model/tile/rows.h"

namespace npu::model {

struct Rounding {
  bool overflows = false;  // what FP8 has no room for becomes NaN or infinity
  bool random = false;
  ScaleRule rule = ScaleRule::kFloor;
  uint64_t seed = 0;
  uint64_t first = 0;  // place of element (0, 0) in the whole matrix
  uint64_t pitch = 0;  // its columns

  bool plain() const { return !overflows && !random; }
  RandomRounding of_row(uint64_t i) const { return {seed, first + i * pitch}; }
  // Row |i| of a tile of |dtype|, which is not in blocks.
  void narrow_row(const Numerics& numerics, uint8_t dtype, std::byte* to, const float* from,
                  size_t n, uint64_t i) const;
};

// Reads them; false: d and a do not go with them, and the fault was recorded.
bool resolve_rounding(Exec& exec, const Operand& d, const Operand& a, Rounding* out);

}  // namespace npu::model

#endif  // NPU_MODEL_TILE_ROUNDING_H_
