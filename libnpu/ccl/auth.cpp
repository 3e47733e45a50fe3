// SPDX-License-Identifier: Apache-2.0
#include "libnpu/ccl/auth.h"

#include <sodium.h>
#include <sys/random.h>

namespace npu::ccl {

bool fill_random(std::span<uint8_t> bytes) {
  return getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

Mac mac_of(const Token& secret, std::string_view role, const Nonce& nonce,
           std::span<const std::byte> said) {
  Mac mac;
  static_assert(sizeof(mac) == crypto_auth_hmacsha256_BYTES);
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, secret.data(), secret.size());
  // With its end mark: no role is the beginning of another one.
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(role.data()),
                                role.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(""), 1);
  crypto_auth_hmacsha256_update(&state, nonce.data(), nonce.size());
  crypto_auth_hmacsha256_update(&state, reinterpret_cast<const unsigned char*>(said.data()),
                                said.size());
  crypto_auth_hmacsha256_final(&state, mac.data());
  return mac;
}

bool is_same(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace npu::ccl
