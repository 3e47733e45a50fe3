// SPDX-License-Identifier: Apache-2.0
// A connected socket as a stream of framed messages with descriptors.
//
// Thread safety: the I/O thread. Nothing blocks: a peer that does not read is not read from either,
// once kQueueFullBytes wait for it.
#ifndef NPU_MODEL_VFIO_USER_CHANNEL_H_
#define NPU_MODEL_VFIO_USER_CHANNEL_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "firmware-model/server/unique_fd.h"
#include "firmware-model/vfio_user/wire.h"

namespace npu::model::vfio_user {

using server::UniqueFd;

struct Message {
  wire::Header header{};
  std::vector<std::byte> body;
  std::vector<UniqueFd> fds;  // closed with the message unless a handler takes them
};

class Channel {
 public:
  enum class Got { kMessage, kNothing, kEnd, kBroken };

  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }
  // The next message. kBroken: framing that cannot be followed any further; broken() says what.
  Got receive(Message* out);
  const char* broken() const { return broken_; }

  // Header.size_bytes is set here. |fd| is duplicated when it must wait. False: the peer has gone.
  bool send(wire::Header header, std::span<const std::byte> body, int fd = -1);
  // Sends what waits. False: the peer has gone.
  bool flush();
  bool has_waiting() const { return !waiting_.empty(); }
  bool full() const { return waiting_bytes_ >= kQueueFullBytes; }

 private:
  static constexpr size_t kQueueFullBytes = 4 << 20;

  struct Outgoing {
    std::vector<std::byte> bytes;
    size_t sent = 0;
    UniqueFd fd;
  };

  Got read_some(std::byte* to, size_t wanted, size_t* have, bool with_fds);
  bool take_fds(msghdr& message);
  Got fail(const char* why);

  UniqueFd socket_;
  Message incoming_;
  size_t header_have_ = 0;
  size_t body_have_ = 0;
  const char* broken_ = "";
  std::deque<Outgoing> waiting_;
  size_t waiting_bytes_ = 0;
};

}  // namespace npu::model::vfio_user

#endif  // NPU_MODEL_VFIO_USER_CHANNEL_H_
