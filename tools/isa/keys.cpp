// SPDX-License-Identifier: Apache-2.0
// Ed25519 keys for blobs, by libsodium.
#include "tools/isa/keys.h"

#include <sodium.h>

#include <cstring>

namespace npu::isa {

Outcome<KeyPair> make_key_pair() {
  if (sodium_init() < 0) return Failure{"libsodium does not start: no source of random numbers"};
  std::array<uint8_t, 32> seed;
  randombytes_buf(seed.data(), seed.size());
  return key_pair_from_seed(seed);
}

KeyPair key_pair_from_seed(const std::array<uint8_t, 32>& seed) {
  KeyPair key;
  key.seed = seed;
  uint8_t secret[crypto_sign_SECRETKEYBYTES];
  crypto_sign_seed_keypair(key.public_key.data(), secret, seed.data());
  sodium_memzero(secret, sizeof(secret));
  return key;
}

KeyId key_id(const PublicKey& key) {
  uint8_t hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, key.data(), key.size());
  KeyId id;
  std::memcpy(id.data(), hash, id.size());
  return id;
}

std::string to_hex(const uint8_t* bytes, size_t size) {
  std::string text(size * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes, size);
  text.pop_back();
  return text;
}

std::optional<std::array<uint8_t, 32>> from_hex(std::string_view text) {
  std::array<uint8_t, 32> bytes;
  size_t length = 0;
  const char* end = nullptr;
  if (text.size() != 2 * bytes.size() ||
      sodium_hex2bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &length,
                     &end) != 0 ||
      length != bytes.size())
    return std::nullopt;
  return bytes;
}

}  // namespace npu::isa
