// SPDX-License-Identifier: Apache-2.0
// Products of rows with rows of weights in lane-and-tree order, tile by tile: which sums are made together. A Product names its arguments and makes the sums of a part of a tile.
#include <hwy/cache_control.h>

#include "firmware-model/tile/numerics/simd_fold-inl.h"

#if defined(NPU_SIMD_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_TILES_INL_H_
#undef NPU_SIMD_TILES_INL_H_
#else
#define NPU_SIMD_TILES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

// Sums that are under way at once: as many 16-lane accumulators as half of the registers hold.
#if HWY_TARGET == HWY_AVX2
constexpr size_t kSums = 4;
#else
constexpr size_t kSums = HWY_MIN(kN, 8);
#endif

// Asks for weights before they are needed: kBytes of each of a part's rows, |at_bytes| of which have been used. Rows side by side are several streams in one page, which the processor's own prefetching does not
// follow. Rows without gaps are asked for as they lie, so that no line is left out where kBytes is no multiple of one; else the next part's.
template <size_t kCols, size_t kBytes>
HWY_INLINE void ask_ahead(const std::byte* const* rows, size_t at_bytes, size_t row_bytes,
                          size_t stride_bytes) {
  constexpr size_t kLineBytes = 64;
  constexpr size_t kAheadBytes = 8192;  // 4096 is as good, 2048 is too late
  if (stride_bytes == row_bytes) {
    const std::byte* from = rows[0] + kCols * at_bytes + kAheadBytes;
#pragma GCC unroll 16
    for (size_t i = 0; i < kCols * kBytes; i += kLineBytes) hwy::Prefetch(from + i);
  } else {
#pragma GCC unroll 8
    for (size_t c = 0; c < kCols; ++c) hwy::Prefetch(rows[c] + at_bytes + kCols * stride_bytes);
  }
}

// Writes the sums of kRows rows and |cols| columns of C. A copy whose size is not known is a loop over bytes, which took a third of the time of a tile with short rows.
template <size_t kRows>
HWY_INLINE void put_sums(VF sum, bool accumulate, float* c, size_t ldc, size_t cols) {
  constexpr size_t kCols = kN / kRows;
  const F32 d;
  if constexpr (kRows == 1) {
    if (accumulate) sum = hn::Add(load_part(d, c, cols), sum);
    store_part(canonical(sum), d, c, cols);
    return;
  }
  HWY_ALIGN float buffer[kN];
  if (accumulate) {
    for (size_t r = 0; r < kRows; ++r) {
      for (size_t j = 0; j < kCols; ++j) buffer[r * kCols + j] = j < cols ? c[r * ldc + j] : 0.0f;
    }
    sum = hn::Add(hn::Load(d, buffer), sum);
  }
  hn::Store(canonical(sum), d, buffer);
  if (cols == kCols) {
    for (size_t r = 0; r < kRows; ++r)
      std::memcpy(c + r * ldc, buffer + r * kCols, kCols * sizeof(float));
  } else {
    for (size_t r = 0; r < kRows; ++r)
      std::memcpy(c + r * ldc, buffer + r * kCols, cols * sizeof(float));
  }
}

// kRows rows of C; |cols| <= kN / kRows columns of it.
template <class Product, size_t kRows, class A>
HWY_NOINLINE void tile(const typename Product::Args& g, const A* a, const std::byte* b, float* c,
                       size_t cols) {
  constexpr size_t kCols = kN / kRows;
  constexpr size_t kPart = HWY_MIN(kCols, HWY_MAX(kSums / kRows, size_t{1}));
  const F32 d;
  const std::byte* rows[kCols];
  for (size_t j = 0; j < kCols; ++j) rows[j] = b + HWY_MIN(j, cols - 1) * g.b_stride_bytes;
  VF sums[kN];
  for (size_t j = 0; j < kCols; j += kPart) {
    if (j < cols) {
      Product::template part<kRows, kPart, kCols>(g, a, rows + j, sums + j);
      continue;
    }
    for (size_t r = 0; r < kRows; ++r)
      for (size_t i = 0; i < kPart; ++i) sums[r * kCols + j + i] = hn::Zero(d);
  }
  put_sums<kRows>(fold_lanes(sums), g.accumulate, c, g.ldc, cols);
}

template <class Product, size_t kRows>
HWY_INLINE void rows_of_tiles(const typename Product::Args& g, size_t i) {
  constexpr size_t kCols = kN / kRows;
  for (size_t j = 0; j < g.n; j += kCols) {
    tile<Product, kRows>(g, Product::row_of_a(g, i), g.b + j * g.b_stride_bytes,
                         g.c + i * g.ldc + j, HWY_MIN(g.n - j, kCols));
  }
}

template <class Product>
HWY_INLINE void all_tiles(const typename Product::Args& g) {
  size_t i = 0;
  for (; i + 4 <= g.m; i += 4) rows_of_tiles<Product, 4>(g, i);
  if (i + 2 <= g.m) {
    rows_of_tiles<Product, 2>(g, i);
    i += 2;
  }
  if (i < g.m) rows_of_tiles<Product, 1>(g, i);
}

}  // namespace
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
