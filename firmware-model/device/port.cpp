// SPDX-License-Identifier: Apache-2.0
// States and counters of ports, and the thread that follows interfaces.
#include "firmware-model/device/port.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "firmware-model/device/thread.h"

namespace npu::model {
namespace {

constexpr const char* kNetClass = "/sys/class/net";

bool is_terminated(const char* text, size_t bytes) { return strnlen(text, bytes) < bytes; }

std::string check_port(const npu_port_config& port) {
  if (!is_terminated(port.interface, sizeof(port.interface)) ||
      std::strchr(port.interface, '/') != nullptr) {
    return "the name of its interface has no end, or a '/' in it";
  }
  if (port.state >= NPU_PORT_STATE_COUNT) return "its state is none of enum npu_port_state";
  constexpr uint32_t kAllowed = NPU_PORT_FLAG_PEER | NPU_PORT_FLAG_UP_LINK | NPU_PORT_FLAG_MAC |
                                NPU_PORT_FLAG_IPV4 | NPU_PORT_FLAG_IPV6;
  if ((port.flags & ~kAllowed) != 0) return "its flags say what only the device knows";
  return {};
}

npu_port_info describe_config(const npu_port_config& config, uint32_t index) {
  npu_port_info info{};
  info.index = index;
  info.state = config.state;
  info.flags = config.flags;
  info.speed_mbps = config.speed_mbps;
  info.lanes = config.lanes;
  info.peer_port = config.peer_port;
  std::memcpy(info.peer_uuid, config.peer_uuid, sizeof(info.peer_uuid));
  std::memcpy(info.mac, config.mac, sizeof(info.mac));
  std::memcpy(info.ipv4, config.ipv4, sizeof(info.ipv4));
  std::memcpy(info.ipv6, config.ipv6, sizeof(info.ipv6));
  std::memcpy(info.interface, config.interface, sizeof(info.interface));
  if (config.interface[0] != '\0') info.flags |= NPU_PORT_FLAG_BOUND;
  return info;
}

}  // namespace

std::string Ports::check(const npu_device_config& config) {
  if (config.port_count > NPU_MAX_PORTS) return "port_count may be 64 at most";
  if (config.port_count != 0 && config.ports == nullptr) {
    return "ports must point to port_count ports";
  }
  for (uint32_t i = 0; i < config.port_count; ++i) {
    const std::string problem = check_port(config.ports[i]);
    if (!problem.empty()) return "port " + std::to_string(i) + " cannot be: " + problem;
  }
  return {};
}

Ports::Ports(const npu_device_config& config, PortTraffic& traffic, Locked locked,
             OnChange on_change)
    : traffic_(traffic), locked_(std::move(locked)), on_change_(std::move(on_change)) {
  const std::string root = config.net_class != nullptr ? config.net_class : kNetClass;
  bool any_bound = false;
  for (uint32_t i = 0; i < config.port_count; ++i) {
    const npu_port_config& from = config.ports[i];
    Port port;
    port.info = describe_config(from, i);
    port.own = static_cast<npu_port_state>(from.state);
    if (from.interface[0] != '\0') {
      port.folder = root + "/" + from.interface;
      follow(port, read_interface(port.folder));
      port.info.state = port.own;
      any_bound = true;
    } else if ((from.flags & NPU_PORT_FLAG_PEER) != 0) {
      port.info.flags |= NPU_PORT_FLAG_COUNTERS;
    }
    set_rate(port);
    ports_.push_back(std::move(port));
  }
  if (any_bound) watcher_ = start_device_thread("npu-ports", [this] { watch(); });
}

Ports::~Ports() {
  {
    std::lock_guard lock(end_mutex_);
    ends_ = true;
  }
  end_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

bool Ports::describe(uint64_t port, npu_port_info* out) const {
  if (port >= ports_.size()) return false;
  *out = ports_[port].info;
  if (!ports_[port].folder.empty()) return true;
  const npu_port_traffic traffic = traffic_.read(static_cast<uint32_t>(port));
  out->tx_bytes = traffic.tx_bytes;
  out->rx_bytes = traffic.rx_bytes;
  out->tx_packets = traffic.tx_packets;
  out->rx_packets = traffic.rx_packets;
  return true;
}

void Ports::set_rate(const Port& port) {
  traffic_.set_mbps(port.info.index, port.info.state == NPU_PORT_UP ? port.info.speed_mbps : 0);
}

void Ports::follow(Port& port, const InterfaceReading& reading) {
  npu_port_info& info = port.info;
  port.own = reading.state;
  info.speed_mbps = reading.speed_mbps;
  info.lanes = 0;
  if (!reading.has_counters) {
    // The last counts stay: an interface that is gone has not sent less.
    return;
  }
  info.flags |= NPU_PORT_FLAG_COUNTERS;
  const bool began_anew = reading.rx_bytes < info.rx_bytes || reading.tx_bytes < info.tx_bytes ||
                          reading.rx_packets < info.rx_packets ||
                          reading.tx_packets < info.tx_packets;
  if (began_anew) ++info.counters_generation;
  info.rx_bytes = reading.rx_bytes;
  info.tx_bytes = reading.tx_bytes;
  info.rx_packets = reading.rx_packets;
  info.tx_packets = reading.tx_packets;
  info.rx_errors = reading.rx_errors;
  info.tx_errors = reading.tx_errors;
  info.errors = reading.rx_errors + reading.tx_errors;
}

void Ports::settle(Port& port) {
  const npu_port_state now = port.held_down ? NPU_PORT_DOWN : port.own;
  if (now == port.info.state) return;
  if (port.info.state == NPU_PORT_UP) ++port.info.flaps;
  port.info.state = now;
  set_rate(port);
  on_change_(port.info.index, now);
}

bool Ports::flap(uint64_t port, uint64_t times) {
  if (port >= ports_.size() || ports_[port].info.state != NPU_PORT_UP) return false;
  for (uint64_t i = 0; i < times; ++i) {
    for (const bool down : {true, false}) hold_down(port, down);
  }
  return true;
}

bool Ports::hold_down(uint64_t port, bool down) {
  if (port >= ports_.size()) return false;
  ports_[port].held_down = down;
  settle(ports_[port]);
  return true;
}

void Ports::look() {
  for (Port& port : ports_) {
    // The name of a folder never changes.
    if (port.folder.empty()) continue;
    const InterfaceReading reading = read_interface(port.folder);
    locked_([&] {
      follow(port, reading);
      settle(port);
    });
  }
}

void Ports::watch() {
  std::unique_lock lock(end_mutex_);
  while (!end_.wait_for(lock, std::chrono::nanoseconds(kLookNs), [this] { return ends_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

}  // namespace npu::model
