// SPDX-License-Identifier: Apache-2.0
// Watchdog: one thread for all communicators of the process. It reads control connections, takes what comes from other hosts and, while operations are pending, looks at their ends and deadlines; else it sleeps. It is there as
// long as there are communicators.
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "libnpu/ccl/socket.h"

namespace npu::ccl {

class Communicator;

class Watchdog {
 public:
  static Watchdog& get();

  void add(std::shared_ptr<Communicator> communicator);
  // After the call it is not looked at any more.
  void remove(const Communicator* communicator);
  // Looks at everything now.
  void wake();
  // There is something pending: it is looked at soon.
  void expect();
  // While it is held the thread looks at nothing, and another one may do its work.
  std::unique_lock<std::mutex> between_turns() { return std::unique_lock(turn_mutex_); }

 private:
  Watchdog();
  // What one turn waits for.
  struct Wait {
    std::vector<pollfd> fds;
    std::vector<std::pair<const Communicator*, uint32_t>> owners;  // of control connections
    bool is_pending = false;
    bool at_once = false;
    bool moves = false;  // data between hosts
    std::chrono::nanoseconds first_nap{}, longest_nap{};
  };

  void loop();
  // False: nobody is left.
  bool turn();
  bool gather(Wait* out);
  // True: a descriptor was ready.
  bool sleep(Wait* wait);
  void serve(const Wait& wait);

  Fd wake_;
  std::mutex turn_mutex_;  // held while communicators are looked at
  std::mutex list_mutex_;
  std::vector<std::shared_ptr<Communicator>> communicators_;
  bool is_running_ = false;
  std::chrono::nanoseconds nap_{};   // the next one, of the thread
  Clock::time_point look_due_{};     // likewise
  Clock::time_point awake_until_{};  // likewise: naps up to here, though nothing is pending
  std::atomic<bool> is_deaf_{
      false};  // the thread sleeps, or is about to, for long or until it is woken
};

}  // namespace npu::ccl
