// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>

#include "libnpu/ccl/socket.h"

namespace npu::ccl {
namespace {

int family_of(const NetAddress& address) { return address.version == 6 ? AF_INET6 : AF_INET; }

std::optional<NetAddress> routed(const NetAddress& other) {
  const Fd probe(socket(family_of(other), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress address = to_socket(other);
  // Of a datagram socket this sends nothing.
  if (!probe || connect(probe.get(), address.get(), address.bytes) != 0) return std::nullopt;
  address.bytes = sizeof(address.storage);
  if (getsockname(probe.get(), address.get(), &address.bytes) != 0) return std::nullopt;
  return from_socket(address.get());
}

bool is_link_local(const NetAddress& address) {
  return address.version == 6 && address.ip[0] == 0xfe && (address.ip[1] & 0xc0) == 0x80;
}

using Interfaces = std::unique_ptr<ifaddrs, void (*)(ifaddrs*)>;

// Empty: errno tells why.
Interfaces list_interfaces() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) all = nullptr;
  return Interfaces(all, freeifaddrs);
}

// All addresses of the network of a loopback interface are of this host, though only one is listed.
bool has_address(const ifaddrs& interface, const NetAddress& address) {
  const auto listed = from_socket(interface.ifa_addr);
  if (!listed || listed->version != address.version) return false;
  if (listed->ip == address.ip) return true;
  return (interface.ifa_flags & IFF_LOOPBACK) != 0 && listed->is_loopback() &&
         address.is_loopback();
}

std::optional<NetAddress> parse_ip(std::string_view name, uint16_t version) {
  const std::string text(name);
  return parse_address((version == 6 ? "[" + text + "]" : text) + ":1");
}

// Of the interface |name|, or |name| itself if it is an address of this host.
std::optional<NetAddress> find_interface(const ifaddrs* all, std::string_view name,
                                         uint16_t version) {
  const auto parsed = parse_ip(name, version);
  for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr == nullptr || (i->ifa_flags & IFF_UP) == 0) continue;
    std::optional<NetAddress> found = from_socket(i->ifa_addr);
    if (!found || found->version != version || is_link_local(*found)) continue;
    if (parsed && has_address(*i, *parsed)) return NetAddress{parsed->ip, 0, version};
    if (name == i->ifa_name) return NetAddress{found->ip, 0, version};
  }
  return std::nullopt;
}

// Whether this host has an interface or an address |name|, up or not.
bool is_there(const ifaddrs* all, std::string_view name) {
  const auto parsed4 = parse_ip(name, 4), parsed6 = parse_ip(name, 6);
  for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
    if (name == i->ifa_name) return true;
    if (i->ifa_addr == nullptr) continue;
    if ((parsed4 && has_address(*i, *parsed4)) || (parsed6 && has_address(*i, *parsed6))) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> names;
  std::istringstream rest(std::string(list) + ",");
  for (std::string name; std::getline(rest, name, ',');) names.push_back(name);
  return names;
}

// What |wish| names, as far as it is up and has addresses of |version|. Empty, with |out_error|: a name is no good.
std::vector<NetAddress> find_named(const ifaddrs* all, std::string_view wish, uint16_t version,
                                   std::string* out_error) {
  const std::vector<std::string> names = split(wish);
  std::vector<NetAddress> found;
  const auto refuse = [&](const std::string& text) {
    *out_error = "NPU_CCL_INTERFACE " + text;
    return std::vector<NetAddress>();
  };
  if (names.size() > kRailsMax) {
    return refuse("has " + std::to_string(names.size()) + " names, and a rank has at most " +
                  std::to_string(kRailsMax) + " rails: leave some out");
  }
  for (const std::string& name : names) {
    if (!is_there(all, name)) {
      return refuse("names \"" + name +
                    "\", and this host has no such interface or address: `ip address` lists them");
    }
    const auto one = find_interface(all, name, version);
    if (one && std::find(found.begin(), found.end(), *one) != found.end()) {
      return refuse("leads to one address twice, the second time by \"" + name +
                    "\": each rail needs its own, leave one out");
    }
    if (one) found.push_back(*one);
  }
  if (found.empty()) {
    return refuse("is \"" + std::string(wish) +
                  "\": none of these is up and has an address of IPv" + std::to_string(version) +
                  ", as the id has");
  }
  return found;
}

}  // namespace

