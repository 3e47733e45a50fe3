// SPDX-License-Identifier: Apache-2.0
// Transposition of a square of kN x kN 32-bit values in registers.
#include "firmware-model/tile/numerics/simd_common-inl.h"

#if defined(NPU_SIMD_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_TRANSPOSE_INL_H_
#undef NPU_SIMD_TRANSPOSE_INL_H_
#else
#define NPU_SIMD_TRANSPOSE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

// (v0 v1 w0 w1) and (v2 v3 w2 w3) in each block of four lanes
HWY_INLINE VU low_pairs(VU v, VU w) {
  const hn::Repartition<uint64_t, U32> d64;
  return hn::BitCast(U32(), hn::InterleaveLower(d64, hn::BitCast(d64, v), hn::BitCast(d64, w)));
}
HWY_INLINE VU high_pairs(VU v, VU w) {
  const hn::Repartition<uint64_t, U32> d64;
  return hn::BitCast(U32(), hn::InterleaveUpper(d64, hn::BitCast(d64, v), hn::BitCast(d64, w)));
}

HWY_INLINE VF low_pairs(VF v, VF w) {
  return hn::BitCast(F32(), low_pairs(hn::BitCast(U32(), v), hn::BitCast(U32(), w)));
}
HWY_INLINE VF high_pairs(VF v, VF w) {
  return hn::BitCast(F32(), high_pairs(hn::BitCast(U32(), v), hn::BitCast(U32(), w)));
}

// After the 4 x 4 transposition inside the blocks: moves block c of row group r to block r of row group c.
HWY_INLINE void transpose_blocks(VU (&v)[kN]) {
#if NPU_SIMD_AVX512
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(v[i].raw, v[i + 4].raw, 0x44);
    const __m512i b = _mm512_shuffle_i32x4(v[i].raw, v[i + 4].raw, 0xee);
    const __m512i c = _mm512_shuffle_i32x4(v[i + 8].raw, v[i + 12].raw, 0x44);
    const __m512i e = _mm512_shuffle_i32x4(v[i + 8].raw, v[i + 12].raw, 0xee);
    v[i] = VU{_mm512_shuffle_i32x4(a, c, 0x88)};
    v[i + 4] = VU{_mm512_shuffle_i32x4(a, c, 0xdd)};
    v[i + 8] = VU{_mm512_shuffle_i32x4(b, e, 0x88)};
    v[i + 12] = VU{_mm512_shuffle_i32x4(b, e, 0xdd)};
  }
#elif HWY_TARGET == HWY_AVX2
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    const VU lower = hn::ConcatLowerLower(U32(), v[i + 4], v[i]);
    v[i + 4] = hn::ConcatUpperUpper(U32(), v[i + 4], v[i]);
    v[i] = lower;
  }
#else
  (void)v;
#endif
}

// v[i] lane j becomes v[j] lane i.
HWY_INLINE void transpose_square(VU (&v)[kN]) {
  const U32 d;
#pragma GCC unroll 4
  for (size_t g = 0; g < kN; g += 4) {
    const VU a = hn::InterleaveLower(d, v[g], v[g + 1]);
    const VU b = hn::InterleaveUpper(d, v[g], v[g + 1]);
    const VU c = hn::InterleaveLower(d, v[g + 2], v[g + 3]);
    const VU e = hn::InterleaveUpper(d, v[g + 2], v[g + 3]);
    v[g] = low_pairs(a, c);
    v[g + 1] = high_pairs(a, c);
    v[g + 2] = low_pairs(b, e);
    v[g + 3] = high_pairs(b, e);
  }
  transpose_blocks(v);
}

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
