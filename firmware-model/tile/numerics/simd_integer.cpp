// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the product of rows in blocks by integers: x86 only, elsewhere the scalar definition stays. Sums of integers are exact, so how they are made is free: an unsigned byte times a
// signed one, pairs added in 16 bits (at most 2 * 128 * 127, where nothing saturates), then pairs of those in 32; or, with AVX512-VNNI, four of them at once in 32.
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

// The scales of blocks of up to eight rows. Row by row to a register: the compiler would take them through mask registers.
template <size_t kCols, size_t kFirst = 0>
HWY_INLINE __m128i four_halves(const std::byte* const* rows, size_t at_bytes) {
  __m128i x = _mm_cvtsi32_si128(half_at(rows[kFirst], at_bytes));
  if constexpr (kCols > kFirst + 1) x = _mm_insert_epi16(x, half_at(rows[kFirst + 1], at_bytes), 1);
  if constexpr (kCols > kFirst + 2) x = _mm_insert_epi16(x, half_at(rows[kFirst + 2], at_bytes), 2);
  if constexpr (kCols > kFirst + 3) x = _mm_insert_epi16(x, half_at(rows[kFirst + 3], at_bytes), 3);
  return x;
}
template <size_t kCols>
HWY_INLINE __m128i halves(const std::byte* const* rows, size_t at_bytes) {
  static_assert(kCols <= 8);
  const __m128i x = four_halves<kCols>(rows, at_bytes);
  if constexpr (kCols <= 4)
    return x;
  else
    return _mm_unpacklo_epi64(x, four_halves<kCols, 4>(rows, at_bytes));
}

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
HWY_INLINE Bytes both_twice(const std::byte* const (&q)[2]) {
  const auto load = [](const std::byte* p)
                        HWY_ATTR { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); };
  return _mm512_mask_broadcast_i64x2(_mm512_broadcast_i64x2(load(q[0])), 0xf0, load(q[1]));
}
HWY_INLINE Bytes load_q4(const std::byte* const (&q)[2], size_t) {
  const __m512i shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
  return _mm512_and_si512(_mm512_srlv_epi64(both_twice(q), shifts), _mm512_set1_epi8(15));
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
template <size_t kCols>
HWY_INLINE VF scales_of(const std::byte* const* rows, size_t at, size_t next, size_t) {
  return VF{_mm512_cvtph_ps(_mm256_setr_m128i(halves<kCols>(rows, at), halves<kCols>(rows, next)))};
}
HWY_INLINE VF scale_of(VF scales, size_t c) {
  const __m512i firsts = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8);
  const __m512i lanes = _mm512_add_epi32(firsts, _mm512_set1_epi32(static_cast<int>(c)));
  return VF{_mm512_permutexvar_ps(lanes, scales.raw)};
}

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
template <size_t kCols>
HWY_INLINE VF scales_of(const std::byte* const* rows, size_t at, size_t next, size_t v) {
  return VF{_mm256_cvtph_ps(halves<kCols>(rows, v == 0 ? at : next))};
}
HWY_INLINE VF scale_of(VF scales, size_t c) {
  return VF{_mm256_permutevar8x32_ps(scales.raw, _mm256_set1_epi32(static_cast<int>(c)))};
}

#endif

// Weights of a type: how they are opened; the sum with a row of A that is made from begin(), which belongs to A alone; and what a lane has to be multiplied with at the end.
struct OfQ8_0 {
  static constexpr size_t kBytes = sizeof(BlockQ8_0);
  static constexpr size_t kAt = offsetof(BlockQ8_0, q);
  static HWY_INLINE Bytes load(const std::byte* const (&q)[2], size_t v) { return load_q8(q, v); }
  static HWY_INLINE VI begin(Bytes) { return hn::Zero(I32()); }
  static HWY_INLINE VI dot(VI, Bytes a, Bytes w) {
    return sum_products(magnitude(w), with_sign_of(a, w));
  }
  static HWY_INLINE VF end(VF sum) { return sum; }
};

// Elements stand for 8 less than they are: eight times the sum of A's is taken off.
struct OfQ4_0 {
  static constexpr size_t kBytes = sizeof(BlockQ4_0);
  static constexpr size_t kAt = offsetof(BlockQ4_0, q);
  static HWY_INLINE Bytes load(const std::byte* const (&q)[2], size_t v) { return load_q4(q, v); }
  static HWY_INLINE VI begin(Bytes a) { return sum_products(all_bytes(8), a); }
  static HWY_INLINE VI dot(VI taken_off, Bytes a, Bytes w) {
    return hn::Sub(sum_products(w, a), taken_off);
  }
  static HWY_INLINE VF end(VF sum) { return sum; }
};

#if NPU_SIMD_AVX512

// sum + four products in each lane. The instruction itself, not its intrinsic, which is for functions of another target; Highway 1.0.3 has none with AVX512-VNNI (its AVX3_DL asks for AVX-VNNI, which is another thing).
HWY_INLINE VI add_products(VI sum, Bytes positive, Bytes b) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(positive), "v"(b));
  return sum;
}
HWY_INLINE VI less_products(Bytes positive, Bytes b) {
  return hn::Sub(hn::Zero(I32()), add_products(hn::Zero(I32()), positive, b));
}