bool NetAddress::is_loopback() const {
  if (version == 4) return ip[0] == 127;
  constexpr std::array<uint8_t, 16> kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return ip == kLoopback6;
}

std::string NetAddress::text() const {
  char text[INET6_ADDRSTRLEN] = "?";
  inet_ntop(family_of(*this), ip.data(), text, sizeof(text));
  const std::string end = ":" + std::to_string(port);
  return version == 6 ? "[" + std::string(text) + "]" + end : text + end;
}

NetAddress loopback(uint16_t port) { return {{127, 0, 0, 1}, port, 4}; }

bool is_valid(const NetAddress& address) {
  if (address.port == 0 || (address.version != 4 && address.version != 6)) return false;
  return address.version == 6 || std::all_of(address.ip.begin() + 4, address.ip.end(),
                                             [](uint8_t byte) { return byte == 0; });
}

SocketAddress to_socket(const NetAddress& address) {
  SocketAddress out{};
  if (address.version == 6) {
    out.storage.sin6_family = AF_INET6;
    out.storage.sin6_port = htons(address.port);
    std::memcpy(&out.storage.sin6_addr, address.ip.data(), 16);
    out.bytes = sizeof(sockaddr_in6);
    return out;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(address.port);
  std::memcpy(&in.sin_addr, address.ip.data(), 4);
  std::memcpy(&out.storage, &in, sizeof(in));
  out.bytes = sizeof(in);
  return out;
}

std::optional<NetAddress> from_socket(const sockaddr* address) {
  NetAddress out{};
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof(in));
    std::memcpy(out.ip.data(), &in.sin6_addr, 16);
    out.port = ntohs(in.sin6_port);
    out.version = 6;
    return out;
  }
  if (address->sa_family != AF_INET) return std::nullopt;
  sockaddr_in in;
  std::memcpy(&in, address, sizeof(in));
  std::memcpy(out.ip.data(), &in.sin_addr, 4);
  out.port = ntohs(in.sin_port);
  out.version = 4;
  return out;
}

std::optional<NetAddress> parse_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view number = text.substr(colon + 1);
  NetAddress out{};
  out.version = 4;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    out.version = 6;
  }
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), out.port, 10);
  if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
  if (inet_pton(family_of(out), std::string(host).c_str(), out.ip.data()) != 1 || !is_valid(out)) {
    return std::nullopt;
  }
  return out;
}

std::string wished_interfaces() {
  const char* const wish = std::getenv("NPU_CCL_INTERFACE");
  return wish != nullptr ? wish : "";
}

std::vector<NetAddress> own_addresses(const NetAddress& other, std::string_view wish,
                                      std::string* out_error) {
  std::vector<NetAddress> found;
  if (wish.empty()) {
    const std::optional<NetAddress> one = routed(other);
    if (!one) *out_error = "no route to " + other.text() + ": " + std::strerror(errno);
    if (one) found.push_back({one->ip, 0, one->version});
    return found;
  }
  const Interfaces all = list_interfaces();
  if (all) return find_named(all.get(), wish, other.version, out_error);
  *out_error = std::string("interfaces cannot be listed: ") + std::strerror(errno);
  return found;
}

std::optional<NetAddress> own_address(const NetAddress& other, std::string_view wish,
                                      std::string* out_error) {
  const std::vector<NetAddress> found = own_addresses(other, wish, out_error);
  if (found.empty()) return std::nullopt;
  return found.front();
}

std::optional<NetAddress> local_address(std::string_view name, uint16_t version) {
  const Interfaces all = list_interfaces();
  return find_interface(all.get(), name, version);
}

std::string interface_of(const NetAddress& address) {
  const Interfaces all = list_interfaces();
  for (const ifaddrs* i = all.get(); i != nullptr; i = i->ifa_next) {
    if (i->ifa_addr != nullptr && has_address(*i, address)) return i->ifa_name;
  }
  return "";
}

}  // namespace npu::ccl
