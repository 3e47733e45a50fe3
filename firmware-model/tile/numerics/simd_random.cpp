// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of stochastic rounding to the types of 16 and 8 bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_random.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_random-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

HWY_INLINE V16 of_width(VU code, U16) { return low_half(code); }
HWY_INLINE V8 of_width(VU code, U8) { return low_byte(code); }

template <class F, class D>
HWY_INLINE void narrow(D d, void* dst, const float* src, size_t n, RandomRounding random,
                       bool overflows) {
  auto* to = static_cast<hn::TFromD<D>*>(dst);
  const auto code = [=](VF x, VU word) HWY_ATTR {
    return of_width(vec_to_small<F>(x, vec_round_random<F>(vec_magnitude(x), word), overflows),
                    D());
  };
  HWY_ALIGN uint32_t buffer[kWords];
  for (size_t left = n, now; left != 0; left -= now, to += now, src += now, random.first += now) {
    now = HWY_MIN(left, kPlaces);
    const uint32_t* words = make_words(buffer, random, now);
    size_t i = 0;
    for (; i + kN <= now; i += kN)
      hn::StoreU(code(hn::LoadU(F32(), src + i), hn::LoadU(U32(), words + i)), d, to + i);
    if (i != now) {
      const VU word = load_part(U32(), words + i, now - i);
      store_part(code(load_part(F32(), src + i, now - i), word), d, to + i, now - i);
    }
  }
}

void narrow_random(RandomTo type, void* dst, const float* src, size_t n, RandomRounding random,
                   bool overflows) {
  switch (type) {
    case RandomTo::kBf16:
      return narrow<Bf16>(U16(), dst, src, n, random, true);
    case RandomTo::kF16:
      return narrow<Fp16>(U16(), dst, src, n, random, true);
    case RandomTo::kE4m3:
      return narrow<E4m3>(U8(), dst, src, n, random, overflows);
    case RandomTo::kE5m2:
      return narrow<E5m2>(U8(), dst, src, n, random, overflows);
  }
}

}  // namespace

void fill_random(Numerics& table) { table.narrow_random = narrow_random; }

#else
void fill_random(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_random)

}  // namespace npu::model
#endif  // HWY_ONCE
