// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the matrix product in lane-and-tree order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_dot.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_fold-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

// A tile is kTileRows x kTileCols sums with kTileRows * kTileCols = kN: their trees are summed up together, lane by lane.

#if HWY_TARGET == HWY_AVX2
constexpr size_t kParts = 2;  // a whole tile of 16-lane accumulators would not fit in 16 registers
#else
constexpr size_t kParts = 1;
#endif

// The sums of kRows rows of A with kCols rows of B, folded to one vector each. b[c] is where row c begins.
template <size_t kRows, size_t kCols, size_t kAllCols>
HWY_INLINE void part_of_tile(size_t depth, const float* a, size_t lda, const float* const* b,
                             VF* out) {
  const F32 d;
  VF acc[kRows][kCols][kTreeVecs];
#pragma GCC unroll 4
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (size_t c = 0; c < kCols; ++c) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kTreeVecs; ++v) acc[r][c][v] = hn::Zero(d);
    }
  }
  size_t k = 0;
  for (; k + 16 <= depth; k += 16) {
#pragma GCC unroll 4
    for (size_t v = 0; v < kTreeVecs; ++v) {
      VF x[kRows];
#pragma GCC unroll 4
      for (size_t r = 0; r < kRows; ++r) x[r] = hn::LoadU(d, a + r * lda + k + v * kN);
#pragma GCC unroll 16
      for (size_t c = 0; c < kCols; ++c) {
        const VF y = hn::LoadU(d, b[c] + k + v * kN);
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) acc[r][c][v] = hn::MulAdd(x[r], y, acc[r][c][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (size_t v = 0; v < kTreeVecs; ++v) {
    if (k + v * kN >= depth) break;
    const size_t at = k + v * kN;
    const size_t count = HWY_MIN(depth - at, kN);
    const auto valid = hn::FirstN(d, count);
#pragma GCC unroll 16
    for (size_t c = 0; c < kCols; ++c) {
      const VF y = load_part(d, b[c] + at, count);
#pragma GCC unroll 4
      for (size_t r = 0; r < kRows; ++r) {
        const VF next = hn::MulAdd(load_part(d, a + r * lda + at, count), y, acc[r][c][v]);
        acc[r][c][v] = hn::IfThenElse(valid, next, acc[r][c][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (size_t c = 0; c < kCols; ++c) out[r * kAllCols + c] = fold_vectors(acc[r][c]);
  }
}

// kRows rows of C; |cols| <= kN / kRows columns of it.
template <size_t kRows>
HWY_NOINLINE void tile(const DotArgs& g, const float* a, const float* b, float* c, size_t cols) {
  constexpr size_t kCols = kN / kRows;
  constexpr size_t kPart = kCols >= kParts ? kCols / kParts : kCols;
  const F32 d;
  const float* rows[kCols];
#pragma GCC unroll 16
  for (size_t j = 0; j < kCols; ++j) rows[j] = b + HWY_MIN(j, cols - 1) * g.ldb;
  VF sums[kN];
#pragma GCC unroll 2
  for (size_t j = 0; j < kCols; j += kPart) {
    part_of_tile<kRows, kPart, kCols>(g.k, a, g.lda, rows + j, sums + j);
  }
  VF sum = fold_lanes(sums);
  HWY_ALIGN float buffer[kN];
  if (g.accumulate) {
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t j = 0; j < kCols; ++j) buffer[r * kCols + j] = j < cols ? c[r * g.ldc + j] : 0.0f;
    }
    sum = hn::Add(hn::Load(d, buffer), sum);
  }
  hn::Store(canonical(sum), d, buffer);
  if (cols == kCols) {
    for (size_t r = 0; r < kRows; ++r)
      std::memcpy(c + r * g.ldc, buffer + r * kCols, kCols * sizeof(float));
  } else {
    for (size_t r = 0; r < kRows; ++r)
      std::memcpy(c + r * g.ldc, buffer + r * kCols, cols * sizeof(float));
  }
}

template <size_t kRows>
HWY_INLINE void rows_of_tiles(const DotArgs& g, size_t i) {
  constexpr size_t kCols = kN / kRows;
  for (size_t j = 0; j < g.n; j += kCols) {
    tile<kRows>(g, g.a + i * g.lda, g.b + j * g.ldb, g.c + i * g.ldc + j, HWY_MIN(g.n - j, kCols));
  }
}

void dot_rows(const DotArgs& g) {
  size_t i = 0;
  for (; i + 4 <= g.m; i += 4) rows_of_tiles<4>(g, i);
  if (i + 2 <= g.m) {
    rows_of_tiles<2>(g, i);
    i += 2;
  }
  if (i < g.m) rows_of_tiles<1>(g, i);
}

}  // namespace

void fill_dot(Numerics& table) { table.dot_rows = dot_rows; }

#else
void fill_dot(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_dot)

}  // namespace npu::model
#endif  // HWY_ONCE
