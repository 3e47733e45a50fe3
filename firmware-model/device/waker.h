// SPDX-License-Identifier: Apache-2.0
// What wakes the command processor: eventfds, one of its own, one that clients share, and one for
// each doorbell page that asks for it.
//
// The descriptors are in the hands of clients, which may read them, fill them up or change their
// flags. So they are watched edge-triggered and never read: a write wakes whatever the counter is.
// Whoever spoils the descriptor of a page spoils it for himself alone.
// Devices of one process wake each other too: a queue may wait for a word that another device
// writes. Silicon would look at such words all the time; a sleeping thread asks to be woken, by whoever has written what it waits for: other writes are no reason.
// Thread safety: wake() any thread; wait() one thread; the rest under the scheduler's mutex.
#ifndef NPU_MODEL_DEVICE_WAKER_H_
#define NPU_MODEL_DEVICE_WAKER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace npu::model {

class Waker {
 public:
  // |must_look|: whether the thread has to look at what was written. By threads of other devices, which hold no lock.
  explicit Waker(std::function<bool()> must_look) : must_look_(std::move(must_look)) {}
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // An empty string, or what failed.
  std::string open();
  void wake();
  // Until the end of the next wait(), wake_watchers() of another device wakes this one. The caller
  // looks at the words that it waits for after this, and before it waits.
  void watch_memory();
  // Memory that another device may wait for has been written. wake_fenced_watchers(): and a sequentially consistent fence came after that.
  void wake_watchers() const;
  void wake_fenced_watchers() const {
    if (watchers_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      wake_others();
  }
  // Sleeps until a descriptor was written after the last wait, or for |timeout|, negative: for ever. Whether one was written.
  bool wait(std::chrono::milliseconds timeout);

  int shared_fd() const { return shared_fd_; }
  // Made on first use; -1 when the process has no descriptors left.
  int page_fd(uint32_t page);
  void close_page_fd(uint32_t page);

 private:
  int add_eventfd();
  bool stop_watching();
  void wake_others() const;

  static std::atomic<uint32_t> watchers_;  // of this process: how many watch memory
  const std::function<bool()> must_look_;
  int epoll_fd_ = -1;
  int own_fd_ = -1;
  int shared_fd_ = -1;
  std::map<uint32_t, int> page_fds_;
  std::atomic<bool> watches_{false};
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_WAKER_H_
