// SPDX-License-Identifier: Apache-2.0
// The target that is chosen without libhwy.so is the one that Highway would choose.
#include <gtest/gtest.h>

// Highway takes the same targets as the library only when this comes before it.
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/highway.h>

#include "firmware-model/tile/numerics/simd_parts.h"

namespace npu::model {
namespace {

int64_t bit_of(SimdTarget target) {
  switch (target) {
    case SimdTarget::kAvx3:
      return HWY_AVX3;
    case SimdTarget::kAvx2:
      return HWY_AVX2;
    case SimdTarget::kBaseline:
      return HWY_STATIC_TARGET;
  }
  return 0;
}

TEST(SimdTargets, AreThoseThatHighwayFinds) {
  int64_t ours = 0;
  for (const SimdTarget target : simd_targets()) ours |= bit_of(target);
  EXPECT_EQ(ours, (hwy::SupportedTargets() & HWY_TARGETS) | HWY_STATIC_TARGET);
}

TEST(SimdTargets, TheBestOneIsTaken) {
  const SimdTarget best = simd_targets().back();
  EXPECT_STREQ(simd_numerics().name, make_simd_numerics(best).name);
  if (best != SimdTarget::kBaseline) {
    EXPECT_STREQ(simd_numerics().name, hwy::TargetName(bit_of(best)));
  }
}

}  // namespace
}  // namespace npu::model
