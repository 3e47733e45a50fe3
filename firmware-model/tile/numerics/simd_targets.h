// SPDX-License-Identifier: Apache-2.0
// Which of Highway's targets are compiled. Include before hwy/foreach_target.h.
//
// Only targets whose MulAdd is one rounding count. AVX3_DL adds nothing that this code uses over AVX3 (for VNNI see decision 0054); SVE has vectors of a size
// that is not known at compile time, which the register blocks need, and every SVE machine has NEON.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_TARGETS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_TARGETS_H_

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

// For use after hwy/highway.h, for the target that is being compiled.
#define NPU_SIMD_AVX512 (HWY_TARGET == HWY_AVX3)
#define NPU_SIMD_HAS_FMA \
  (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || (HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64))

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_TARGETS_H_
