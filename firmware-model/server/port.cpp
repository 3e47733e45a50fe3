// SPDX-License-Identifier: Apache-2.0
// Wiring of ports, and the look at the host's interfaces.
#include "firmware-model/server/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "firmware-model/server/device.h"

namespace npu::model::server {
namespace {

static_assert(IFNAMSIZ == NPU_PORT_INTERFACE_BYTES);

using Interfaces = std::unique_ptr<ifaddrs, decltype(&freeifaddrs)>;

std::string name_of(const PortBinding& binding) {
  return "port " + std::to_string(binding.port) + " of device " + std::to_string(binding.device);
}

// The rules of the kernel, and no byte that could leave /sys/class/net or disturb a message.
bool is_interface_name(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return c > 0x20 && c < 0x7f && c != '/' && c != ':'; });
}

bool parse_ipv4(const std::string& text, std::array<uint8_t, 4>* out) {
  return inet_pton(AF_INET, text.c_str(), out->data()) == 1;
}

bool parse_ipv6(const std::string& text, std::array<uint8_t, 16>* out) {
  return inet_pton(AF_INET6, text.c_str(), out->data()) == 1;
}

// inet_pton() stops at a NUL inside the text.
bool is_address(const std::string& text) {
  std::array<uint8_t, 4> v4;
  std::array<uint8_t, 16> v6;
  return text.find('\0') == std::string::npos && (parse_ipv4(text, &v4) || parse_ipv6(text, &v6));
}

void take_ipv4(const ifaddrs& entry, PortBinding* out) {
  if ((out->flags & NPU_PORT_FLAG_IPV4) != 0) return;
  const auto* address = reinterpret_cast<const sockaddr_in*>(entry.ifa_addr);
  std::memcpy(out->ipv4.data(), &address->sin_addr, out->ipv4.size());
  out->flags |= NPU_PORT_FLAG_IPV4;
}

// One that reaches beyond the link comes before one that does not.
void take_ipv6(const ifaddrs& entry, PortBinding* out) {
  const auto& address = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr;
  in6_addr have{};
  std::memcpy(&have, out->ipv6.data(), sizeof(have));
  const bool has_one = (out->flags & NPU_PORT_FLAG_IPV6) != 0;
  if (has_one && (!IN6_IS_ADDR_LINKLOCAL(&have) || IN6_IS_ADDR_LINKLOCAL(&address))) return;
  std::memcpy(out->ipv6.data(), &address, out->ipv6.size());
  out->flags |= NPU_PORT_FLAG_IPV6;
}

void take_mac(const ifaddrs& entry, PortBinding* out) {
  const auto* address = reinterpret_cast<const sockaddr_ll*>(entry.ifa_addr);
  if (address->sll_hatype != ARPHRD_ETHER || address->sll_halen != NPU_MAC_BYTES) return;
  std::memcpy(out->mac.data(), address->sll_addr, NPU_MAC_BYTES);
  out->flags |= NPU_PORT_FLAG_MAC;
}

void take_entry(const ifaddrs& entry, PortBinding* out) {
  if (entry.ifa_addr == nullptr || out->interface != entry.ifa_name) return;
  if (entry.ifa_addr->sa_family == AF_INET) take_ipv4(entry, out);
  if (entry.ifa_addr->sa_family == AF_INET6) take_ipv6(entry, out);
  if (entry.ifa_addr->sa_family == AF_PACKET) take_mac(entry, out);
}

bool has_address(const ifaddrs& entry, const PortBinding& binding) {
  if (entry.ifa_addr == nullptr) return false;
  PortBinding one;
  one.interface = entry.ifa_name;
  take_entry(entry, &one);
  std::array<uint8_t, 4> v4;
  std::array<uint8_t, 16> v6;
  return ((one.flags & NPU_PORT_FLAG_IPV4) != 0 && parse_ipv4(binding.address, &v4) &&
          v4 == one.ipv4) ||
         ((one.flags & NPU_PORT_FLAG_IPV6) != 0 && parse_ipv6(binding.address, &v6) &&
          v6 == one.ipv6);
}

// The address that was asked for is the one that is shown.
void keep_asked_address(PortBinding* binding) {
  if (parse_ipv4(binding->address, &binding->ipv4)) binding->flags |= NPU_PORT_FLAG_IPV4;
  if (parse_ipv6(binding->address, &binding->ipv6)) binding->flags |= NPU_PORT_FLAG_IPV6;
}

