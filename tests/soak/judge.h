// SPDX-License-Identifier: Apache-2.0
// Tells a worker that hangs from one that gets no processor. It looks from outside, so a worker that is stopped is found as well.
// Thread safety: none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "tests/soak/board.h"
#include "tests/soak/patience.h"
#include "tests/soak/processor.h"

namespace npu::soak {

struct Limits {
  int64_t hang_ns;
  // On a machine that gives no processor at all.
  int64_t bound_ns() const { return 5 * hang_ns; }
};

struct Silence {
  uint32_t worker = 0;
  uint32_t thread = 0;  // kThreadsMost: the worker's first
  int64_t silent_ns = 0;
  int64_t starved_ns = 0;
};

class Judge {
 public:
  Judge(pid_t daemon, uint32_t workers, Limits limits);

  void begin(uint32_t worker, pid_t pid);
  void end(uint32_t worker);
  // Often; it does something once a second. A value: that one hangs.
  std::optional<Silence> look(Board& board);
  // Perhaps it hangs: it must not be killed before that is known.
  bool is_suspect(uint32_t worker) const;
  // The longest so far.
  const Silence& longest() const { return longest_; }

 private:
  struct Watched {
    std::unique_ptr<ProcessTimes> times;  // none: no such worker now
    std::vector<Patience> patience;       // one for each slot, the last is the first thread's
    std::vector<uint64_t> signs;
  };
  std::optional<Silence> look_at(uint32_t number, const Page& page, int64_t took_ns);

  Limits limits_;
  ProcessTimes daemon_;
  std::vector<Watched> workers_;
  int64_t last_ns_;
  Silence longest_;
};

// Waits for what |pid| has to do, as long as that may take. False: it should have been done.
bool wait_for(pid_t pid, Limits limits, const std::function<bool()>& is_done);

}  // namespace npu::soak
