// SPDX-License-Identifier: Apache-2.0
// A client of the device server that speaks frames by hand: for tests that send what no library would.
//
// Header only, C++20, POSIX. Thread safety: one thread for each RawClient.
#ifndef NPU_TESTS_UNIT_SERVER_RAW_CLIENT_H_
#define NPU_TESTS_UNIT_SERVER_RAW_CLIENT_H_

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "uapi/npu_status.h"
#include "uapi/npu_wire.h"

namespace npu::model::test {

using Bytes = std::vector<uint8_t>;

inline constexpr int kTimeoutMs = 20'000;

// What came back, or an event.
struct Answer {
  npu_frame header{};
  Bytes body;
  Bytes payload;
  std::vector<int> fds;
};

template <typename T>
Bytes bytes_of(const T& value) {
  const auto* begin = reinterpret_cast<const uint8_t*>(&value);
  return Bytes(begin, begin + sizeof(T));
}

template <typename T>
Bytes bytes_of_all(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const uint8_t*>(values.data());
  return Bytes(begin, begin + values.size() * sizeof(T));
}

// A shared mapping that ends with its owner.
class SharedMap {
 public:
  SharedMap() = default;
  SharedMap(int fd, uint64_t offset, uint64_t bytes) : bytes_(bytes) {
    void* at =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
    if (at == MAP_FAILED) throw std::runtime_error("mmap");
    data_ = static_cast<uint8_t*>(at);
  }
  SharedMap(SharedMap&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  SharedMap& operator=(SharedMap&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~SharedMap() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  uint8_t* data() const { return data_; }
  template <typename T>
  T* as(uint64_t offset = 0) const {
    return reinterpret_cast<T*>(data_ + offset);
  }
  uint64_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  uint64_t bytes_ = 0;
};

class RawClient {
 public:
  explicit RawClient(int socket) : socket_(socket) {}
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        sequence_(other.sequence_),
        wake_fd_(std::exchange(other.wake_fd_, -1)),
        doorbell_token_(other.doorbell_token_),
        doorbells_(std::move(other.doorbells_)),
        events(std::move(other.events)) {}
  ~RawClient() { close(); }

  void close() {
    if (socket_ >= 0) ::close(socket_);
    if (wake_fd_ >= 0) ::close(wake_fd_);
    socket_ = wake_fd_ = -1;
  }
  int socket() const { return socket_; }

  // --- bytes ------------------------------------------------------------------------------------------------------
  bool send_bytes(const Bytes& bytes, const std::vector<int>& fds = {}) {
    iovec iov{const_cast<uint8_t*>(bytes.data()), bytes.size()};
    std::vector<char> control(CMSG_SPACE(sizeof(int) * 64));
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(c), fds.data(), sizeof(int) * fds.size());
    }
    size_t sent = 0;
    while (sent < bytes.size()) {
      iov.iov_base = const_cast<uint8_t*>(bytes.data()) + sent;
      iov.iov_len = bytes.size() - sent;
      const ssize_t n = sendmsg(socket_, &message, MSG_NOSIGNAL);
      if (n < 0) return false;
      sent += static_cast<size_t>(n);
      message.msg_control = nullptr;
      message.msg_controllen = 0;
    }
    return true;
  }

  static Bytes frame(uint32_t call, const Bytes& body, const Bytes& payload, uint32_t sequence,
                     uint32_t fd_count = 0) {
    npu_frame header{};
    header.magic = NPU_FRAME_MAGIC;
    header.call = call;
    header.struct_bytes = static_cast<uint32_t>(body.size());
    header.payload_bytes = static_cast<uint32_t>(payload.size());
    header.sequence = sequence;
    header.fd_count = fd_count;
    Bytes out = bytes_of(header);
    out.insert(out.end(), body.begin(), body.end());
    out.insert(out.end(), payload.begin(), payload.end());
    return out;
  }

  // The next frame; nothing when the server has closed the connection or says nothing in time.
  std::optional<Answer> receive(int timeout_ms = kTimeoutMs) {
    Answer answer;
    if (!read_exactly(&answer.header, sizeof(answer.header), &answer.fds, timeout_ms)) return {};
    answer.body.resize(answer.header.struct_bytes);
    answer.payload.resize(answer.header.payload_bytes);
    if (!read_exactly(answer.body.data(), answer.body.size(), &answer.fds, timeout_ms)) return {};
    if (!read_exactly(answer.payload.data(), answer.payload.size(), &answer.fds, timeout_ms))
      return {};
    return answer;
  }

