// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/path.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace npu::ccl {
namespace {

// Connections of one path whose transfers libfabric may still hold.
constexpr size_t kRetiredMax = 8;

// What the kernel says of an interface. IFF_RUNNING follows the link late: the kernel works off changes of links once a second at most, those of interfaces that were just made too. So it is no evidence that a link is
// missing, or a rail would be given up that has just come back. The link itself is known at once, but asking for it takes the lock of all network settings.
class Interface {
 public:
  explicit Interface(const std::string& name)
      : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    is_known_ = socket_ && !name.empty() && name.size() < IFNAMSIZ;
    if (!is_known_) return;
    name.copy(request_.ifr_name, IFNAMSIZ - 1);
    // One that is gone has no flags.
    if (ioctl(socket_.get(), SIOCGIFFLAGS, &request_) == 0) flags_ = request_.ifr_flags;
  }
  bool is_running() const {
    constexpr short kRuns = IFF_UP | IFF_RUNNING;
    return !is_known_ || (flags_ & kRuns) == kRuns;
  }
  // Nothing: its driver does not say.
  std::optional<bool> has_carrier() {
    ethtool_value answer{ETHTOOL_GLINK, 0};
    request_.ifr_data = reinterpret_cast<char*>(&answer);
    if (!is_known_ || ioctl(socket_.get(), SIOCETHTOOL, &request_) != 0) return std::nullopt;
    return answer.data != 0;
  }

 private:
  const Fd socket_;
  ifreq request_{};
  bool is_known_ = false;
  short flags_ = 0;
};

}  // namespace

bool Rail::has_link() const {
  Interface own(interface);
  return has_port_link() && (own.is_running() || own.has_carrier().value_or(false));
}

bool Rail::is_running() const {
  Interface own(interface);
  return has_port_link() && own.is_running() && own.has_carrier().value_or(true);
}

bool Rail::has_port_link() const { return ports == nullptr || ports->has_link(port); }

std::string Rail::missing_link() const {
  return has_port_link() ? "its interface " + interface + " has no link"
                         : "port " + std::to_string(port) + " of the device has no link";
}

void Rail::count_ended(const Transfer& transfer) {
  if (transfer.kind == Transfer::Kind::kReceive) return;
  sending--;
  if (transfer.kind == Transfer::Kind::kWrite) writing--;
}

bool Path::open(std::span<std::byte> mirror) {
  if (!rail_.fabric.register_memory(mirror.data(), mirror.size(), FI_REMOTE_WRITE, &mirror_)) {
    return false;
  }
  return make_transfers();
}

bool Path::make_transfers() {
  auto made = std::make_unique<Transfers>();
  if (!rail_.fabric.register_memory(&made->buffers, sizeof(made->buffers), FI_SEND | FI_RECV,
                                    &made->region)) {
    return false;
  }
  for (size_t i = 0; i < made->transfers.size(); i++) {
    Transfer& transfer = made->transfers[i];
    transfer.path = this;
    transfer.owner = made.get();
    transfer.kind = i < Transfers::kReceives                       ? Transfer::Kind::kReceive
                    : i < Transfers::kReceives + Transfers::kSends ? Transfer::Kind::kSend
                                                                   : Transfer::Kind::kWrite;
    transfer.buffer = i < made->buffers.size() ? &made->buffers[i] : nullptr;
  }
  transfers_ = std::move(made);
  return true;
}

Landing Path::own_landing() const {
  return {mirror_.key(), mirror_.remote_base, rail_.fabric.address(), 0};
}

bool Path::renew() {
  const auto is_busy = [](const Transfer& transfer) { return transfer.is_busy; };
  if (std::any_of(transfers_->transfers.begin(), transfers_->transfers.end(), is_busy)) {
    if (retired_.size() == kRetiredMax) return false;
    retired_.push_back(std::move(transfers_));
    if (!make_transfers()) return false;
  }
  counts = {};
  is_asked = false;
  pings = ping_to_answer = 0;
  return true;
}

