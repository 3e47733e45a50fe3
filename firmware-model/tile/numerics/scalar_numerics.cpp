// SPDX-License-Identifier: Apache-2.0
// The scalar function table.
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {

const Numerics& scalar_numerics() {
  static const Numerics table = [] {
    Numerics t{};
    t.name = "scalar";
    scalar_fill_matrix(t);
    scalar_fill_layout(t);
    scalar_fill_convert(t);
    scalar_fill_small(t);
    scalar_fill_blocks(t);
    scalar_fill_mx(t);
    scalar_fill_random(t);
    scalar_fill_stream(t);
    scalar_fill_integer(t);
    scalar_fill_elementwise(t);
    scalar_fill_row(t);
    return t;
  }();
  return table;
}

}  // namespace npu::model
