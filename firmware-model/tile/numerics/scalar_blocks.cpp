// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the decoding of weights in blocks, and of the way into Q8_0 and Q4_0.
#include "firmware-model/tile/numerics/scalar_blocks.h"

#include "firmware-model/tile/numerics/scalar_encode.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

template <typename Block, auto kDecode>
void each(float* dst, const std::byte* src, size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) kDecode(dst + i * Block::kElements, src + i * sizeof(Block));
}

template <typename Block, auto kEncode>
void each_back(std::byte* dst, const float* src, size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) kEncode(dst + i * sizeof(Block), src + i * Block::kElements);
}

}  // namespace

void scalar_fill_blocks(Numerics& table) {
  table.decode_q8_0 = each<BlockQ8_0, scalar::decode_q8_0>;
  table.decode_q4_0 = each<BlockQ4_0, scalar::decode_q4_0>;
  table.decode_q4_k = each<BlockQ4_K, scalar::decode_q4_k>;
  table.decode_q6_k = each<BlockQ6_K, scalar::decode_q6_k>;
  table.encode_q8_0 = each_back<BlockQ8_0, scalar::encode_q8_0>;
  table.encode_q4_0 = each_back<BlockQ4_0, scalar::encode_q4_0>;
}

}  // namespace npu::model
