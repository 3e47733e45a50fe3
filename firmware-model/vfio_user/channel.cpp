// SPDX-License-Identifier: Apache-2.0
// Framing. Descriptors come with the first bytes of a message: the header is read with room for
// them, the body without, so that descriptors anywhere else are noticed and refused.
#include "firmware-model/vfio_user/channel.h"

#include <errno.h>
#include <fcntl.h>

#include <cstring>

namespace npu::model::vfio_user {

Channel::Got Channel::fail(const char* why) {
  broken_ = why;
  return Got::kBroken;
}

bool Channel::take_fds(msghdr& message) {
  bool fits = true;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      UniqueFd owned(fd);
      if (incoming_.fds.size() < wire::kMaxFds) {
        incoming_.fds.push_back(std::move(owned));
      } else {
        fits = false;
      }
    }
  }
  return fits && (message.msg_flags & MSG_CTRUNC) == 0;
}

Channel::Got Channel::read_some(std::byte* to, size_t wanted, size_t* have, bool with_fds) {
  while (*have < wanted) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * wire::kMaxFds)];
    iovec piece{to + *have, wanted - *have};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (with_fds) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
    }
    const ssize_t n = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Got::kNothing;
    if (n <= 0) return Got::kEnd;
    *have += static_cast<size_t>(n);
    if (!take_fds(message)) return fail("too many descriptors, or descriptors behind a header");
  }
  return Got::kMessage;
}

Channel::Got Channel::receive(Message* out) {
  wire::Header& header = incoming_.header;
  if (header_have_ < sizeof(header)) {
    const Got got =
        read_some(reinterpret_cast<std::byte*>(&header), sizeof(header), &header_have_, true);
    if (got != Got::kMessage) return got;
    if (header.size_bytes < sizeof(header)) return fail("a message shorter than its header");
    if (header.size_bytes - sizeof(header) > wire::kMaxBodyBytes) return fail("a message too long");
    const uint32_t type = header.flags & wire::kTypeMask;
    if (type != wire::kTypeCommand && type != wire::kTypeReply) return fail("an unknown type");
    incoming_.body.resize(header.size_bytes - sizeof(header));
    body_have_ = 0;
  }
  const Got got = read_some(incoming_.body.data(), incoming_.body.size(), &body_have_, false);
  if (got != Got::kMessage) return got;
  *out = std::move(incoming_);
  incoming_ = {};
  header_have_ = 0;
  return Got::kMessage;
}

bool Channel::send(wire::Header header, std::span<const std::byte> body, int fd) {
  header.size_bytes = static_cast<uint32_t>(sizeof(header) + body.size());
  Outgoing out;
  out.bytes.resize(header.size_bytes);
  std::memcpy(out.bytes.data(), &header, sizeof(header));
  if (!body.empty()) std::memcpy(out.bytes.data() + sizeof(header), body.data(), body.size());
  if (fd >= 0) {
    out.fd = UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!out.fd.valid()) return false;
  }
  waiting_bytes_ += out.bytes.size();
  waiting_.push_back(std::move(out));
  return flush();
}

bool Channel::flush() {
  while (!waiting_.empty()) {
    Outgoing& out = waiting_.front();
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec piece{out.bytes.data() + out.sent, out.bytes.size() - out.sent};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (out.fd.valid()) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* part = CMSG_FIRSTHDR(&message);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(sizeof(int));
      const int fd = out.fd.get();
      std::memcpy(CMSG_DATA(part), &fd, sizeof(fd));
    }
    const ssize_t n = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    out.fd.reset();
    out.sent += static_cast<size_t>(n);
    waiting_bytes_ -= static_cast<size_t>(n);
    if (out.sent == out.bytes.size()) waiting_.pop_front();
  }
  return true;
}

}  // namespace npu::model::vfio_user
