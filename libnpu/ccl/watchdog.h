// SPDX-License-Identifier: Apache-2.0
// Watchdog: one thread for all communicators of the process. It reads control connections, takes what comes from other hosts and, while operations are pending, looks at their ends and deadlines; between that it sleeps, or looks for small messages (look_choice.h). It is there as
// long as there are communicators.
#pragma once

#include <poll.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "libnpu/ccl/look_choice.h"
#include "libnpu/ccl/socket.h"

namespace npu::ccl {

class Communicator;

class Watchdog {
 public:
  static Watchdog& get();

  void add(std::shared_ptr<Communicator> communicator);
  // After the call it is not looked at any more, and this owns nothing of it.
  void remove(Communicator* communicator);
  // Looks at everything now.
  void wake();
  // There is something pending: it is looked at soon.
  void expect();
  // Something small was submitted that goes to other hosts. True: the thread looks for it, or was woken to do so; false: it would not pay.
  bool look_for();
  // There is something of other hosts that no call looks for.
  void listen();
  // While it does, movers may sleep.
  bool is_looking() const { return is_looking_.load(std::memory_order_seq_cst); }
  // While it is held the thread looks at nothing, and another one may do its work. Who holds it may ask once more: what fails, fails in a turn or out of one.
  std::unique_lock<std::recursive_mutex> between_turns() { return std::unique_lock(turn_mutex_); }
  // Holds nothing while another thread does.
  std::unique_lock<std::recursive_mutex> try_turn() {
    return std::unique_lock(turn_mutex_, std::try_to_lock);
  }

 private:
  Watchdog();
  // What one turn waits for.
  struct Wait {
    std::vector<pollfd> fds;
    std::vector<std::pair<const Communicator*, uint32_t>> owners;  // of control connections
    bool is_pending = false;
    bool at_once = false;
    bool moves = false;  // data between hosts
    bool looks = false;  // for more of that, instead of a sleep
    bool rests = false;  // calls look for it
    std::chrono::nanoseconds first_nap{}, longest_nap{};
    Clock::time_point begin{};  // of the sleep
  };

  void loop();
  // False: nobody is left.
  bool turn();
  bool gather(Wait* out);
  // True: a descriptor was ready.
  bool sleep(Wait* wait);
  bool is_served() const;
  bool rests(bool is_pending);
  bool must_look(bool rests);
  void look();
  void stop_looking();
  // In a turn, and the copy ends before that does: remove() waits for the turn, so that it owns nothing afterwards.
  std::vector<std::shared_ptr<Communicator>> listed();
  void wake_movers();
  void serve(const Wait& wait);

  Fd wake_;
  std::recursive_mutex turn_mutex_;  // held while communicators are looked at
  std::mutex list_mutex_;
  std::vector<std::shared_ptr<Communicator>> communicators_;
  bool is_running_ = false;
  std::chrono::nanoseconds nap_{};   // the next one, of the thread
  Clock::time_point look_due_{};     // likewise
  Clock::time_point awake_until_{};  // likewise: naps up to here, though nothing is pending
  LookChoice choice_;                // likewise
  Clock::time_point seen_{};         // likewise: when something moved last
  bool has_moved_ = false;           // likewise: in this turn
  bool has_seen_ = false;            // likewise: in this phase of looks
  std::atomic<bool> is_looking_{false}, is_told_{false};
  std::atomic<bool> is_resting_{false};  // the thread does not hear of what comes from other hosts
  std::atomic<bool> is_deaf_{
      false};  // the thread sleeps, or is about to, for long or until it is woken
};

}  // namespace npu::ccl
