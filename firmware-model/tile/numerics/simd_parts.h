// SPDX-License-Identifier: Apache-2.0
// Each simd_*.cpp file fills in its part of the table for one of Highway's targets; where that has no fused multiply-add it leaves the entries as they are.
//
// The target is chosen here and not by Highway: its choice is in libhwy.so.1, which measures a clock for 3.6 ms in every process that loads it, as seen with 1.0.3. A test holds this choice to Highway's.
#ifndef NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_PARTS_H_
#define NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_PARTS_H_

#include <span>

#include "firmware-model/tile/numerics/numerics.h"

namespace npu::model {

// What the compiler may use everywhere (of aarch64: NEON), and what is beyond that. kAvx3Vnni: Highway's AVX3, with AVX512-VNNI for products of integers (decision 0054).
enum class SimdTarget : uint8_t { kBaseline, kAvx2, kAvx3, kAvx3Vnni };

// Those that this processor has, the best one last.
std::span<const SimdTarget> simd_targets();

using FillPart = void (*)(Numerics& table);
// Of a target that was not compiled there is nullptr; then the baseline is used.
inline FillPart choose(SimdTarget target, FillPart avx3, FillPart avx2, FillPart baseline) {
  const FillPart found = target >= SimdTarget::kAvx3   ? avx3
                         : target == SimdTarget::kAvx2 ? avx2
                                                       : baseline;
  return found != nullptr ? found : baseline;
}
// Once in a file, where HWY_ONCE: simd_|part| from the |part| of each target.
#define NPU_SIMD_PART(part)                                      \
  void simd_##part(Numerics& table, SimdTarget target) {         \
    choose(target, HWY_CHOOSE_AVX3(part), HWY_CHOOSE_AVX2(part), \
           &HWY_STATIC_DISPATCH(part))(table);                   \
  }

void simd_fill_mm(Numerics& table, SimdTarget target);
void simd_fill_dot(Numerics& table, SimdTarget target);
void simd_fill_layout(Numerics& table, SimdTarget target);
void simd_fill_convert(Numerics& table, SimdTarget target);
void simd_fill_small(Numerics& table, SimdTarget target);
void simd_fill_blocks(Numerics& table, SimdTarget target);
void simd_fill_encode(Numerics& table, SimdTarget target);
void simd_fill_random(Numerics& table, SimdTarget target);
void simd_fill_stream(Numerics& table, SimdTarget target);
void simd_fill_stream_mx(Numerics& table, SimdTarget target);
void simd_fill_integer(Numerics& table, SimdTarget target);
void simd_fill_unary(Numerics& table, SimdTarget target);
void simd_fill_binary(Numerics& table, SimdTarget target);
void simd_fill_row(Numerics& table, SimdTarget target);

// A new table. simd_numerics() keeps that of the best target; tests make one for each.
Numerics make_simd_numerics(SimdTarget target);

}  // namespace npu::model

#endif  // NPU_FIRMWARE_MODEL_TILE_NUMERICS_SIMD_PARTS_H_
