// SPDX-License-Identifier: Apache-2.0
// The SIMD function table, put together from its parts for the target that Highway chooses.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_numerics.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
void fill_name(Numerics& table) { table.name = hwy::TargetName(HWY_TARGET); }
#else
void fill_name(Numerics&) {}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

HWY_EXPORT(fill_name);

Numerics make_simd_numerics() {
  Numerics t = scalar_numerics();
  HWY_DYNAMIC_DISPATCH(fill_name)(t);
  simd_fill_mm(t);
  simd_fill_dot(t);
  simd_fill_layout(t);
  simd_fill_convert(t);
  simd_fill_small(t);
  simd_fill_blocks(t);
  simd_fill_encode(t);
  simd_fill_stream(t);
  simd_fill_stream_mx(t);
  simd_fill_integer(t);
  simd_fill_unary(t);
  simd_fill_binary(t);
  simd_fill_row(t);
  return t;
}

const Numerics& simd_numerics() {
  static const Numerics table = make_simd_numerics();
  return table;
}

}  // namespace npu::model
#endif  // HWY_ONCE
