// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the product with rows of weights of any type: each is decoded block by block, then summed as in dot_rows.
#include "firmware-model/tile/numerics/scalar_blocks.h"
#include "firmware-model/tile/numerics/scalar_mx.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

template <float (*kWiden)(uint16_t)>
void widen(float* dst, const std::byte* at) {
  *dst = kWiden(half_at(at, 0));
}

template <class Format>
void widen_small(float* dst, const std::byte* at) {
  *dst = scalar::from_small<Format>(static_cast<uint8_t>(*at));
}

void widen_i8(float* dst, const std::byte* at) {
  *dst = static_cast<float>(static_cast<int8_t>(*at));
}

void move(float* dst, const std::byte* at) { std::memcpy(dst, at, sizeof(*dst)); }

template <void (*kDecode)(float*, const std::byte*), size_t kElements, size_t kBytes>
float product(const float* a, const std::byte* b, size_t k) {
  scalar::Lanes lanes;
  float values[kElements];
  for (size_t at = 0; at < k; at += kElements, b += kBytes) {
    kDecode(values, b);
    for (size_t i = 0; i < kElements; ++i) lanes.fma(at + i, a[at + i], values[i]);
  }
  return lanes.tree();
}

template <typename Block, void (*kDecode)(float*, const std::byte*)>
constexpr auto kOfBlocks = product<kDecode, Block::kElements, sizeof(Block)>;

using Product = float (*)(const float* a, const std::byte* b, size_t k);

Product product_of(Weight weight) {
  switch (weight) {
    case Weight::kF32:
      return product<move, 1, 4>;
    case Weight::kBf16:
      return product<widen<scalar::from_bf16>, 1, 2>;
    case Weight::kF16:
      return product<widen<scalar::from_f16>, 1, 2>;
    case Weight::kQ8_0:
      return kOfBlocks<BlockQ8_0, scalar::decode_q8_0>;
    case Weight::kQ4_0:
      return kOfBlocks<BlockQ4_0, scalar::decode_q4_0>;
    case Weight::kQ4_K:
      return kOfBlocks<BlockQ4_K, scalar::decode_q4_k>;
    case Weight::kQ6_K:
      return kOfBlocks<BlockQ6_K, scalar::decode_q6_k>;
    case Weight::kE4m3:
      return product<widen_small<E4m3>, 1, 1>;
    case Weight::kE5m2:
      return product<widen_small<E5m2>, 1, 1>;
    case Weight::kI8:
      return product<widen_i8, 1, 1>;
    default:
      return with_mx(mx_of(weight), []<class Block>(Block) -> Product {
        return product<scalar::decode_mx<Block>, Block::kElements, Block::kBytes>;
      });
  }
}

void dot_stream(const StreamArgs& g) {
  const auto product = product_of(g.weight);
  for (size_t i = 0; i < g.m; ++i) {
    for (size_t j = 0; j < g.n; ++j) {
      const float sum = product(g.a + i * g.lda, g.b + j * g.b_stride_bytes, g.k);
      float& c = g.c[i * g.ldc + j];
      c = scalar::canonical(g.accumulate ? c + sum : sum);
    }
  }
}

}  // namespace

void scalar_fill_stream(Numerics& table) {
  table.dot_stream = dot_stream;
  table.dot_stream_mx = dot_stream;
}

}  // namespace npu::model
