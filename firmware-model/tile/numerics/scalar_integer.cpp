// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the product of rows in blocks by integers.
#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/scalar_convert.h"
#include "firmware-model/tile/numerics/scalar_math.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

constexpr size_t kBlock = RoundedBlock::kElements;
static_assert(kBlock == BlockQ8_0::kElements && kBlock == BlockQ4_0::kElements);

struct OfQ8_0 {
  static constexpr size_t kBytes = sizeof(BlockQ8_0);
  static size_t byte_of(size_t i) { return i; }
  static int32_t value(std::byte byte, size_t) { return static_cast<int8_t>(byte); }
};
struct OfQ4_0 {
  static constexpr size_t kBytes = sizeof(BlockQ4_0);
  static size_t byte_of(size_t i) { return i % 16; }
  static int32_t value(std::byte byte, size_t i) {
    const auto both = static_cast<int32_t>(byte);
    return (i < 16 ? both & 15 : both >> 4) - 8;
  }
};

// Block |i| of row |j| of the weights: where its scale is, and the byte that is number |n| behind it in a row.
template <class Of>
struct Place {
  const std::byte* scale;
  const std::byte* bytes;
  bool tiled;

  Place(const IntegerDotArgs& g, size_t j, size_t i) : tiled(g.tiled) {
    const size_t lane = tiled ? j % kTileRows : 0, blocks = tiled ? i * kTileRows : i;
    const std::byte* block = g.b + (j - lane) * g.b_stride_bytes + blocks * Of::kBytes;
    scale = block + lane * sizeof(uint16_t);
    bytes = tiled ? block + kTileRows * sizeof(uint16_t) + lane * kTileWordBytes
                  : block + sizeof(uint16_t);
  }
  std::byte byte(size_t n) const {
    return tiled ? bytes[n / kTileWordBytes * kTileRows * kTileWordBytes + n % kTileWordBytes]
                 : bytes[n];
  }
};

template <class Of>
float product(const IntegerDotArgs& g, const RoundedBlock* a, size_t j, float acc) {
  for (size_t i = 0; i < g.k / kBlock; ++i) {
    const Place<Of> b(g, j, i);
    int32_t sum = 0;
    for (size_t e = 0; e < kBlock; ++e) sum += a[i].q[e] * Of::value(b.byte(Of::byte_of(e)), e);
    const float scale = a[i].scale * scalar::from_f16(half_at(b.scale, 0));
    acc = std::fmaf(static_cast<float>(sum), scale, acc);
  }
  return acc;
}

void dot_integer(const IntegerDotArgs& g) {
  const auto of = g.weight == Weight::kQ8_0 ? product<OfQ8_0> : product<OfQ4_0>;
  for (size_t i = 0; i < g.m; ++i) {
    for (size_t j = 0; j < g.n; ++j) {
      float& c = g.c[i * g.ldc + j];
      c = scalar::canonical(of(g, g.a + i * g.lda, j, g.accumulate ? c : 0.0f));
    }
  }
}

void open_q8_0(RoundedBlock* dst, const std::byte* src, size_t blocks) {
  for (size_t i = 0; i < blocks; ++i, src += sizeof(BlockQ8_0)) {
    RoundedBlock& block = dst[i];
    block.scale = scalar::from_f16(half_at(src, offsetof(BlockQ8_0, scale)));
    block.minus_sum = 0;
    for (size_t e = 0; e < kBlock; ++e) {
      block.q[e] = static_cast<int8_t>(src[offsetof(BlockQ8_0, q) + e]);
      block.minus_sum -= block.q[e];
    }
  }
}

}  // namespace

void scalar_fill_integer(Numerics& table) {
  table.open_q8_0 = open_q8_0;
  table.dot_integer = dot_integer;
}

}  // namespace npu::model