  // The server has ended this connection.
  bool is_closed(int timeout_ms = kTimeoutMs) {
    pollfd ready{socket_, POLLIN, 0};
    char byte;
    for (;;) {
      if (poll(&ready, 1, timeout_ms) != 1) return false;
      const ssize_t n = recv(socket_, &byte, 1, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return true;
      if (n < 0) return false;
    }
  }

  // --- calls ------------------------------------------------------------------------------------------------------
  uint32_t send_call(uint32_t call, const Bytes& body, const Bytes& payload = {},
                     const std::vector<int>& fds = {}) {
    const uint32_t sequence = ++sequence_;
    if (!send_bytes(frame(call, body, payload, sequence, static_cast<uint32_t>(fds.size())), fds)) {
      throw std::runtime_error("send");
    }
    return sequence;
  }

  // Events that arrive meanwhile go to `events`.
  std::optional<Answer> wait_reply(uint32_t sequence, int timeout_ms = kTimeoutMs) {
    for (;;) {
      for (auto at = early_.begin(); at != early_.end(); ++at) {
        if (at->header.sequence != sequence) continue;
        Answer answer = std::move(*at);
        early_.erase(at);
        return answer;
      }
      auto answer = receive(timeout_ms);
      if (!answer) return {};
      const bool event = (answer->header.flags & NPU_FRAME_EVENT) != 0;
      (event ? events : early_).push_back(std::move(*answer));
    }
  }

  // One call there and back; *args becomes what came back. The errno, or -1: no answer.
  template <typename T>
  int call(uint32_t nr, T* args, const Bytes& payload = {}, Bytes* out_payload = nullptr,
           const std::vector<int>& fds = {}, std::vector<int>* out_fds = nullptr) {
    auto answer = wait_reply(send_call(nr, bytes_of(*args), payload, fds));
    if (!answer) return -1;
    if (answer->body.size() == sizeof(T)) std::memcpy(args, answer->body.data(), sizeof(T));
    if (out_payload != nullptr) *out_payload = answer->payload;
    if (out_fds != nullptr) {
      *out_fds = answer->fds;
    } else {
      for (const int fd : answer->fds) ::close(fd);
    }
    return answer->header.error;
  }

  int hello(uint32_t device = 0) {
    npu_wire_hello args{};
    args.wire_version = NPU_WIRE_VERSION;
    args.uapi_major = NPU_UAPI_MAJOR;
    args.uapi_minor = NPU_UAPI_MINOR;
    args.device_index = device;
    args.fd = -1;
    std::vector<int> fds;
    const int err = call(NPU_WIRE_HELLO, &args, {}, nullptr, {}, &fds);
    if (err == 0 && fds.size() == 1) wake_fd_ = fds[0];
    doorbell_token_ = args.doorbell_token;
    return err;
  }

  npu_array array_of(uint32_t stride, size_t count, uint64_t offset = 0) const {
    return {count == 0 ? 0 : stride, static_cast<uint32_t>(count), offset};
  }

  npu_bo_create bo_create(uint64_t bytes, uint32_t region, uint32_t flags = 0,
                          int* out_err = nullptr) {
    npu_bo_create args{};
    args.size_bytes = bytes;
    args.region = region;
    args.flags = flags;
    const int err = call(NPU_CALL_BO_CREATE, &args);
    if (out_err != nullptr) {
      *out_err = err;
    } else if (err != 0) {
      throw std::runtime_error("BO_CREATE");
    }
    return args;
  }

  int bo_close(uint32_t handle) {
    npu_wire_bo_close args{handle, 0};
    return call(NPU_WIRE_BO_CLOSE, &args);
  }

  SharedMap map(uint64_t token) {
    npu_wire_map args{};
    args.token = token;
    args.fd = -1;
    std::vector<int> fds;
    if (call(NPU_WIRE_MAP, &args, {}, nullptr, {}, &fds) != 0 || fds.size() != 1) {
      throw std::runtime_error("MAP");
    }
    SharedMap mapped(fds[0], args.offset, args.size_bytes);
    ::close(fds[0]);
    return mapped;
  }

  uint32_t vm_create() {
    npu_vm_create args{};
    if (call(NPU_CALL_VM_CREATE, &args) != 0) throw std::runtime_error("VM_CREATE");
    return args.vm_id;
  }

  int bind_all(uint32_t vm, const std::vector<npu_bind_op>& ops, uint32_t* failed = nullptr) {
    npu_vm_bind args{};
    args.vm_id = vm;
    args.ops = array_of(sizeof(npu_bind_op), ops.size());
    const int err = call(NPU_CALL_VM_BIND, &args, bytes_of_all(ops));
    if (failed != nullptr) *failed = args.failed_index;
    return err;
  }

  int bind(uint32_t vm, uint32_t handle, uint64_t dva, uint64_t bytes, uint64_t offset = 0,
           uint32_t flags = 0) {
    npu_bind_op op{};
    op.bo_handle = handle;
    op.dva = dva;
    op.size_bytes = bytes;
    op.bo_offset = offset;
    op.flags = flags;
    return bind_all(vm, {op});
  }

  int unbind(uint32_t vm, uint64_t dva, uint64_t bytes) {
    npu_bind_op op{};
    op.kind = NPU_BIND_UNMAP;
    op.dva = dva;
    op.size_bytes = bytes;
    return bind_all(vm, {op});
  }

  template <typename T>
  std::vector<T> query(uint32_t type, uint32_t room = 128) {
    npu_dev_query args{};
    args.type = type;
    const bool single = type == NPU_QUERY_DEVICE || type == NPU_QUERY_LIMITS;
    args.out = array_of(sizeof(T), single ? 1 : room);
    Bytes payload;
    if (call(NPU_CALL_DEV_QUERY, &args, {}, &payload) != 0) throw std::runtime_error("DEV_QUERY");
    std::vector<T> rows(payload.size() / sizeof(T));
    if (!rows.empty()) std::memcpy(rows.data(), payload.data(), rows.size() * sizeof(T));
    return rows;
  }

  SharedMap& doorbells() {
    if (doorbells_.data() == nullptr) doorbells_ = map(doorbell_token_);
    return doorbells_;
  }
  uint64_t doorbell_token() const { return doorbell_token_; }
  int wake_fd() const { return wake_fd_; }

  // The ringing side of struct npu_doorbell_aux.
  void ring(uint32_t slot, uint64_t value) {
    SharedMap& page = doorbells();
    auto* aux = page.as<npu_doorbell_aux>(NPU_DOORBELL_PAGE_BYTES);
    __atomic_store_n(page.as<uint64_t>() + slot, value, __ATOMIC_RELEASE);
    __atomic_fetch_or(&aux->pending[slot / 64], 1ull << slot % 64, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&aux->device_sleeping, __ATOMIC_RELAXED) == 0) return;
    const uint64_t one = 1;
    if (write(wake_fd_, &one, sizeof(one)) != sizeof(one)) throw std::runtime_error("wake");
  }

