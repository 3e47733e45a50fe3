// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of panel packing and transposition.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_layout.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_small-inl.h"
#include "firmware-model/tile/numerics/simd_transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

// How an element type is read as 32-bit lanes, and written back.
struct Bits32 {
  using T = uint32_t;
  static HWY_INLINE VU load(const T* p) { return hn::LoadU(U32(), p); }
  static HWY_INLINE VU part(const T* p, size_t n) { return load_part(U32(), p, n); }
  static HWY_INLINE void store(VU v, T* p) { hn::StoreU(v, U32(), p); }
  static HWY_INLINE void store(VU v, T* p, size_t n) { store_part(v, U32(), p, n); }
};
struct Bits16 {
  using T = uint16_t;
  static HWY_INLINE VU load(const T* p) { return hn::PromoteTo(U32(), hn::LoadU(U16(), p)); }
  static HWY_INLINE VU part(const T* p, size_t n) {
    return hn::PromoteTo(U32(), load_part(U16(), p, n));
  }
  static HWY_INLINE void store(VU v, T* p) { hn::StoreU(low_half(v), U16(), p); }
  static HWY_INLINE void store(VU v, T* p, size_t n) { store_part(low_half(v), U16(), p, n); }
};
struct Bits8 {
  using T = uint8_t;
  static HWY_INLINE VU load(const T* p) { return hn::PromoteTo(U32(), hn::LoadU(U8(), p)); }
  static HWY_INLINE VU part(const T* p, size_t n) {
    return hn::PromoteTo(U32(), load_part(U8(), p, n));
  }
  static HWY_INLINE void store(VU v, T* p) { hn::StoreU(low_byte(v), U8(), p); }
  static HWY_INLINE void store(VU v, T* p, size_t n) { store_part(low_byte(v), U8(), p, n); }
};
struct Bf16AsF32 {
  using T = uint16_t;
  static HWY_INLINE VU load(const T* p) {
    return hn::BitCast(U32(), vec_from_bf16(hn::LoadU(U16(), p)));
  }
  static HWY_INLINE VU part(const T* p, size_t n) {
    return hn::BitCast(U32(), vec_from_bf16(load_part(U16(), p, n)));
  }
};
struct F16AsF32 {
  using T = uint16_t;
  static HWY_INLINE VU load(const T* p) {
    return hn::BitCast(U32(), vec_from_f16(hn::LoadU(U16(), p)));
  }
  static HWY_INLINE VU part(const T* p, size_t n) {
    return hn::BitCast(U32(), vec_from_f16(load_part(U16(), p, n)));
  }
};

template <class From>
struct SmallAsF32 {
  using T = uint8_t;
  static HWY_INLINE VU load(const T* p) {
    return hn::BitCast(U32(), From::widen(hn::LoadU(U8(), p)));
  }
  static HWY_INLINE VU part(const T* p, size_t n) {
    return hn::BitCast(U32(), From::widen(load_part(U8(), p, n)));
  }
};

// One square: rows src + j * lds, j < rows; result row i to dst + i * ldd, i < cols, |width| values each (the rest stay as they are).
template <class From, class To>
HWY_INLINE void square(typename To::T* dst, size_t ldd, const typename From::T* src, size_t lds,
                       size_t rows, size_t cols, size_t width) {
  VU v[kN];
  if (HWY_LIKELY(rows == kN && cols == kN && width == kN)) {
#pragma GCC unroll 16
    for (size_t j = 0; j < kN; ++j) v[j] = From::load(src + j * lds);
    transpose_square(v);
#pragma GCC unroll 16
    for (size_t i = 0; i < kN; ++i) To::store(v[i], dst + i * ldd);
    return;
  }
  HWY_ALIGN uint32_t buffer[kN * kN];
  for (size_t j = 0; j < kN; ++j)
    v[j] = j < rows ? From::part(src + j * lds, cols) : hn::Zero(U32());
  transpose_square(v);
  for (size_t i = 0; i < kN; ++i) hn::Store(v[i], U32(), buffer + i * kN);
  for (size_t i = 0; i < cols; ++i) {
    const VU row = hn::Load(U32(), buffer + i * kN);
    if (width == kN) {
      To::store(row, dst + i * ldd);
    } else {
      To::store(row, dst + i * ldd, width);
    }
  }
}