// Elements are made unsigned by adding 128.
struct VnniOfQ8_0 : OfQ8_0 {
  static HWY_INLINE Bytes load(const std::byte* const (&q)[2], size_t v) {
    return _mm512_xor_si512(load_q8(q, v), all_bytes(-128));
  }
  static HWY_INLINE VI begin(Bytes a) { return less_products(all_bytes(-128), a); }
  static HWY_INLINE VI dot(VI begun, Bytes a, Bytes w) { return add_products(begun, w, a); }
};

// Upper halves stay where they are, as 16 times what they count; and so do the sums of their lanes, which are far from the ends of fp32's range: that changes no rounding.
struct VnniOfQ4_0 : OfQ4_0 {
  static HWY_INLINE Bytes by_half(int lower, int upper) {
    const __m512i all = _mm512_set1_epi8(static_cast<int8_t>(lower));
    return _mm512_mask_mov_epi64(all, 0xcc, _mm512_set1_epi8(static_cast<int8_t>(upper)));
  }
  static HWY_INLINE Bytes load(const std::byte* const (&q)[2], size_t) {
    return _mm512_and_si512(both_twice(q), by_half(0x0f, 0xf0));
  }
  static HWY_INLINE VI begin(Bytes a) { return less_products(by_half(8, 8 * 16), a); }
  static HWY_INLINE VI dot(VI begun, Bytes a, Bytes w) { return add_products(begun, w, a); }
  static HWY_INLINE VF end(VF sum) {
    const __m512 back = _mm512_set1_ps(1.0f / 16);
    return VF{_mm512_mask_mul_ps(sum.raw, 0xf0f0, sum.raw, back)};
  }
};

#endif  // NPU_SIMD_AVX512

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
      const size_t at_bytes = at * Of::kBytes, next_bytes = (at + step) * Of::kBytes;
      VF w_scales = scales_of<kCols>(rows, at_bytes, next_bytes, v);
      if (step == 0) w_scales = first_block_only(w_scales, v);
      Bytes x[kRows];
      VF scales[kRows];  // of this row of A with each row of weights
      VI begun[kRows];
#pragma GCC unroll 4
      for (size_t r = 0; r < kRows; ++r) {
        const std::byte* block = a + r * g.a_stride_bytes + at * sizeof(BlockQ8_0);
        const std::byte* next = block + step * sizeof(BlockQ8_0);
        constexpr size_t kQ = offsetof(BlockQ8_0, q);
        x[r] = load_q8({block + kQ, next + kQ}, v);
        VF x_scale = load_scales({block, next}, v);
        if (step == 0) x_scale = first_block_only(x_scale, v);
        scales[r] = hn::Mul(x_scale, w_scales);
        begun[r] = Of::begin(x[r]);
      }
#pragma GCC unroll 16
      for (size_t c = 0; c < kCols; ++c) {
        const std::byte* q = rows[c] + Of::kAt;
        const Bytes w = Of::load({q + at_bytes, q + next_bytes}, v);
#pragma GCC unroll 4
        for (size_t r = 0; r < kRows; ++r) {
          const VI sum = Of::dot(begun[r], x[r], w);
          sums[r][c][v] =
              hn::MulAdd(hn::ConvertTo(F32(), sum), scale_of(scales[r], c), sums[r][c][v]);
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
      for (size_t c = 0; c < kCols; ++c) {
#pragma GCC unroll 2
        for (size_t v = 0; v < kTreeVecs; ++v) sums[r][c][v] = Of::end(sums[r][c][v]);
        out[r * kAllCols + c] = fold_vectors(sums[r][c]);
      }
    }
  }
};

template <class Q8_0, class Q4_0>
void dot_integer(const IntegerDotArgs& g) {
  if (g.weight == Weight::kQ8_0) return all_tiles<IntegerProduct<Q8_0>>(g);
  all_tiles<IntegerProduct<Q4_0>>(g);
}

}  // namespace

void fill_integer(Numerics& table) { table.dot_integer = dot_integer<OfQ8_0, OfQ4_0>; }
#if NPU_SIMD_AVX512
void fill_vnni(Numerics& table) { table.dot_integer = dot_integer<VnniOfQ8_0, VnniOfQ4_0>; }
#endif

#else
void fill_integer(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA && HWY_ARCH_X86

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

void simd_fill_integer(Numerics& table, SimdTarget target) {
  const FillPart avx3 =
      target == SimdTarget::kAvx3Vnni ? HWY_CHOOSE_AVX3(fill_vnni) : HWY_CHOOSE_AVX3(fill_integer);
  choose(target, avx3, HWY_CHOOSE_AVX2(fill_integer), &HWY_STATIC_DISPATCH(fill_integer))(table);
}

}  // namespace npu::model
#endif  // HWY_ONCE
