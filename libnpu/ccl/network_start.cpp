// SPDX-License-Identifier: Apache-2.0
// Opening and connecting. A rank connects to all lower ones, as its control connections do; a connection says whose it is with a proof that only the two ranks can make.
#include <poll.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "libnpu/ccl/error.h"
#include "libnpu/ccl/network.h"

namespace npu::ccl {
namespace {

constexpr const char* kRole = "data";

struct Call {  // what a connection request says
  Mac mac;
  uint32_t rank;
  uint32_t target;
};

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
  constexpr std::string_view kKinds[] = {"none", "payload", "sequence", "version"};
  Fault fault;
  const size_t first = text.find(':'), second = text.rfind(':');
  if (first == std::string_view::npos || first == second) return std::nullopt;
  for (size_t i = 1; i < std::size(kKinds); i++) {
    if (text.substr(0, first) == kKinds[i]) fault.kind = static_cast<Fault::Kind>(i);
  }
  if (fault.kind == Fault::Kind::kNone ||
      !parse_number(text.substr(first + 1, second - first - 1), &fault.rank) ||
      !parse_number(text.substr(second + 1), &fault.number)) {
    return std::nullopt;
  }
  return fault;
}

std::optional<NetAddress> Network::address() const {
  if (!fabric_) return std::nullopt;
  NetAddress host = fabric_->address();
  host.port = 0;
  return host;
}

std::optional<Refusal> Network::open(const NetAddress& own, const std::vector<bool>& remote,
                                     std::vector<Landing>* out) {
  const auto refuse = [&](npuCclReason reason, const std::string& text) {
    return Refusal{rank_, reason, name_of_rank(rank_) + ": " + text};
  };
  if (const char* wish = std::getenv("NPU_CCL_INJECT"); wish != nullptr && *wish != '\0') {
    const std::optional<Fault> fault = parse_fault(wish);
    if (!fault) return refuse(NPU_CCL_PROTOCOL, "NPU_CCL_INJECT is no KIND:RANK:NUMBER");
    fault_ = *fault;
  }
  auto fabric = std::make_unique<Fabric>();
  std::string error;
  const size_t transfers = remote.size() * (kReceives + kSends + kWrites);
  if (!fabric->open(own, provider(), transfers, &error)) return refuse(NPU_CCL_DEVICE, error);
  if (memory_.map_slots() != NPU_OK) return refuse(NPU_CCL_DEVICE, error_text());
  if (!fabric->register_memory(memory_.own().slots_host, memory_.slots_bytes(), FI_WRITE,
                               &slots_region_)) {
    return refuse(NPU_CCL_DEVICE, "libfabric cannot register the slots");
  }
  fabric_ = std::move(fabric);
  links_.resize(remote.size());
  for (uint32_t rank = 0; rank < remote.size(); rank++) {
    if (!remote[rank]) continue;
    if (auto refusal = open_link(rank, &(*out)[rank])) return refusal;
  }
  return std::nullopt;
}

std::optional<Refusal> Network::open_link(uint32_t rank, Landing* out) {
  auto link = std::make_unique<Link>();
  link->rank = rank;
  if (memory_.mirror(rank) != NPU_OK) {
    return Refusal{rank_, NPU_CCL_DEVICE, name_of_rank(rank_) + ": " + error_text()};
  }
  if (!fabric_->register_memory(memory_.rank(rank).slots_host, memory_.mirror_bytes(),
                                FI_REMOTE_WRITE, &link->mirror_region) ||
      !fabric_->register_memory(&link->buffers, sizeof(link->buffers), FI_SEND | FI_RECV,
                                &link->buffers_region)) {
    return Refusal{rank_, NPU_CCL_DEVICE,
                   name_of_rank(rank_) + ": libfabric cannot register memory"};
  }
  for (size_t i = 0; i < link->transfers.size(); i++) {
    Transfer& transfer = link->transfers[i];
    transfer.link = link.get();
    transfer.kind = i < kReceives            ? Transfer::Kind::kReceive
                    : i < kReceives + kSends ? Transfer::Kind::kSend
                                             : Transfer::Kind::kWrite;
    transfer.buffer = i < link->buffers.size() ? &link->buffers[i] : nullptr;
  }
  *out = {link->mirror_region.key(), link->mirror_region.remote_base, fabric_->address(), 0};
  links_[rank] = std::move(link);
  return std::nullopt;
}

std::optional<Refusal> Network::call_peers(const std::vector<Peer>& peers) {
  for (uint32_t rank = 0; rank < peers.size(); rank++) {
    if (!is_remote(rank)) continue;
    Link& link = *links_[rank];
    link.landing = peers[rank].landing;
    link.nonce = peers[rank].nonce;
    if (rank > rank_) continue;
    Call call{{}, rank_, rank};
    call.mac = mac_of(token_, kRole, link.nonce, call);
    std::string error;
    link.endpoint =
        fabric_->connect(link.landing.endpoint, std::as_bytes(std::span(&call, 1)), &error);
    if (!link.endpoint || !post_receives(link)) {
      return Refusal{rank, NPU_CCL_RANK_LOST, name_of_rank(rank) + ": " + error};
    }
  }
  return std::nullopt;
}

std::optional<Refusal> Network::connect(const Offer& offer, const std::vector<Peer>& peers) {
  if (!fabric_) return std::nullopt;
  token_ = offer.address.token;
  if (auto refusal = call_peers(peers)) return refusal;
  while (true) {
    for (FabricEvent event = fabric_->next_event(); event.kind != FabricEvent::Kind::kNone;
         event = fabric_->next_event()) {
      take_event(std::move(event));
    }
    uint32_t missing = 0;
    while (missing < links_.size() && (!links_[missing] || links_[missing]->is_up)) missing++;
    if (missing == links_.size()) return std::nullopt;
    if (const auto loss = first_loss()) {
      return Refusal{loss->rank, NPU_CCL_RANK_LOST,
                     name_of_rank(loss->rank) + ": no data connection: " + loss->text};
    }
    if (!goes_on(offer)) {
      return Refusal{missing, NPU_CCL_TIMEOUT,
                     name_of_rank(missing) + " opened no data connection in time"};
    }
    if (!fabric_->may_sleep()) continue;
    std::vector<pollfd> fds;
    for (int fd : fabric_->fds()) fds.push_back({fd, POLLIN, 0});
    poll(fds.data(), fds.size(), slice_ms(offer));
  }
}

void Network::take_event(FabricEvent event) {
  if (event.kind == FabricEvent::Kind::kRequest) return accept(std::move(event));
  Link* link = link_of(event.endpoint);
  if (link == nullptr) return;
  if (event.kind == FabricEvent::Kind::kConnected) link->is_up = true;
  if (event.kind == FabricEvent::Kind::kEnded) lose(*link, event.text);
}

void Network::accept(FabricEvent event) {
  Call call{};
  const bool fits = event.said.size() >= sizeof(call);  // a provider may add zeros
  if (fits) std::memcpy(&call, event.said.data(), sizeof(call));
  Link* const link =
      fits && call.rank > rank_ && is_remote(call.rank) ? links_[call.rank].get() : nullptr;
  if (link == nullptr || link->endpoint || call.target != rank_ ||
      !is_same(call.mac, mac_of(token_, kRole, link->nonce, call))) {
    return fabric_->refuse(event.request.get());
  }
  link->endpoint = fabric_->make_endpoint(event.request.get());
  if (!link->endpoint) return fabric_->refuse(event.request.get());
  if (!post_receives(*link) || fi_accept(link->endpoint.get(), nullptr, 0) != 0) {
    lose(*link, "it could not be accepted");
  }
}

bool Network::post_receives(Link& link) {
  for (Transfer& transfer : link.transfers) {
    if (transfer.kind == Transfer::Kind::kReceive && !post_receive(link, transfer)) return false;
  }
  return true;
}

bool Network::post_receive(Link& link, Transfer& transfer) {
  return fi_recv(link.endpoint.get(), transfer.buffer, sizeof(Buffer), link.buffers_region.desc(),
                 0, &transfer.context) == 0;
}

Network::Link* Network::link_of(const fid* endpoint) {
  for (const auto& link : links_) {
    if (link && link->endpoint && &link->endpoint->fid == endpoint) return link.get();
  }
  return nullptr;
}

void Network::lose(Link& link, const std::string& text) {
  link.is_up = false;
  if (!link.loss) link.loss = Loss{link.rank, text, Clock::now()};
}

void Network::close() {
  for (auto& link : links_) {
    if (!link || !link->endpoint) continue;
    fi_shutdown(link->endpoint.get(), 0);
    link->endpoint.reset();
  }
  links_.clear();
  slots_region_.mr.reset();
  fabric_.reset();
}

}  // namespace npu::ccl
