// SPDX-License-Identifier: Apache-2.0
// Weights of any type as vectors of fp32. A source opens one block of a row; get(base, i) gives kN of its elements from |base| + i on: |base| is a multiple of kGroup, i a multiple of kN below it
// that is constant after unrolling. Shared by simd_blocks.cpp, simd_encode.cpp and simd_stream.cpp.
#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/scalar_mx.h"
#include "firmware-model/tile/numerics/simd_small-inl.h"

#if defined(NPU_SIMD_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_BLOCKS_INL_H_
#undef NPU_SIMD_BLOCKS_INL_H_
#else
#define NPU_SIMD_BLOCKS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

HWY_INLINE VI load_i8(const std::byte* p) {
  using I8 = hn::Rebind<int8_t, F32>;
  return hn::PromoteTo(I32(), hn::LoadU(I8(), reinterpret_cast<const int8_t*>(p)));
}
HWY_INLINE VI load_u8(const std::byte* p) {
  using U8 = hn::Rebind<uint8_t, F32>;
  return hn::PromoteTo(I32(), hn::LoadU(U8(), reinterpret_cast<const uint8_t*>(p)));
}
HWY_INLINE VI i32(int32_t x) { return hn::Set(I32(), x); }
HWY_INLINE VF to_float(VI x) { return hn::ConvertTo(F32(), x); }

// fp16 in every lane; a NaN keeps its payload.
HWY_INLINE VF widen_raw(V16 h) {
  return hn::PromoteTo(F32(), hn::BitCast(hn::Rebind<hwy::float16_t, F32>(), h));
}
HWY_INLINE VF spread_half(const std::byte* p) { return widen_raw(hn::Set(U16(), half_at(p, 0))); }

// Plain types have blocks of 16 elements, and parts of them behind the last one.
struct SourceF32 {
  static constexpr size_t kElements = 16, kGroup = 16, kBytes = 64;
  static constexpr bool kPlain = true;
  const float* p;
  HWY_INLINE explicit SourceF32(const std::byte* block)
      : p(reinterpret_cast<const float*>(block)) {}
  HWY_INLINE VF get(size_t, size_t i) const { return hn::LoadU(F32(), p + i); }
  HWY_INLINE VF get_part(size_t i, size_t n) const { return load_part(F32(), p + i, n); }
};

struct SourceBf16 {
  static constexpr size_t kElements = 16, kGroup = 16, kBytes = 32;
  static constexpr bool kPlain = true;
  const uint16_t* p;
  HWY_INLINE explicit SourceBf16(const std::byte* block)
      : p(reinterpret_cast<const uint16_t*>(block)) {}
  static HWY_INLINE VF widen(V16 h) {
    return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), h)));
  }
  HWY_INLINE VF get(size_t, size_t i) const { return widen(hn::LoadU(U16(), p + i)); }
  HWY_INLINE VF get_part(size_t i, size_t n) const { return widen(load_part(U16(), p + i, n)); }
};

struct SourceF16 {
  static constexpr size_t kElements = 16, kGroup = 16, kBytes = 32;
  static constexpr bool kPlain = true;
  const uint16_t* p;
  HWY_INLINE explicit SourceF16(const std::byte* block)
      : p(reinterpret_cast<const uint16_t*>(block)) {}
  HWY_INLINE VF get(size_t, size_t i) const { return widen_raw(hn::LoadU(U16(), p + i)); }
  HWY_INLINE VF get_part(size_t i, size_t n) const { return widen_raw(load_part(U16(), p + i, n)); }
};

template <class From>
struct SourceSmall {
  static constexpr size_t kElements = 16, kGroup = 16, kBytes = 16;
  static constexpr bool kPlain = true;
  const uint8_t* p;
  HWY_INLINE explicit SourceSmall(const std::byte* block)
      : p(reinterpret_cast<const uint8_t*>(block)) {}
  HWY_INLINE VF get(size_t, size_t i) const { return From::widen(hn::LoadU(U8(), p + i)); }
  HWY_INLINE VF get_part(size_t i, size_t n) const {
    return From::widen(load_part(U8(), p + i, n));
  }
};

