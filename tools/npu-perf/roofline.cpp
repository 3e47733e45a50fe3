// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-perf/roofline.h"

#include <algorithm>

namespace npu::perf {

double Roof::at(double flops_per_byte) const {
  return std::min(flops_per_second, flops_per_byte * bytes_per_second);
}

std::optional<Roof> roof_of(const trace::DevicePeaks& peaks) {
  if (peaks.memory_bytes_per_second == 0 || peaks.macs_per_second == 0) return std::nullopt;
  Roof roof;
  roof.bytes_per_second = static_cast<double>(peaks.memory_bytes_per_second);
  roof.flops_per_second = 2.0 * static_cast<double>(peaks.macs_per_second);
  roof.flops_f32_per_second = 2.0 * static_cast<double>(peaks.macs_f32_per_second);
  roof.flops_bf16_per_second = 2.0 * static_cast<double>(peaks.macs_bf16_per_second);
  return roof;
}

double flat_for(const Roof& roof, double flops_per_second) {
  const double bf16 = roof.flops_bf16_per_second;
  return bf16 > 0 && flops_per_second <= bf16 ? bf16 : roof.flops_per_second;
}

Position position_of(const Sum& kernel, const Roof& roof) {
  Position position;
  if (kernel.total_ps == 0 || (kernel.bytes == 0 && kernel.macs == 0)) return position;
  const double flat = flat_for(roof, kernel.flops_per_second());
  if (kernel.bytes == 0) {
    position.limit = Limit::kArithmetic;
    position.of_roof = kernel.flops_per_second() / flat;
    return position;
  }
  position.flops_per_byte =
      2.0 * static_cast<double>(kernel.macs) / static_cast<double>(kernel.bytes);
  position.limit =
      position.flops_per_byte < flat / roof.bytes_per_second ? Limit::kMemory : Limit::kArithmetic;
  position.of_roof = position.limit == Limit::kMemory
                         ? kernel.bytes_per_second() / roof.bytes_per_second
                         : kernel.flops_per_second() / flat;
  return position;
}

const char* word_of(Limit limit) {
  switch (limit) {
    case Limit::kMemory:
      return "memory";
    case Limit::kArithmetic:
      return "arithmetic";
    case Limit::kNone:
      break;
  }
  return "none";
}

}  // namespace npu::perf
