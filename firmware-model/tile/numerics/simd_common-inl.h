// SPDX-License-Identifier: Apache-2.0
// What every SIMD part shares: the vector type (at most the 16 lanes of the contract), partial loads and stores, canonical NaN.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <hwy/highway.h>

#include "firmware-model/tile/numerics/coefficients.h"

#if defined(NPU_SIMD_COMMON_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_COMMON_INL_H_
#undef NPU_SIMD_COMMON_INL_H_
#else
#define NPU_SIMD_COMMON_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if NPU_SIMD_HAS_FMA

using F32 = hn::CappedTag<float, 16>;
using I32 = hn::RebindToSigned<F32>;
using U32 = hn::RebindToUnsigned<F32>;
using U16 = hn::Rebind<uint16_t, F32>;
using VF = hn::Vec<F32>;
using VI = hn::Vec<I32>;
using VU = hn::Vec<U32>;
using V16 = hn::Vec<U16>;

constexpr size_t kN = HWY_MIN(HWY_LANES(float), 16);  // lanes of a vector
constexpr size_t kTreeVecs =
    16 / kN;  // vectors that hold the 16 lanes of the tree, or one row of a panel

HWY_INLINE VF f32(float x) { return hn::Set(F32(), x); }

HWY_INLINE VF nan_value() { return hn::BitCast(F32(), hn::Set(U32(), coef::kNanBits)); }

// The canonical NaN where |x| is NaN, |y| elsewhere.
HWY_INLINE VF nan_or(VF x, VF y) { return hn::IfThenElse(hn::IsNaN(x), nan_value(), y); }

HWY_INLINE VF canonical(VF x) { return nan_or(x, x); }

// The first |n| < kN elements; the other lanes are zero and their memory is not touched.
template <class D>
HWY_INLINE hn::Vec<D> load_part(D d, const hn::TFromD<D>* p, size_t n) {
  using T = hn::TFromD<D>;
#if HWY_ARCH_X86
  if constexpr (sizeof(T) == 4) {
    return hn::MaskedLoad(hn::FirstN(d, n), d, p);
  } else
#endif
  {
    HWY_ALIGN T buffer[kN] = {};
    std::memcpy(buffer, p, n * sizeof(T));
    return hn::Load(d, buffer);
  }
}

template <class D>
HWY_INLINE void store_part(hn::Vec<D> v, D d, hn::TFromD<D>* p, size_t n) {
  using T = hn::TFromD<D>;
#if HWY_ARCH_X86
  if constexpr (sizeof(T) == 4) {
    hn::BlendedStore(v, hn::FirstN(d, n), d, p);
  } else
#endif
  {
    HWY_ALIGN T buffer[kN];
    hn::Store(v, d, buffer);
    std::memcpy(p, buffer, n * sizeof(T));
  }
}

// dst[i] = op(a[i]) for any element types of the two tags.
template <class DTo, class DFrom, class Op>
HWY_INLINE void map(DTo dt, hn::TFromD<DTo>* dst, DFrom df, const hn::TFromD<DFrom>* a, size_t n,
                    const Op& op) {
  size_t i = 0;
  for (; i + kN <= n; i += kN) hn::StoreU(op(hn::LoadU(df, a + i)), dt, dst + i);
  if (i != n) store_part(op(load_part(df, a + i, n - i)), dt, dst + i, n - i);
}

// The fixed tree over the 16 lanes in |v|. Addition commutes, so every lane may add its partner.
HWY_INLINE float tree(const VF (&v)[kTreeVecs]) {
  const F32 d;
  VF x;
#if NPU_SIMD_AVX512
  x = hn::Add(v[0], VF{_mm512_shuffle_f32x4(v[0].raw, v[0].raw, 0x4e)});
  x = hn::Add(x, VF{_mm512_shuffle_f32x4(x.raw, x.raw, 0xb1)});
#elif HWY_TARGET == HWY_AVX2
  x = hn::Add(v[0], v[1]);
  x = hn::Add(x, hn::ConcatLowerUpper(d, x, x));
#else
  x = hn::Add(hn::Add(v[0], v[2]), hn::Add(v[1], v[3]));
#endif
  x = hn::Add(x, hn::Shuffle1032(x));
  return hn::GetLane(hn::Add(x, hn::Shuffle2301(x)));
}

HWY_INLINE float canonical_value(float x) {
  if (x == x) return x;
  float nan;
  std::memcpy(&nan, &coef::kNanBits, sizeof(nan));
  return nan;
}

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
