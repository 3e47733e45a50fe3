// SPDX-License-Identifier: Apache-2.0
// Numbers for people: three digits and a prefix; and tables of them.
#pragma once

#include <string>
#include <vector>

namespace npu::perf {

// "1.23 T" + |unit|, "45.6 k" + |unit|, "0 " + |unit|.
std::string with_prefix(double value, const char* unit);
// Picoseconds as ps, ns, us, ms or s.
std::string duration(double ps);
// "12.3 %"
std::string percent(double share);

using Row = std::vector<std::string>;
// Rows of equal length, one at least. Names stand left, numbers right.
std::string align(const std::vector<Row>& rows);

}  // namespace npu::perf
