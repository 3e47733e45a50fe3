// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the reductions over one row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_row.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

// The 16 lanes of a sum, fed with 16 elements a step.
struct Lanes {
  VF v[kTreeVecs];

  HWY_INLINE Lanes() {
    for (VF& lane : v) lane = hn::Zero(F32());
  }
  HWY_INLINE float total() const { return canonical_value(tree(v)); }
};

struct AddStep {
  HWY_INLINE VF operator()(VF acc, VF x) const { return hn::Add(acc, x); }
};
struct SquareStep {
  HWY_INLINE VF operator()(VF acc, VF x) const { return hn::MulAdd(x, x, acc); }
};

// The last |n| < 16 elements: a lane without an element stays as it is.
template <class Step>
HWY_INLINE void lanes_tail(Lanes& lanes, const float* a, size_t n, const Step& step) {
  const F32 d;
  for (size_t v = 0; v < kTreeVecs && n > v * kN; ++v) {
    const size_t count = HWY_MIN(n - v * kN, kN);
    const VF next = step(lanes.v[v], load_part(d, a + v * kN, count));
    lanes.v[v] = hn::IfThenElse(hn::FirstN(d, count), next, lanes.v[v]);
  }
}

template <class Step>
HWY_INLINE float reduce(const float* a, size_t n) {
  const Step step;
  Lanes lanes;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t v = 0; v < kTreeVecs; ++v)
      lanes.v[v] = step(lanes.v[v], hn::LoadU(F32(), a + i + v * kN));
  }
  lanes_tail(lanes, a + i, n - i, step);
  return lanes.total();
}

float sum(const float* a, size_t n) { return reduce<AddStep>(a, n); }
float sum_squares(const float* a, size_t n) { return reduce<SquareStep>(a, n); }

// The larger of two; -0 and +0 count as equal, a NaN in |x| is passed over.
HWY_INLINE VF larger(VF x, VF best) {
#if HWY_ARCH_X86
  return hn::Max(x, best);  // x > best ? x : best
#else
  return hn::IfThenElse(hn::Gt(x, best), x, best);
#endif
}

bool has_positive_zero(const float* a, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, a + i, sizeof(bits));
    if (bits == 0) return true;
  }
  return false;
}

// Largest number of the row, NaNs passed over; |any_nan| says whether there was one.
HWY_INLINE float max_number(const float* a, size_t n, bool& any_nan) {
  const F32 d;
  const VF low = f32(-HUGE_VALF);
  VF best[4] = {low, low, low, low};
  auto nan = hn::IsNaN(low);
  size_t i = 0;
  for (; i + 4 * kN <= n; i += 4 * kN) {
    for (size_t v = 0; v < 4; ++v) {
      const VF x = hn::LoadU(d, a + i + v * kN);
      best[v] = larger(x, best[v]);
      nan = hn::Or(nan, hn::IsNaN(x));
    }
  }
  for (; i + kN <= n; i += kN) {
    const VF x = hn::LoadU(d, a + i);
    best[0] = larger(x, best[0]);
    nan = hn::Or(nan, hn::IsNaN(x));
  }
  if (i != n) {
    const VF x = hn::IfThenElse(hn::FirstN(d, n - i), load_part(d, a + i, n - i), low);
    best[0] = larger(x, best[0]);
    nan = hn::Or(nan, hn::IsNaN(x));
  }
  any_nan = !hn::AllFalse(d, nan);
  return hn::GetLane(hn::MaxOfLanes(d, larger(larger(best[0], best[1]), larger(best[2], best[3]))));
}

float max(const float* a, size_t n) {
  bool any_nan;
  const float best = max_number(a, n, any_nan);
  if (any_nan) return canonical_value(__builtin_nanf(""));
  if (best == 0.0f) return has_positive_zero(a, n) ? 0.0f : -0.0f;
  return best;
}

size_t argmax(const float* a, size_t n) {
  const F32 d;
  bool any_nan;
  const float best = max_number(a, n, any_nan);
  const VF wanted = f32(best);
  size_t i = 0;
  for (; i + kN <= n; i += kN) {
    if (!hn::AllFalse(d, hn::Eq(hn::LoadU(d, a + i), wanted))) break;
  }
  for (; i < n; ++i) {
    if (a[i] == best) return i;
  }
  return 0;
}

struct ScaleOp {
  VF scale;
  HWY_INLINE VF operator()(VF x) const { return canonical(hn::Mul(x, scale)); }
};

float scale_max(float* dst, const float* a, float scale, size_t n) {
  map(F32(), dst, F32(), a, n, ScaleOp{f32(scale)});
  return max(dst, n);
}

struct ExpSub {
  VF m;
  HWY_INLINE VF operator()(VF s) const {
    const VF x = hn::Sub(s, m);
    const VF p = vec_exp(x);
    return hn::IfThenElse(hn::Eq(s, f32(-HUGE_VALF)), hn::Zero(F32()), p);
  }
};

float exp_sub_sum(float* p, const float* s, float m, size_t n) {
  const F32 d;
  const ExpSub op{f32(m)};
  Lanes lanes;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t v = 0; v < kTreeVecs; ++v) {
      const VF x = op(hn::LoadU(d, s + i + v * kN));
      hn::StoreU(x, d, p + i + v * kN);
      lanes.v[v] = hn::Add(lanes.v[v], x);
    }
  }
  const size_t rest = n - i;
  if (rest != 0) {
    map(d, p + i, d, s + i, rest, op);
    lanes_tail(lanes, p + i, rest, AddStep());
  }
  return lanes.total();
}

}  // namespace

void fill_row(Numerics& table) {
  table.sum = sum;
  table.sum_squares = sum_squares;
  table.max = max;
  table.argmax = argmax;
  table.scale_max = scale_max;
  table.exp_sub_sum = exp_sub_sum;
}

#else
void fill_row(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_row)

}  // namespace npu::model
#endif  // HWY_ONCE