 private:
  bool read_exactly(void* out, size_t bytes, std::vector<int>* fds, int timeout_ms) {
    size_t done = 0;
    while (done < bytes) {
      pollfd ready{socket_, POLLIN, 0};
      if (poll(&ready, 1, timeout_ms) != 1) return false;
      iovec iov{static_cast<char*>(out) + done, bytes - done};
      char control[CMSG_SPACE(sizeof(int) * 16)];
      msghdr message{};
      message.msg_iov = &iov;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      const ssize_t n = recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
      if (n <= 0) return false;
      done += static_cast<size_t>(n);
      for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
          int fd;
          std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
          fds->push_back(fd);
        }
      }
    }
    return true;
  }

  int socket_ = -1;
  uint32_t sequence_ = 0;
  int wake_fd_ = -1;
  uint64_t doorbell_token_ = 0;
  SharedMap doorbells_;
  std::deque<Answer> early_;

 public:
  std::deque<Answer> events;
};

// A queue with its memory: one VM, one ring, one control block.
class RawQueue {
 public:
  static constexpr uint32_t kRingLog2 = 6;
  static constexpr uint64_t kRingDva = 0x200000;
  static constexpr uint64_t kCtrlDva = 0x210000;

  RawQueue(RawClient* client, uint32_t vm, uint64_t dva_offset = 0, uint32_t timeout_ms = 0)
      : client_(client), vm_(vm) {
    const uint64_t ring_bytes = NPU_CMD_BYTES << kRingLog2;
    const uint64_t ctrl_bytes = NPU_CTRL_BYTES + (NPU_COMPLETION_BYTES << kRingLog2);
    const npu_bo_create ring = client->bo_create(ring_bytes, NPU_REGION_SYSTEM);
    const npu_bo_create ctrl = client->bo_create(ctrl_bytes, NPU_REGION_SYSTEM, NPU_BO_SYNC);
    ring_ = client->map(ring.map_token);
    ctrl_ = client->map(ctrl.map_token);
    ring_handle = ring.handle;
    ctrl_handle = ctrl.handle;
    args.vm_id = vm;
    args.priority = NPU_PRIO_NORMAL;
    args.ring_dva = kRingDva + dva_offset;
    args.ctrl_dva = kCtrlDva + dva_offset;
    args.ctrl_handle = ctrl.handle;
    args.ring_log2 = kRingLog2;
    args.timeout_ms = timeout_ms;
    if (client->bind(vm, ring.handle, args.ring_dva, ring.size_bytes) != 0 ||
        client->bind(vm, ctrl.handle, args.ctrl_dva, ctrl.size_bytes) != 0) {
      throw std::runtime_error("VM_BIND of a queue's memory");
    }
  }

