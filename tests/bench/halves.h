// SPDX-License-Identifier: Apache-2.0
// The CPUs of the two hosts that a cable joins (decision 0076): one half each of those that this process may use.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string>
#include <vector>

namespace npu::bench {

// Empty: there is one CPU for both.
inline std::vector<int> cpus_of_half(uint32_t half) {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof(usable), &usable) != 0) return {};
  std::vector<int> all;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &usable)) all.push_back(cpu);
  }
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  if (middle == all.begin()) return {};
  return half == 0 ? std::vector<int>(all.begin(), middle) : std::vector<int>(middle, all.end());
}

// Words before a command that is to run there.
inline std::string on_half(uint32_t half) {
  std::string list;
  for (const int cpu : cpus_of_half(half)) list += (list.empty() ? "" : ",") + std::to_string(cpu);
  return list.empty() ? "" : "taskset -c " + list + " ";
}

// The calling thread, and what it starts.
inline void move_to_half(uint32_t half) {
  cpu_set_t own;
  CPU_ZERO(&own);
  for (const int cpu : cpus_of_half(half)) CPU_SET(cpu, &own);
  if (CPU_COUNT(&own) != 0) sched_setaffinity(0, sizeof(own), &own);
}

}  // namespace npu::bench
