// SPDX-License-Identifier: Apache-2.0
// Mover: a thread of a communicator with ranks on other hosts, which sleeps until the own device has done what they wait for, and then moves that on; while the watchdog's thread looks for small messages, that moves all, and this one sleeps. What comes from them wakes the watchdog's thread; of the device
// no descriptor tells so cheaply as a wait for its queue.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "libnpu/ccl/lanes.h"

namespace npu::ccl {

class Communicator;

class Mover {
 public:
  explicit Mover(Communicator& communicator) : communicator_(communicator) {}
  ~Mover() { stop(); }
  Mover(const Mover&) = delete;

  // False: there is no thread to be had.
  bool start();
  // There may be something new to wait for. Any thread.
  void wake();
  // After the return it moves nothing more.
  void stop();

 private:
  void loop();
  // Sleeps until the device has got on, or something else may have.
  void await_device(uint64_t wakes_seen);
  int64_t narrow(std::vector<Mark>* marks);
  void sleep(uint64_t wakes_seen, int64_t most_ns);

  Communicator& communicator_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable woken_;
  uint64_t wakes_ = 0;
  bool stops_ = false;
  std::vector<uint64_t>
      reached_;  // of the thread: orders of marks that the device has come to, but what waited for them could not go
};

}  // namespace npu::ccl
