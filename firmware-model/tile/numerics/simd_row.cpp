// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the reductions over one row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_row.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"
#include "hwy/foreach_target.h"
// foreach_target.h comes first
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

// Running maximum that treats -0 and +0 as equal and keeps NaN apart.
struct MaxState {
  VF best;
  VF nan;  // a NaN in each lane that has seen one, else 0

  HWY_INLINE MaxState() : best(f32(-HUGE_VALF)), nan(hn::Zero(F32())) {}
  HWY_INLINE void take(VF x) {
    best = hn::IfThenElse(hn::Gt(x, best), x, best);
    nan = hn::IfThenElse(hn::IsNaN(x), x, nan);
  }
};

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
  MaxState s[4];
  size_t i = 0;
  for (; i + 4 * kN <= n; i += 4 * kN) {
    for (size_t v = 0; v < 4; ++v) s[v].take(hn::LoadU(d, a + i + v * kN));
  }
  for (; i + kN <= n; i += kN) s[0].take(hn::LoadU(d, a + i));
  if (i != n) {
    const VF x = load_part(d, a + i, n - i);
    s[0].take(hn::IfThenElse(hn::FirstN(d, n - i), x, f32(-HUGE_VALF)));
  }
  for (size_t v = 1; v < 4; ++v) {
    s[0].take(s[v].best);
    s[0].nan = hn::IfThenElse(hn::IsNaN(s[v].nan), s[v].nan, s[0].nan);
  }
  any_nan = !hn::AllFalse(d, hn::IsNaN(s[0].nan));
  HWY_ALIGN float lanes[kN];
  hn::Store(s[0].best, d, lanes);
  float best = lanes[0];
  for (size_t v = 1; v < kN; ++v) best = lanes[v] > best ? lanes[v] : best;
  return best;
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
    const VF p = canonical(hn::IfThenElse(hn::IsNaN(x), x, vec_exp_number(x)));
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

HWY_EXPORT(fill_row);

void simd_fill_row(Numerics& table) { HWY_DYNAMIC_DISPATCH(fill_row)(table); }

}  // namespace npu::model
#endif  // HWY_ONCE
