// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the product of rows in blocks by integers: x86 only, elsewhere the scalar definition stays. A lane is a row of weights: tiles have the words of 16 rows side by side, rows are
// brought into that order on the way. Weights are made unsigned, and the sums begin with what that adds too much; sums of integers are exact, so how they are made is free.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_integer.cpp"
#include <type_traits>

#include "firmware-model/tile/numerics/block_layout.h"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA && HWY_ARCH_X86
namespace {

static_assert(offsetof(BlockQ8_0, scale) == 0 && offsetof(BlockQ4_0, scale) == 0);
static_assert(kTileRows % kN == 0);

// The 4 bytes of a vector that a word of each row meets.
using Word [[gnu::may_alias]] = int32_t;
HWY_INLINE VU all_words(const int8_t* q) {
  return hn::BitCast(U32(), hn::Set(I32(), *reinterpret_cast<const Word*>(q)));
}
HWY_INLINE VU all_bytes(uint8_t x) { return hn::Set(U32(), x * 0x01010101u); }

#if NPU_SIMD_AVX512
HWY_INLINE VI sum_pairs(VU x, VU y) { return VI{_mm512_madd_epi16(x.raw, y.raw)}; }
HWY_INLINE VU add_pairs_of_bytes(VU sum, VU x, VU y) {
  return VU{_mm512_add_epi16(sum.raw, _mm512_maddubs_epi16(x.raw, y.raw))};
}
HWY_INLINE VU load_words(const std::byte* p) { return VU{_mm512_loadu_si512(p)}; }
HWY_INLINE void store_words(VU x, std::byte* p) { _mm512_storeu_si512(p, x.raw); }
using Halves = __m256i;
HWY_INLINE Halves load_halves(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
HWY_INLINE void store_halves(Halves x, std::byte* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x);
}
HWY_INLINE VF widen_halves(Halves x) { return VF{_mm512_cvtph_ps(x)}; }
#else
HWY_INLINE VI sum_pairs(VU x, VU y) { return VI{_mm256_madd_epi16(x.raw, y.raw)}; }
HWY_INLINE VU add_pairs_of_bytes(VU sum, VU x, VU y) {
  return VU{_mm256_add_epi16(sum.raw, _mm256_maddubs_epi16(x.raw, y.raw))};
}
HWY_INLINE VU load_words(const std::byte* p) {
  return VU{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
}
HWY_INLINE void store_words(VU x, std::byte* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.raw);
}
using Halves = __m128i;
HWY_INLINE Halves load_halves(const std::byte* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
HWY_INLINE void store_halves(Halves x, std::byte* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x);
}
HWY_INLINE VF widen_halves(Halves x) { return VF{_mm256_cvtph_ps(x)}; }
#endif

// --- weights by type -----------------------------------------------------------------------------------------------------

// kWords words of a row's block, each of two halves: the upper one is added kUpperTimes, and meets the elements kUpperAt behind those of the lower one. Elements are too large by 2^kMiddleLog2.
struct OfQ8_0 {
  static constexpr size_t kBytes = sizeof(BlockQ8_0), kWords = 8, kUpperAt = 0;
  static constexpr uint16_t kUpperTimes = 16;
  static constexpr int kMiddleLog2 = 7;
  static HWY_INLINE VU positive(VU word) { return hn::Xor(word, all_bytes(0x80)); }
};
struct OfQ4_0 {
  static constexpr size_t kBytes = sizeof(BlockQ4_0), kWords = 4;
  static constexpr size_t kUpperAt = RoundedBlock::kElements / 2;
  static constexpr uint16_t kUpperTimes = 1;
  static constexpr int kMiddleLog2 = 3;
  static HWY_INLINE VU positive(VU word) { return word; }
};
HWY_INLINE VU lower_half(VU word) { return hn::And(word, all_bytes(0x0f)); }
HWY_INLINE VU upper_half(VU word) { return lower_half(hn::ShiftRight<4>(word)); }

// The sums of a block, for each vector: begun with what the elements have too much, taken off.
template <class Of>
HWY_INLINE VI begin_sum(const RoundedBlock& a) {
  return hn::ShiftLeft<Of::kMiddleLog2>(hn::Set(I32(), a.minus_sum));
}

// Sums of 16 bits until the end of the block: halves of 0..15 by -128..127, 16 of them in a lane, are 30720 at most.
struct Plain {
  static constexpr size_t kMostVectors = kN / 4;  // what registers hold

