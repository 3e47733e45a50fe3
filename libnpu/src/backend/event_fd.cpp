// SPDX-License-Identifier: Apache-2.0
// Counters of the kernel.
#include "libnpu/src/backend/event_fd.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "libnpu/src/core/error.h"
#include "libnpu/src/core/time.h"

namespace npu {

Result<EventFd> EventFd::create() {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) {
    return fail_errno(NPU_ERROR_OUT_OF_HOST_MEMORY, errno, "creating an eventfd failed");
  }
  return EventFd(std::move(fd));
}

void EventFd::add() {
  const uint64_t one = 1;
  // A full counter is readable as well.
  [[maybe_unused]] const ssize_t written = write(fd_.get(), &one, sizeof one);
}

bool EventFd::wait(int64_t timeout_ns) {
  const Deadline deadline = Deadline::in(timeout_ns);
  for (;;) {
    const int64_t left_ns = deadline.left_ns();
    const timespec left{.tv_sec = static_cast<time_t>(left_ns / 1'000'000'000),
                        .tv_nsec = static_cast<long>(left_ns % 1'000'000'000)};
    pollfd state{fd_.get(), POLLIN, 0};
    const int ready = ppoll(&state, 1, &left, nullptr);
    if (ready < 0 && errno == EINTR) continue;
    uint64_t count = 0;
    return ready > 0 && read(fd_.get(), &count, sizeof count) == sizeof count;
  }
}

}  // namespace npu
