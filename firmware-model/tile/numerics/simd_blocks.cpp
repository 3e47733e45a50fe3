// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the decoding of weights in blocks. A block whose scale is not finite goes through the scalar definition: everywhere else no NaN can come up.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_blocks.cpp"
#include "firmware-model/tile/numerics/scalar_blocks.h"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

// kHalves: where the fp16 scales of a block are.
template <class Source, auto kScalar, size_t... kHalves>
void decode(float* dst, const std::byte* src, size_t blocks) {
  for (; blocks != 0; --blocks, dst += Source::kElements, src += Source::kBytes) {
    if (HWY_UNLIKELY(!(is_finite_half(half_at(src, kHalves)) && ...))) {
      kScalar(dst, src);
      continue;
    }
    const Source open(src);
    for (size_t base = 0; base < Source::kElements; base += Source::kGroup) {
#pragma GCC unroll 32
      for (size_t i = 0; i < Source::kGroup; i += kN)
        hn::StoreU(open.get(base, i), F32(), dst + base + i);
    }
  }
}

}  // namespace

void fill_blocks(Numerics& table) {
  table.decode_q8_0 = decode<SourceQ8_0, scalar::decode_q8_0, offsetof(BlockQ8_0, scale)>;
  table.decode_q4_0 = decode<SourceQ4_0, scalar::decode_q4_0, offsetof(BlockQ4_0, scale)>;
  table.decode_q4_k = decode<SourceQ4_K, scalar::decode_q4_k, offsetof(BlockQ4_K, scale),
                             offsetof(BlockQ4_K, offset)>;
  table.decode_q6_k = decode<SourceQ6_K, scalar::decode_q6_k, offsetof(BlockQ6_K, scale)>;
}

#else
void fill_blocks(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_blocks)

}  // namespace npu::model
#endif  // HWY_ONCE
