// SPDX-License-Identifier: Apache-2.0
// Philox and stochastic rounding on vectors, shared by simd_random.cpp and simd_encode.cpp. Definitions: philox.h, round_random() of small_float.h.
#include "firmware-model/tile/numerics/philox.h"
#include "firmware-model/tile/numerics/simd_small-inl.h"

#if defined(NPU_SIMD_RANDOM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NPU_SIMD_RANDOM_INL_H_
#undef NPU_SIMD_RANDOM_INL_H_
#else
#define NPU_SIMD_RANDOM_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA

using U64 = hn::Repartition<uint64_t, U32>;

// The halves of |x| * |factor| in each lane.
struct Product {
  VU high, low;
};
HWY_INLINE Product product(VU x, VU factor) {
  const U32 du;
  const U64 dw;
  const auto even = hn::MulEven(x, factor);
  const auto odd = hn::MulEven(hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(dw, x))), factor);
  return {hn::OddEven(hn::BitCast(du, odd), hn::BitCast(du, hn::ShiftRight<32>(even))),
          hn::OddEven(hn::BitCast(du, hn::ShiftLeft<32>(odd)), hn::BitCast(du, even))};
}

constexpr size_t kWordsAtOnce = 4 * kN;

// Block |counter| and those after it, a lane each.
HWY_INLINE void store_words(uint32_t* words, uint64_t counter, uint64_t seed) {
  const U32 du;
  const VU first = hn::Set(du, static_cast<uint32_t>(counter));
  VU c0 = hn::Add(first, hn::Iota(du, 0));
  const VU carry = hn::VecFromMask(du, hn::Lt(c0, first));
  VU c1 = hn::Sub(hn::Set(du, static_cast<uint32_t>(counter >> 32)), carry);
  c1 = hn::And(c1, hn::Set(du, 0x3fffffff));  // places have 64 bits, blocks 62
  VU c2 = hn::Zero(du), c3 = hn::Zero(du);
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < Philox::kRounds; ++round) {
    const Product a = product(c0, hn::Set(du, Philox::kFactor0));
    const Product b = product(c2, hn::Set(du, Philox::kFactor1));
    c0 = hn::Xor(hn::Xor(b.high, c1), hn::Set(du, k0));
    c1 = b.low;
    c2 = hn::Xor(hn::Xor(a.high, c3), hn::Set(du, k1));
    c3 = a.low;
    k0 += Philox::kStep0;
    k1 += Philox::kStep1;
  }
  hn::StoreInterleaved4(c0, c1, c2, c3, du, words);
}

// Places whose words are made together; a multiple of the elements of every block.
constexpr size_t kPlaces = 192;
constexpr size_t kWords = kPlaces + kWordsAtOnce;

// The words of |n| <= kPlaces places; the first is at the returned address.
HWY_INLINE const uint32_t* make_words(uint32_t (&words)[kWords], RandomRounding random, size_t n) {
  const size_t skipped = random.first % 4;
  uint64_t counter = random.first / 4;
  for (size_t i = 0; i < skipped + n; i += kWordsAtOnce, counter += kN)
    store_words(words + i, counter, random.seed);
  return words + skipped;
}

// As round_random() of small_float.h.
template <class F>
HWY_INLINE VU vec_round_random(VU u, VU w) {
  const U32 du;
  constexpr uint32_t kFirst = F::kEmin + 127, kDropped = 23 - F::kM;
  const VU one = hn::Set(du, 1), bits = hn::Set(du, 32);
  const VU exponent = hn::Max(hn::ShiftRight<23>(u), one);
  const VU digits = hn::Sub(u, hn::ShiftLeft<23>(hn::Sub(exponent, one)));
  const VU raised = hn::Max(exponent, hn::Set(du, kFirst));
  const VU dropped = hn::Add(hn::Sub(raised, exponent), hn::Set(du, kDropped));
  // Vectors shift by less than 32 only; the digits are gone after 24.
  const VU whole = hn::Shr(digits, hn::Min(dropped, hn::Set(du, 31)));
  const VU up = hn::Sub(bits, hn::Min(dropped, bits));
  const VU down = hn::Min(hn::Sub(hn::Max(dropped, bits), bits), hn::Set(du, 31));
  const VU part = hn::Shr(hn::Shl(digits, up), down);
  const VU carry = hn::VecFromMask(du, hn::Lt(hn::Add(part, w), w));
  const VU above = hn::ShiftLeft<F::kM>(hn::Sub(raised, hn::Set(du, kFirst)));
  return hn::Add(hn::Sub(whole, carry), above);
}

#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#endif  // include guard of this target
