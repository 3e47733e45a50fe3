// SPDX-License-Identifier: Apache-2.0
// Scalar definition of arrays of blocks with a scale that is a power of two.
#include "firmware-model/tile/numerics/scalar_mx.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

void decode_mx(Mx type, float* dst, const std::byte* src, size_t blocks) {
  with_mx(type, [&]<class Block>(Block) {
    for (size_t i = 0; i < blocks; ++i)
      scalar::decode_mx<Block>(dst + i * Block::kElements, src + i * Block::kBytes);
  });
}

void encode_mx(Mx type, ScaleRule rule, std::byte* dst, const float* src, size_t blocks) {
  with_mx(type, [&]<class Block>(Block) {
    for (size_t i = 0; i < blocks; ++i) {
      scalar::encode_mx<Block>(
          dst + i * Block::kBytes, src + i * Block::kElements, rule,
          [](uint32_t u, size_t) { return scalar::round_nearest<typename Block::F>(u); });
    }
  });
}

}  // namespace

void scalar_fill_mx(Numerics& table) {
  table.decode_mx = decode_mx;
  table.encode_mx = encode_mx;
}

}  // namespace npu::model
