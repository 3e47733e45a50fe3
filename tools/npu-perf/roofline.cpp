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
  for (size_t i = 0; i < roof.flops_of_type.size(); i++)
    roof.flops_of_type[i] = 2.0 * static_cast<double>(peaks.*trace::kTypePeaks[i].macs_per_second);
  return roof;
}

Position position_of(const Sum& kernel, const Roof& roof) {
  Position position;
  if (kernel.total_ps == 0 || (kernel.bytes == 0 && kernel.macs == 0)) return position;
  if (kernel.bytes != 0)
    position.flops_per_byte =
        2.0 * static_cast<double>(kernel.macs) / static_cast<double>(kernel.bytes);
  if (kernel.untold != 0) {
    position.limit = Limit::kUnknown;
    return position;
  }
  // On the slope is who comes nearer to the bandwidth than to the peak.
  const double of_bandwidth = kernel.bytes_per_second() / roof.bytes_per_second;
  position.limit = of_bandwidth > kernel.of_peak() ? Limit::kMemory : Limit::kArithmetic;
  position.of_roof = std::max(of_bandwidth, kernel.of_peak());
  return position;
}

const char* word_of(Limit limit) {
  switch (limit) {
    case Limit::kMemory:
      return "memory";
    case Limit::kArithmetic:
      return "arithmetic";
    case Limit::kUnknown:
      return "unknown";
    case Limit::kNone:
      break;
  }
  return "none";
}

}  // namespace npu::perf
