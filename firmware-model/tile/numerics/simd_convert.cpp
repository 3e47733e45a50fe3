// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the number format conversions.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_convert.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

struct FromBf16 {
  HWY_INLINE VF operator()(V16 h) const { return vec_from_bf16(h); }
};
struct FromF16 {
  HWY_INLINE VF operator()(V16 h) const { return vec_from_f16(h); }
};
struct ToBf16 {
  HWY_INLINE V16 operator()(VF x) const {
    const U32 du;
    const VU u = hn::BitCast(du, x);
    const VU odd = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1));
    const VU rounded = hn::ShiftRight<16>(hn::Add(hn::Add(u, hn::Set(du, 0x7fff)), odd));
    const auto nan = hn::RebindMask(du, hn::IsNaN(x));
    return low_half(hn::IfThenElse(nan, hn::Set(du, coef::kNanBf16), rounded));
  }
};
struct ToF16 {
  HWY_INLINE V16 operator()(VF x) const {
    const hn::Rebind<hwy::float16_t, F32> dh;
    return hn::BitCast(U16(), hn::DemoteTo(dh, canonical(x)));
  }
};
struct FromI32 {
  HWY_INLINE VF operator()(VI x) const { return hn::ConvertTo(F32(), x); }
};
struct ToI32 {
  HWY_INLINE VI operator()(VF x) const {
    const I32 di;
    const VI top = hn::Set(di, INT32_MAX);
    const VI y =
        hn::IfThenElse(hn::RebindMask(di, hn::Ge(x, f32(0x1p31f))), top, hn::NearestInt(x));
    return hn::IfThenElse(hn::RebindMask(di, hn::IsNaN(x)), hn::Zero(di), y);
  }
};

void widen_bf16(float* dst, const uint16_t* src, size_t n) {
  map(F32(), dst, U16(), src, n, FromBf16());
}
void narrow_bf16(uint16_t* dst, const float* src, size_t n) {
  map(U16(), dst, F32(), src, n, ToBf16());
}
void widen_f16(float* dst, const uint16_t* src, size_t n) {
  map(F32(), dst, U16(), src, n, FromF16());
}
void narrow_f16(uint16_t* dst, const float* src, size_t n) {
  map(U16(), dst, F32(), src, n, ToF16());
}
void i32_to_f32(float* dst, const int32_t* src, size_t n) {
  map(F32(), dst, I32(), src, n, FromI32());
}
void f32_to_i32(int32_t* dst, const float* src, size_t n) {
  map(I32(), dst, F32(), src, n, ToI32());
}

}  // namespace

void fill_convert(Numerics& table) {
  table.widen_bf16 = widen_bf16;
  table.narrow_bf16 = narrow_bf16;
  table.widen_f16 = widen_f16;
  table.narrow_f16 = narrow_f16;
  table.i32_to_f32 = i32_to_f32;
  table.f32_to_i32 = f32_to_i32;
}

#else
void fill_convert(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_convert)

}  // namespace npu::model
#endif  // HWY_ONCE
