// SPDX-License-Identifier: Apache-2.0
// The target that is chosen without libhwy.so is the one that Highway would choose.
#include <gtest/gtest.h>

// Highway takes the same targets as the library only when this comes before it.
#include "firmware-model/tile/numerics/simd_targets.h"

#include <hwy/highway.h>

#include <fstream>
#include <iterator>
#include <string>

#include "firmware-model/tile/numerics/simd_parts.h"

namespace npu::model {
namespace {

int64_t bit_of(SimdTarget target) {
  switch (target) {
    case SimdTarget::kAvx3Vnni:  // of which Highway knows nothing
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

#if HWY_ARCH_X86
TEST(SimdTargets, VnniIsTakenWhereTheKernelListsIt) {
  std::ifstream cpuinfo("/proc/cpuinfo");
  const std::string text{std::istreambuf_iterator<char>(cpuinfo), {}};
  ASSERT_NE(text.find("flags"), std::string::npos);
  const bool listed =
      text.find("avx512_vnni") != std::string::npos && (hwy::SupportedTargets() & HWY_AVX3) != 0;
  EXPECT_EQ(simd_targets().back() == SimdTarget::kAvx3Vnni, listed);
}

TEST(SimdTargets, ProductsOfIntegersAreVnnisOwn) {
  if (simd_targets().back() != SimdTarget::kAvx3Vnni)
    GTEST_SKIP() << "this processor has no AVX512-VNNI";
  EXPECT_NE(make_simd_numerics(SimdTarget::kAvx3Vnni).dot_integer,
            make_simd_numerics(SimdTarget::kAvx3).dot_integer);
}
#endif

}  // namespace
}  // namespace npu::model
