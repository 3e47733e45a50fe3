// SPDX-License-Identifier: Apache-2.0
// The elementary functions on vectors: the same operations in the same order as scalar_math.h.
#include "firmware-model/tile/numerics/simd_common-inl.h"

#if defined(NPU_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_MATH_INL_H_
#undef NPU_SIMD_MATH_INL_H_
#else
#define NPU_SIMD_MATH_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

template <size_t kCount>
HWY_INLINE VF horner(VF x, const float (&c)[kCount]) {
  VF p = f32(c[0]);
  for (size_t i = 1; i < kCount; ++i) p = hn::MulAdd(p, x, f32(c[i]));
  return p;
}

HWY_INLINE VF vec_max(VF a, VF b) {
  const VF larger = hn::IfThenElse(hn::Gt(a, b), a, b);
  const VF m = hn::IfThenElse(hn::Eq(a, b), hn::And(a, b), larger);
  return canonical(hn::IfThenElse(hn::IsNaN(a), a, m));
}

HWY_INLINE VF vec_min(VF a, VF b) {
  const VF smaller = hn::IfThenElse(hn::Lt(a, b), a, b);
  const VF m = hn::IfThenElse(hn::Eq(a, b), hn::Or(a, b), smaller);
  return canonical(hn::IfThenElse(hn::IsNaN(a), a, m));
}

// p * 2^n with one rounding; n holds integers, -150 <= n <= 129.
HWY_INLINE VF scale_pow2(VF p, VF n) {
#if NPU_SIMD_AVX512
  return VF{_mm512_scalef_ps(p.raw, n.raw)};
#else
  const F32 d;
  const I32 di;
  const VI e = hn::ConvertTo(di, n);
  const VI half = hn::ShiftRight<1>(e);
  const VI bias = hn::Set(di, 127);
  const VF a = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const VF b = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(e, half), bias)));
  return hn::Mul(hn::Mul(p, a), b);
#endif
}

// exp of anything but NaN, for which the result is arbitrary.
HWY_INLINE VF vec_exp_number(VF x) {
  x = hn::Min(hn::Max(x, f32(coef::kExpLo)), f32(coef::kExpHi));
  const VF magic = f32(coef::kMagic);
  const VF n = hn::Sub(hn::MulAdd(x, f32(coef::kLog2e), magic), magic);
  VF r = hn::NegMulAdd(n, f32(coef::kLn2Hi), x);
  r = hn::NegMulAdd(n, f32(coef::kLn2Lo), r);
  const VF one = f32(1.0f);
  VF p = hn::MulAdd(horner(r, coef::kExp), r, one);
  p = hn::MulAdd(p, r, one);
  return scale_pow2(p, n);
}

HWY_INLINE VF vec_exp(VF x) { return nan_or(x, vec_exp_number(x)); }

HWY_INLINE VF vec_log(VF x) {
  const F32 d;
  const I32 di;
  const auto subnormal = hn::Lt(x, f32(0x1p-126f));
  const VF scaled = hn::IfThenElse(subnormal, hn::Mul(x, f32(0x1p24f)), x);
  const VI base = hn::Set(di, static_cast<int32_t>(coef::kSqrtHalfBits));
  const VI u = hn::Sub(hn::BitCast(di, scaled), base);
  const VF shift = hn::IfThenElseZero(subnormal, f32(24.0f));
  const VF k = hn::Sub(hn::ConvertTo(d, hn::ShiftRight<23>(u)), shift);
  const VF m = hn::BitCast(d, hn::Add(hn::And(u, hn::Set(di, 0x007fffff)), base));
  const VF f = hn::Sub(m, f32(1.0f));
  VF y = hn::Mul(hn::Mul(f, f), hn::MulAdd(horner(f, coef::kLog), f, f32(-0.5f)));
  y = hn::Add(hn::MulAdd(k, f32(coef::kLn2Lo), y), f);
  y = hn::MulAdd(k, f32(coef::kLn2Hi), y);
  const VF inf = f32(HUGE_VALF);
  y = hn::IfThenElse(hn::Eq(x, inf), inf, y);
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(inf), y);
  const VF nan = hn::BitCast(d, hn::Set(U32(), coef::kNanBits));
  return hn::IfThenElse(hn::Ge(x, hn::Zero(d)), y, nan);
}

HWY_INLINE VF vec_tanh(VF x) {
  const VF a = hn::Abs(x);
  const VF s = hn::Mul(a, a);
  const VF small = hn::MulAdd(hn::Mul(a, s), horner(s, coef::kTanh), a);
  const VF one = f32(1.0f);
  const VF e = vec_exp_number(hn::Add(a, a));
  const VF large = hn::Sub(one, hn::Div(f32(2.0f), hn::Add(e, one)));
  const VF y = hn::CopySign(hn::IfThenElse(hn::Lt(a, f32(coef::kTanhSmall)), small, large), x);
  return nan_or(x, y);
}