struct SourceQ8_0 {
  static constexpr size_t kElements = BlockQ8_0::kElements, kGroup = 32, kBytes = sizeof(BlockQ8_0);
  static constexpr bool kPlain = false;
  const std::byte* q;
  VF scale;
  HWY_INLINE explicit SourceQ8_0(const std::byte* block)
      : q(block + offsetof(BlockQ8_0, q)), scale(spread_half(block + offsetof(BlockQ8_0, scale))) {}
  HWY_INLINE VF get(size_t, size_t i) const { return hn::Mul(to_float(load_i8(q + i)), scale); }
};

struct SourceQ4_0 {
  static constexpr size_t kElements = BlockQ4_0::kElements, kGroup = 32, kBytes = sizeof(BlockQ4_0);
  static constexpr bool kPlain = false;
  const std::byte* q;
  VF scale;
  HWY_INLINE explicit SourceQ4_0(const std::byte* block)
      : q(block + offsetof(BlockQ4_0, q)), scale(spread_half(block + offsetof(BlockQ4_0, scale))) {}
  HWY_INLINE VF get(size_t, size_t i) const {
    const VI both = load_u8(q + i % 16);
    const VI value = i < 16 ? hn::And(both, i32(15)) : hn::ShiftRight<4>(both);
    return hn::Mul(to_float(hn::Sub(value, i32(8))), scale);
  }
};

struct SourceQ4_K {
  static constexpr size_t kElements = BlockQ4_K::kElements, kGroup = 64, kBytes = sizeof(BlockQ4_K);
  static constexpr bool kPlain = false;
  const std::byte* q;
  float scale[BlockQ4_K::kParts], offset[BlockQ4_K::kParts];
  HWY_INLINE explicit SourceQ4_K(const std::byte* block) : q(block + offsetof(BlockQ4_K, q)) {
    using F8 = hn::CappedTag<float, BlockQ4_K::kParts>;
    const hn::RebindToSigned<F8> di;
    const hn::Rebind<uint8_t, F8> du;
    const auto s = hn::Set(F8(), hn::GetLane(spread_half(block + offsetof(BlockQ4_K, scale))));
    const auto t = hn::Set(F8(), hn::GetLane(spread_half(block + offsetof(BlockQ4_K, offset))));
    const PartsQ4_K parts = parts_of_q4_k(block);
    for (size_t i = 0; i < BlockQ4_K::kParts; i += hn::Lanes(F8())) {
      const auto of = [&](const uint8_t* p) {
        return hn::ConvertTo(F8(), hn::PromoteTo(di, hn::LoadU(du, p + i)));
      };
      hn::StoreU(hn::Mul(s, of(parts.scale)), F8(), scale + i);
      hn::StoreU(hn::Mul(t, of(parts.offset)), F8(), offset + i);
    }
  }
  HWY_INLINE VF get(size_t base, size_t i) const {
    const VI both = load_u8(q + base / 2 + i % 32);
    const VI value = i < 32 ? hn::And(both, i32(15)) : hn::ShiftRight<4>(both);
    const size_t part = base / 32 + i / 32;
    return hn::MulSub(f32(scale[part]), to_float(value), f32(offset[part]));
  }
};

struct SourceQ6_K {
  static constexpr size_t kElements = BlockQ6_K::kElements, kGroup = 128,
                          kBytes = sizeof(BlockQ6_K);
  static constexpr bool kPlain = false;
  const std::byte* low;
  const std::byte* high;
  float scale[16];
  HWY_INLINE explicit SourceQ6_K(const std::byte* block)
      : low(block + offsetof(BlockQ6_K, low)), high(block + offsetof(BlockQ6_K, high)) {
    const VF s = spread_half(block + offsetof(BlockQ6_K, scale));
    const std::byte* parts = block + offsetof(BlockQ6_K, parts);
    for (size_t i = 0; i < 16; i += kN)
      hn::StoreU(hn::Mul(s, to_float(load_i8(parts + i))), F32(), scale + i);
  }
  HWY_INLINE VF get(size_t base, size_t i) const {
    const size_t quarter = i / 32;
    const VI both = load_u8(low + base / 2 + i % 64);
    const VI four = quarter < 2 ? hn::And(both, i32(15)) : hn::ShiftRight<4>(both);
    const VI pairs = load_u8(high + base / 4 + i % 32);
    const VI upper = hn::And(quarter == 0   ? hn::ShiftLeft<4>(pairs)
                             : quarter == 1 ? hn::ShiftLeft<2>(pairs)
                             : quarter == 2 ? pairs
                                            : hn::ShiftRight<2>(pairs),
                             i32(0x30));
    return hn::Mul(f32(scale[base / 16 + i / 16]), to_float(hn::Sub(hn::Or(four, upper), i32(32))));
  }
};

