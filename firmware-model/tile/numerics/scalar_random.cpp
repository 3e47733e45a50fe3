// SPDX-License-Identifier: Apache-2.0
// Scalar definition of stochastic rounding with the random words of each element's place.
#include "firmware-model/tile/numerics/philox.h"
#include "firmware-model/tile/numerics/scalar_mx.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

template <class F, typename T>
void narrow(T* dst, const float* src, size_t n, RandomRounding random, bool overflows) {
  RandomWords words(random.seed);
  for (size_t i = 0; i < n; ++i) {
    const uint32_t magnitude = scalar::to_bits(src[i]) & 0x7fffffffu;
    const uint32_t rounded = magnitude < 0x7f800000u
                                 ? scalar::round_random<F>(magnitude, words.at(random.first + i))
                                 : F::kMax + 1;  // infinity: beyond the largest number
    dst[i] = static_cast<T>(scalar::to_small<F>(src[i], rounded, overflows));
  }
}

void narrow_random(RandomTo type, void* dst, const float* src, size_t n, RandomRounding random,
                   bool overflows) {
  switch (type) {
    case RandomTo::kBf16:
      return narrow<Bf16>(static_cast<uint16_t*>(dst), src, n, random, true);
    case RandomTo::kF16:
      return narrow<Fp16>(static_cast<uint16_t*>(dst), src, n, random, true);
    case RandomTo::kE4m3:
      return narrow<E4m3>(static_cast<uint8_t*>(dst), src, n, random, overflows);
    case RandomTo::kE5m2:
      return narrow<E5m2>(static_cast<uint8_t*>(dst), src, n, random, overflows);
  }
}

void encode_mx_random(Mx type, ScaleRule rule, std::byte* dst, const float* src, size_t blocks,
                      RandomRounding random) {
  RandomWords words(random.seed);
  with_mx(type, [&]<class Block>(Block) {
    for (size_t b = 0; b < blocks; ++b) {
      const uint64_t first = random.first + b * Block::kElements;
      scalar::encode_mx<Block>(
          dst + b * Block::kBytes, src + b * Block::kElements, rule, [&](uint32_t u, size_t i) {
            return scalar::round_random<typename Block::F>(u, words.at(first + i));
          });
    }
  });
}

}  // namespace

void scalar_fill_random(Numerics& table) {
  table.narrow_random = narrow_random;
  table.encode_mx_random = encode_mx_random;
}

}  // namespace npu::model
