// SPDX-License-Identifier: Apache-2.0
// How ranks show each other that they have the id's secret, without telling it: each side sends a random number, the other answers with HMAC-SHA256 of it and of what it says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace npu::ccl {

using Token = std::array<uint8_t, 16>;  // the secret of an id
using Nonce = std::array<uint8_t, 16>;
using Mac = std::array<uint8_t, 32>;

bool fill_random(std::span<uint8_t> bytes);

// |role|: a word of its own for each kind of message, so that none can be given out for another.
Mac mac_of(const Token& secret, std::string_view role, const Nonce& nonce,
           std::span<const std::byte> said);

// Of a payload that begins with its |mac|: over all that follows it.
template <typename Payload>
Mac mac_of(const Token& secret, std::string_view role, const Nonce& nonce, const Payload& payload) {
  static_assert(offsetof(Payload, mac) == 0);
  return mac_of(secret, role, nonce,
                std::as_bytes(std::span(&payload, 1)).subspan(sizeof(payload.mac)));
}

// Takes as long whatever the bytes are.
bool is_same(std::span<const uint8_t> a, std::span<const uint8_t> b);

}  // namespace npu::ccl
