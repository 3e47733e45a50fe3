// SPDX-License-Identifier: Apache-2.0
// Sockets of the bootstrap and of the control connections: owners of descriptors, deadlines, descriptors that travel.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libnpu/ccl/address.h"

namespace npu::ccl {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

// Milliseconds until |deadline| for poll(): 0 when it has passed.
int poll_ms(Deadline deadline);

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// All sockets are close-on-exec and non-blocking. An empty Fd: errno tells.
// Port 0 of |inout_at| becomes the one that the kernel chose.
Fd listen_tcp(NetAddress* inout_at);
Fd connect_tcp(const NetAddress& to, Deadline deadline);
Fd listen_unix(const std::string& name);  // in the abstract namespace
Fd connect_unix(const std::string& name);
Fd accept_from(const Fd& listener);
// The descriptor of this process that is the TCP connection between these two, whoever made it; -1: there is none.
int find_tcp(const NetAddress& own, const NetAddress& other);
// True if the other end of a Unix socket is a process of this user.
bool is_own_user(const Fd& socket);

// One attempt. The number of bytes, 0 at the end of the stream, -1 with errno. Descriptors that come along are added to |fds|, at most |fds_max| in all; more are
// closed.
long receive_some(const Fd& socket, std::span<std::byte> room, std::vector<Fd>* fds,
                  size_t fds_max);
// All of it, without waiting; false if the socket does not take it at once.
bool send_now(const Fd& socket, std::span<const std::byte> bytes, std::span<const int> fds = {});

}  // namespace npu::ccl
