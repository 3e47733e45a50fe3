// SPDX-License-Identifier: Apache-2.0
// A vfio-user client for tests: says what a virtual machine monitor says, in the order in which it
// says it, and whatever else a test wants to be said.
//
// Thread safety: one thread at a time. Every wait ends after 30 s; then the test fails.
#ifndef NPU_TESTS_UNIT_VFIO_USER_REPLAY_CLIENT_H_
#define NPU_TESTS_UNIT_VFIO_USER_REPLAY_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/wire.h"

namespace npu::test {

namespace wire = npu::model::vfio_user::wire;
using npu::model::server::UniqueFd;
using Bytes = std::vector<std::byte>;

// The bytes of a struct.
template <typename T>
Bytes bytes_of(const T& value) {
  Bytes bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

template <typename T>
T load_at(std::span<const std::byte> bytes, size_t offset = 0) {
  T value{};
  if (offset + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

// |first| and |second| in one piece.
Bytes join(Bytes first, std::span<const std::byte> second);

// A sealed or plain memfd of that size.
UniqueFd make_memfd(uint64_t bytes, bool sealed = true);
UniqueFd make_eventfd();
// The counter of an eventfd, 0 when nothing comes within |timeout_ms|.
uint64_t take_event(int fd, int timeout_ms = 30'000);

struct Packet {
  wire::Header header{};
  Bytes body;
  std::vector<UniqueFd> fds;

  // Of a reply: 0 or errno.
  int error() const {
    return (header.flags & wire::kError) != 0 ? static_cast<int>(header.error) : 0;
  }
};

class ReplayClient {
 public:
  // A connected socket, or -1.
  explicit ReplayClient(int socket);
  static ReplayClient connect(const std::string& path);

  int fd() const { return socket_.get(); }
  bool connected() const { return socket_.valid(); }

  // Sends a command; its id.
  uint16_t send(uint16_t command, const Bytes& body, const std::vector<int>& fds = {},
                uint32_t flags = 0);
  bool send_bytes(const Bytes& bytes, const std::vector<int>& fds = {});
  // The next message of the server; nothing when it has ended the connection.
  std::optional<Packet> receive();
  // Receives up to the reply of |id|; commands of the server in between go to on_request.
  Packet wait(uint16_t id);
  Packet call(uint16_t command, const Bytes& body = {}, const std::vector<int>& fds = {});
  // Serves commands of the server for as long as |go| holds; each wait looks again after 20 ms.
  void serve(const std::function<bool()>& go);
  // Whether the server has ended the connection; waits for it.
  bool ended();

  // Answers a DMA_READ or DMA_WRITE of the server; without it they stay unanswered.
  std::function<void(const Packet&)> on_request;
  void reply(const wire::Header& request, const Bytes& body, int error = 0);
  size_t requests() const { return requests_; }

  // Errno of the reply, here and below.
  int greet();
  int map(uint64_t iova, uint64_t bytes, int fd = -1, uint64_t offset = 0,
          uint32_t flags = wire::kMapRead | wire::kMapWrite);
  int unmap(uint64_t iova, uint64_t bytes, uint32_t flags = 0);
  wire::RegionInfo region(uint32_t index, UniqueFd* fd = nullptr);
  int set_irqs(uint32_t flags, uint32_t start, uint32_t count, const std::vector<int>& fds = {},
               const Bytes& data = {}, uint32_t index = wire::kMsix);
  int reset() { return call(wire::kReset).error(); }
  Bytes read(uint32_t region, uint64_t offset, uint32_t count);
  int write(uint32_t region, uint64_t offset, const Bytes& data);
  void post(uint32_t region, uint64_t offset, const Bytes& data);  // NO_REPLY

  uint32_t read32(uint32_t region, uint64_t offset) {
    return load_at<uint32_t>(read(region, offset, 4));
  }
  uint64_t read64(uint32_t region, uint64_t offset) {
    return load_at<uint64_t>(read(region, offset, 8));
  }
  void write32(uint32_t region, uint64_t offset, uint32_t value) {
    write(region, offset, bytes_of(value));
  }
  void write64(uint32_t region, uint64_t offset, uint64_t value) {
    write(region, offset, bytes_of(value));
  }

  // All that QEMU does until the device is realised, with |ram_fd| as the machine's memory at 0.
  // False: a step failed, realize_step() says which.
  bool realize(int ram_fd, uint64_t ram_bytes);
  const std::string& realize_step() const { return step_; }
  // What realize() has read: the configuration space and the sizes of the regions.
  Bytes config;
  std::map<uint32_t, uint64_t> region_bytes;

 private:
  bool read_bytes(std::byte* to, size_t bytes, std::vector<UniqueFd>* fds);
  void handle_request(const Packet& packet);

  UniqueFd socket_;
  uint16_t next_id_ = 0x100;
  size_t requests_ = 0;
  std::string step_;
};

}  // namespace npu::test

#endif  // NPU_TESTS_UNIT_VFIO_USER_REPLAY_CLIENT_H_