  template <class Of, size_t kVectors>
  struct Sums {
    VU lower[kVectors], upper[kVectors];

    HWY_INLINE void begin(const RoundedBlock* const (&)[kVectors]) {
#pragma GCC unroll 8
      for (size_t r = 0; r < kVectors; ++r) lower[r] = upper[r] = hn::Zero(U32());
    }
    HWY_INLINE void add(const RoundedBlock* const (&a)[kVectors], size_t w, VU word) {
      const VU positive = Of::positive(word);
      const VU low = lower_half(positive), high = upper_half(positive);
#pragma GCC unroll 8
      for (size_t r = 0; r < kVectors; ++r) {
        const int8_t* q = a[r]->q + w * kTileWordBytes;
        lower[r] = add_pairs_of_bytes(lower[r], low, all_words(q));
        upper[r] = add_pairs_of_bytes(upper[r], high, all_words(q + Of::kUpperAt));
      }
    }
    HWY_INLINE VI total(const RoundedBlock* const (&a)[kVectors], size_t r) const {
      const VI low = sum_pairs(lower[r], hn::Set(U32(), 0x00010001u));
      const VI high = sum_pairs(upper[r], hn::Set(U32(), Of::kUpperTimes * 0x00010001u));
      return hn::Add(hn::Add(begin_sum<Of>(*a[r]), low), high);
    }
  };
};

#if NPU_SIMD_AVX512
struct Vnni {
  static constexpr size_t kMostVectors = 8;

  // The instruction itself, not its intrinsic, which is for functions of another target; Highway 1.0.3 has none with AVX512-VNNI (its AVX3_DL asks for AVX-VNNI, which is another thing).
  static HWY_INLINE VI add_products(VI sum, VU positive, const int8_t* q) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0"
            : "+v"(sum.raw)
            : "v"(positive.raw), "m"(*reinterpret_cast<const Word*>(q)));
    return sum;
  }

  template <class Of, size_t kVectors>
  struct Sums {
    // Few vectors: two sums each, so that an instruction need not wait for the one before.
    static constexpr size_t kChains = kVectors < 4 ? 2 : 1;
    VI sums[kChains][kVectors];

    HWY_INLINE void begin(const RoundedBlock* const (&a)[kVectors]) {
#pragma GCC unroll 8
      for (size_t r = 0; r < kVectors; ++r) {
        sums[0][r] = begin_sum<Of>(*a[r]);
        if constexpr (kChains == 2) sums[1][r] = hn::Zero(I32());
      }
    }
    HWY_INLINE void add(const RoundedBlock* const (&a)[kVectors], size_t w, VU word) {
      VI(&into)[kVectors] = sums[w % kChains];
      const VU positive = Of::positive(word);
      const VU low = lower_half(positive), high = upper_half(positive);
#pragma GCC unroll 8
      for (size_t r = 0; r < kVectors; ++r) {
        const int8_t* q = a[r]->q + w * kTileWordBytes;
        if constexpr (Of::kUpperAt == 0) {
          into[r] = add_products(into[r], positive, q);
        } else {
          into[r] = add_products(into[r], low, q);
          into[r] = add_products(into[r], high, q + Of::kUpperAt);
        }
      }
    }
    HWY_INLINE VI total(const RoundedBlock* const (&)[kVectors], size_t r) const {
      if constexpr (kChains == 2) return hn::Add(sums[0][r], sums[1][r]);
      return sums[0][r];
    }
  };
};
#endif

// --- where weights come from: kN rows, from row |first| of 16 on ---------------------------------------------------------

template <class Of>
struct Tiles {
  static constexpr size_t kBytes = kTileRows * Of::kBytes;
  const std::byte* at;
  bool dense;  // the next 16 rows begin where these end

