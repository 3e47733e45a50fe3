// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of blocks with a scale that is a power of two, both ways, and of the way into Q8_0 and Q4_0. Scales are made by the scalar
// definition, once a block.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_encode.cpp"
#include "firmware-model/tile/numerics/scalar_encode.h"
#include "firmware-model/tile/numerics/scalar_mx.h"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_blocks-inl.h"
#include "firmware-model/tile/numerics/simd_random-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

template <class Block>
HWY_INLINE void decode_blocks(float* dst, const std::byte* src, size_t blocks) {
  for (; blocks != 0; --blocks, dst += Block::kElements, src += Block::kBytes) {
    const SourceMx<Block> open(src);
    for (size_t i = 0; i < Block::kElements; i += kN)
      hn::StoreU(canonical(open.get(0, i)), F32(), dst + i);
  }
}

void decode_mx(Mx type, float* dst, const std::byte* src, size_t blocks) {
  with_mx(type, [&]<class Block>(Block) HWY_ATTR { decode_blocks<Block>(dst, src, blocks); });
}

// Bits of the largest magnitude of |n| elements, a multiple of kN.
HWY_INLINE uint32_t largest_magnitude(const float* src, size_t n) {
  VI most = hn::Zero(I32());
  for (size_t i = 0; i < n; i += kN)
    most = hn::Max(most, hn::BitCast(I32(), vec_magnitude(hn::LoadU(F32(), src + i))));
  return static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(I32(), most)));
}

// Elements that stand for two that are halved together: a pair's factor is 2.
template <class Block>
HWY_INLINE void pair_factors(float* factors, uint8_t halved) {
  for (size_t i = 0; i < Block::kElements; ++i) factors[i] = (halved >> (i / 2) & 1) != 0 ? 2 : 1;
}

// As mx_code() of scalar_mx.h, for rounded magnitudes of the elements |x|.
template <class Block>
HWY_INLINE V8 vec_mx_code(VU rounded, VF x) {
  using F = typename Block::F;
  const I32 di;
  const VI magnitude =
      hn::Min(hn::BitCast(di, rounded), hn::Set(di, static_cast<int32_t>(F::kMax)));
  if constexpr (Block::kTwosComplement) {
    const VI negative = hn::ShiftRight<31>(hn::BitCast(di, x));
    const VI value = hn::Sub(hn::Xor(magnitude, negative), negative);
    return low_byte(hn::BitCast(U32(), hn::And(value, hn::Set(di, 0xff))));
  } else {
    return low_byte(hn::Or(hn::BitCast(U32(), magnitude), vec_sign<F>(x)));
  }
}

// round(magnitudes of the elements from index i on without their scale, i) gives their codes.
template <class Block, class Round>
HWY_INLINE void encode_block(std::byte* dst, const float* src, ScaleRule rule, const Round& round) {
  int exponent = 0;
  const uint32_t largest = largest_magnitude(src, Block::kElements);
  if (HWY_UNLIKELY(!scalar::encode_mx_head<Block>(dst, largest, rule, &exponent))) return;
  float factors[Block::kElements];
  if constexpr (Block::kPairs) {
    const uint8_t halved = scalar::halved_pairs<Block::kElements>(src, exponent);
    dst[1] = std::byte{halved};
    pair_factors<Block>(factors, halved);
  }
  const VF inverse = f32(inverse_scale(exponent));
  uint8_t codes[Block::kElements];
  for (size_t i = 0; i < Block::kElements; i += kN) {
    VF x = hn::Mul(hn::LoadU(F32(), src + i), inverse);
    if constexpr (Block::kPairs) x = hn::Mul(x, hn::LoadU(F32(), factors + i));
    hn::StoreU(vec_mx_code<Block>(round(vec_magnitude(x), i), x), U8(), codes + i);
  }
  pack_codes<Block>(dst + Block::kHead, codes);
}

void encode_mx(Mx type, ScaleRule rule, std::byte* dst, const float* src, size_t blocks) {
  with_mx(type, [&]<class Block>(Block) HWY_ATTR {
    for (size_t i = 0; i < blocks; ++i)
      encode_block<Block>(dst + i * Block::kBytes, src + i * Block::kElements, rule,
                          [](VU u, size_t)
                              HWY_ATTR { return vec_round_nearest<typename Block::F>(u); });
  });
}

void encode_mx_random(Mx type, ScaleRule rule, std::byte* dst, const float* src, size_t blocks,
                      RandomRounding random) {
  HWY_ALIGN uint32_t buffer[kWords];
  with_mx(type, [&]<class Block>(Block) HWY_ATTR {
    constexpr size_t kTogether = kPlaces / Block::kElements;
    const uint32_t* words = nullptr;
    for (size_t b = 0; b < blocks; ++b, words += Block::kElements) {
      if (b % kTogether == 0) {
        words = make_words(buffer, random, HWY_MIN(blocks - b, kTogether) * Block::kElements);
        random.first += kPlaces;
      }
      encode_block<Block>(
          dst + b * Block::kBytes, src + b * Block::kElements, rule, [&](VU u, size_t i) HWY_ATTR {
            return vec_round_random<typename Block::F>(u, hn::LoadU(U32(), words + i));
          });
    }
  });
}