template <class From, class To>
HWY_NOINLINE void pack_transposed(typename To::T* dst, const PackArgs& g) {
  const auto* src = static_cast<const typename From::T*>(g.src);
  for (size_t j = 0; j < (g.n + 15) / 16 * 16; j += kN) {
    const size_t rows = j < g.n ? HWY_MIN(g.n - j, kN) : 0;
    const typename From::T* from = rows != 0 ? src + j * g.ld : src;
    typename To::T* to = dst + (j / 16) * g.dst_panel_stride + j % 16;
    for (size_t k = 0; k < g.k; k += kN) {
      square<From, To>(to + k * 16, 16, from + (rows != 0 ? k : 0), g.ld, rows,
                       HWY_MIN(g.k - k, kN), kN);
    }
  }
}

// Rows k .. k + depth of the source, all panels. A few rows at a time: both sides stay within a few cache lines.
template <class From, class To>
HWY_INLINE void pack_some_rows(typename To::T* dst, const PackArgs& g, size_t k, size_t depth) {
  const auto* src = static_cast<const typename From::T*>(g.src) + k * g.ld;
  dst += k * 16;
  size_t j = 0;
  for (; j + 16 <= g.n; j += 16, dst += g.dst_panel_stride) {
    for (size_t i = 0; i < depth; ++i) {
      for (size_t v = 0; v < 16; v += kN) {
        To::store(From::load(src + i * g.ld + j + v), dst + i * 16 + v);
      }
    }
  }
  for (size_t i = 0; j < g.n && i < depth; ++i) {
    for (size_t v = 0; v < 16; v += kN) {
      const size_t count = j + v < g.n ? HWY_MIN(g.n - j - v, kN) : 0;
      const VU x = count != 0 ? From::part(src + i * g.ld + j + v, count) : hn::Zero(U32());
      To::store(x, dst + i * 16 + v);
    }
  }
}

template <class From, class To>
HWY_NOINLINE void pack_rows(typename To::T* dst, const PackArgs& g) {
  constexpr size_t kStep = 16;
  for (size_t k = 0; k < g.k; k += kStep) {
    pack_some_rows<From, To>(dst, g, k, HWY_MIN(g.k - k, kStep));
  }
}

template <class From, class To>
HWY_INLINE void pack(typename To::T* dst, const PackArgs& g) {
  (g.transposed ? pack_transposed<From, To> : pack_rows<From, To>)(dst, g);
}

void pack_panel(float* dst, const PackArgs& g) {
  auto* bits = reinterpret_cast<uint32_t*>(dst);
  switch (g.elem) {
    case Elem::kF32:
      return pack<Bits32, Bits32>(bits, g);
    case Elem::kBf16:
      return pack<Bf16AsF32, Bits32>(bits, g);
    case Elem::kF16:
      return pack<F16AsF32, Bits32>(bits, g);
    case Elem::kE4m3:
      return pack<SmallAsF32<FromE4m3>, Bits32>(bits, g);
    case Elem::kE5m2:
      return pack<SmallAsF32<FromE5m2>, Bits32>(bits, g);
    case Elem::kI8:
      return pack<SmallAsF32<FromI8>, Bits32>(bits, g);
  }
}

void pack_panel_u16(uint16_t* dst, const PackArgs& g) { pack<Bits16, Bits16>(dst, g); }
void pack_panel_u8(uint8_t* dst, const PackArgs& g) { pack<Bits8, Bits8>(dst, g); }

template <class Bits>
void transpose(typename Bits::T* dst, size_t ldd, const typename Bits::T* src, size_t lds,
               size_t rows, size_t cols) {
  for (size_t i = 0; i < rows; i += kN) {
    const size_t r = HWY_MIN(rows - i, kN);
    for (size_t j = 0; j < cols; j += kN) {
      square<Bits, Bits>(dst + j * ldd + i, ldd, src + i * lds + j, lds, r, HWY_MIN(cols - j, kN),
                         r);
    }
  }
}

}  // namespace

void fill_layout(Numerics& table) {
  table.pack_panel = pack_panel;
  table.pack_panel_u16 = pack_panel_u16;
  table.pack_panel_u8 = pack_panel_u8;
  table.transpose_u32 = transpose<Bits32>;
  table.transpose_u16 = transpose<Bits16>;
  table.transpose_u8 = transpose<Bits8>;
}

#else
void fill_layout(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_layout)

}  // namespace npu::model
#endif  // HWY_ONCE