  HWY_INLINE void ask(size_t block) const {
    constexpr size_t kLineBytes = 64, kAheadBytes = 8192;
    if (!dense) return;
#pragma GCC unroll 9
    for (size_t i = 0; i < kBytes; i += kLineBytes)
      hwy::Prefetch(at + block * kBytes + kAheadBytes + i);
  }
  HWY_INLINE Halves load(size_t first, size_t block, VU (&words)[Of::kWords]) const {
    const std::byte* tile = at + block * kBytes;
    const std::byte* from = tile + kTileRows * sizeof(uint16_t) + first * kTileWordBytes;
#pragma GCC unroll 8
    for (size_t w = 0; w < Of::kWords; ++w)
      words[w] = load_words(from + w * kTileRows * kTileWordBytes);
    return load_halves(tile + first * sizeof(uint16_t));
  }
};

// 16 rows as they lie: four addresses and a distance, since 16 addresses are more than the processor has registers for.
struct Apart {
  const std::byte* at[4];
  size_t stride_bytes, thrice_bytes;

  HWY_INLINE Apart(const std::byte* first, size_t stride)
      : at{first, first + 4 * stride, first + 8 * stride, first + 12 * stride},
        stride_bytes(stride),
        thrice_bytes(3 * stride) {}
  HWY_INLINE const std::byte* row(size_t i, size_t at_bytes) const {
    const std::byte* from = at[i / 4] + at_bytes;
    return i % 4 == 3 ? from + thrice_bytes : from + i % 4 * stride_bytes;
  }
};

// Row by row to a register: the compiler would take the scales through mask registers.
HWY_INLINE __m128i four_halves(const Apart& rows, size_t first, size_t at_bytes) {
  __m128i x = _mm_cvtsi32_si128(half_at(rows.row(first, at_bytes), 0));
  x = _mm_insert_epi16(x, half_at(rows.row(first + 1, at_bytes), 0), 1);
  x = _mm_insert_epi16(x, half_at(rows.row(first + 2, at_bytes), 0), 2);
  return _mm_insert_epi16(x, half_at(rows.row(first + 3, at_bytes), 0), 3);
}
HWY_INLINE __m128i eight_halves(const Apart& rows, size_t first, size_t at_bytes) {
  return _mm_unpacklo_epi64(four_halves(rows, first, at_bytes),
                            four_halves(rows, first + 4, at_bytes));
}
HWY_INLINE __m128i load_128(const std::byte* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
// In each block of four lanes: lane i of v[j] becomes lane j of v[i].
HWY_INLINE void transpose_fours(VU* v) {
  const U32 d;
  const VU a = hn::InterleaveLower(d, v[0], v[1]), b = hn::InterleaveUpper(d, v[0], v[1]);
  const VU c = hn::InterleaveLower(d, v[2], v[3]), e = hn::InterleaveUpper(d, v[2], v[3]);
  v[0] = low_pairs(a, c);
  v[1] = high_pairs(a, c);
  v[2] = low_pairs(b, e);
  v[3] = high_pairs(b, e);
}

#if NPU_SIMD_AVX512
HWY_INLINE __m256i load_256(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
HWY_INLINE Halves scales_of(const Apart& rows, size_t, size_t at_bytes) {
  return _mm256_setr_m128i(eight_halves(rows, 0, at_bytes), eight_halves(rows, 8, at_bytes));
}
HWY_INLINE void words_of(const Apart& rows, size_t, size_t at_bytes, VU (&v)[8]) {
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i)
    v[i] = VU{_mm512_inserti64x4(_mm512_castsi256_si512(load_256(rows.row(i, at_bytes))),
                                 load_256(rows.row(i + 8, at_bytes)), 1)};
  transpose_fours(v);
  transpose_fours(v + 4);
  // Now blocks of v[i] hold words i and i + 4 of rows 0 to 3, then of 8 to 11; v[i + 4] those of the other rows.
  const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
  const __m512i upper = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    const __m512i x = v[i].raw, y = v[i + 4].raw;
    v[i] = VU{_mm512_permutex2var_epi64(x, lower, y)};
    v[i + 4] = VU{_mm512_permutex2var_epi64(x, upper, y)};
  }
}
HWY_INLINE void words_of(const Apart& rows, size_t, size_t at_bytes, VU (&v)[4]) {
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i) {
    const auto two = [&](size_t r) HWY_ATTR {
      return _mm256_inserti128_si256(_mm256_castsi128_si256(load_128(rows.row(r, at_bytes))),
                                     load_128(rows.row(r + 4, at_bytes)), 1);
    };
    v[i] = VU{_mm512_inserti64x4(_mm512_castsi256_si512(two(i)), two(i + 8), 1)};
  }
  transpose_fours(v);
}
#else
HWY_INLINE Halves scales_of(const Apart& rows, size_t first, size_t at_bytes) {
  return eight_halves(rows, first, at_bytes);
}
HWY_INLINE void words_of(const Apart& rows, size_t first, size_t at_bytes, VU (&v)[8]) {
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) v[i] = load_words(rows.row(first + i, at_bytes));
  transpose_square(v);
}
HWY_INLINE void words_of(const Apart& rows, size_t first, size_t at_bytes, VU (&v)[4]) {
#pragma GCC unroll 4
  for (size_t i = 0; i < 4; ++i)
    v[i] =
        VU{_mm256_inserti128_si256(_mm256_castsi128_si256(load_128(rows.row(first + i, at_bytes))),
                                   load_128(rows.row(first + i + 4, at_bytes)), 1)};
  transpose_fours(v);
}
#endif

