// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the product of rows in blocks by integers: x86 only, elsewhere the scalar definition stays. Sums of integers are exact, so how they are made is free: an unsigned byte times a
// signed one, pairs added in 16 bits (at most 2 * 128 * 127, where nothing saturates), then pairs of those in 32.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_integer.cpp"
#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA && HWY_ARCH_X86
namespace {

constexpr size_t kBlock = BlockQ8_0::kElements;
static_assert(offsetof(BlockQ8_0, scale) == 0 && offsetof(BlockQ4_0, scale) == 0);

// Both blocks of a pair, as vectors of 4 kN bytes: with 16 lanes they are one vector, with 8 one each.
#if NPU_SIMD_AVX512

using Bytes = __m512i;
HWY_INLINE __m256i load_256(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
HWY_INLINE Bytes load_q8(const std::byte* const (&q)[2], size_t) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(load_256(q[0])), load_256(q[1]), 1);
}
// Each of the 16 bytes twice, then the upper halves moved down where they count.
HWY_INLINE Bytes load_q4(const std::byte* const (&q)[2], size_t) {
  const auto load = [](const std::byte* p)
                        HWY_ATTR { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
  const __m512i both =
      _mm512_mask_broadcast_i64x2(_mm512_broadcast_i64x2(load(q[0])), 0xf0, load(q[1]));
  const __m512i shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  return _mm512_and_si512(_mm512_srlv_epi64(both, shifts), _mm512_set1_epi8(15));
}
HWY_INLINE VF load_scales(const std::byte* const (&block)[2], size_t) {
  const auto half = [&](size_t i) HWY_ATTR { return static_cast<int16_t>(half_at(block[i], 0)); };
  return VF{_mm512_cvtph_ps(_mm256_mask_set1_epi16(_mm256_set1_epi16(half(0)), 0xff00, half(1)))};
}
HWY_INLINE VI sum_products(Bytes positive, Bytes b) {
  const __m512i pairs = _mm512_maddubs_epi16(positive, b);
  return VI{_mm512_madd_epi16(pairs, _mm512_set1_epi16(1))};
}
HWY_INLINE Bytes magnitude(Bytes x) { return _mm512_abs_epi8(x); }
HWY_INLINE Bytes with_sign_of(Bytes x, Bytes y) {
  return _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(y), _mm512_setzero_si512(), x);
}
HWY_INLINE Bytes all_bytes(int8_t x) { return _mm512_set1_epi8(x); }
HWY_INLINE VF first_block_only(VF x, size_t) { return VF{_mm512_maskz_mov_ps(0x00ff, x.raw)}; }

#else

using Bytes = __m256i;
HWY_INLINE Bytes load_q8(const std::byte* const (&q)[2], size_t v) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(q[v]));
}
HWY_INLINE Bytes load_q4(const std::byte* const (&q)[2], size_t v) {
  const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q[v]));
  return _mm256_and_si256(
      _mm256_inserti128_si256(_mm256_castsi128_si256(both), _mm_srli_epi16(both, 4), 1),
      _mm256_set1_epi8(15));
}
HWY_INLINE VF load_scales(const std::byte* const (&block)[2], size_t v) {
  return VF{_mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(half_at(block[v], 0))))};
}
HWY_INLINE VI sum_products(Bytes positive, Bytes b) {
  const __m256i pairs = _mm256_maddubs_epi16(positive, b);
  return VI{_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))};
}
HWY_INLINE Bytes magnitude(Bytes x) { return _mm256_abs_epi8(x); }
HWY_INLINE Bytes with_sign_of(Bytes x, Bytes y) { return _mm256_sign_epi8(x, y); }
HWY_INLINE Bytes all_bytes(int8_t x) { return _mm256_set1_epi8(x); }
HWY_INLINE VF first_block_only(VF x, size_t v) { return v == 0 ? x : hn::Zero(F32()); }

#endif

// A pair of blocks of a row of A, opened once for all rows of weights that it meets.
struct PairOfA {
  Bytes q[kTreeVecs];
  VF scale[kTreeVecs];
};

struct OfQ8_0 {
  static constexpr size_t kBytes = sizeof(BlockQ8_0);
  static constexpr size_t kAt = offsetof(BlockQ8_0, q);
  static constexpr int8_t kSubtracted = 0;
  static HWY_INLINE Bytes load(const std::byte* const (&q)[2], size_t v) { return load_q8(q, v); }
  static HWY_INLINE VI dot(Bytes a, Bytes w) {
    return sum_products(magnitude(w), with_sign_of(a, w));
  }
};

