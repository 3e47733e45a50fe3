// SPDX-License-Identifier: Apache-2.0
// System calls of sockets.
#include "libnpu/ccl/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

namespace npu::ccl {
namespace {

constexpr int kBacklog = 64;
constexpr size_t kFdsPerMessage = 8;

// The length of an abstract address counts: it has no end mark.
socklen_t abstract(const std::string& name, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  const size_t bytes = std::min(name.size(), sizeof(address->sun_path) - 1);
  std::memcpy(address->sun_path + 1, name.data(), bytes);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + bytes);
}

Fd make_socket(int family) {
  return Fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

void no_delay(const Fd& fd) {
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// One end of the connection of |fd|; nothing: it has none.
std::optional<NetAddress> end_of(int fd, decltype(getsockname)* asked) {
  SocketAddress address{};
  address.bytes = sizeof(address.storage);
  if (asked(fd, address.get(), &address.bytes) != 0) return std::nullopt;
  return from_socket(address.get());
}

// Others have ports of their own: what has the same two addresses may be a user's.
bool is_tcp(int fd) {
  int protocol = 0;
  socklen_t size = sizeof(protocol);
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == IPPROTO_TCP;
}

bool wait_connected(const Fd& fd, Deadline deadline) {
  pollfd poller{fd.get(), POLLOUT, 0};
  if (poll(&poller, 1, poll_ms(deadline)) != 1) {
    errno = ETIMEDOUT;
    return false;
  }
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  return error == 0;
}

}  // namespace

int poll_ms(Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count() + 1;
  return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Fd listen_tcp(NetAddress* inout_at) {
  SocketAddress address = to_socket(*inout_at);
  Fd fd = make_socket(address.get()->sa_family);
  const int on = 1;
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd.get(), address.get(), address.bytes) != 0 || listen(fd.get(), kBacklog) != 0 ||
      getsockname(fd.get(), address.get(), &address.bytes) != 0) {
    return {};
  }
  *inout_at = *from_socket(address.get());
  return fd;
}

Fd connect_tcp(const NetAddress& to, Deadline deadline) {
  const SocketAddress address = to_socket(to);
  Fd fd = make_socket(address.get()->sa_family);
  if (!fd) return {};
  no_delay(fd);
  if (connect(fd.get(), address.get(), address.bytes) == 0) return fd;
  if (errno != EINPROGRESS || !wait_connected(fd, deadline)) return {};
  return fd;
}

int find_tcp(const NetAddress& own, const NetAddress& other) {
  std::error_code error;  // where it is set there is nothing more to look at
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const int fd = std::atoi(entry->path().filename().c_str());
    if (is_tcp(fd) && end_of(fd, getsockname) == own && end_of(fd, getpeername) == other) return fd;
  }
  return -1;
}

Fd listen_unix(const std::string& name) {
  Fd fd = make_socket(AF_UNIX);
  sockaddr_un address;
  const socklen_t size = abstract(name, &address);
  if (!fd || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(fd.get(), kBacklog) != 0) {
    return {};
  }
  return fd;
}

Fd connect_unix(const std::string& name) {
  Fd fd = make_socket(AF_UNIX);
  sockaddr_un address;
  const socklen_t size = abstract(name, &address);
  if (!fd || connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return {};
  return fd;
}

Fd accept_from(const Fd& listener) {
  Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) no_delay(fd);  // has no meaning for a Unix socket, and no effect
  return fd;
}

bool is_own_user(const Fd& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == geteuid();
}

long receive_some(const Fd& socket, std::span<std::byte> room, std::vector<Fd>* fds,
                  size_t fds_max) {
  alignas(cmsghdr) char control[CMSG_SPACE(kFdsPerMessage * sizeof(int))];
  iovec piece{room.data(), room.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const long got = recvmsg(socket.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return got;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t number = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < number; i++) {
      int raw = -1;
      std::memcpy(&raw, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      Fd fd(raw);
      if (fds != nullptr && fds->size() < fds_max) fds->push_back(std::move(fd));
    }
  }
  return got;
}

bool send_now(const Fd& socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  alignas(cmsghdr) char control[CMSG_SPACE(kFdsPerMessage * sizeof(int))] = {};
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  long sent = 0;
  do {
    sent = sendmsg(socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<long>(bytes.size());
}

}  // namespace npu::ccl
