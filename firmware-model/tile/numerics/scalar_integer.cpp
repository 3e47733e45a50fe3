// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the product of rows in blocks by integers.
#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/scalar_convert.h"
#include "firmware-model/tile/numerics/scalar_math.h"
#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

constexpr size_t kBlock = BlockQ8_0::kElements;
constexpr size_t kRun = 4;                     // elements that a lane takes of a block
constexpr size_t kBlockLanes = kBlock / kRun;  // so one block fills half of the lanes
static_assert(kBlock == BlockQ4_0::kElements && 2 * kBlockLanes == kTreeLanes);

struct OfQ8_0 {
  static constexpr size_t kBytes = sizeof(BlockQ8_0);
  static int32_t element(const std::byte* block, size_t i) {
    return static_cast<int8_t>(block[offsetof(BlockQ8_0, q) + i]);
  }
};
struct OfQ4_0 {
  static constexpr size_t kBytes = sizeof(BlockQ4_0);
  static int32_t element(const std::byte* block, size_t i) {
    const auto both = static_cast<int32_t>(block[offsetof(BlockQ4_0, q) + i % 16]);
    return (i < 16 ? both & 15 : both >> 4) - 8;
  }
};

template <class Of>
float product(const std::byte* a, const std::byte* b, size_t blocks) {
  static_assert(offsetof(BlockQ8_0, scale) == 0 && offsetof(BlockQ4_0, scale) == 0);
  scalar::Lanes lanes;
  for (size_t i = 0; i < blocks; ++i, a += sizeof(BlockQ8_0), b += Of::kBytes) {
    const float scale = scalar::from_f16(half_at(a, 0)) * scalar::from_f16(half_at(b, 0));
    for (size_t l = 0; l < kBlockLanes; ++l) {
      int32_t sum = 0;
      for (size_t e = kRun * l; e < kRun * (l + 1); ++e)
        sum += OfQ8_0::element(a, e) * Of::element(b, e);
      lanes.fma(i % 2 * kBlockLanes + l, static_cast<float>(sum), scale);
    }
  }
  return lanes.tree();
}

void dot_integer(const IntegerDotArgs& g) {
  const auto of = g.weight == Weight::kQ8_0 ? product<OfQ8_0> : product<OfQ4_0>;
  for (size_t i = 0; i < g.m; ++i) {
    for (size_t j = 0; j < g.n; ++j) {
      const float sum = of(g.a + i * g.a_stride_bytes, g.b + j * g.b_stride_bytes, g.k / kBlock);
      float& c = g.c[i * g.ldc + j];
      c = scalar::canonical(g.accumulate ? c + sum : sum);
    }
  }
}

}  // namespace

void scalar_fill_integer(Numerics& table) { table.dot_integer = dot_integer; }

}  // namespace npu::model
