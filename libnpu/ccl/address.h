// SPDX-License-Identifier: Apache-2.0
// Addresses of sockets, as ranks tell them each other; and the address of this host by which another rank reaches it.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace npu::ccl {

// Rails of a rank: addresses that it uses side by side.
inline constexpr uint32_t kRailsMax = 8;

// An IPv4 or IPv6 address and a port, of a fixed size: it travels in frames.
struct NetAddress {
  std::array<uint8_t, 16> ip;  // IPv4: the first 4 bytes
  uint16_t port;
  uint16_t version;  // 4 or 6

  bool is_loopback() const;
  bool operator==(const NetAddress&) const = default;
  std::string text() const;  // "127.0.0.1:80", "[::1]:80"
};
static_assert(sizeof(NetAddress) == 20);

NetAddress loopback(uint16_t port);
// True for what may come from another rank.
bool is_valid(const NetAddress& address);

// What the calls of sockets and of libfabric take.
struct SocketAddress {
  sockaddr_in6 storage;  // or a sockaddr_in
  socklen_t bytes;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress to_socket(const NetAddress& address);
std::optional<NetAddress> from_socket(const sockaddr* address);

// "10.0.0.1:80", "[fd00::1]:80".
std::optional<NetAddress> parse_address(std::string_view text);

// What NPU_CCL_INTERFACE asks for; empty: nothing.
std::string wished_interfaces();

// The addresses, port 0, by which |other| reaches this host: those of |wish| that are up (names of interfaces or addresses of this host, separated by commas, at most kRailsMax), in its order; or where
// |wish| is empty, the one that the kernel routes to |other| by. None: |out_error| tells why, of what NPU_CCL_INTERFACE has.
std::vector<NetAddress> own_addresses(const NetAddress& other, std::string_view wish,
                                      std::string* out_error);
// The first one of these.
std::optional<NetAddress> own_address(const NetAddress& other, std::string_view wish,
                                      std::string* out_error);

// The address |name| of this host, or that of its interface |name|: if it is up, and of IP |version|.
std::optional<NetAddress> local_address(std::string_view name, uint16_t version);

// The name of the interface that has |address|; empty: none has.
std::string interface_of(const NetAddress& address);

}  // namespace npu::ccl
