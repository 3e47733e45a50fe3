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

// One connection until all that the other side has to say is there.
struct Half {
  Fd socket;
  bool is_remote = false;
  std::optional<uint32_t> rank;  // of one that this side opened
  FrameReader reader{};
  std::vector<Fd> fds{};
  Nonce nonce{};  // that the other side has to answer with
};

std::string name_of_rank(uint32_t rank) { return "rank " + std::to_string(rank); }

class Mesh {
 public:
  Mesh(const Offer& offer, const Listeners& listeners, const std::vector<Landings>& landings,
       std::vector<Peer>* peers)
      : offer_(offer), listeners_(listeners), landings_(landings), peers_(*peers) {}

  std::optional<Refusal> run(const Welcome& welcome) {
    for (uint32_t rank = 0; rank < offer_.rank; rank++) {
      if (auto refusal = reach(rank, welcome.names[rank])) return refusal;
    }
    while (missing() != offer_.agreement.ranks) {
      if (!goes_on(offer_)) {
        return Refusal{missing(), NPU_CCL_TIMEOUT,
                       name_of_rank(missing()) + " opened no control connection in time"};
      }
      turn();
    }
    return std::nullopt;
  }

 private:
  uint32_t missing() const {
    uint32_t rank = 0;
    while (rank < peers_.size() && (rank == offer_.rank || peers_[rank].control)) rank++;
    return rank;
  }
  std::optional<Refusal> reach(uint32_t rank, const Name& name) {
    Half half{{}, peers_[rank].is_remote, rank};
    if (half.is_remote) {
      do {
        half.socket = try_to_connect(offer_, name.control);
      } while (!half.socket && errno != ECONNREFUSED && goes_on(offer_));
      if (!half.socket) {
        return Refusal{rank, NPU_CCL_RANK_LOST,
                       name_of_rank(rank) + " cannot be reached at " + name.control.text() + ": " +
                           std::strerror(errno)};
      }
    } else {
      half.socket = connect_unix(name.unix_name);
      if (!half.socket || !is_own_user(half.socket) || !introduce(half.socket)) {
        return Refusal{rank, NPU_CCL_RANK_LOST, name_of_rank(rank) + " went away during the start"};
      }
    }
    halves_.push_back(std::move(half));
    return std::nullopt;
  }
  bool introduce(const Fd& socket) {
    const PeerHello hello{offer_.address.token, offer_.rank, 0};
    return send_now(socket, make_frame(FrameKind::kPeer, hello), offer_.fds);
  }
  void turn() {
    std::vector<pollfd> fds = {{listeners_.unix_socket.get(), POLLIN, 0},
                               {listeners_.tcp.get(), POLLIN, 0}};
    for (const Half& half : halves_) fds.push_back({half.socket.get(), POLLIN, 0});
    if (poll(fds.data(), fds.size(), slice_ms(offer_)) <= 0) return;
    for (size_t i = halves_.size(); i-- > 0;) {
      if (fds[i + 2].revents != 0 && !read(halves_[i])) {
        halves_.erase(halves_.begin() + static_cast<long>(i));
      }
    }
    if (fds[0].revents != 0) {
      Fd fd = accept_from(listeners_.unix_socket);
      if (fd && is_own_user(fd)) add_guest({std::move(fd), false, {}});
    }
    if (fds[1].revents != 0) challenge({accept_from(listeners_.tcp), true, {}});
  }
  void challenge(Half guest) {
    if (!guest.socket || !fill_random(guest.nonce)) return;
    if (!send_now(guest.socket, make_frame(FrameKind::kChallenge, Challenge{guest.nonce}))) return;
    add_guest(std::move(guest));
  }
  void add_guest(Half guest) {
    if (halves_.size() < kGuestsMax) halves_.push_back(std::move(guest));
  }
  // False: the connection is over, or has become a peer's.
  bool read(Half& half) {
    const long got =
        receive_some(half.socket, half.reader.room(), &half.fds, half.is_remote ? 0 : kSharedFds);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0 || !half.reader.filled(static_cast<size_t>(got))) return false;
    const std::optional<Frame> frame = half.reader.take();
    if (!frame) return true;
    if (!half.is_remote) {
      if (frame->kind == FrameKind::kPeer) accept(half, frame->as<PeerHello>());
      return false;
    }
    if (half.rank && frame->kind == FrameKind::kChallenge) {
      return join(half, frame->as<Challenge>());
    }
    if (half.rank && frame->kind == FrameKind::kJoined) finish(half, frame->as<Joined>());
    if (!half.rank && frame->kind == FrameKind::kJoin) answer(half, frame->as<Join>());
    return false;
  }
  // True if |rank| may be who is behind |half|.
  bool fits(const Half& half, uint32_t rank) const {
    const bool known = half.rank ? *half.rank == rank : rank > offer_.rank && rank < peers_.size();
    return known && !peers_[rank].control && peers_[rank].is_remote == half.is_remote;
  }
  void accept(Half& half, const PeerHello& hello) {
    if (!is_same(hello.token, offer_.address.token) || half.fds.size() != kSharedFds) return;
    if (!fits(half, hello.rank)) return;
    if (!half.rank && !introduce(half.socket)) return;
    peers_[hello.rank].control = std::move(half.socket);
    peers_[hello.rank].memory = std::move(half.fds);
  }
  bool join(Half& half, const Challenge& challenge) {
    Join join{{}, {}, landings_[*half.rank], offer_.rank, *half.rank};
    if (!fill_random(join.nonce)) return false;
    half.nonce = join.nonce;
    join.mac = mac_of(offer_.address.token, "join", challenge.nonce, join);
    return send_now(half.socket, make_frame(FrameKind::kJoin, join));
  }
  void answer(Half& half, const Join& join) {
    if (!is_same(join.mac, mac_of(offer_.address.token, "join", half.nonce, join))) return;
    if (join.target != offer_.rank || !fits(half, join.rank)) return;
    Joined joined{{}, landings_[join.rank], offer_.rank, join.rank};
    joined.mac = mac_of(offer_.address.token, "joined", join.nonce, joined);
    if (!send_now(half.socket, make_frame(FrameKind::kJoined, joined))) return;
    take(half, join.rank, join.landings, join.nonce);
  }
  void finish(Half& half, const Joined& joined) {
    if (!is_same(joined.mac, mac_of(offer_.address.token, "joined", half.nonce, joined))) return;
    if (joined.target != offer_.rank || !fits(half, joined.rank)) return;
    take(half, joined.rank, joined.landings, half.nonce);
  }
  void take(Half& half, uint32_t rank, const Landings& landings, const Nonce& nonce) {
    if (!is_valid(landings)) return;
    peers_[rank].control = std::move(half.socket);
    peers_[rank].landings = landings;
    peers_[rank].nonce = nonce;
  }

  const Offer& offer_;
  const Listeners& listeners_;
  const std::vector<Landings>& landings_;
  std::vector<Peer>& peers_;
  std::vector<Half> halves_;
};

