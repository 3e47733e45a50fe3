// SPDX-License-Identifier: Apache-2.0
// Numbers for people: three digits and a prefix.
#pragma once

#include <string>

namespace npu::perf {

// "1.23 T" + |unit|, "45.6 k" + |unit|, "0 " + |unit|.
std::string with_prefix(double value, const char* unit);
// Picoseconds as ps, ns, us, ms or s.
std::string duration(double ps);

}  // namespace npu::perf
