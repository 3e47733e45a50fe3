// SPDX-License-Identifier: Apache-2.0
// The flags of CVT and STC.
#include "firmware-model/tile/rounding.h"

namespace npu::model {
namespace {

constexpr uint32_t kBf16 = 1u << NPU_DTYPE_BF16;
constexpr uint32_t kF16 = 1u << NPU_DTYPE_F16;
constexpr uint32_t kOcpMx = (1u << NPU_DTYPE_MX9) - (1u << NPU_DTYPE_MXFP8_E4M3);
constexpr uint32_t kMx = (1u << NPU_DTYPE_COUNT) - (1u << NPU_DTYPE_MXFP8_E4M3);

RandomTo random_to(uint8_t dtype) {
  switch (dtype) {
    case NPU_DTYPE_BF16:
      return RandomTo::kBf16;
    case NPU_DTYPE_F16:
      return RandomTo::kF16;
    case NPU_DTYPE_E4M3:
      return RandomTo::kE4m3;
    default:
      return RandomTo::kE5m2;
  }
}

bool is_in(uint32_t dtypes, const Operand& t) { return (dtypes >> t.dtype & 1) != 0; }

}  // namespace

bool resolve_rounding(Exec& exec, const Operand& d, const Operand& a, Rounding* out) {
  static_assert(static_cast<int>(ScaleRule::kCount) == NPU_SCALE_RULE_COUNT &&
                static_cast<int>(ScaleRule::kWide) == NPU_SCALE_RULE_WIDE);
  const uint32_t flags = exec.insn.flags;
  out->overflows = (flags & NPU_F_OVERFLOW) != 0;
  out->random = (flags & NPU_F_RANDOM) != 0;
  out->rule = static_cast<ScaleRule>((flags & NPU_F_SCALE_RULE_MASK) >> NPU_F_SCALE_RULE_SHIFT);
  out->seed = exec.scalar[0];
  out->first = exec.scalar[1];
  out->pitch = exec.scalar[2];
  if (out->overflows && !is_in(kFp8, d)) return exec.mismatch();
  if (out->random && !(is_in(kBf16 | kF16 | kFp8 | kMx, d) && is_in(kFloat, a)))
    return exec.mismatch();
  return out->rule == ScaleRule::kFloor || is_in(kOcpMx, d) || exec.mismatch();
}

void Rounding::narrow_row(const Numerics& numerics, uint8_t dtype, std::byte* to, const float* from,
                          size_t n, uint64_t i) const {
  if (random) return numerics.narrow_random(random_to(dtype), to, from, n, of_row(i), overflows);
  narrow(numerics, dtype, to, from, n, overflows);
}

}  // namespace npu::model
