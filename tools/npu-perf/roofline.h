// SPDX-License-Identifier: Apache-2.0
// Roofline: how near a kernel came to what the device can do with so much arithmetic for each byte of device memory. Pure functions.
#pragma once

#include <array>
#include <iterator>
#include <optional>

#include "tools/npu-perf/usage.h"

namespace npu::perf {

// Of one device. A multiply-add counts as two operations.
struct Roof {
  double bytes_per_second = 0;
  double flops_per_second = 0;  // in the type that the tensor units are fastest with
  std::array<double, std::size(trace::kTypePeaks)> flops_of_type{};  // 0: not told

  // Operations a byte from which on arithmetic is the limit.
  double ridge() const { return flops_per_second / bytes_per_second; }
  double at(double flops_per_byte) const;
};

// Nothing where the device does not tell its peaks.
std::optional<Roof> roof_of(const trace::DevicePeaks& peaks);

// kUnknown: it multiplies, and the recording does not tell at which peak.
enum class Limit { kNone, kMemory, kArithmetic, kUnknown };

struct Position {
  double flops_per_byte = 0;  // 0 where it moves no bytes or multiplies nothing
  Limit limit = Limit::kNone;
  double of_roof =
      0;  // 0..1: reached, of what the limit allows; the peak is that of the types which the kernel multiplies
};

Position position_of(const Sum& kernel, const Roof& roof);

const char* word_of(Limit limit);

}  // namespace npu::perf