template <class Of>
struct Rows {
  const std::byte* at;
  size_t stride_bytes;
  bool dense;

  HWY_INLINE void ask(size_t block) const {
    if (dense) return Tiles<Of>{at, true}.ask(block);
#pragma GCC unroll 16
    for (size_t i = 0; i < kTileRows; ++i)
      hwy::Prefetch(at + (kTileRows + i) * stride_bytes + block * Of::kBytes);
  }
  HWY_INLINE Halves load(size_t first, size_t block, VU (&words)[Of::kWords]) const {
    const Apart rows(at, stride_bytes);
    words_of(rows, first, block * Of::kBytes + sizeof(uint16_t), words);
    return scales_of(rows, first, block * Of::kBytes);
  }
  // Blocks from |block| on as tiles.
  HWY_NOINLINE void tile(size_t block, size_t blocks, std::byte* to) const {
    for (size_t i = 0; i < blocks; ++i, to += Tiles<Of>::kBytes) {
      ask(block + i);
      for (size_t first = 0; first < kTileRows; first += kN) {
        VU words[Of::kWords];
        store_halves(load(first, block + i, words), to + first * sizeof(uint16_t));
        std::byte* words_to = to + kTileRows * sizeof(uint16_t) + first * kTileWordBytes;
#pragma GCC unroll 8
        for (size_t w = 0; w < Of::kWords; ++w)
          store_words(words[w], words_to + w * kTileRows * kTileWordBytes);
      }
    }
  }
};

// Fewer than 16 rows, word by word. What stands for the others is written nowhere.
template <class Of>
struct LastRows {
  const std::byte* at;
  size_t stride_bytes, rows;

  HWY_NOINLINE void tile(size_t block, size_t blocks, std::byte* to) const {
    std::memset(to, 0, blocks * Tiles<Of>::kBytes);
    for (size_t i = 0; i < blocks; ++i, to += Tiles<Of>::kBytes) {
      for (size_t r = 0; r < rows; ++r) {
        const std::byte* from = at + r * stride_bytes + (block + i) * Of::kBytes;
        std::memcpy(to + r * sizeof(uint16_t), from, sizeof(uint16_t));
        std::byte* words_to = to + kTileRows * sizeof(uint16_t) + r * kTileWordBytes;
        for (size_t w = 0; w < Of::kWords; ++w)
          std::memcpy(words_to + w * kTileRows * kTileWordBytes,
                      from + sizeof(uint16_t) + w * kTileWordBytes, kTileWordBytes);
      }
    }
  }
};

