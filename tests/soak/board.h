// SPDX-License-Identifier: Apache-2.0
// Memory that the parent shares with its workers: signs of life one way, the question where a thread is the other way.
// A worker that is stopped or killed leaves it as it is, so the parent believes nothing but that a sign is new.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace npu::soak {

inline constexpr uint32_t kThreadsMost = 64;  // of a worker

struct Slot {
  std::atomic<uint64_t> signs{0};  // 0: nobody is at work
  std::atomic<pid_t> thread{0};

  void enter(pid_t who) {
    thread.store(who, std::memory_order_relaxed);
    sign();
  }
  void sign() { signs.fetch_add(1, std::memory_order_relaxed); }
  void leave() { signs.store(0, std::memory_order_relaxed); }
};

struct Page {
  // Before and after its threads' time a worker is in its first thread: it owes a sign when no other does.
  Slot first;
  Slot threads[kThreadsMost];
  // Not 0: the worker tells where it is and ends. 1 + number of the thread in question.
  std::atomic<uint32_t> question{0};

  bool is_anyone_at_work() const {
    for (const Slot& slot : threads) {
      if (slot.signs.load(std::memory_order_relaxed) != 0) return true;
    }
    return false;
  }
  void clear() {
    first.leave();
    for (Slot& slot : threads) slot.leave();
    question = 0;
  }
};

class Board {
 public:
  explicit Board(uint32_t workers);         // a new one
  Board(int descriptor, uint32_t workers);  // of the parent
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  int descriptor() const { return descriptor_; }
  Page& page(uint32_t worker) { return pages_[worker]; }

 private:
  void map();

  int descriptor_;
  uint32_t workers_;
  Page* pages_ = nullptr;
};

}  // namespace npu::soak
