// SPDX-License-Identifier: Apache-2.0
// Control connections: a rank connects to all lower ones and is connected to by all higher ones.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "libnpu/ccl/bootstrap.h"

namespace npu::ccl {
namespace {

constexpr size_t kGuestsMax = 64;

// One connection until the other side's frame and descriptors are there.
struct Half {
  Fd socket;
  FrameReader reader;
  std::vector<Fd> fds;
  std::optional<uint32_t> rank;  // of one that this side opened
};

class Mesh {
 public:
  Mesh(const Offer& offer, const Fd& listener, std::vector<Peer>* peers)
      : offer_(offer), listener_(listener), peers_(*peers) {
    peers_.resize(offer.agreement.ranks);
  }
  std::optional<Refusal> run(const Welcome& welcome) {
    for (uint32_t rank = 0; rank < offer_.rank; rank++) {
      Half half{connect_unix(welcome.names[rank].text), {}, {}, rank};
      if (!half.socket || !is_own_user(half.socket) || !introduce(half.socket)) return lost(rank);
      halves_.push_back(std::move(half));
    }
    while (missing() != offer_.agreement.ranks) {
      if (!goes_on(offer_)) {
        return Refusal{
            missing(), NPU_CCL_TIMEOUT,
            "rank " + std::to_string(missing()) + " opened no control connection in time"};
      }
      turn();
    }
    return std::nullopt;
  }

 private:
  static std::optional<Refusal> lost(uint32_t rank) {
    return Refusal{rank, NPU_CCL_RANK_LOST,
                   "rank " + std::to_string(rank) + " went away during the start"};
  }
  uint32_t missing() const {
    uint32_t rank = 0;
    while (rank < peers_.size() && (rank == offer_.rank || peers_[rank].control)) rank++;
    return rank;
  }
  bool introduce(const Fd& socket) {
    const PeerHello hello{offer_.address.token, offer_.rank, 0};
    return send_now(socket, make_frame(FrameKind::kPeer, hello), offer_.fds);
  }
  void turn() {
    std::vector<pollfd> fds = {{listener_.get(), POLLIN, 0}};
    for (const Half& half : halves_) fds.push_back({half.socket.get(), POLLIN, 0});
    if (poll(fds.data(), fds.size(), slice_ms(offer_)) <= 0) return;
    for (size_t i = halves_.size(); i-- > 0;) {
      if (fds[i + 1].revents != 0 && !read(halves_[i])) {
        halves_.erase(halves_.begin() + static_cast<long>(i));
      }
    }
    if (fds[0].revents == 0) return;
    Fd fd = accept_from(listener_);
    if (fd && is_own_user(fd) && halves_.size() < kGuestsMax) {
      halves_.push_back({std::move(fd), {}, {}, {}});
    }
  }
  // False: the connection is over, or has become a peer's.
  bool read(Half& half) {
    const long got = receive_some(half.socket, half.reader.room(), &half.fds, kSharedFds);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0 || !half.reader.filled(static_cast<size_t>(got))) return false;
    const std::optional<Frame> frame = half.reader.take();
    if (!frame) return true;
    if (frame->kind == FrameKind::kPeer) accept(half, frame->as<PeerHello>());
    return false;
  }
  void accept(Half& half, const PeerHello& hello) {
    if (!is_same(hello.token, offer_.address.token) || half.fds.size() != kSharedFds) return;
    const bool fits = half.rank ? *half.rank == hello.rank
                                : hello.rank > offer_.rank && hello.rank < peers_.size();
    if (!fits || peers_[hello.rank].control) return;
    if (!half.rank && !introduce(half.socket)) return;
    peers_[hello.rank] = {std::move(half.socket), std::move(half.fds)};
  }

  const Offer& offer_;
  const Fd& listener_;
  std::vector<Peer>& peers_;
  std::vector<Half> halves_;
};

}  // namespace

std::optional<Refusal> connect_all(const Offer& offer, const Fd& listener, const Welcome& welcome,
                                   std::vector<Peer>* out_peers) {
  return Mesh(offer, listener, out_peers).run(welcome);
}

std::optional<Refusal> meet(const Offer& offer, std::vector<Peer>* out_peers) {
  std::array<uint8_t, 16> random;
  SocketName name{};
  Fd listener;
  if (fill_random(random)) {
    int at = std::snprintf(name.text, sizeof(name.text), "npu-ccl-");
    for (uint8_t byte : random) at += std::snprintf(name.text + at, 3, "%02x", byte);
    listener = listen_unix(name.text);
  }
  if (!listener) {
    return Refusal{offer.rank, NPU_CCL_PROTOCOL,
                   std::string("no Unix socket for the other ranks: ") + std::strerror(errno)};
  }
  Welcome welcome{};
  auto refusal =
      offer.rank == 0 ? serve_store(offer, name, &welcome) : ask_store(offer, name, &welcome);
  return refusal ? refusal : connect_all(offer, listener, welcome, out_peers);
}

}  // namespace npu::ccl
