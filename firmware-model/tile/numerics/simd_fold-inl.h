// SPDX-License-Identifier: Apache-2.0
// The fixed tree over many sums at once: 16 lanes each become one vector, whose lane i is sum i.
#include "firmware-model/tile/numerics/simd_transpose-inl.h"

#if defined(NPU_SIMD_FOLD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_FOLD_INL_H_
#undef NPU_SIMD_FOLD_INL_H_
#else
#define NPU_SIMD_FOLD_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

// One sum in 16 lanes becomes one in min(16, kN) lanes.
HWY_INLINE VF fold_vectors(const VF (&v)[kTreeVecs]) {
  if constexpr (kTreeVecs == 1) return v[0];
  if constexpr (kTreeVecs == 2) return hn::Add(v[0], v[1]);
  if constexpr (kTreeVecs == 4) return hn::Add(hn::Add(v[0], v[2]), hn::Add(v[1], v[3]));
}

// kN sums of kN lanes become one vector; lane i is the tree of s[i].
HWY_INLINE VF fold_lanes(const VF (&s)[kN]) {
  const F32 d;
  // q[p] holds in block b the four lanes that are left of sum kN/2 (p/2) + 2 b + p % 2.
  VF q[4];
#if NPU_SIMD_AVX512
#pragma GCC unroll 4
  for (size_t p = 0; p < 4; ++p) {
    const size_t at = 8 * (p / 2) + p % 2;
    const __m512 s0 = s[at].raw, s1 = s[at + 2].raw, s2 = s[at + 4].raw, s3 = s[at + 6].raw;
    const __m512 t =
        _mm512_add_ps(_mm512_shuffle_f32x4(s0, s1, 0x44), _mm512_shuffle_f32x4(s0, s1, 0xee));
    const __m512 u =
        _mm512_add_ps(_mm512_shuffle_f32x4(s2, s3, 0x44), _mm512_shuffle_f32x4(s2, s3, 0xee));
    q[p] = VF{_mm512_add_ps(_mm512_shuffle_f32x4(t, u, 0x88), _mm512_shuffle_f32x4(t, u, 0xdd))};
  }
#elif HWY_TARGET == HWY_AVX2
#pragma GCC unroll 4
  for (size_t p = 0; p < 4; ++p) {
    const size_t at = 4 * (p / 2) + p % 2;
    q[p] = hn::Add(hn::ConcatLowerLower(d, s[at + 2], s[at]),
                   hn::ConcatUpperUpper(d, s[at + 2], s[at]));
  }
#else
  for (size_t p = 0; p < 4; ++p) q[p] = s[p];
#endif
  const VF x = hn::Add(low_pairs(q[0], q[1]), high_pairs(q[0], q[1]));
  const VF y = hn::Add(low_pairs(q[2], q[3]), high_pairs(q[2], q[3]));
  return hn::Add(hn::ConcatEven(d, y, x), hn::ConcatOdd(d, y, x));
}

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
