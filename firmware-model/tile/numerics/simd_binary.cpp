// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the operations with two and three operands, masking and pair rotation.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_binary.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

struct AddOp {
  HWY_INLINE VF operator()(VF a, VF b) const { return canonical(hn::Add(a, b)); }
};
struct SubOp {
  HWY_INLINE VF operator()(VF a, VF b) const { return canonical(hn::Sub(a, b)); }
};
struct MulOp {
  HWY_INLINE VF operator()(VF a, VF b) const { return canonical(hn::Mul(a, b)); }
};
struct DivOp {
  HWY_INLINE VF operator()(VF a, VF b) const { return canonical(hn::Div(a, b)); }
};
struct MaxOp {
  HWY_INLINE VF operator()(VF a, VF b) const { return vec_max(a, b); }
};
struct MinOp {
  HWY_INLINE VF operator()(VF a, VF b) const { return vec_min(a, b); }
};

template <class Op>
HWY_NOINLINE void each_array(float* dst, const float* a, const float* b, size_t n) {
  const F32 d;
  const Op op;
  size_t i = 0;
  for (; i + kN <= n; i += kN) hn::StoreU(op(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, dst + i);
  if (i != n)
    store_part(op(load_part(d, a + i, n - i), load_part(d, b + i, n - i)), d, dst + i, n - i);
}

template <class Op>
HWY_NOINLINE void each_scalar(float* dst, const float* a, float b, size_t n) {
  const F32 d;
  const Op op;
  const VF vb = f32(b);
  size_t i = 0;
  for (; i + kN <= n; i += kN) hn::StoreU(op(hn::LoadU(d, a + i), vb), d, dst + i);
  if (i != n) store_part(op(load_part(d, a + i, n - i), vb), d, dst + i, n - i);
}

void binary(BinaryOp op, float* dst, const float* a, const float* b, size_t n) {
  using Fn = void (*)(float*, const float*, const float*, size_t);
  static constexpr Fn kTable[] = {each_array<AddOp>, each_array<SubOp>, each_array<MulOp>,
                                  each_array<DivOp>, each_array<MaxOp>, each_array<MinOp>};
  static_assert(std::size(kTable) == static_cast<size_t>(BinaryOp::kCount));
  kTable[static_cast<size_t>(op)](dst, a, b, n);
}

void binary_scalar(BinaryOp op, float* dst, const float* a, float b, size_t n) {
  using Fn = void (*)(float*, const float*, float, size_t);
  static constexpr Fn kTable[] = {each_scalar<AddOp>, each_scalar<SubOp>, each_scalar<MulOp>,
                                  each_scalar<DivOp>, each_scalar<MaxOp>, each_scalar<MinOp>};
  static_assert(std::size(kTable) == static_cast<size_t>(BinaryOp::kCount));
  kTable[static_cast<size_t>(op)](dst, a, b, n);
}

// An operand that is an array, or one value for all elements.
template <bool kArray>
struct Operand {
  const float* p;
  VF value;
  HWY_INLINE VF at(size_t i) const {
    if constexpr (kArray) return hn::LoadU(F32(), p + i);
    return value;
  }
  HWY_INLINE VF part(size_t i, size_t n) const {
    if constexpr (kArray) return load_part(F32(), p + i, n);
    return value;
  }
};

template <bool kArrayB, bool kArrayC>
HWY_NOINLINE void fma_each(float* dst, const float* a, const float* pb, float vb, const float* pc,
                           float vc, size_t n) {
  const F32 d;
  const Operand<kArrayB> b{pb, f32(vb)};
  const Operand<kArrayC> c{pc, f32(vc)};
  size_t i = 0;
  for (; i + kN <= n; i += kN) {
    hn::StoreU(canonical(hn::MulAdd(hn::LoadU(d, a + i), b.at(i), c.at(i))), d, dst + i);
  }
  const size_t rest = n - i;
  if (rest != 0) {
    const VF v = hn::MulAdd(load_part(d, a + i, rest), b.part(i, rest), c.part(i, rest));
    store_part(canonical(v), d, dst + i, rest);
  }
}

void fma(float* dst, const float* a, const float* b, float b_value, const float* c, float c_value,
         size_t n) {
  const auto fn = b != nullptr ? (c != nullptr ? fma_each<true, true> : fma_each<true, false>)
                               : (c != nullptr ? fma_each<false, true> : fma_each<false, false>);
  fn(dst, a, b, b_value, c, c_value, n);
}

// How many j in [0, n) have j0 + j < bound, in exact integers.
HWY_INLINE size_t count_below(int64_t bound, int64_t j0, size_t n) {
  if (bound <= j0) return 0;
  return static_cast<size_t>(
      HWY_MIN(static_cast<uint64_t>(bound) - static_cast<uint64_t>(j0), uint64_t{n}));
}

void mask_row(float* dst, const float* src, size_t n, int64_t j0, int64_t lo, int64_t limit,
              float value) {
  size_t first = count_below(lo, j0, n);
  size_t end = count_below(limit, j0, n);
  if (limit >= j0 && end < n) ++end;
  if (end < first) first = end;
  for (size_t j = 0; j < first; ++j) dst[j] = value;
  if (dst != src && end > first)
    std::memcpy(dst + first, src + first, (end - first) * sizeof(float));
  for (size_t j = end; j < n; ++j) dst[j] = value;
}

struct Pair {
  VF x, y;
};

HWY_INLINE Pair rotate(VF x, VF y, VF cos, VF sin) {
  return {canonical(hn::MulSub(x, cos, hn::Mul(y, sin))),
          canonical(hn::MulAdd(x, sin, hn::Mul(y, cos)))};
}

void rope_half(float* dst, const float* src, const float* cos, const float* sin, size_t pairs) {
  const F32 d;
  size_t i = 0;
  for (; i + kN <= pairs; i += kN) {
    const Pair r = rotate(hn::LoadU(d, src + i), hn::LoadU(d, src + pairs + i),
                          hn::LoadU(d, cos + i), hn::LoadU(d, sin + i));
    hn::StoreU(r.x, d, dst + i);
    hn::StoreU(r.y, d, dst + pairs + i);
  }
  const size_t rest = pairs - i;
  if (rest != 0) {
    const Pair r = rotate(load_part(d, src + i, rest), load_part(d, src + pairs + i, rest),
                          load_part(d, cos + i, rest), load_part(d, sin + i, rest));
    store_part(r.x, d, dst + i, rest);
    store_part(r.y, d, dst + pairs + i, rest);
  }
}

void rope_neighbours(float* dst, const float* src, const float* cos, const float* sin,
                     size_t pairs) {
  const F32 d;
  size_t i = 0;
  VF x, y;
  for (; i + kN <= pairs; i += kN) {
    hn::LoadInterleaved2(d, src + 2 * i, x, y);
    const Pair r = rotate(x, y, hn::LoadU(d, cos + i), hn::LoadU(d, sin + i));
    hn::StoreInterleaved2(r.x, r.y, d, dst + 2 * i);
  }
  const size_t rest = pairs - i;
  if (rest != 0) {
    HWY_ALIGN float buffer[2 * kN] = {};
    std::memcpy(buffer, src + 2 * i, 2 * rest * sizeof(float));
    hn::LoadInterleaved2(d, buffer, x, y);
    const Pair r = rotate(x, y, load_part(d, cos + i, rest), load_part(d, sin + i, rest));
    hn::StoreInterleaved2(r.x, r.y, d, buffer);
    std::memcpy(dst + 2 * i, buffer, 2 * rest * sizeof(float));
  }
}

void rope_row(float* dst, const float* src, const float* cos, const float* sin, size_t d,
              bool half) {
  (half ? rope_half : rope_neighbours)(dst, src, cos, sin, d / 2);
}

}  // namespace

void fill_binary(Numerics& table) {
  table.binary = binary;
  table.binary_scalar = binary_scalar;
  table.fma = fma;
  table.mask_row = mask_row;
  table.rope_row = rope_row;
}

#else
void fill_binary(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_binary)

}  // namespace npu::model
#endif  // HWY_ONCE