// Elements stand for 8 less than they are: eight times the sum of A's is taken off.
struct OfQ4_0 {
  static constexpr size_t kBytes = sizeof(BlockQ4_0);
  static constexpr size_t kAt = offsetof(BlockQ4_0, q);
  static constexpr int8_t kSubtracted = 8;
  static HWY_INLINE Bytes load(const std::byte* const (&q)[2], size_t v) { return load_q4(q, v); }
  static HWY_INLINE VI dot(Bytes a, Bytes w) { return sum_products(w, a); }
};

template <class Of>
struct IntegerProduct {
  using Args = IntegerDotArgs;
  static HWY_INLINE const std::byte* row_of_a(const Args& g, size_t i) {
    return g.a + i * g.a_stride_bytes;
  }

  template <size_t kRows, size_t kCols>
  using Sums = VF[kRows][kCols][kTreeVecs];

  // |step|: distance of the pair's second block in blocks; 0: there is none, and the first one stands in for it.
  template <size_t kRows, size_t kCols>
  static HWY_INLINE void pair(const Args& g, const std::byte* a, const std::byte* const* rows,
                              size_t at, size_t step, Sums<kRows, kCols>& sums) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kTreeVecs; ++v) {
      Bytes x[kRows];
      VF x_scale[kRows];
      VI taken_off[kRows];
#pragma GCC unroll 4
      for (size_t r = 0; r < kRows; ++r) {
        const std::byte* block = a + r * g.a_stride_bytes + at * sizeof(BlockQ8_0);
        const std::byte* next = block + step * sizeof(BlockQ8_0);
        constexpr size_t kQ = offsetof(BlockQ8_0, q);
        x[r] = load_q8({block + kQ, next + kQ}, v);
        x_scale[r] = load_scales({block, next}, v);
        if (step == 0) x_scale[r] = first_block_only(x_scale[r], v);
        if constexpr (Of::kSubtracted != 0)
          taken_off[r] = sum_products(all_bytes(Of::kSubtracted), x[r]);
      }
#pragma GCC unroll 16
      for (size_t c = 0; c < kCols; ++c) {
        const std::byte* block = rows[c] + at * Of::kBytes;
        const std::byte* next = block + step * Of::kBytes;
        const Bytes w = Of::load({block + Of::kAt, next + Of::kAt}, v);
        VF w_scale = load_scales({block, next}, v);
        if (step == 0) w_scale = first_block_only(w_scale, v);
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) {
          VI sum = Of::dot(x[r], w);
          if constexpr (Of::kSubtracted != 0) sum = hn::Sub(sum, taken_off[r]);
          sums[r][c][v] =
              hn::MulAdd(hn::ConvertTo(F32(), sum), hn::Mul(x_scale[r], w_scale), sums[r][c][v]);
        }
      }
    }
  }

  template <size_t kRows, size_t kCols, size_t kAllCols>
  static HWY_INLINE void part(const Args& g, const std::byte* a, const std::byte* const* rows,
                              VF* out) {
    Sums<kRows, kCols> sums;
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (size_t c = 0; c < kCols; ++c) {
#pragma GCC unroll 2
        for (size_t v = 0; v < kTreeVecs; ++v) sums[r][c][v] = hn::Zero(F32());
      }
    }
    const size_t blocks = g.k / kBlock;
    size_t at = 0;
    for (; at + 2 <= blocks; at += 2) {
      ask_ahead<kCols, 2 * Of::kBytes>(rows, at * Of::kBytes, blocks * Of::kBytes,
                                       g.b_stride_bytes);
      pair<kRows, kCols>(g, a, rows, at, 1, sums);
    }
    if (at != blocks) pair<kRows, kCols>(g, a, rows, at, 0, sums);
#pragma GCC unroll 4
    for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
      for (size_t c = 0; c < kCols; ++c) out[r * kAllCols + c] = fold_vectors(sums[r][c]);
    }
  }
};

void dot_integer(const IntegerDotArgs& g) {
  if (g.weight == Weight::kQ8_0) return all_tiles<IntegerProduct<OfQ8_0>>(g);
  all_tiles<IntegerProduct<OfQ4_0>>(g);
}

}  // namespace

void fill_integer(Numerics& table) { table.dot_integer = dot_integer; }

#else
void fill_integer(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA && HWY_ARCH_X86

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_integer)

}  // namespace npu::model
#endif  // HWY_ONCE
