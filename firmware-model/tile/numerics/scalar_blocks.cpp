// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the decoding of weights in blocks.
#include "firmware-model/tile/numerics/scalar_blocks.h"

#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

template <typename Block, auto kDecode>
void each(float* dst, const std::byte* src, size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) kDecode(dst + i * Block::kElements, src + i * sizeof(Block));
}

}  // namespace

void scalar_fill_blocks(Numerics& table) {
  table.decode_q8_0 = each<BlockQ8_0, scalar::decode_q8_0>;
  table.decode_q4_0 = each<BlockQ4_0, scalar::decode_q4_0>;
  table.decode_q4_k = each<BlockQ4_K, scalar::decode_q4_k>;
  table.decode_q6_k = each<BlockQ6_K, scalar::decode_q6_k>;
}

}  // namespace npu::model
