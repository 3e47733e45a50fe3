// SPDX-License-Identifier: Apache-2.0
// The product with rows of weights of one type, in lane-and-tree order; shared by simd_stream.cpp and simd_stream_mx.cpp. Weights are converted in registers. NaNs of a scale or an element need
// no care: they come out as NaN of the sum, which is made canonical.
#include <hwy/cache_control.h>

#include "firmware-model/tile/numerics/simd_blocks-inl.h"
#include "firmware-model/tile/numerics/simd_fold-inl.h"

#if defined(NPU_SIMD_STREAM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_STREAM_INL_H_
#undef NPU_SIMD_STREAM_INL_H_
#else
#define NPU_SIMD_STREAM_INL_H_
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

template <size_t kRows, size_t kCols>
using Accumulators = VF[kRows][kCols][kTreeVecs];

// One vector of each row of A times one of each row of weights.
template <size_t kRows, size_t kCols>
HWY_INLINE void step(const VF (&x)[kRows], const VF (&y)[kCols], size_t v,
                     Accumulators<kRows, kCols>& acc) {
#pragma GCC unroll 8
  for (size_t c = 0; c < kCols; ++c) {
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) acc[r][c][v] = hn::MulAdd(x[r], y[c], acc[r][c][v]);
  }
}

template <class Source, size_t kRows, size_t kCols>
HWY_INLINE void block(const float* a, size_t lda, const Source (&open)[kCols],
                      Accumulators<kRows, kCols>& acc) {
  const F32 d;
  for (size_t base = 0; base < Source::kElements; base += Source::kGroup) {
#pragma GCC unroll 8
    for (size_t i = 0; i < Source::kGroup; i += 16) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kTreeVecs; ++v) {
        const size_t at = i + v * kN;
        VF x[kRows], y[kCols];
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) x[r] = hn::LoadU(d, a + r * lda + base + at);
#pragma GCC unroll 8
        for (size_t c = 0; c < kCols; ++c) y[c] = open[c].get(base, at);
        step<kRows, kCols>(x, y, v, acc);
      }
    }
  }
}

// The last elements of rows of a plain type; lanes without an element stay as they are.
template <class Source, size_t kRows, size_t kCols>
HWY_INLINE void rest(const float* a, size_t lda, const Source (&open)[kCols], size_t count,
                     Accumulators<kRows, kCols>& acc) {
  const F32 d;
#pragma GCC unroll 4
  for (size_t v = 0; v < kTreeVecs; ++v) {
    if (v * kN >= count) return;
    const size_t n = HWY_MIN(count - v * kN, kN);
    const auto valid = hn::FirstN(d, n);
#pragma GCC unroll 8
    for (size_t c = 0; c < kCols; ++c) {
      const VF y = open[c].get_part(v * kN, n);
#pragma GCC unroll 4
      for (size_t r = 0; r < kRows; ++r) {
        const VF next = hn::MulAdd(load_part(d, a + r * lda + v * kN, n), y, acc[r][c][v]);
        acc[r][c][v] = hn::IfThenElse(valid, next, acc[r][c][v]);
      }
    }
  }
}

template <class Source, size_t... kColumn>
HWY_INLINE auto open_all(const std::byte* const* rows, size_t offset_bytes,
                         std::index_sequence<kColumn...>) {
  struct All {
    Source column[sizeof...(kColumn)];
  };
  return All{{Source(rows[kColumn] + offset_bytes)...}};
}

// The sums of kRows rows of A with kCols rows of weights, folded to one vector each.
template <class Source, size_t kRows, size_t kCols, size_t kAllCols>
HWY_INLINE void part_of_tile(const StreamArgs& g, const float* a, const std::byte* const* rows,
                             VF* out) {
  const F32 d;
  constexpr auto kColumns = std::make_index_sequence<kCols>();
  Accumulators<kRows, kCols> acc;
#pragma GCC unroll 4
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kCols; ++c) {
#pragma GCC unroll 4
      for (size_t v = 0; v < kTreeVecs; ++v) acc[r][c][v] = hn::Zero(d);
    }
  }
  size_t k = 0;
  size_t at_bytes = 0;
  // Rows side by side are several streams in one page, which the processor's own prefetching does not follow.
  const size_t ahead_bytes = kCols * g.b_stride_bytes;
  for (; k + Source::kElements <= g.k; k += Source::kElements, at_bytes += Source::kBytes) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kCols; ++c) hwy::Prefetch(rows[c] + at_bytes + ahead_bytes);
    const auto open = open_all<Source>(rows, at_bytes, kColumns);
    block<Source, kRows, kCols>(a + k, g.lda, open.column, acc);
  }
  if constexpr (Source::kPlain) {
    if (k != g.k) {
      const auto open = open_all<Source>(rows, at_bytes, kColumns);
      rest<Source, kRows, kCols>(a + k, g.lda, open.column, g.k - k, acc);
    }
  }
#pragma GCC unroll 4
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kCols; ++c) out[r * kAllCols + c] = fold_vectors(acc[r][c]);
  }
}

// kRows rows of C; |cols| <= kN / kRows columns of it.
template <class Source, size_t kRows>
HWY_NOINLINE void tile(const StreamArgs& g, const float* a, const std::byte* b, float* c,
                       size_t cols) {
  constexpr size_t kCols = kN / kRows;
  constexpr size_t kPart = HWY_MIN(kCols, HWY_MAX(kSums / kRows, size_t{1}));
  const F32 d;
  const std::byte* rows[kCols];
  for (size_t j = 0; j < kCols; ++j) rows[j] = b + HWY_MIN(j, cols - 1) * g.b_stride_bytes;
  VF sums[kN];
  for (size_t j = 0; j < kCols; j += kPart) {
    if (j < cols) {
      part_of_tile<Source, kRows, kPart, kCols>(g, a, rows + j, sums + j);
      continue;
    }
    for (size_t r = 0; r < kRows; ++r)
      for (size_t i = 0; i < kPart; ++i) sums[r * kCols + j + i] = hn::Zero(d);
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
  for (size_t r = 0; r < kRows; ++r)
    std::memcpy(c + r * g.ldc, buffer + r * kCols, cols * sizeof(float));
}

template <class Source, size_t kRows>
HWY_INLINE void rows_of_tiles(const StreamArgs& g, size_t i) {
  constexpr size_t kCols = kN / kRows;
  for (size_t j = 0; j < g.n; j += kCols) {
    tile<Source, kRows>(g, g.a + i * g.lda, g.b + j * g.b_stride_bytes, g.c + i * g.ldc + j,
                        HWY_MIN(g.n - j, kCols));
  }
}

template <class Source>
void stream(const StreamArgs& g) {
  size_t i = 0;
  for (; i + 4 <= g.m; i += 4) rows_of_tiles<Source, 4>(g, i);
  if (i + 2 <= g.m) {
    rows_of_tiles<Source, 2>(g, i);
    i += 2;
  }
  if (i < g.m) rows_of_tiles<Source, 1>(g, i);
}

}  // namespace
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