// --- products --------------------------------------------------------------------------------------------------------------

// A part of the products of 16 rows of weights: |blocks| blocks of vectors |a|; |cols| columns of |c|.
struct Part {
  const RoundedBlock* a;
  size_t lda;
  size_t blocks;
  float* c;
  size_t ldc;
  size_t cols;
  bool accumulate;
  bool ask;  // for what comes behind
};

template <class Dot, class Of, size_t kVectors, class From>
HWY_INLINE void block_of(const From& from, size_t first, size_t block,
                         const RoundedBlock* const (&a)[kVectors], VF (&acc)[kVectors]) {
  VU words[Of::kWords];
  const VF scales = widen_halves(from.load(first, block, words));
  typename Dot::template Sums<Of, kVectors> sums;
  sums.begin(a);
#pragma GCC unroll 8
  for (size_t w = 0; w < Of::kWords; ++w) sums.add(a, w, words[w]);
#pragma GCC unroll 8
  for (size_t r = 0; r < kVectors; ++r) {
    const VF scale = hn::Mul(f32(a[r]->scale), scales);
    acc[r] = hn::MulAdd(hn::ConvertTo(F32(), sums.total(a, r)), scale, acc[r]);
  }
}

template <class Dot, class Of, size_t kVectors, class From>
HWY_NOINLINE void part_of(const From& from, size_t i, const Part& p) {
  const F32 d;
  for (size_t first = 0; first < kTileRows && first < p.cols; first += kN) {
    const size_t cols = HWY_MIN(p.cols - first, kN);
    float* c = p.c + i * p.ldc + first;
    const RoundedBlock* a[kVectors];
    VF acc[kVectors];
#pragma GCC unroll 8
    for (size_t r = 0; r < kVectors; ++r) {
      a[r] = p.a + (i + r) * p.lda;
      acc[r] = p.accumulate ? load_part(d, c + r * p.ldc, cols) : hn::Zero(d);
    }
    for (size_t block = 0; block < p.blocks; ++block) {
      if (p.ask && first == 0) from.ask(block);
      block_of<Dot, Of, kVectors>(from, first, block, a, acc);
#pragma GCC unroll 8
      for (size_t r = 0; r < kVectors; ++r) ++a[r];
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kVectors; ++r) store_part(canonical(acc[r]), d, c + r * p.ldc, cols);
  }
}

template <class Dot, class Of, class From>
HWY_INLINE void all_vectors(const From& from, size_t m, Part p) {
  size_t i = 0;
  const auto some = [&]<size_t kVectors>(std::integral_constant<size_t, kVectors>) HWY_ATTR {
    if constexpr (kVectors <= Dot::kMostVectors) {
      for (; i + kVectors <= m; i += kVectors, p.ask = false)
        part_of<Dot, Of, kVectors>(from, i, p);
    }
  };
  some(std::integral_constant<size_t, 8>());
  some(std::integral_constant<size_t, 4>());
  some(std::integral_constant<size_t, 2>());
  some(std::integral_constant<size_t, 1>());
}

// Some blocks of the weights after the other, which stay in the cache while many vectors pass: tiles_of_part(block, blocks).
constexpr size_t kPartBlocks = 32;

template <class Dot, class Of, class TilesOfPart>
HWY_INLINE void by_parts(size_t m, const Part& whole, const TilesOfPart& tiles_of_part) {
  size_t block = 0;
  do {
    Part p = whole;
    p.a += block;
    p.blocks = HWY_MIN(whole.blocks - block, kPartBlocks);
    p.accumulate = whole.accumulate || block != 0;
    p.ask = false;
    all_vectors<Dot, Of>(tiles_of_part(block, p.blocks), m, p);
    block += p.blocks;
  } while (block < whole.blocks);
}

template <class Dot, class Of>
HWY_INLINE void products_of_tiles(const IntegerDotArgs& g, const std::byte* at, bool dense,
                                  const Part& p) {
  if (g.m <= Dot::kMostVectors) return all_vectors<Dot, Of>(Tiles<Of>{at, dense}, g.m, p);
  by_parts<Dot, Of>(g.m, p, [at](size_t block, size_t) HWY_ATTR {
    return Tiles<Of>{at + block * Tiles<Of>::kBytes, false};
  });
}

