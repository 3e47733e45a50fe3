// SPDX-License-Identifier: Apache-2.0
// Ends a test program that hangs, after it has told on stderr where each of its threads is.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace npu::test {

// The stack of every thread of this process goes to stderr. Installs a handler for SIGUSR2.
void dump_threads();

// Aborts the process when |deadline_s| pass without a sign of life. Time in which the process was stopped, or so starved that this thread did not run either, does not count.
class Watchdog {
 public:
  explicit Watchdog(uint32_t deadline_s);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // A sign of life. Any thread.
  void pet() { life_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void watch(uint32_t deadline_s);

  std::atomic<uint64_t> life_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace npu::test
