// SPDX-License-Identifier: Apache-2.0
// The SIMD function table, put together from its parts for one of its targets.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "firmware-model/tile/numerics/simd_numerics.cpp"
#include "firmware-model/tile/numerics/simd_parts.h"
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/foreach_target.h>  // before every other use of Highway

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace npu::model {
namespace HWY_NAMESPACE {

#if NPU_SIMD_HAS_FMA
void fill_name(Numerics& table) { table.name = hwy::TargetName(HWY_TARGET); }
#else
void fill_name(Numerics&) {}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace npu::model
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace npu::model {
namespace {

NPU_SIMD_PART(fill_name)

#if HWY_ARCH_X86
// What the compiler may use in Highway's targets of these names: HWY_TARGET_STR_AVX2 and _AVX3 in hwy/ops/set_macros-inl.h.
bool has_avx2() {
  return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
         __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
         __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx") &&
         __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}
bool has_avx3() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
bool has_avx3_vnni() { return has_avx3() && __builtin_cpu_supports("avx512vnni"); }
#else
bool has_avx2() { return false; }
bool has_avx3() { return false; }
bool has_avx3_vnni() { return false; }
#endif

}  // namespace

std::span<const SimdTarget> simd_targets() {
  static constexpr SimdTarget kAll[] = {SimdTarget::kBaseline, SimdTarget::kAvx2, SimdTarget::kAvx3,
                                        SimdTarget::kAvx3Vnni};
  static const size_t known = has_avx3_vnni() ? 4 : has_avx3() ? 3 : has_avx2() ? 2 : 1;
  return {kAll, known};
}

Numerics make_simd_numerics(SimdTarget target) {
  Numerics t = scalar_numerics();
  simd_fill_name(t, target);
  simd_fill_mm(t, target);
  simd_fill_dot(t, target);
  simd_fill_layout(t, target);
  simd_fill_convert(t, target);
  simd_fill_small(t, target);
  simd_fill_blocks(t, target);
  simd_fill_encode(t, target);
  simd_fill_random(t, target);
  simd_fill_stream(t, target);
  simd_fill_stream_mx(t, target);
  simd_fill_integer(t, target);
  simd_fill_unary(t, target);
  simd_fill_binary(t, target);
  simd_fill_row(t, target);
  return t;
}

const Numerics& simd_numerics() {
  static const Numerics table = make_simd_numerics(simd_targets().back());
  return table;
}

}  // namespace npu::model
#endif  // HWY_ONCE
