// SPDX-License-Identifier: Apache-2.0
// Scalar definition of the conversions of elements of one byte.
#include "firmware-model/tile/numerics/scalar_parts.h"
#include "firmware-model/tile/numerics/small_float.h"

namespace npu::model {
namespace {

void widen_small(Small type, float* dst, const uint8_t* src, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    switch (type) {
      case Small::kE4m3:
        dst[i] = scalar::from_small<E4m3>(src[i]);
        break;
      case Small::kE5m2:
        dst[i] = scalar::from_small<E5m2>(src[i]);
        break;
      case Small::kI8:
        dst[i] = static_cast<float>(static_cast<int8_t>(src[i]));
        break;
    }
  }
}

void narrow_small(Small type, uint8_t* dst, const float* src, size_t n, bool overflows) {
  for (size_t i = 0; i < n; ++i) {
    switch (type) {
      case Small::kE4m3:
        dst[i] = scalar::to_fp8<E4m3>(src[i], overflows);
        break;
      case Small::kE5m2:
        dst[i] = scalar::to_fp8<E5m2>(src[i], overflows);
        break;
      case Small::kI8:
        dst[i] = static_cast<uint8_t>(scalar::to_i8(src[i]));
        break;
    }
  }
}

}  // namespace

void scalar_fill_small(Numerics& table) {
  table.widen_small = widen_small;
  table.narrow_small = narrow_small;
}

}  // namespace npu::model
