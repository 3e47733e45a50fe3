// SPDX-License-Identifier: Apache-2.0
// Frames over a Unix stream socket, with descriptors by SCM_RIGHTS.
#include "libnpu/src/backend/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "libnpu/src/backend/process.h"
#include "libnpu/src/core/log.h"
#include "libnpu/src/core/time.h"

namespace npu {
namespace {

// No call of the server takes so long unless it hangs; a server that gets little of an overloaded machine does not.
constexpr time_t kAnswerTimeoutS = 120;
// Of one connection, for a caller that asks for events and does not take them.
constexpr size_t kMaxEvents = 1024;

int store_fds(const msghdr& message, std::vector<int>* out) {
  int error = (message.msg_flags & MSG_CTRUNC) != 0 ? EPROTO : 0;
  for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(header))) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      if (out->size() < NPU_FRAME_MAX_FDS) {
        out->push_back(fd);
      } else {
        UniqueFd(fd).reset();
        error = EPROTO;
      }
    }
  }
  return error;
}

// A server that hangs is told from one that has ended: the caller gets the same result for both.
void log_silence(int error, const char* what) {
  if (error != EAGAIN && error != EWOULDBLOCK) return;
  log_message(LogLevel::kError, "the device server %s for %lld s: its device is given up as lost",
              what, static_cast<long long>(kAnswerTimeoutS));
}

}  // namespace

Connection::Connection(UniqueFd socket) : socket_(std::move(socket)) {
  const timeval timeout{.tv_sec = kAnswerTimeoutS, .tv_usec = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  keep_from_children(socket_.get());
}

Connection::~Connection() {
  drop_input();
  forget_descriptor(socket_.get());
}

void Connection::drop_input() {
  for (const int fd : input_fds_) UniqueFd(fd).reset();
  input_fds_.clear();
  input_bytes_ = 0;
}

int Connection::send_request(const Request& request) {
  size_t sent = 0;
  while (sent < request.bytes.size()) {
    iovec piece{const_cast<std::byte*>(request.bytes.data()) + sent, request.bytes.size() - sent};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (sent == 0 && request.fd >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(header), &request.fd, sizeof(int));
    }
    const ssize_t count = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      log_silence(errno, "takes no request");
      return ENODEV;
    }
    sent += static_cast<size_t>(count);
  }
  return 0;
}

int Connection::receive_more(int flags) {
  if (input_.size() < input_bytes_ + 4096) input_.resize(input_bytes_ + 16384);
  iovec piece{input_.data() + input_bytes_, input_.size() - input_bytes_};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * NPU_FRAME_MAX_FDS)];
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count = 0;
  do {
    count = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC | flags);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) {
    if (count < 0 && flags != 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return ETIME;
    if (count < 0) log_silence(errno, "gives no answer");
    return ENODEV;
  }
  input_bytes_ += static_cast<size_t>(count);
  return store_fds(message, &input_fds_);
}

void Connection::drop_frame() {
  std::memmove(input_.data(), input_.data() + frame_bytes_, input_bytes_ - frame_bytes_);
  input_bytes_ -= frame_bytes_;
}

// Takes the event at the start of input_ out, for next_event().
int Connection::keep_event() {
  npu_frame header;
  std::memcpy(&header, input_.data(), sizeof header);
  const std::byte* const begin = input_.data() + sizeof header;
  npu_event event{};
  const bool fits = header.call == NPU_WIRE_EVENT && header.struct_bytes == 0 &&
                    header.fd_count == 0 && header.payload_bytes >= sizeof event &&
                    header.payload_bytes <= NPU_EVENT_MAX_BYTES;
  if (fits) std::memcpy(&event, begin, sizeof event);
  if (!fits || event.length != header.payload_bytes) return EPROTO;
  if (events_.size() < kMaxEvents) {
    if (events_lost_) event.flags |= NPU_EVENT_FLAG_LOST;
    events_lost_ = false;
    auto& kept = events_.emplace_back(begin, begin + header.payload_bytes);
    std::memcpy(kept.data(), &event, sizeof event);
  } else {
    events_lost_ = true;
  }
  drop_frame();
  return 0;
}

