// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the conversions of elements of one byte.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_small.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_small-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

void widen_small(Small type, float* dst, const uint8_t* src, size_t n) {
  const auto each = [&](auto op) { map(F32(), dst, U8(), src, n, op); };
  switch (type) {
    case Small::kE4m3:
      return each([](V8 c) HWY_ATTR { return FromE4m3::widen(c); });
    case Small::kE5m2:
      return each([](V8 c) HWY_ATTR { return FromE5m2::widen(c); });
    case Small::kI8:
      return each([](V8 c) HWY_ATTR { return FromI8::widen(c); });
  }
}

void narrow_small(Small type, uint8_t* dst, const float* src, size_t n, bool overflows) {
  const auto each = [&](auto op) { map(U8(), dst, F32(), src, n, op); };
  switch (type) {
    case Small::kE4m3:
      return each([=](VF x) HWY_ATTR { return vec_to_fp8<E4m3>(x, overflows); });
    case Small::kE5m2:
      return each([=](VF x) HWY_ATTR { return vec_to_fp8<E5m2>(x, overflows); });
    case Small::kI8:
      return each([](VF x) HWY_ATTR { return vec_to_i8(x); });
  }
}

}  // namespace

void fill_small(Numerics& table) {
  table.widen_small = widen_small;
  table.narrow_small = narrow_small;
}

#else
void fill_small(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_small)

}  // namespace npu::model
#endif  // HWY_ONCE
