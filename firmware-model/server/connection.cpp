// SPDX-License-Identifier: Apache-2.0
// Socket input and output, and the verbs that are not calls: HELLO, MAP, BO_CLOSE.
#include "firmware-model/server/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "firmware-model/server/server.h"

namespace npu::model::server {
namespace {

// Room for a usual request; a larger frame gets the room that its header announces.
constexpr size_t kReceiveBytes = 4096;
constexpr size_t kIdleBufferBytes = 16384;
// Files of this many frames may be under way; the kernel bounds what one message brings.
constexpr size_t kInputFdsMax = 4 * NPU_FRAME_MAX_FDS;

// Files that a request with this number may bring.
uint32_t files_of(uint32_t nr) {
  npu_call_desc desc{};
  if (npu_call_describe(nr, &desc) == 0) return 0;
  return desc.fd_offset >= 0 && desc.fd_is_out == 0 ? 1 : 0;
}

// Takes the files out of a received message. False: more came than the buffer holds.
bool collect_fds(msghdr* message, std::deque<UniqueFd>* out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
      out->emplace_back(fd);
    }
  }
  return (message->msg_flags & MSG_CTRUNC) == 0 && out->size() <= kInputFdsMax;
}

}  // namespace

Connection::Connection(Server* server, UniqueFd socket, const Peer& peer, uint32_t id,
                       int64_t greet_by_ns)
    : server_(server),
      socket_(std::move(socket)),
      peer_(peer),
      id_(id),
      greet_by_ns_(greet_by_ns) {}

Connection::~Connection() = default;

size_t Connection::room_wanted() const {
  npu_frame header{};
  if (input_used_ < sizeof(header)) return kReceiveBytes;
  std::memcpy(&header, input_.data(), sizeof(header));
  // What is in the buffer is the beginning of a frame that parse_request() has found sound so far.
  const size_t total = sizeof(header) + header.struct_bytes + header.payload_bytes;
  return std::max(kReceiveBytes, total - std::min(total, input_used_));
}

bool Connection::receive() {
  const size_t wanted = room_wanted();
  if (input_.size() - input_used_ < wanted) input_.resize(input_used_ + wanted);
  iovec iov{input_.data() + input_used_, input_.size() - input_used_};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * NPU_FRAME_MAX_FDS)];
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t n = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) {
    // A peer that has died with something unread is ECONNRESET.
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) close();
    return false;
  }
  const bool fds_fit = collect_fds(&message, &input_fds_);
  if (n == 0) close();
  if (n != 0 && !fds_fit) expel("sent more descriptors than this process can take");
  if (closed_) return false;
  input_used_ += static_cast<size_t>(n);
  return true;
}

void Connection::on_readable() {
  if (closed_ || !receive()) return;
  size_t at = 0;
  while (!closed_) {
    Frame frame;
    const FrameState state = parse_request({input_.data() + at, input_used_ - at}, &frame);
    if (state == FrameState::kIncomplete) break;
    if (state == FrameState::kBroken || !handle_frame(frame)) {
      return expel("sent a frame that is none, or one out of place");
    }
    at += frame.bytes;
  }
  input_used_ -= at;
  std::memmove(input_.data(), input_.data() + at, input_used_);
  if (input_used_ == 0) {
    // Files come with the first byte of their frame: there is no frame for these.
    if (!input_fds_.empty()) return expel("sent descriptors that belong to no frame");
    if (input_.size() > kIdleBufferBytes) {
      input_ = {};
    }
  }
}

bool Connection::handle_frame(const Frame& frame) {
  const uint32_t count = frame.header.fd_count;
  if (count > input_fds_.size() || count > files_of(frame.header.call)) return false;
  std::vector<UniqueFd> fds;
  for (uint32_t i = 0; i < count; ++i) {
    fds.push_back(std::move(input_fds_.front()));
    input_fds_.pop_front();
  }
  auto call = std::make_unique<Call>(frame, std::move(fds));
  if (frame.header.call == NPU_WIRE_HELLO) {
    if (client_ != nullptr) return false;
    npu_wire_hello args{};
    int err = call->read_struct(&args, sizeof(args), sizeof(args));
    if (err == 0) err = hello(call.get(), &args);
    send(call->reply(err, &args, err == 0 || err == EPROTO ? sizeof(args) : 0));
    return true;
  }
  if (client_ == nullptr) return false;
  if (frame.header.call == NPU_WIRE_MAP) {
    map(call.get());
  } else if (frame.header.call == NPU_WIRE_BO_CLOSE) {
    close_bo(call.get());
  } else {
    client_->handle(std::move(call));
  }
  return true;
}

