// SPDX-License-Identifier: Apache-2.0
// Making and reading ids.
#include "libnpu/ccl/id.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "libnpu/ccl/error.h"

namespace npu::ccl {
namespace {

constexpr uint32_t kMagic = 0x6469636e;
constexpr uint32_t kVersion = 2;
constexpr size_t kListenersMax = 64;

struct Layout {
  uint32_t magic;
  uint32_t version;
  Token token;
  NetAddress at;
  uint8_t reserved[84];
};
static_assert(sizeof(Layout) == sizeof(npuCclId));

// Sockets that wait for their rank 0, by token. Never destroyed: threads may outlive main().
struct Listeners {
  std::mutex mutex;
  std::map<Token, Fd> by_token;
};
Listeners& listeners() {
  static Listeners* const made = new Listeners;
  return *made;
}

void write_id(const Address& address, npuCclId* out) {
  Layout layout{};
  layout.magic = kMagic;
  layout.version = kVersion;
  layout.token = address.token;
  layout.at = address.at;
  std::memcpy(out->bytes, &layout, sizeof(layout));
}

}  // namespace

std::optional<Address> parse_id_text(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view hex = text.substr(colon + 1);
  const std::optional<NetAddress> at = parse_address(text.substr(0, colon));
  Address address{};
  if (!at || hex.size() != 2 * address.token.size()) return std::nullopt;
  address.at = *at;
  for (size_t i = 0; i < address.token.size(); i++) {
    const char* digits = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(digits, digits + 2, address.token[i], 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
  }
  return address;
}

namespace {

// NOT_FOUND without a text: neither NPU_CCL_ID nor NPU_CCL_INTERFACE is set.
npuResult named_id(npuCclId* out) {
  const char* named = std::getenv("NPU_CCL_ID");
  if (named != nullptr && *named != '\0') {
    const std::optional<Address> address = parse_id_text(named);
    if (!address) {
      return fail(NPU_ERROR_BAD_ENVIRONMENT,
                  "NPU_CCL_ID is no \"ADDRESS:PORT:\" with 32 hexadecimal digits; an IPv6 address "
                  "stands in "
                  "brackets");
    }
    write_id(*address, out);
    return NPU_OK;
  }
  const std::string interface = wished_interfaces();
  if (interface.empty()) return NPU_ERROR_NOT_FOUND;
  std::string error;
  std::optional<NetAddress> host = own_address(loopback(0), interface, &error);
  // None of IPv4: then of IPv6.
  if (!host) host = own_address({{}, 0, 6}, interface, &error);
  if (!host) return fail(NPU_ERROR_BAD_ENVIRONMENT, "%s", error.c_str());
  return make_id(*host, out);
}

}  // namespace

npuResult get_id(npuCclId* out) {
  const npuResult result = named_id(out);
  return result == NPU_ERROR_NOT_FOUND ? make_id(loopback(0), out) : result;
}

npuResult get_id_for_hosts(npuCclId* out) {
  const npuResult result = named_id(out);
  if (result != NPU_ERROR_NOT_FOUND) return result;
  // Addresses that belong to no host (RFC 5737, RFC 3849): the default route leads there.
  std::string error;
  std::optional<NetAddress> host = own_address({{192, 0, 2, 1}, 9, 4}, "", &error);
  if (!host) host = own_address({{0x20, 0x01, 0x0d, 0xb8}, 9, 6}, "", &error);
  if (host && !host->is_loopback()) return make_id(*host, out);
  return fail(NPU_ERROR_BAD_ENVIRONMENT,
              "ranks are on several hosts, and this one, rank 0's, has no default route: set "
              "NPU_CCL_INTERFACE to the interface by which the others reach it");
}

npuResult make_id(const NetAddress& host, npuCclId* out) {
  Address address{{}, host};
  address.at.port = 0;
  Fd listener = listen_tcp(&address.at);
  if (!listener || !fill_random(address.token)) {
    return fail(NPU_ERROR_DRIVER, "no socket on %s: %s", host.text().c_str(), std::strerror(errno));
  }
  std::lock_guard lock(listeners().mutex);
  if (listeners().by_token.size() >= kListenersMax) {
    return fail(NPU_ERROR_QUOTA, "%zu ids wait for their rank 0 in this process", kListenersMax);
  }
  listeners().by_token.emplace(address.token, std::move(listener));
  write_id(address, out);
  return NPU_OK;
}

std::optional<Address> read_id(const npuCclId& id) {
  Layout layout;
  std::memcpy(&layout, id.bytes, sizeof(layout));
  if (layout.magic != kMagic || layout.version != kVersion || !is_valid(layout.at)) {
    return std::nullopt;
  }
  return Address{layout.token, layout.at};
}

Fd take_listener(const Address& address) {
  {
    std::lock_guard lock(listeners().mutex);
    const auto found = listeners().by_token.find(address.token);
    if (found != listeners().by_token.end()) {
      Fd listener = std::move(found->second);
      listeners().by_token.erase(found);
      return listener;
    }
  }
  NetAddress at = address.at;
  return listen_tcp(&at);
}

}  // namespace npu::ccl
