// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the product with rows of weights in MX blocks; apart from simd_stream.cpp because each type is a lot of code.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_stream_mx.cpp"
#include <utility>

#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_stream-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

void dot_stream_mx(const StreamArgs& g) {
  with_mx(mx_of(g.weight), [&]<class Block>(Block) HWY_ATTR { stream<SourceMx<Block>>(g); });
}

}  // namespace

void fill_stream_mx(Numerics& table) { table.dot_stream_mx = dot_stream_mx; }

#else
void fill_stream_mx(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_stream_mx)

}  // namespace npu::model
#endif  // HWY_ONCE
