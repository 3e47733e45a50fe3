// SPDX-License-Identifier: Apache-2.0
#include "tests/ccl/system_calls.h"

#include <dlfcn.h>
#include <sys/socket.h>

#include <cerrno>
#include <mutex>
#include <shared_mutex>
#include <utility>

namespace npu::test {
namespace {

std::shared_mutex mutex;  // shared while a hook runs
SystemCalls::Hooks present;

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// The result of |call|, with what comes before and after it.
template <typename Call>
ssize_t with_hooks(std::span<const iovec> parts, const Call& call) {
  {
    std::shared_lock lock(mutex);
    if (present.before_send && !present.before_send(parts)) return errno = EAGAIN, -1;
  }
  const ssize_t result = call();
  const int error = errno;
  {
    std::shared_lock lock(mutex);
    if (present.after_send) present.after_send(parts);
  }
  errno = error;
  return result;
}

}  // namespace

SystemCalls::SystemCalls(Hooks hooks) {
  std::lock_guard lock(mutex);
  present = std::move(hooks);
}

SystemCalls::~SystemCalls() {
  std::lock_guard lock(mutex);
  present = {};
}

}  // namespace npu::test

// They come before those of the C library, for its users too.
#pragma GCC visibility push(default)
extern "C" ssize_t send(int fd, const void* at, size_t bytes, int flags) {
  static const auto call = npu::test::real<decltype(send)>("send");
  const iovec part{const_cast<void*>(at), bytes};
  return npu::test::with_hooks({&part, 1}, [&] { return call(fd, at, bytes, flags); });
}

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto call = npu::test::real<decltype(sendmsg)>("sendmsg");
  return npu::test::with_hooks({message->msg_iov, message->msg_iovlen},
                               [&] { return call(fd, message, flags); });
}

extern "C" int ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* signals) {
  static const auto call = npu::test::real<decltype(ppoll)>("ppoll");
  {
    std::shared_lock lock(npu::test::mutex);
    if (npu::test::present.before_ppoll) {
      npu::test::present.before_ppoll({fds, count}, &timeout);
    }
  }
  const int result = call(fds, count, timeout, signals);
  std::shared_lock lock(npu::test::mutex);
  if (npu::test::present.after_ppoll) npu::test::present.after_ppoll({fds, count}, result);
  return result;
}
#pragma GCC visibility pop