// Leaves the reply |sequence| at the start of input_. Events that stand before it are kept.
int Connection::receive_frame(uint32_t sequence) {
  for (;;) {
    const int64_t length = frame_length({input_.data(), input_bytes_});
    if (length < 0) return EPROTO;
    if (length == 0 || static_cast<uint64_t>(length) > input_bytes_) {
      if (const int error = receive_more(0); error != 0) return error;
      continue;
    }
    npu_frame header;
    std::memcpy(&header, input_.data(), sizeof header);
    frame_bytes_ = static_cast<size_t>(length);
    if (header.flags != NPU_FRAME_EVENT) return header.sequence == sequence ? 0 : EPROTO;
    if (const int error = keep_event(); error != 0) return error;
  }
}

int Connection::give_up(int error) {
  lost_.store(true, std::memory_order_relaxed);
  drop_input();
  return error;
}

int Connection::ask(uint32_t nr, void* args) {
  npu_call_desc desc;
  if (!describe_message(nr, &desc)) return EINVAL;
  std::lock_guard lock(mutex_);
  if (lost_.load(std::memory_order_relaxed)) return ENODEV;
  const uint32_t sequence = ++sequence_;
  if (const int error = build_request(desc, args, sequence, &request_); error != 0) return error;
  int error = send_request(request_);
  if (error == 0) error = receive_frame(sequence);
  if (error != 0) return give_up(error);
  int used_fd = -1;
  bool broken = false;
  error = read_reply(desc, {input_.data(), frame_bytes_}, sequence, input_fds_, args, &used_fd,
                     &broken);
  if (used_fd >= 0) input_fds_.erase(input_fds_.begin() + used_fd);
  // One question is open at a time, so whatever else arrived belongs to nothing.
  if (broken || !input_fds_.empty()) lost_.store(true, std::memory_order_relaxed);
  for (const int fd : input_fds_) UniqueFd(fd).reset();
  input_fds_.clear();
  drop_frame();
  return error;
}

// What has arrived is looked at without waiting; mutex_ is held. ETIME: there is no event.
int Connection::take_event(void* event, size_t room) {
  while (events_.empty()) {
    const int64_t length = frame_length({input_.data(), input_bytes_});
    int error = length < 0 ? EPROTO : 0;
    if (error == 0 && (length == 0 || static_cast<uint64_t>(length) > input_bytes_)) {
      error = receive_more(MSG_DONTWAIT);
      if (error == ETIME) return ETIME;
    } else if (error == 0) {
      npu_frame header;
      std::memcpy(&header, input_.data(), sizeof header);
      frame_bytes_ = static_cast<size_t>(length);
      // No question is open, so there can be no answer.
      error = header.flags == NPU_FRAME_EVENT ? keep_event() : EPROTO;
    }
    if (error != 0) return give_up(error);
  }
  std::memcpy(event, events_.front().data(), std::min(room, events_.front().size()));
  events_.pop_front();
  return 0;
}

// Another thread's question may take the event off the socket while this one sleeps: hence the slices.
int Connection::next_event(void* event, size_t room, int64_t timeout_ns) {
  constexpr int64_t kNsPerMs = 1'000'000;
  const Deadline deadline = Deadline::in(timeout_ns);
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (lost_.load(std::memory_order_relaxed)) return ENODEV;
      const int error = take_event(event, room);
      if (error != ETIME) return error;
    }
    const int64_t left_ns = std::min(deadline.left_ns(), kSleepSliceNs);
    if (left_ns == 0) return ETIME;
    pollfd state{socket_.get(), POLLIN | POLLRDHUP, 0};
    poll(&state, 1, static_cast<int>((left_ns + kNsPerMs - 1) / kNsPerMs));
  }
}

int64_t Connection::peer_process() const {
  ucred peer{};
  socklen_t size = sizeof(peer);
  return getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

bool Connection::is_lost() {
  if (lost_.load(std::memory_order_relaxed)) return true;
  pollfd state{socket_.get(), POLLRDHUP, 0};
  if (poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
    lost_.store(true, std::memory_order_relaxed);
  }
  return lost_.load(std::memory_order_relaxed);
}

int connect_unix(const char* path, UniqueFd* out) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof address.sun_path) return ENAMETOOLONG;
  std::strcpy(address.sun_path, path);
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  int result = 0;
  do {
    result = connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return errno;
  *out = std::move(fd);
  return 0;
}

}  // namespace npu
