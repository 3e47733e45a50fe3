// SPDX-License-Identifier: Apache-2.0
#include "tools/npu-trace/rate.h"

#include <algorithm>

namespace npu::trace {

void Rate::add(int64_t from_ns, int64_t duration_ns, uint64_t amount) {
  int64_t to_ns = 0;
  if (duration_ns <= 0 || amount == 0 || __builtin_add_overflow(from_ns, duration_ns, &to_ns)) {
    return;
  }
  const double per_second = static_cast<double>(amount) * 1e9 / static_cast<double>(duration_ns);
  changes_.push_back({from_ns, per_second, 1});
  changes_.push_back({to_ns, -per_second, -1});
}

std::vector<Rate::Step> Rate::steps() const {
  std::vector<Change> changes = changes_;
  std::stable_sort(changes.begin(), changes.end(),
                   [](const Change& a, const Change& b) { return a.at_ns < b.at_ns; });
  std::vector<Step> steps;
  double rate = 0;
  int64_t running = 0;
  for (size_t i = 0; i < changes.size(); i++) {
    rate += changes[i].per_second;
    running += changes[i].begins;
    if (running == 0) rate = 0;  // no rest of rounded sums
    const bool more = i + 1 < changes.size() && changes[i + 1].at_ns == changes[i].at_ns;
    const double before = steps.empty() ? 0 : steps.back().per_second;
    if (!more && rate != before) steps.push_back({changes[i].at_ns, rate});
  }
  return steps;
}

}  // namespace npu::trace
