// SPDX-License-Identifier: Apache-2.0
// Which threads of a process wanted a processor and had none, from /proc. Where the kernel keeps no such books nobody ever lacks one.
// Thread safety: none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "tests/soak/patience.h"

namespace npu::soak {

class ProcessTimes {
 public:
  explicit ProcessTimes(pid_t pid) : pid_(pid) { look(0); }

  // The end of a turn.
  void look(int64_t took_ns);
  // What a thread lacked in the last turn, or the one that lacked most.
  int64_t starved_ns(pid_t thread) const;
  template <typename Except>
  int64_t most_starved_ns(const Except& is_excepted) const {
    int64_t most = 0;
    for (const auto& [thread, lacked] : starved_) {
      if (!is_excepted(thread)) most = std::max(most, lacked);
    }
    return most;
  }

 private:
  pid_t pid_;
  std::map<pid_t, ThreadTimes> times_;
  std::map<pid_t, int64_t> starved_;
};

// Name, state and times of each thread, to stderr.
void tell_threads(pid_t pid);

}  // namespace npu::soak