// Opens what other ranks connect to.
std::optional<Refusal> listen_all(const Offer& offer, Listeners* out, Name* out_name) {
  const auto refuse = [&](const std::string& text) {
    return Refusal{offer.rank, NPU_CCL_PROTOCOL, name_of_rank(offer.rank) + ": " + text};
  };
  std::array<uint8_t, 16> random;
  *out_name = {};
  out_name->host = host_of(offer.rank);
  if (fill_random(random)) {
    char* const text = out_name->unix_name;
    int at = std::snprintf(text, sizeof(out_name->unix_name), "npu-ccl-");
    for (uint8_t byte : random) at += std::snprintf(text + at, 3, "%02x", byte);
    out->unix_socket = listen_unix(text);
  }
  if (!out->unix_socket) {
    return refuse(std::string("no Unix socket for the other ranks: ") + std::strerror(errno));
  }
  std::string error;
  out->rails = own_addresses(offer.address.at, wished_interfaces(), &error);
  if (out->rails.empty()) return refuse(error);
  out_name->control = out->rails.front();
  out->tcp = listen_tcp(&out_name->control);
  if (!out->tcp) {
    return refuse("no socket on " + out->rails.front().text() + ": " + std::strerror(errno));
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> connect_all(const Offer& offer, const Listeners& listeners,
                                   const Welcome& welcome, const std::vector<Landings>& landings,
                                   std::vector<Peer>* out_peers) {
  return Mesh(offer, listeners, landings, out_peers).run(welcome);
}

std::optional<Refusal> meet(const Offer& offer, const Prepare& prepare,
                            std::vector<Peer>* out_peers) {
  Listeners listeners;
  Name own{};
  Welcome welcome{};
  if (auto refusal = listen_all(offer, &listeners, &own)) return refusal;
  auto refusal =
      offer.rank == 0 ? serve_store(offer, own, &welcome) : ask_store(offer, own, &welcome);
  if (refusal) return refusal;
  out_peers->resize(offer.agreement.ranks);
  std::vector<bool> remote(offer.agreement.ranks);
  bool any = false;
  for (uint32_t rank = 0; rank < offer.agreement.ranks; rank++) {
    (*out_peers)[rank].is_remote = remote[rank] = welcome.names[rank].host != own.host;
    any = any || remote[rank];
  }
  std::vector<Landings> landings(offer.agreement.ranks);
  if (any) {
    if (auto failed = prepare(listeners.rails, remote, &landings)) return failed;
  }
  return connect_all(offer, listeners, welcome, landings, out_peers);
}

}  // namespace npu::ccl