bool Path::connect(std::span<const std::byte> say, std::string* out_error) {
  *out_error = "too many connections before this one are not over";
  if (!renew()) return false;
  endpoint_ = rail_.fabric.connect(landing.endpoint, say, out_error);
  if (!endpoint_) return false;
  state_ = State::kConnecting;
  if (post_receives()) return true;
  *out_error = "no receive could be posted";
  return false;
}

bool Path::accept(fi_info* request) {
  if (!renew()) return false;
  endpoint_ = rail_.fabric.make_endpoint(request);
  if (!endpoint_) return false;
  state_ = State::kConnecting;
  return post_receives() && fi_accept(endpoint_.get(), nullptr, 0) == 0;
}

void Path::bound_sends(uint32_t bytes) {
  const int fd = endpoint_ ? rail_.fabric.socket_of(endpoint_.get()) : -1;
  const int wanted = static_cast<int>(bytes);
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

void Path::close(State state) {
  state_ = state;
  if (!endpoint_) return;
  fi_shutdown(endpoint_.get(), 0);
  endpoint_.reset();
}

bool Path::post_receives() {
  for (Transfer& transfer : transfers_->transfers) {
    if (transfer.kind == Transfer::Kind::kReceive && !post_receive(transfer)) return false;
  }
  return true;
}

bool Path::post_receive(Transfer& transfer) {
  transfer.is_busy = fi_recv(endpoint_.get(), transfer.buffer, sizeof(WireBuffer),
                             transfers_->region.desc(), 0, &transfer.context) == 0;
  return transfer.is_busy;
}

bool Path::send(const WireMessage& message, std::span<const std::byte> tail) {
  Transfer* const transfer = free_transfer(Transfer::Kind::kSend);
  if (transfer == nullptr) return false;
  WireBuffer& buffer = *transfer->buffer;
  buffer.message = message;
  if (!tail.empty()) std::memcpy(buffer.payload, tail.data(), tail.size());
  transfer->is_busy = fi_send(endpoint_.get(), &buffer, sizeof(message) + tail.size(),
                              transfers_->region.desc(), 0, &transfer->context) == 0;
  if (transfer->is_busy) count(tail.size());
  return transfer->is_busy;
}

bool Path::write(std::span<const std::byte> payload, uint64_t offset, uint64_t message,
                 bool is_at_source) {
  Transfer* const transfer = free_transfer(Transfer::Kind::kWrite);
  if (transfer == nullptr) return false;
  transfer->message = message;
  transfer->is_at_source = is_at_source;
  transfer->is_busy = fi_write(endpoint_.get(), payload.data(), payload.size(), rail_.slots.desc(),
                               0, landing.at + offset, landing.key, &transfer->context) == 0;
  if (!transfer->is_busy) return false;
  rail_.writing++;
  count(payload.size());
  return true;
}

// What was given to libfabric.
void Path::count(uint64_t payload_bytes) {
  bytes_sent += payload_bytes;
  rail_.sending++;
}

bool Path::is_sending() const {
  return std::any_of(transfers_->transfers.begin(), transfers_->transfers.end(),
                     [](const Transfer& transfer) {
                       return transfer.kind == Transfer::Kind::kSend && transfer.is_busy;
                     });
}

bool Path::is_at_source() const {
  if (!endpoint_) return false;
  return std::any_of(
      transfers_->transfers.begin(), transfers_->transfers.end(), [](const Transfer& transfer) {
        return transfer.kind == Transfer::Kind::kWrite && transfer.is_busy && transfer.is_at_source;
      });
}

Transfer* Path::free_transfer(Transfer::Kind kind) {
  for (Transfer& transfer : transfers_->transfers) {
    if (transfer.kind == kind && !transfer.is_busy) return &transfer;
  }
  return nullptr;
}

}  // namespace npu::ccl
