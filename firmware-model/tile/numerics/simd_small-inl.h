// SPDX-License-Identifier: Apache-2.0
// Element types of 8 bits and less on vectors, shared by simd_small.cpp, simd_layout.cpp, simd_blocks-inl.h, simd_random-inl.h and simd_encode.cpp. Formats: small_float.h.
#include "firmware-model/tile/numerics/simd_convert-inl.h"
#include "firmware-model/tile/numerics/small_float.h"

#if defined(NPU_SIMD_SMALL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_SMALL_INL_H_
#undef NPU_SIMD_SMALL_INL_H_
#else
#define NPU_SIMD_SMALL_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

using U8 = hn::Rebind<uint8_t, F32>;
using V8 = hn::Vec<U8>;

HWY_INLINE VF vec_from_i8(V8 x) {
  const hn::Rebind<int8_t, F32> di;
  return hn::ConvertTo(F32(), hn::PromoteTo(I32(), hn::BitCast(di, x)));
}

// By way of fp16, whose exponent is wider: the same bits there are the number times a power of two. A NaN keeps its payload.
template <class F>
HWY_INLINE VF vec_from_codes(V16 c) {
  const V16 magnitude = hn::And(c, hn::Set(U16(), F::kSign - 1));
  const V16 sign = hn::And(c, hn::Set(U16(), F::kSign));
  const V16 half =
      hn::Or(hn::ShiftLeft<10 - F::kM>(magnitude), hn::ShiftLeft<15 - F::kE - F::kM>(sign));
  VF x = hn::PromoteTo(F32(), hn::BitCast(hn::Rebind<hwy::float16_t, F32>(), half));
  if constexpr (F::kBias != 15) x = hn::Mul(x, f32(scalar::pow2(15 - F::kBias)));
  if constexpr (F::kNan != 0 && F::kOverflow == F::kNan) {
    const VU wide = hn::PromoteTo(U32(), magnitude);
    x = hn::IfThenElse(hn::RebindMask(F32(), hn::Eq(wide, hn::Set(U32(), F::kNan))), nan_value(),
                       x);
  }
  return x;
}

template <class F>
HWY_INLINE VF vec_from_small(V8 code) {
  return vec_from_codes<F>(hn::PromoteTo(U16(), code));
}

// Element types as a parameter of loops; NaNs are canonical.
struct FromE4m3 {
  static HWY_INLINE VF widen(V8 c) { return vec_from_small<E4m3>(c); }
};
struct FromE5m2 {
  static HWY_INLINE VF widen(V8 c) { return canonical(vec_from_small<E5m2>(c)); }
};
struct FromI8 {
  static HWY_INLINE VF widen(V8 x) { return vec_from_i8(x); }
};

// As round_nearest() of small_float.h.
template <class F>
HWY_INLINE VU vec_round_nearest(VU u) {
  const U32 du;
  constexpr int kDropped = 23 - F::kM;
  const VF magic = f32(scalar::pow2(F::kEmin + kDropped));
  const VF x = hn::BitCast(F32(), u);
  const VU below = hn::Sub(hn::BitCast(du, hn::Add(x, magic)), hn::BitCast(du, magic));
  const VU odd = hn::And(hn::ShiftRight<kDropped>(u), hn::Set(du, 1));
  const VU sum = hn::Add(hn::Add(u, hn::Set(du, (1u << (kDropped - 1)) - 1)), odd);
  const VU above = hn::Sub(hn::ShiftRight<kDropped>(sum),
                           hn::Set(du, static_cast<uint32_t>(F::kEmin + 126) << F::kM));
  const auto small = hn::Lt(x, f32(scalar::pow2(F::kEmin)));
  return hn::IfThenElse(hn::RebindMask(du, small), below, above);
}

HWY_INLINE VU vec_magnitude(VF x) {
  return hn::And(hn::BitCast(U32(), x), hn::Set(U32(), 0x7fffffffu));
}

// The sign of |x| where the code has it.
template <class F>
HWY_INLINE VU vec_sign(VF x) {
  const VU sign = hn::ShiftRight<31>(hn::BitCast(U32(), x));
  return hn::ShiftLeft<hwy::CeilLog2(F::kSign)>(sign);
}

HWY_INLINE V8 low_byte(VU u) { return hn::DemoteTo(U8(), hn::BitCast(I32(), u)); }

// As to_small() of small_float.h.
template <class F>
HWY_INLINE VU vec_to_small(VF x, VU rounded, bool overflows) {
  const U32 du;
  const I32 di;
  const auto over = hn::Gt(hn::BitCast(di, rounded), hn::Set(di, static_cast<int32_t>(F::kMax)));
  const VU largest = hn::Set(du, overflows ? F::kOverflow : F::kMax);
  const VU magnitude = hn::IfThenElse(hn::RebindMask(du, over), largest, rounded);
  const VU code = hn::Or(magnitude, vec_sign<F>(x));
  const auto nan = hn::RebindMask(du, hn::IsNaN(x));
  return hn::IfThenElse(nan, hn::Set(du, F::kNan), code);
}

// As to_fp8() of small_float.h.
template <class F>
HWY_INLINE V8 vec_to_fp8(VF x, bool overflows) {
  return low_byte(vec_to_small<F>(x, vec_round_nearest<F>(vec_magnitude(x)), overflows));
}

HWY_INLINE V8 vec_to_i8(VF x) {
  const VF within = hn::Min(hn::Max(x, f32(-128.0f)), f32(127.0f));
  const VI whole = hn::NearestInt(hn::IfThenZeroElse(hn::IsNaN(x), within));
  return hn::BitCast(U8(), hn::DemoteTo(hn::Rebind<int8_t, F32>(), whole));
}

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
