// SPDX-License-Identifier: Apache-2.0
// Opening and connecting. A rank connects to all lower ones, as its control connections do; a connection says whose it is with a proof that only the two ranks can make.
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/log.h"
#include "libnpu/ccl/network.h"

namespace npu::ccl {
namespace {

constexpr const char* kRole = "data";

// What a connection request says. RoCE has room for 52 bytes.
struct Call {
  Mac mac;
  uint16_t rank;
  uint16_t target;
  uint32_t rail;
  uint32_t epoch;
};
static_assert(sizeof(Call) == 44);

std::string name_of_rank(uint32_t rank) { return "rank " + std::to_string(rank); }

template <typename Number>
bool parse_number(std::string_view text, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string provider() {
  const char* named = std::getenv("NPU_CCL_PROVIDER");
  return named != nullptr && *named != '\0' ? named : "tcp";
}

}  // namespace

std::optional<Fault> parse_fault(std::string_view text) {
  constexpr std::string_view kKinds[] = {"none", "payload", "sequence", "version", "cut"};
  Fault fault;
  const size_t first = text.find(':'), second = text.rfind(':');
  if (first == std::string_view::npos || first == second) return std::nullopt;
  for (size_t i = 1; i < std::size(kKinds); i++) {
    if (text.substr(0, first) == kKinds[i]) fault.kind = static_cast<Fault::Kind>(i);
  }
  if (fault.kind == Fault::Kind::kNone ||
      !parse_number(text.substr(first + 1, second - first - 1), &fault.rank) ||
      !parse_number(text.substr(second + 1), &fault.number) || fault.number == 0) {
    return std::nullopt;
  }
  return fault;
}

std::optional<NetAddress> Network::address() const {
  if (rails_.empty()) return std::nullopt;
  NetAddress host = rails_.front()->fabric.address();
  host.port = 0;
  return host;
}

std::vector<RailAddress> Network::port_rails(npuContext context, uint16_t version) {
  ports_.open(context);
  std::vector<RailAddress> found = ports_.rails(version);
  if (found.empty() && ports_.bound() != 0) {
    log_info(
        "rank %u: of the device's %zu ports that stand for interfaces none has a link and an "
        "address of IPv%u here: none is a rail",
        rank_, ports_.bound(), version);
  }
  return found;
}

std::optional<Refusal> Network::open(const std::vector<RailAddress>& own,
                                     const std::vector<bool>& remote, std::vector<Landings>* out) {
  const auto refuse = [&](npuCclReason reason, const std::string& text) {
    return Refusal{rank_, reason, name_of_rank(rank_) + ": " + text};
  };
  if (const char* wish = std::getenv("NPU_CCL_INJECT"); wish != nullptr && *wish != '\0') {
    const std::optional<Fault> fault = parse_fault(wish);
    if (!fault) return refuse(NPU_CCL_PROTOCOL, "NPU_CCL_INJECT is no KIND:RANK:NUMBER");
    fault_ = *fault;
  }
  if (memory_.map_slots() != NPU_OK) return refuse(NPU_CCL_DEVICE, error_text());
  for (const RailAddress& at : own) {
    const auto number = static_cast<uint32_t>(rails_.size());
    if (auto refusal = open_rail(at, number, remote.size())) return refusal;
  }
  links_.resize(remote.size());
  for (uint32_t rank = 0; rank < remote.size(); rank++) {
    if (!remote[rank]) continue;
    if (auto refusal = open_link(rank, &(*out)[rank])) return refusal;
  }
  return std::nullopt;
}

std::optional<Refusal> Network::open_rail(const RailAddress& own, uint32_t number, size_t ranks) {
  auto rail = std::make_unique<Rail>();
  rail->number = number;
  rail->interface = interface_of(own.at);
  if (own.port != RailAddress::kNoPort) rail->ports = &ports_, rail->port = own.port;
  const std::string port =
      rail->ports != nullptr ? ", port " + std::to_string(own.port) + " of the device" : "";
  log_info("rank %u: ranks of other hosts reach it at %s (%s%s)", rank_, own.at.text().c_str(),
           rail->interface.c_str(), port.c_str());
  std::string error;
  if (!rail->fabric.open(own.at, provider(), ranks * Transfers::kTransfers, &error)) {
    return Refusal{rank_, NPU_CCL_DEVICE, name_of_rank(rank_) + ": " + error};
  }
  if (!rail->fabric.register_memory(memory_.own().slots_host, memory_.slots_bytes(), FI_WRITE,
                                    &rail->slots)) {
    return Refusal{rank_, NPU_CCL_DEVICE,
                   name_of_rank(rank_) + ": libfabric cannot register the slots"};
  }
  rails_.push_back(std::move(rail));
  return std::nullopt;
}

std::optional<Refusal> Network::open_link(uint32_t rank, Landings* out) {
  auto link = std::make_unique<PeerLink>();
  link->rank = rank;
  if (memory_.mirror(rank) != NPU_OK) {
    return Refusal{rank_, NPU_CCL_DEVICE, name_of_rank(rank_) + ": " + error_text()};
  }
  *out = {};
  for (const auto& rail : rails_) {
    auto path = std::make_unique<Path>(*rail, *link);
    if (!path->open({memory_.rank(rank).slots_host, memory_.mirror_bytes()})) {
      return Refusal{rank_, NPU_CCL_DEVICE,
                     name_of_rank(rank_) + ": libfabric cannot register memory"};
    }
    out->rails[out->count++] = path->own_landing();
    link->paths.push_back(std::move(path));
  }
  links_[rank] = std::move(link);
  return std::nullopt;
}

std::optional<Refusal> Network::call_peers(const std::vector<Peer>& peers) {
  for (uint32_t rank = 0; rank < peers.size(); rank++) {
    if (!is_remote(rank)) continue;
    PeerLink& link = *links_[rank];
    const Landings& landings = peers[rank].landings;
    link.nonce = peers[rank].nonce;
    // As many rails as both have: the first with the first, and so on.
    link.paths.resize(std::min<size_t>(link.paths.size(), landings.count));
    for (const auto& path : link.paths) {
      path->landing = landings.rails[path->rail().number];
      if (rank > rank_) continue;
      std::string error;
      if (!call(*path, &error)) {
        return Refusal{rank, NPU_CCL_RANK_LOST, name_of_rank(rank) + ": " + error};
      }
    }
  }
  return std::nullopt;
}

bool Network::call(Path& path, std::string* out_error) {
  const PeerLink& link = path.link();
  path.epoch++;
  path.tried = Clock::now();
  Call call{{},
            static_cast<uint16_t>(rank_),
            static_cast<uint16_t>(link.rank),
            path.rail().number,
            path.epoch};
  call.mac = mac_of(token_, kRole, link.nonce, call);
  return path.connect(std::as_bytes(std::span(&call, 1)), out_error);
}

std::optional<Refusal> Network::connect(const Offer& offer, const std::vector<Peer>& peers) {
  if (rails_.empty()) return std::nullopt;
  token_ = offer.address.token;
  if (auto refusal = call_peers(peers)) return refusal;
  if (auto refusal = await_peers(offer)) return refusal;
  has_started_ = true;
  return std::nullopt;
}

std::optional<Refusal> Network::await_peers(const Offer& offer) {
  const auto is_missing = [](const std::unique_ptr<PeerLink>& link) {
    return link && link->up_count() != link->paths.size();
  };
  while (true) {
    take_events();
    const auto missing = std::find_if(links_.begin(), links_.end(), is_missing);
    if (missing == links_.end()) return std::nullopt;
    if (const auto loss = first_loss()) {
      return Refusal{loss->rank, NPU_CCL_RANK_LOST,
                     name_of_rank(loss->rank) + ": no data connection: " + loss->text};
    }
    if (!goes_on(offer)) {
      return Refusal{(*missing)->rank, NPU_CCL_TIMEOUT,
                     name_of_rank((*missing)->rank) + " opened no data connection in time"};
    }
    if (!may_sleep()) continue;
    std::vector<pollfd> polled;
    for (int fd : fds()) polled.push_back({fd, POLLIN, 0});
    poll(polled.data(), polled.size(), slice_ms(offer));
  }
}

void Network::take_events() {
  for (const auto& rail : rails_) {
    for (FabricEvent event = rail->fabric.next_event(); event.kind != FabricEvent::Kind::kNone;
         event = rail->fabric.next_event()) {
      take_event(*rail, std::move(event));
    }
  }
}

void Network::take_event(Rail& rail, FabricEvent event) {
  if (event.kind == FabricEvent::Kind::kRequest) return accept(rail, std::move(event));
  Path* path = path_of(rail, event.endpoint);
  if (path == nullptr) return;
  if (event.kind == FabricEvent::Kind::kConnected && path->state() == Path::State::kConnecting) {
    connected(*path);
  }
  if (event.kind == FabricEvent::Kind::kEnded) lose(*path, event.text);
}

// The data of models is moved by CPUs: what lies in sockets should be in their caches still when the other side reads it, while the kernel's own choice grows to megabytes (docs/decisions/0082).
uint32_t Network::send_buffer_bytes() const {
  constexpr uint32_t kOfOneBytes = 256 << 10, kOfManyBytes = 128 << 10;
  if (send_buffer_bytes_ || !is_on_model_) return send_buffer_bytes_.value_or(0);
  const auto peers =
      std::count_if(links_.begin(), links_.end(), [](const auto& link) { return link != nullptr; });
  return peers == 1 ? kOfOneBytes : kOfManyBytes;
}

// A path that is made anew carries messages when it has answered.
void Network::connected(Path& path) {
  if (const uint32_t bytes = send_buffer_bytes(); bytes != 0) path.bound_sends(bytes);
  path.set_state(has_started_ ? Path::State::kProbing : Path::State::kUp);
}

// What would be evidence against the new connection must not be there when it is accepted. The other side tries again.
void Network::accept(Rail& rail, FabricEvent event) {
  Call call{};
  const bool fits = event.said.size() >= sizeof(call);  // a provider may add zeros
  if (fits) std::memcpy(&call, event.said.data(), sizeof(call));
  PeerLink* const link =
      fits && call.rank > rank_ && is_remote(call.rank) ? links_[call.rank].get() : nullptr;
  Path* const path = link != nullptr ? link->path_at(rail.number) : nullptr;
  if (path == nullptr || path->is_up() || path->state() == Path::State::kClosed ||
      call.target != rank_ || call.rail != rail.number || call.epoch <= path->epoch ||
      !is_same(call.mac, mac_of(token_, kRole, link->nonce, call)) ||
      (has_started_ && !rail.has_link())) {
    return rail.fabric.refuse(event.request.get());
  }
  path->close(Path::State::kDown);
  path->epoch = call.epoch;
  path->tried = Clock::now();
  if (!path->accept(event.request.get())) lose(*path, "it could not be accepted");
}

Path* Network::path_of(const Rail& rail, const fid* endpoint) {
  for (const auto& link : links_) {
    Path* const path = link ? link->path_at(rail.number) : nullptr;
    if (path != nullptr && path->owns(endpoint)) return path;
  }
  return nullptr;
}

}  // namespace npu::ccl
