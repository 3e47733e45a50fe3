// SPDX-License-Identifier: Apache-2.0
// EventFd: a counter that the driver adds to and this process sleeps on.
// Thread safety: all functions but release().
#pragma once

#include <cstdint>

#include "libnpu/src/backend/unique_fd.h"
#include "libnpu/src/core/status.h"

namespace npu {

class EventFd {
 public:
  static Result<EventFd> create();

  int get() const { return fd_.get(); }
  // The caller closes it from now on.
  int release() { return fd_.release(); }
  void add();
  // Sleeps until the counter is not 0 and makes it 0. False: the time is over.
  bool wait(int64_t timeout_ns);

 private:
  explicit EventFd(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace npu
