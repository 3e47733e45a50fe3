// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the decoding of weights in blocks. A block whose scale is not finite goes through the scalar definition: everywhere else no NaN can come up.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_blocks.cpp"
#include "firmware-model/tile/numerics/scalar_blocks.h"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

using I8 = hn::Rebind<int8_t, F32>;
using U8 = hn::Rebind<uint8_t, F32>;

HWY_INLINE VI load_i8(const std::byte* p) {
  return hn::PromoteTo(I32(), hn::LoadU(I8(), reinterpret_cast<const int8_t*>(p)));
}
HWY_INLINE VI load_u8(const std::byte* p) {
  return hn::PromoteTo(I32(), hn::LoadU(U8(), reinterpret_cast<const uint8_t*>(p)));
}
HWY_INLINE VI i32(int32_t x) { return hn::Set(I32(), x); }
HWY_INLINE VF to_float(VI x) { return hn::ConvertTo(F32(), x); }
HWY_INLINE VF spread_half(uint16_t bits) { return vec_from_f16(hn::Set(U16(), bits)); }
HWY_INLINE void store(float* to, VF x) { hn::StoreU(x, F32(), to); }

void decode_q8_0(float* dst, const std::byte* src, size_t blocks) {
  for (; blocks != 0; --blocks, dst += BlockQ8_0::kElements, src += sizeof(BlockQ8_0)) {
    const uint16_t bits = half_at(src, offsetof(BlockQ8_0, scale));
    if (HWY_UNLIKELY(!is_finite_half(bits))) {
      scalar::decode_q8_0(dst, src);
      continue;
    }
    const VF scale = spread_half(bits);
    const std::byte* q = src + offsetof(BlockQ8_0, q);
#pragma GCC unroll 8
    for (size_t i = 0; i < BlockQ8_0::kElements; i += kN)
      store(dst + i, hn::Mul(to_float(load_i8(q + i)), scale));
  }
}

void decode_q4_0(float* dst, const std::byte* src, size_t blocks) {
  for (; blocks != 0; --blocks, dst += BlockQ4_0::kElements, src += sizeof(BlockQ4_0)) {
    const uint16_t bits = half_at(src, offsetof(BlockQ4_0, scale));
    if (HWY_UNLIKELY(!is_finite_half(bits))) {
      scalar::decode_q4_0(dst, src);
      continue;
    }
    const VF scale = spread_half(bits);
    const std::byte* q = src + offsetof(BlockQ4_0, q);
#pragma GCC unroll 4
    for (size_t i = 0; i < 16; i += kN) {
      const VI both = load_u8(q + i);
      const VI low = hn::Sub(hn::And(both, i32(15)), i32(8));
      const VI high = hn::Sub(hn::ShiftRight<4>(both), i32(8));
      store(dst + i, hn::Mul(to_float(low), scale));
      store(dst + 16 + i, hn::Mul(to_float(high), scale));
    }
  }
}

void decode_q4_k(float* dst, const std::byte* src, size_t blocks) {
  for (; blocks != 0; --blocks, dst += BlockQ4_K::kElements, src += sizeof(BlockQ4_K)) {
    const uint16_t scale_bits = half_at(src, offsetof(BlockQ4_K, scale));
    const uint16_t offset_bits = half_at(src, offsetof(BlockQ4_K, offset));
    if (HWY_UNLIKELY(!is_finite_half(scale_bits) || !is_finite_half(offset_bits))) {
      scalar::decode_q4_k(dst, src);
      continue;
    }
    const float scale = scalar::from_f16(scale_bits);
    const float offset = scalar::from_f16(offset_bits);
    const PartsQ4_K parts = parts_of_q4_k(src);
    for (size_t pair = 0; pair < BlockQ4_K::kParts / 2; ++pair) {
      const std::byte* q = src + offsetof(BlockQ4_K, q) + pair * 32;
      float* to = dst + pair * 64;
      const VF scale0 = f32(scale * static_cast<float>(parts.scale[2 * pair]));
      const VF scale1 = f32(scale * static_cast<float>(parts.scale[2 * pair + 1]));
      const VF offset0 = f32(offset * static_cast<float>(parts.offset[2 * pair]));
      const VF offset1 = f32(offset * static_cast<float>(parts.offset[2 * pair + 1]));
#pragma GCC unroll 8
      for (size_t i = 0; i < 32; i += kN) {
        const VI both = load_u8(q + i);
        const VF low = to_float(hn::And(both, i32(15)));
        const VF high = to_float(hn::ShiftRight<4>(both));
        store(to + i, hn::MulSub(scale0, low, offset0));
        store(to + 32 + i, hn::MulSub(scale1, high, offset1));
      }
    }
  }
}

