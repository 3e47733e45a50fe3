// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the product with rows of weights of any type but the MX ones.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_stream.cpp"
#include <utility>

#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

void dot_stream(const StreamArgs& g) {
  switch (g.weight) {
    case Weight::kF32:
      return stream<SourceF32>(g);
    case Weight::kBf16:
      return stream<SourceBf16>(g);
    case Weight::kF16:
      return stream<SourceF16>(g);
    case Weight::kQ8_0:
      return stream<SourceQ8_0>(g);
    case Weight::kQ4_0:
      return stream<SourceQ4_0>(g);
    case Weight::kQ4_K:
      return stream<SourceQ4_K>(g);
    case Weight::kQ6_K:
      return stream<SourceQ6_K>(g);
    case Weight::kE4m3:
      return stream<SourceSmall<FromE4m3>>(g);
    case Weight::kE5m2:
      return stream<SourceSmall<FromE5m2>>(g);
    case Weight::kI8:
      return stream<SourceSmall<FromI8>>(g);
    default:
      return;  // MX: dot_stream_mx()
  }
}

}  // namespace

void fill_stream(Numerics& table) { table.dot_stream = dot_stream; }

#else
void fill_stream(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_stream)

}  // namespace npu::model
#endif  // HWY_ONCE
