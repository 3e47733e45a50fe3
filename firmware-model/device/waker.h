// SPDX-License-Identifier: Apache-2.0
// What wakes the command processor: eventfds, one of its own, one that clients share, and one for
// each doorbell page that asks for it.
//
// The descriptors are in the hands of clients, which may read them, fill them up or change their
// flags. So they are watched edge-triggered and never read: a write wakes whatever the counter is.
// Whoever spoils the descriptor of a page spoils it for himself alone.
// Thread safety: wake() any thread; wait() one thread; the rest under the scheduler's mutex.
#ifndef NPU_MODEL_DEVICE_WAKER_H_
#define NPU_MODEL_DEVICE_WAKER_H_

#include <cstdint>
#include <map>
#include <string>

namespace npu::model {

class Waker {
 public:
  Waker() = default;
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // An empty string, or what failed.
  std::string open();
  void wake();
  // Sleeps until a descriptor was written after the last wait.
  void wait();

  int shared_fd() const { return shared_fd_; }
  // Made on first use; -1 when the process has no descriptors left.
  int page_fd(uint32_t page);
  void close_page_fd(uint32_t page);

 private:
  int add_eventfd();

  int epoll_fd_ = -1;
  int own_fd_ = -1;
  int shared_fd_ = -1;
  std::map<uint32_t, int> page_fds_;
};

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_WAKER_H_