template <class Dot, class Of>
HWY_INLINE void products_of_rows(const IntegerDotArgs& g, const std::byte* at, bool dense,
                                 const Part& p) {
  HWY_ALIGN std::byte buffer[kPartBlocks * Tiles<Of>::kBytes];
  const auto by_way_of_buffer = [&](const auto& rows) HWY_ATTR {
    by_parts<Dot, Of>(g.m, p, [&](size_t block, size_t blocks) HWY_ATTR {
      rows.tile(block, blocks, buffer);
      return Tiles<Of>{buffer, false};
    });
  };
  if (p.cols < kTileRows) return by_way_of_buffer(LastRows<Of>{at, g.b_stride_bytes, p.cols});
  const Rows<Of> rows{at, g.b_stride_bytes, dense};
  if (g.m <= Dot::kMostVectors) return all_vectors<Dot, Of>(rows, g.m, p);
  by_way_of_buffer(rows);
}

template <class Dot, class Of>
HWY_INLINE void products(const IntegerDotArgs& g) {
  const size_t blocks = g.k / RoundedBlock::kElements;
  const bool dense = g.b_stride_bytes == blocks * Of::kBytes;
  for (size_t j = 0; j < g.n; j += kTileRows) {
    const size_t cols = HWY_MIN(g.n - j, kTileRows);
    const std::byte* at = g.b + j * g.b_stride_bytes;
    const Part p{g.a, g.lda, blocks, g.c + j, g.ldc, cols, g.accumulate, true};
    if (g.tiled)
      products_of_tiles<Dot, Of>(g, at, dense, p);
    else
      products_of_rows<Dot, Of>(g, at, dense, p);
  }
}

template <class Dot>
void dot_integer(const IntegerDotArgs& g) {
  if (g.weight == Weight::kQ8_0) return products<Dot, OfQ8_0>(g);
  products<Dot, OfQ4_0>(g);
}

void open_q8_0(RoundedBlock* dst, const std::byte* src, size_t blocks) {
  const __m256i middle = _mm256_set1_epi8(-128);
  for (size_t i = 0; i < blocks; ++i, src += sizeof(BlockQ8_0)) {
    const std::byte* from = src + offsetof(BlockQ8_0, q);
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst[i].q), q);
    const __m256i eights = _mm256_sad_epu8(_mm256_xor_si256(q, middle), _mm256_setzero_si256());
    const __m128i fours =
        _mm_add_epi32(_mm256_castsi256_si128(eights), _mm256_extracti128_si256(eights, 1));
    const int sum = _mm_cvtsi128_si32(fours) + _mm_extract_epi32(fours, 2);
    dst[i].minus_sum = 128 * static_cast<int>(RoundedBlock::kElements) - sum;
    const __m128i scale = _mm_cvtsi32_si128(half_at(src, offsetof(BlockQ8_0, scale)));
    dst[i].scale = _mm_cvtss_f32(_mm_cvtph_ps(scale));
  }
}

}  // namespace

void fill_integer(Numerics& table) {
  table.open_q8_0 = open_q8_0;
  table.dot_integer = dot_integer<Plain>;
}
#if NPU_SIMD_AVX512
void fill_vnni(Numerics& table) {
  table.open_q8_0 = open_q8_0;
  table.dot_integer = dot_integer<Vnni>;
}
#endif

#else
void fill_integer(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA && HWY_ARCH_X86

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

void simd_fill_integer(Numerics& table, SimdTarget target) {
  const FillPart avx3 =
      target == SimdTarget::kAvx3Vnni ? HWY_CHOOSE_AVX3(fill_vnni) : HWY_CHOOSE_AVX3(fill_integer);
  choose(target, avx3, HWY_CHOOSE_AVX2(fill_integer), &HWY_STATIC_DISPATCH(fill_integer))(table);
}

}  // namespace npu::model
#endif  // HWY_ONCE