int Connection::hello(Call* call, npu_wire_hello* args) {
  if (args->device_count != 0 || args->client_id != 0 || args->fd != -1 || args->pad != 0 ||
      args->doorbell_token != 0) {
    return EINVAL;
  }
  const bool same = args->wire_version == NPU_WIRE_VERSION && args->uapi_major == NPU_UAPI_MAJOR;
  args->wire_version = NPU_WIRE_VERSION;
  args->uapi_major = NPU_UAPI_MAJOR;
  args->uapi_minor = NPU_UAPI_MINOR;
  if (!same) return EPROTO;
  args->device_count = server_->device_count();
  args->client_id = id_;
  return args->device_index == ~0u ? 0 : open_device(args->device_index, call, args);
}

int Connection::open_device(uint32_t index, Call* call, npu_wire_hello* args) {
  Device* device = server_->device(index);
  if (device == nullptr) return ENODEV;
  auto client = std::make_unique<Client>(device, server_->copies(index), this, peer_);
  UniqueFd wake;
  int err = client->open();
  if (err == 0) err = client->wake_fd(&wake);
  if (err != 0) return err;
  client_ = std::move(client);
  args->fd = call->give_fd(std::move(wake));
  args->doorbell_token = client_->doorbell_token();
  return 0;
}

void Connection::map(Call* call) {
  npu_wire_map args{};
  UniqueFd file;
  int err = call->read_struct(&args, sizeof(args), sizeof(args));
  if (err == 0) err = client_->map(&args, &file);
  if (err == 0) args.fd = call->give_fd(std::move(file));
  send(call->reply(err, &args, err == 0 ? sizeof(args) : 0));
}

void Connection::close_bo(Call* call) {
  npu_wire_bo_close args{};
  int err = call->read_struct(&args, sizeof(args), sizeof(args));
  if (err == 0 && args.pad != 0) err = EINVAL;
  if (err == 0) err = client_->close_bo(args.handle);
  send(call->reply(err, nullptr, 0));
}

void Connection::tick(int64_t now_ns) {
  if (closed_) return;
  if (client_ != nullptr) {
    client_->tick(now_ns);
  } else if (now_ns >= greet_by_ns_) {
    expel("opened no device in time");
  }
}

int64_t Connection::next_due_ns() const {
  if (closed_) return INT64_MAX;
  return client_ == nullptr ? greet_by_ns_ : client_->next_due_ns();
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  server_->connection_closed(this);
}

void Connection::expel(const char* why) {
  if (closed_) return;
  server_->log_expelled(id_, peer_, why);
  close();
}

void Connection::timer_changed() { server_->timer_changed(this); }

std::vector<npu_client_info> Connection::client_rows(const Device* device, uid_t viewer) {
  return server_->client_rows(device, viewer);
}

void Connection::send(Reply reply) {
  if (closed_) return;
  Output output;
  output.bytes.resize(sizeof(reply.header) + reply.body.size() + reply.payload.size());
  std::byte* at = output.bytes.data();
  std::memcpy(at, &reply.header, sizeof(reply.header));
  at = std::copy(reply.body.begin(), reply.body.end(), at + sizeof(reply.header));
  std::copy(reply.payload.begin(), reply.payload.end(), at);
  output.fds = std::move(reply.fds);
  output_bytes_ += output.bytes.size();
  output_.push_back(std::move(output));
  if (output_.size() == 1) flush();
  if (output_bytes_ > kOutputMaxBytes) expel("reads no answers");
}

bool Connection::send_event(const void* event, size_t bytes) {
  if (closed_ || output_bytes_ > kEventOutputBytes) return false;
  Reply frame;
  frame.header.magic = NPU_FRAME_MAGIC;
  frame.header.call = NPU_WIRE_EVENT;
  frame.header.payload_bytes = static_cast<uint32_t>(bytes);
  frame.header.flags = NPU_FRAME_EVENT;
  const auto* begin = static_cast<const std::byte*>(event);
  frame.payload.assign(begin, begin + bytes);
  send(std::move(frame));
  return true;
}

bool Connection::send_some(Output* output) {
  iovec iov{output->bytes.data() + output->sent, output->bytes.size() - output->sent};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * NPU_FRAME_MAX_FDS)] = {};
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  if (!output->fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * output->fds.size());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * output->fds.size());
    for (size_t i = 0; i < output->fds.size(); ++i) {
      const int fd = output->fds[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
    }
  }
  const ssize_t n = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) {
    if (errno == EPIPE || errno == ECONNRESET) {
      close();
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ETOOMANYREFS) {
      expel((std::string("cannot be answered: ") + std::strerror(errno)).c_str());
    }
    return false;
  }
  output->fds.clear();  // they went with the first byte
  output->sent += static_cast<size_t>(n);
  output_bytes_ -= static_cast<size_t>(n);
  return output->sent == output->bytes.size();
}

void Connection::flush() {
  while (!closed_ && !output_.empty() && send_some(&output_.front())) output_.pop_front();
  watch_writable(!closed_ && !output_.empty());
}

void Connection::watch_writable(bool on) {
  if (on == writable_watched_) return;
  writable_watched_ = on;
  server_->watch_writable(this, on);
}

}  // namespace npu::model::server
