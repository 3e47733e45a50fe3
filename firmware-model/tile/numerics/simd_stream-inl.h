// SPDX-License-Identifier: Apache-2.0
// The product with rows of weights of one type, in lane-and-tree order; shared by simd_stream.cpp and simd_stream_mx.cpp. Weights are converted in registers. NaNs of a scale or an element need
// no care: they come out as NaN of the sum, which is made canonical.
#include "firmware-model/tile/numerics/simd_blocks-inl.h"
#include "firmware-model/tile/numerics/simd_tiles-inl.h"

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
  const size_t row_bytes = g.k / Source::kElements * Source::kBytes;
  for (; k + Source::kElements <= g.k; k += Source::kElements, at_bytes += Source::kBytes) {
    ask_ahead<kCols, Source::kBytes>(rows, at_bytes, row_bytes, g.b_stride_bytes);
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

template <class Source>
struct StreamProduct {
  using Args = StreamArgs;
  static HWY_INLINE const float* row_of_a(const Args& g, size_t i) { return g.a + i * g.lda; }
  template <size_t kRows, size_t kCols, size_t kAllCols>
  static HWY_INLINE void part(const Args& g, const float* a, const std::byte* const* rows,
                              VF* out) {
    part_of_tile<Source, kRows, kCols, kAllCols>(g, a, rows, out);
  }
};

template <class Source>
void stream(const StreamArgs& g) {
  all_tiles<StreamProduct<Source>>(g);
}

}  // namespace
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
