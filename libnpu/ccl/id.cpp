// SPDX-License-Identifier: Apache-2.0
// Making and reading ids.
#include "libnpu/ccl/id.h"

#include <sys/random.h>

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
constexpr uint32_t kVersion = 1;
constexpr size_t kListenersMax = 64;

struct Layout {
  uint32_t magic;
  uint32_t version;
  Token token;
  uint16_t port;
  uint8_t reserved[102];
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
  layout.port = address.port;
  std::memcpy(out->bytes, &layout, sizeof(layout));
}

template <typename Number>
bool parse_number(std::string_view text, int base, Number* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

bool fill_random(std::span<uint8_t> bytes) {
  return getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

std::optional<Address> parse_id_text(std::string_view text) {
  constexpr std::string_view kHost = "127.0.0.1:";
  Address address{};
  if (!text.starts_with(kHost)) return std::nullopt;
  text.remove_prefix(kHost.size());
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view hex = text.substr(colon + 1);
  if (!parse_number(text.substr(0, colon), 10, &address.port) || address.port == 0) {
    return std::nullopt;
  }
  if (hex.size() != 2 * address.token.size()) return std::nullopt;
  for (size_t i = 0; i < address.token.size(); i++) {
    if (!parse_number(hex.substr(2 * i, 2), 16, &address.token[i])) return std::nullopt;
  }
  return address;
}

npuResult get_id(npuCclId* out) {
  const char* named = std::getenv("NPU_CCL_ID");
  if (named != nullptr && *named != '\0') {
    const std::optional<Address> address = parse_id_text(named);
    if (!address) {
      return fail(NPU_ERROR_BAD_ENVIRONMENT,
                  "NPU_CCL_ID is no \"127.0.0.1:PORT:\" with 32 hexadecimal digits");
    }
    write_id(*address, out);
    return NPU_OK;
  }
  return make_id(out);
}

npuResult make_id(npuCclId* out) {
  Address address{};
  Fd listener = listen_tcp(0, &address.port);
  if (!listener || !fill_random(address.token)) {
    return fail(NPU_ERROR_DRIVER, "no socket on the loopback address: %s", std::strerror(errno));
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
  if (layout.magic != kMagic || layout.version != kVersion || layout.port == 0) return std::nullopt;
  return Address{layout.token, layout.port};
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
  uint16_t port = 0;
  return listen_tcp(address.port, &port);
}

}  // namespace npu::ccl