bool resolve(const ifaddrs* all, PortBinding* binding, std::string* error) {
  for (const ifaddrs* at = all; at != nullptr && !binding->address.empty(); at = at->ifa_next) {
    if (!has_address(*at, *binding)) continue;
    // An alias is listed as "eth0:1".
    binding->interface = std::string(at->ifa_name).substr(0, std::strcspn(at->ifa_name, ":"));
    keep_asked_address(binding);
    break;
  }
  bool found = false;
  for (const ifaddrs* at = all; at != nullptr; at = at->ifa_next) {
    found = found || binding->interface == at->ifa_name;
    take_entry(*at, binding);
  }
  if (found && is_interface_name(binding->interface)) return true;
  *error =
      name_of(*binding) + ": this machine has no " +
      (binding->address.empty() ? "interface '" + binding->interface : "address '" + binding->address) +
      "'; 'ip address' shows what there is";
  return false;
}

}  // namespace

bool check_bindings(const std::vector<PortBinding>& bindings, std::string* error) {
  for (size_t i = 0; i < bindings.size(); ++i) {
    const PortBinding& binding = bindings[i];
    if (binding.interface.empty() == binding.address.empty()) {
      *error = name_of(binding) + " must have an interface or an address, and not both";
      return false;
    }
    if (!binding.interface.empty() && !is_interface_name(binding.interface)) {
      *error = name_of(binding) +
               " has no name of an interface; allowed: 1 to 15 visible characters, no '/' or ':'";
      return false;
    }
    if (!binding.address.empty() && !is_address(binding.address)) {
      *error = name_of(binding) + " has no IPv4 or IPv6 address as its address";
      return false;
    }
    for (size_t j = 0; j < i; ++j) {
      if (bindings[j].device != binding.device || bindings[j].port != binding.port) continue;
      *error = name_of(binding) + " is bound twice";
      return false;
    }
  }
  return true;
}

bool bindings_fit(const std::vector<PortBinding>& bindings, uint32_t device_count,
                  std::string* error) {
  for (const PortBinding& binding : bindings) {
    if (binding.device < device_count) continue;
    *error = "the profile binds " + name_of(binding) + ", and there are " +
             std::to_string(device_count) + " devices; take the [[port]] out, or raise the count";
    return false;
  }
  return true;
}

bool resolve_bindings(std::vector<PortBinding>* bindings, std::string* error) {
  if (bindings->empty()) return true;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    *error =
        std::string("the interfaces of this machine cannot be listed: ") + std::strerror(errno);
    return false;
  }
  const Interfaces all(list, &freeifaddrs);
  for (size_t i = 0; i < bindings->size(); ++i) {
    PortBinding& binding = (*bindings)[i];
    if (!resolve(all.get(), &binding, error)) return false;
    for (size_t j = 0; j < i; ++j) {
      if ((*bindings)[j].interface != binding.interface) continue;
      *error = name_of(binding) + " and " + name_of((*bindings)[j]) +
               " are bound to one interface, '" + binding.interface + "'; each needs its own";
      return false;
    }
  }
  return true;
}

std::vector<npu_port_config> make_ports(const npu_profile& profile,
                                        const std::vector<PortBinding>& bindings, uint32_t index,
                                        uint32_t device_count) {
  std::vector<npu_port_config> ports(profile.ports);
  const uint32_t group = profile.port_neighbours + 1;
  for (uint32_t i = 0; i < profile.ports; ++i) {
    npu_port_config& port = ports[i];
    port.speed_mbps = profile.port_mbps;
    port.lanes = profile.port_lanes;
    if (i >= profile.ports - profile.ports_up) {
      port.state = NPU_PORT_UP;
      port.flags = NPU_PORT_FLAG_UP_LINK;
      continue;
    }
    // A group is a power of two, so the exclusive or stays inside it.
    const uint32_t peer = index ^ (i % profile.port_neighbours + 1);
    static_assert(NPU_PORT_DOWN == 0);
    if (peer / group != index / group || peer >= device_count) continue;
    port.state = NPU_PORT_UP;
    port.flags = NPU_PORT_FLAG_PEER;
    port.peer_port = i;
    fill_uuid(profile, peer, port.peer_uuid);
  }
  for (const PortBinding& binding : bindings) {
    if (binding.device != index || binding.port >= ports.size()) continue;
    npu_port_config& port = ports[binding.port];
    // Who is at the other end of the interface is not known.
    port.flags = (port.flags & NPU_PORT_FLAG_UP_LINK) | binding.flags;
    port.peer_port = 0;
    std::fill(std::begin(port.peer_uuid), std::end(port.peer_uuid), uint8_t{0});
    std::copy(binding.mac.begin(), binding.mac.end(), port.mac);
    std::copy(binding.ipv4.begin(), binding.ipv4.end(), port.ipv4);
    std::copy(binding.ipv6.begin(), binding.ipv6.end(), port.ipv6);
    binding.interface.copy(port.interface, sizeof(port.interface) - 1);
  }
  return ports;
}

}  // namespace npu::model::server