  int create() {
    npu_queue_create out = args;
    const int err = client_->call(NPU_CALL_QUEUE_CREATE, &out);
    id = out.queue_id;
    slot = out.doorbell_slot;
    return err;
  }
  int destroy() {
    npu_queue_destroy out{id, 0};
    return client_->call(NPU_CALL_QUEUE_DESTROY, &out);
  }

  npu_queue_ctrl* ctrl() const { return ctrl_.as<npu_queue_ctrl>(); }
  uint64_t completed() const { return __atomic_load_n(&ctrl()->completed, __ATOMIC_ACQUIRE); }
  npu_completion record(uint64_t seq) const {
    return ctrl_.as<npu_completion>(NPU_CTRL_BYTES)[seq % (1u << kRingLog2)];
  }

  // Writes one command and rings; the value to wait for.
  template <typename Command>
  uint64_t submit(const Command& command) {
    static_assert(sizeof(Command) == NPU_CMD_BYTES);
    std::memcpy(ring_.data() + submitted_ % (1u << kRingLog2) * sizeof(command), &command,
                sizeof(command));
    client_->ring(slot, ++submitted_);
    return submitted_;
  }

  // WAIT for completed >= value. The errno of the call.
  int wait(uint64_t value, int64_t deadline_ns = NPU_FOREVER, npu_wait* out = nullptr) {
    npu_cond cond{};
    cond.op = NPU_COND_GE;
    cond.bo_handle = ctrl_handle;
    cond.queue_id = id;
    cond.offset = offsetof(npu_queue_ctrl, completed);
    cond.value = value;
    cond.mask = ~0ull;
    npu_wait wait{};
    wait.conds = client_->array_of(sizeof(cond), 1);
    wait.deadline_ns = deadline_ns;
    const int err = client_->call(NPU_CALL_WAIT, &wait, bytes_of(cond));
    if (out != nullptr) *out = wait;
    return err;
  }

  npu_queue_query query() {
    npu_queue_query out{};
    out.queue_id = id;
    if (client_->call(NPU_CALL_QUEUE_QUERY, &out) != 0) throw std::runtime_error("QUEUE_QUERY");
    return out;
  }

  uint64_t submitted() const { return submitted_; }

  npu_queue_create args{};
  uint32_t id = 0;
  uint32_t slot = 0;
  uint32_t ring_handle = 0;
  uint32_t ctrl_handle = 0;

 private:
  RawClient* client_;
  uint32_t vm_;
  SharedMap ring_;
  SharedMap ctrl_;
  uint64_t submitted_ = 0;
};

inline npu_cmd_fill fill_command(uint64_t dva, uint64_t bytes, uint64_t pattern) {
  npu_cmd_fill fill{};
  fill.op = NPU_CMD_FILL;
  fill.dst_dva = dva;
  fill.width_bytes = bytes;
  fill.pattern = pattern;
  fill.pattern_bytes = 8;
  fill.height = 1;
  return fill;
}

inline npu_cmd_copy copy_command(uint64_t dst_dva, uint64_t src_dva, uint64_t bytes) {
  npu_cmd_copy copy{};
  copy.op = NPU_CMD_COPY;
  copy.src_dva = src_dva;
  copy.dst_dva = dst_dva;
  copy.width_bytes = bytes;
  copy.height = 1;
  copy.depth = 1;
  return copy;
}

inline npu_cmd_sem sem_command(uint8_t op, uint64_t dva, uint64_t value, uint32_t sem_op = 0) {
  npu_cmd_sem sem{};
  sem.op = op;
  sem.sem_dva = dva;
  sem.value = value;
  sem.sem_op = sem_op;
  return sem;
}

}  // namespace npu::model::test

#endif  // NPU_TESTS_UNIT_SERVER_RAW_CLIENT_H_
