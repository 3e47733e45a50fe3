// SPDX-License-Identifier: Apache-2.0
// Number format conversions on vectors, shared by simd_convert.cpp and simd_layout.cpp.
#include "firmware-model/tile/numerics/simd_common-inl.h"

#if defined(NPU_SIMD_CONVERT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_CONVERT_INL_H_
#undef NPU_SIMD_CONVERT_INL_H_
#else
#define NPU_SIMD_CONVERT_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

HWY_INLINE VF vec_from_bf16(V16 h) {
  return canonical(hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), h))));
}

HWY_INLINE VF vec_from_f16(V16 h) {
  const hn::Rebind<hwy::float16_t, F32> dh;
  return canonical(hn::PromoteTo(F32(), hn::BitCast(dh, h)));
}

// The low 16 bits of each lane; the upper bits must be zero.
HWY_INLINE V16 low_half(VU u) { return hn::DemoteTo(U16(), hn::BitCast(I32(), u)); }

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