// Elements i, i + 32, i + 64, i + 96 of 128, whose six bits lie in |low| and |high|; |parts| are their scales.
HWY_INLINE void decode_quarter(float* to, const std::byte* low, const std::byte* high, size_t i,
                               const float* parts) {
  const VI a = load_u8(low + i);
  const VI b = load_u8(low + 32 + i);
  const VI two = load_u8(high + i);
  const VI four = i32(15);
  const VI upper = i32(0x30);
  const VI q0 = hn::Or(hn::And(a, four), hn::And(hn::ShiftLeft<4>(two), upper));
  const VI q1 = hn::Or(hn::And(b, four), hn::And(hn::ShiftLeft<2>(two), upper));
  const VI q2 = hn::Or(hn::ShiftRight<4>(a), hn::And(two, upper));
  const VI q3 = hn::Or(hn::ShiftRight<4>(b), hn::And(hn::ShiftRight<2>(two), upper));
  const VI middle = i32(32);
  store(to + i, hn::Mul(f32(parts[0]), to_float(hn::Sub(q0, middle))));
  store(to + 32 + i, hn::Mul(f32(parts[2]), to_float(hn::Sub(q1, middle))));
  store(to + 64 + i, hn::Mul(f32(parts[4]), to_float(hn::Sub(q2, middle))));
  store(to + 96 + i, hn::Mul(f32(parts[6]), to_float(hn::Sub(q3, middle))));
}

void decode_q6_k(float* dst, const std::byte* src, size_t blocks) {
  for (; blocks != 0; --blocks, dst += BlockQ6_K::kElements, src += sizeof(BlockQ6_K)) {
    const uint16_t bits = half_at(src, offsetof(BlockQ6_K, scale));
    if (HWY_UNLIKELY(!is_finite_half(bits))) {
      scalar::decode_q6_k(dst, src);
      continue;
    }
    const float scale = scalar::from_f16(bits);
    float parts[16];
    for (size_t p = 0; p < 16; ++p) {
      const auto part = static_cast<int8_t>(src[offsetof(BlockQ6_K, parts) + p]);
      parts[p] = scale * static_cast<float>(part);
    }
    for (size_t half = 0; half < 2; ++half) {
      const std::byte* low = src + offsetof(BlockQ6_K, low) + half * 64;
      const std::byte* high = src + offsetof(BlockQ6_K, high) + half * 32;
#pragma GCC unroll 8
      for (size_t i = 0; i < 32; i += kN)
        decode_quarter(dst + half * 128, low, high, i, parts + half * 8 + i / 16);
    }
  }
}

}  // namespace

void fill_blocks(Numerics& table) {
  table.decode_q8_0 = decode_q8_0;
  table.decode_q4_0 = decode_q4_0;
  table.decode_q4_k = decode_q4_k;
  table.decode_q6_k = decode_q6_k;
}

#else
void fill_blocks(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

HWY_EXPORT(fill_blocks);

void simd_fill_blocks(Numerics& table) { HWY_DYNAMIC_DISPATCH(fill_blocks)(table); }

}  // namespace npu::model
#endif  // HWY_ONCE