// Vectors that six_bit_codes() can fill: a load of 16 bytes has the codes of 16 lanes at most, and a table look-up needs 16 bytes.
constexpr bool kLooksUpSixBits = kN >= 8;

// Codes |i|, |i| + 1, ... of 32 codes of 6 bits in the 24 bytes at |packed|; |i| is a multiple of kN. Each lane gets the two bytes that its code begins in, and a product moves the code to bit 6.
HWY_INLINE V16 six_bit_codes(const uint8_t* packed, size_t i) {
  const hn::Repartition<uint8_t, U16> bytes;
  HWY_ALIGN static constexpr uint8_t kFrom[32] = {0, 1, 0, 1,  1, 2,  2,  3,  3,  4, 3,
                                                  4, 4, 5, 5,  6, 6,  7,  6,  7,  7, 8,
                                                  8, 9, 9, 10, 9, 10, 10, 11, 11, 12};
  HWY_ALIGN static constexpr uint16_t kFactor[16] = {64, 1, 4, 16, 64, 1, 4, 16,
                                                     64, 1, 4, 16, 64, 1, 4, 16};
  // Never behind the last byte, which a second half may ask for.
  const size_t first = i * 6 / 8, load = HWY_MIN(first, 8);
  const auto from =
      hn::Min(hn::Add(hn::Load(bytes, kFrom), hn::Set(bytes, static_cast<uint8_t>(first - load))),
              hn::Set(bytes, 15));
  const auto pairs = hn::TableLookupBytes(hn::LoadDup128(bytes, packed + load), from);
  const V16 moved = hn::Mul(hn::BitCast(U16(), pairs), hn::Load(U16(), kFactor));
  return hn::And(hn::ShiftRight<6>(moved), hn::Set(U16(), 63));
}

// Formats with halved pairs are unpacked as numbers when the block is opened; codes of 6 bits too where vectors are short.
template <class Block>
struct SourceMx {
  using F = typename Block::F;
  static constexpr size_t kElements = Block::kElements, kGroup = kElements, kBytes = Block::kBytes;
  static constexpr bool kPlain = false;
  const std::byte* packed;
  VF scale;
  uint8_t codes[Block::kBits == 6 && !kLooksUpSixBits ? kElements : 1];
  float numbers[Block::kPairs ? kElements : 1];
  HWY_INLINE explicit SourceMx(const std::byte* block)
      : packed(block + Block::kHead), scale(f32(scale_value(static_cast<uint8_t>(block[0])))) {
    if constexpr (Block::kBits == 6 && !kLooksUpSixBits) unpack_codes<Block>(codes, packed);
    if constexpr (Block::kPairs) {
      uint8_t unpacked[kElements];
      unpack_codes<Block>(unpacked, packed);
      for (size_t i = 0; i < kElements; ++i)
        numbers[i] = scalar::mx_element<Block>(unpacked[i], scalar::is_halved<Block>(block, i / 2));
    }
  }
  HWY_INLINE VF get(size_t, size_t i) const { return hn::Mul(element(i), scale); }

 private:
  HWY_INLINE VF element(size_t i) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(packed);
    if constexpr (Block::kPairs) {
      return hn::LoadU(F32(), numbers + i);
    } else if constexpr (Block::kTwosComplement) {
      return hn::Mul(vec_from_i8(hn::LoadU(U8(), bytes + i)), f32(scalar::pow2(1 - F::kM)));
    } else if constexpr (Block::kBits == 8) {
      return vec_from_small<F>(hn::LoadU(U8(), bytes + i));
    } else if constexpr (Block::kBits == 6 && kLooksUpSixBits) {
      return vec_from_codes<F>(six_bit_codes(bytes, i));
    } else if constexpr (Block::kBits == 6) {
      return vec_from_small<F>(hn::LoadU(U8(), codes + i));
    } else {
      const V16 both = hn::PromoteTo(U16(), hn::LoadU(U8(), bytes + i % 16));
      const V16 code = i < 16 ? hn::And(both, hn::Set(U16(), 15)) : hn::ShiftRight<4>(both);
      return vec_from_codes<F>(code);
    }
  }
};

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
