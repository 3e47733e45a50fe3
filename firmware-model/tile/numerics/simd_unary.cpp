// SPDX-License-Identifier: Apache-2.0
// SIMD implementation of the unary operations.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_unary.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include "firmware-model/tile/numerics/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
namespace {

#define NPU_UNARY(Name, expression)                             \
  struct Name {                                                 \
    HWY_INLINE VF operator()(VF x) const { return expression; } \
  }

NPU_UNARY(NegOp, canonical(hn::Neg(x)));
NPU_UNARY(AbsOp, canonical(hn::Abs(x)));
NPU_UNARY(ReluOp, vec_max(x, hn::Zero(F32())));
NPU_UNARY(ExpOp, vec_exp(x));
NPU_UNARY(LogOp, vec_log(x));
NPU_UNARY(SqrtOp, canonical(hn::Sqrt(x)));
NPU_UNARY(RsqrtOp, canonical(hn::Div(f32(1.0f), hn::Sqrt(x))));
NPU_UNARY(RcpOp, canonical(hn::Div(f32(1.0f), x)));
NPU_UNARY(TanhOp, vec_tanh(x));
NPU_UNARY(SigmoidOp, vec_gate(f32(1.0f), x));
NPU_UNARY(ErfOp, vec_erf(x));
NPU_UNARY(GeluOp, vec_gelu(x));
NPU_UNARY(GeluErfOp, vec_gelu_erf(x));
NPU_UNARY(SiluOp, vec_gate(x, x));
NPU_UNARY(SinOp, vec_sin(x));
NPU_UNARY(CosOp, vec_cos(x));
#undef NPU_UNARY

template <class Op>
HWY_NOINLINE void each(float* dst, const float* a, size_t n) {
  map(F32(), dst, F32(), a, n, Op());
}

void unary(UnaryOp op, float* dst, const float* a, size_t n) {
  using Fn = void (*)(float*, const float*, size_t);
  static constexpr Fn kTable[] = {each<NegOp>,     each<AbsOp>,     each<ReluOp>,  each<ExpOp>,
                                  each<LogOp>,     each<SqrtOp>,    each<RsqrtOp>, each<RcpOp>,
                                  each<TanhOp>,    each<SigmoidOp>, each<ErfOp>,   each<GeluOp>,
                                  each<GeluErfOp>, each<SiluOp>,    each<SinOp>,   each<CosOp>};
  static_assert(std::size(kTable) == static_cast<size_t>(UnaryOp::kCount));
  kTable[static_cast<size_t>(op)](dst, a, n);
}

}  // namespace

void fill_unary(Numerics& table) { table.unary = unary; }

#else
void fill_unary(Numerics&) {}
#endif  // NPU_SIMD_HAS_FMA

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {

NPU_SIMD_PART(fill_unary)

}  // namespace npu::model
#endif  // HWY_ONCE