// x * sigmoid(y)
HWY_INLINE VF vec_gate(VF x, VF y) {
  const VF z = vec_exp_number(hn::Neg(hn::Abs(y)));
  const VF min = f32(coef::kGateMin);
  const VF kept = hn::IfThenElse(hn::Lt(x, min), min, x);
  const VF top = hn::IfThenElse(hn::Lt(y, hn::Zero(F32())), hn::Mul(kept, z), x);
  const VF g = hn::Div(top, hn::Add(f32(1.0f), z));
  return nan_or(y, g);
}

HWY_INLINE VF vec_gelu(VF x) {
  const VF inner = hn::MulAdd(hn::Mul(x, x), f32(coef::kGelu3), f32(coef::kGelu1));
  return vec_gate(x, hn::Mul(x, inner));
}

HWY_INLINE VF vec_erf(VF x) {
  const VF a = hn::Abs(x);
  const VF one = f32(1.0f);
  const VF small = hn::MulAdd(x, horner(hn::Mul(x, x), coef::kErf), x);
  const VF max = f32(coef::kErfMax);
  const VF u = hn::Sub(hn::IfThenElse(hn::Gt(a, max), max, a), one);
  const VF tail = vec_exp_number(hn::Neg(horner(u, coef::kErfc)));
  const VF large = hn::CopySign(hn::Sub(one, tail), x);
  const VF y = hn::IfThenElse(hn::Lt(a, one), small, large);
  return nan_or(x, y);
}

HWY_INLINE VF vec_gelu_erf(VF x) {
  const VF min = f32(coef::kGateMin);
  const VF kept = hn::IfThenElse(hn::Lt(x, min), min, x);
  const VF erf = vec_erf(hn::Mul(x, f32(coef::kSqrtHalf)));
  return canonical(hn::Mul(hn::Mul(f32(0.5f), kept), hn::Add(f32(1.0f), erf)));
}

// Lanes of |a| above kTrigFast (or NaN) by the shared scalar routine.
inline HWY_NOINLINE void trig_reduce_lanes(VF a, VF& r, VI& quadrant) {
  const F32 d;
  const I32 di;
  HWY_ALIGN float ab[kN];
  HWY_ALIGN float rb[kN];
  HWY_ALIGN int32_t qb[kN];
  hn::Store(a, d, ab);
  hn::Store(r, d, rb);
  hn::Store(quadrant, di, qb);
  for (size_t i = 0; i < kN; ++i) {
    if (ab[i] <= coef::kTrigFast) continue;
    const TrigReduced reduced = trig_reduce_large(ab[i]);
    rb[i] = reduced.r;
    qb[i] = reduced.quadrant;
  }
  r = hn::Load(d, rb);
  quadrant = hn::Load(di, qb);
}

// sin(a) for shift 0, cos(a) for shift 1; a >= 0 or NaN
HWY_INLINE VF vec_trig(VF a, int32_t shift) {
  const F32 d;
  const I32 di;
  const VF magic = f32(coef::kMagic);
  const VF n = hn::Sub(hn::MulAdd(a, f32(coef::kTwoOverPi), magic), magic);
  VF r = hn::NegMulAdd(n, f32(coef::kPio2A), a);
  r = hn::NegMulAdd(n, f32(coef::kPio2B), r);
  r = hn::NegMulAdd(n, f32(coef::kPio2C), r);
  VI quadrant = hn::ConvertTo(di, n);
  if (HWY_UNLIKELY(!hn::AllTrue(d, hn::Le(a, f32(coef::kTrigFast))))) {
    trig_reduce_lanes(a, r, quadrant);
  }
  quadrant = hn::Add(quadrant, hn::Set(di, shift));
  const VF s = hn::Mul(r, r);
  const VF sin_r = hn::MulAdd(hn::Mul(r, s), horner(s, coef::kSin), r);
  const VF near_one = hn::MulAdd(s, f32(-0.5f), f32(1.0f));
  const VF cos_r = hn::MulAdd(hn::Mul(s, s), horner(s, coef::kCos), near_one);
  const auto odd = hn::MaskFromVec(hn::BitCast(d, hn::Neg(hn::And(quadrant, hn::Set(di, 1)))));
  const VF sign = hn::BitCast(d, hn::ShiftLeft<30>(hn::And(quadrant, hn::Set(di, 2))));
  return hn::Xor(hn::IfThenElse(odd, cos_r, sin_r), sign);
}

HWY_INLINE VF vec_sin(VF x) {
  const VF sign = hn::And(x, hn::SignBit(F32()));
  return canonical(hn::Xor(vec_trig(hn::Abs(x), 0), sign));
}

HWY_INLINE VF vec_cos(VF x) { return canonical(vec_trig(hn::Abs(x), 1)); }

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
