// SPDX-License-Identifier: Apache-2.0
// SystemCalls: what libnpuccl and libfabric ask the kernel for comes by here first, for tests of what may happen in between: a thread that is held up where it is, a socket that takes nothing. For its lifetime; one at a time.
#pragma once

#include <poll.h>
#include <sys/uio.h>

#include <functional>
#include <span>

namespace npu::test {

class SystemCalls {
 public:
  // Each in the thread that calls, and may hold it up; empty: nothing is done. Before the end none may be held up for long.
  struct Hooks {
    // False: as if the socket had no room.
    std::function<bool(std::span<const iovec>)> before_send = {};
    std::function<void(std::span<const iovec>)> after_send = {};
    // May change the time; nullptr: as long as it takes.
    std::function<void(std::span<const pollfd>, const timespec**)> before_ppoll = {};
    std::function<void(std::span<const pollfd>, int result)> after_ppoll = {};
  };
  explicit SystemCalls(Hooks hooks);
  ~SystemCalls();
  SystemCalls(const SystemCalls&) = delete;
};

}  // namespace npu::test
