// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the array conversions.
#include "firmware-model/tile/numerics/scalar_convert.h"

#include "firmware-model/tile/numerics/scalar_parts.h"

namespace npu::model {
namespace {

template <auto kConvert, typename To, typename From>
void each(To* dst, const From* src, size_t n) {
  for (size_t i = 0; i < n; ++i) dst[i] = kConvert(src[i]);
}

void i32_to_f32(float* dst, const int32_t* src, size_t n) {
  for (size_t i = 0; i < n; ++i) dst[i] = static_cast<float>(src[i]);
}

}  // namespace

void scalar_fill_convert(Numerics& table) {
  table.widen_bf16 = each<scalar::from_bf16, float, uint16_t>;
  table.narrow_bf16 = each<scalar::to_bf16, uint16_t, float>;
  table.widen_f16 = each<scalar::from_f16, float, uint16_t>;
  table.narrow_f16 = each<scalar::to_f16, uint16_t, float>;
  table.i32_to_f32 = i32_to_f32;
  table.f32_to_i32 = each<scalar::to_i32, int32_t, float>;
}

}  // namespace npu::model