// To -128..127, halves away from zero as std::round() has them, NaN to 0. The number before 1/2, which does not take what is below a half over it.
HWY_INLINE V8 round_away(VF x) {
  const VF within = hn::Min(hn::Max(x, f32(-128.0f)), f32(127.0f));
  const VF numbers = hn::IfThenZeroElse(hn::IsNaN(x), within);
  const VF half = hn::CopySign(f32(0x1.fffffep-2f), numbers);
  const VI whole = hn::ConvertTo(I32(), hn::Add(numbers, half));
  return hn::BitCast(U8(), hn::DemoteTo(hn::Rebind<int8_t, F32>(), whole));
}

// What the blocks of a part have in common with no other: made for all of them at once, since quotients take long.
struct ScalesQ8_0 {
  HWY_ALIGN uint32_t largest[kN] = {};
  HWY_ALIGN float inverse[kN];
  HWY_ALIGN uint16_t half[kN];

  HWY_INLINE ScalesQ8_0(const float* src, size_t blocks) {
    const F32 d;
    for (size_t i = 0; i < blocks; ++i)
      largest[i] = largest_magnitude(src + i * BlockQ8_0::kElements, BlockQ8_0::kElements);
    const VF scale = hn::Div(hn::BitCast(d, hn::Load(U32(), largest)), f32(127.0f));
    const VF quotient = hn::Div(f32(1.0f), scale);
    hn::Store(hn::IfThenZeroElse(hn::Eq(scale, hn::Zero(d)), quotient), d, inverse);
    const hn::Rebind<hwy::float16_t, F32> dh;
    hn::Store(hn::BitCast(U16(), hn::DemoteTo(dh, scale)), U16(), half);
  }
};

void encode_q8_0(std::byte* dst, const float* src, size_t blocks) {
  for (size_t part = 0; blocks != 0; blocks -= part) {
    part = HWY_MIN(blocks, kN);
    const ScalesQ8_0 scales(src, part);
    for (size_t b = 0; b < part; ++b, src += BlockQ8_0::kElements, dst += sizeof(BlockQ8_0)) {
      if (HWY_UNLIKELY(scales.largest[b] >= 0x7f800000u)) {
        scalar::encode_nan(dst, sizeof(BlockQ8_0));
        continue;
      }
      std::memcpy(dst, &scales.half[b], sizeof(scales.half[b]));
      auto* q = reinterpret_cast<uint8_t*>(dst + offsetof(BlockQ8_0, q));
      const VF inverse = f32(scales.inverse[b]);
      for (size_t i = 0; i < BlockQ8_0::kElements; i += kN)
        hn::StoreU(round_away(hn::Mul(hn::LoadU(F32(), src + i), inverse)), U8(), q + i);
    }
  }
}

// The first element of the magnitude with bits |largest|.
HWY_INLINE float first_of(const float* src, uint32_t largest) {
  while ((scalar::to_bits(*src) & 0x7fffffffu) != largest) ++src;
  return *src;
}

void encode_q4_0(std::byte* dst, const float* src, size_t blocks) {
  for (; blocks != 0; --blocks, src += BlockQ4_0::kElements, dst += sizeof(BlockQ4_0)) {
    const uint32_t largest = largest_magnitude(src, BlockQ4_0::kElements);
    if (HWY_UNLIKELY(largest >= 0x7f800000u)) {
      scalar::encode_nan(dst, sizeof(BlockQ4_0));
      continue;
    }
    // All zeros have the scale of +0, whatever their signs.
    const float scale = (largest == 0 ? 0.0f : first_of(src, largest)) / -8.0f;
    const VF inverse = f32(scalar::inverse_of(scale));
    scalar::store_scale(dst, scale);
    uint8_t codes[BlockQ4_0::kElements];
    for (size_t i = 0; i < BlockQ4_0::kElements; i += kN) {
      const VF x = hn::Add(hn::Mul(hn::LoadU(F32(), src + i), inverse), f32(8.5f));
      const VF within = hn::IfThenElseZero(hn::Gt(x, hn::Zero(F32())), hn::Min(x, f32(15.0f)));
      hn::StoreU(low_byte(hn::BitCast(U32(), hn::ConvertTo(I32(), within))), U8(), codes + i);
    }
    pack_codes<MxE2m1>(dst + offsetof(BlockQ4_0, q), codes);
  }
}

}  // namespace

void fill_encode(Numerics& table) {
  table.decode_mx = decode_mx;
  table.encode_mx = encode_mx;
  table.encode_mx_random = encode_mx_random;
  table.encode_q8_0 = encode_q8_0;
  table.encode_q4_0 = encode_q4_0;
}

#else
void fill_encode(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_encode)

}  // namespace npu::model
#endif  // HWY_ONCE
