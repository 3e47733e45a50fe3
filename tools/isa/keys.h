// SPDX-License-Identifier: Apache-2.0
// Ed25519 keys for blobs: making, files, and the folder of keys that a device model in development mode accepts.
// Thread safety: all functions are safe to call at once, except on the same file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tools/isa/outcome.h"
#include "uapi/npu_fw.h"

namespace npu::isa {

using PublicKey = std::array<uint8_t, NPU_PUBLIC_KEY_BYTES>;
using KeyId = std::array<uint8_t, NPU_KEY_ID_BYTES>;

struct KeyPair {
  std::array<uint8_t, 32> seed;  // the secret
  PublicKey public_key;
};

Outcome<KeyPair> make_key_pair();
KeyPair key_pair_from_seed(const std::array<uint8_t, 32>& seed);
KeyId key_id(const PublicKey& key);
std::string to_hex(const uint8_t* bytes, size_t size);

// Files. A secret key file has a first line that says what it is, then 64 hexadecimal digits; mode 0600, never overwritten.
// A public key file is 64 hexadecimal digits and a newline.
std::optional<Failure> write_secret_key(const std::filesystem::path& path, const KeyPair& key);
Outcome<KeyPair> read_secret_key(const std::filesystem::path& path);
std::optional<Failure> write_public_key(const std::filesystem::path& path, const PublicKey& key);
Outcome<PublicKey> read_public_key(const std::filesystem::path& path);

// $NPU_KEY_DIR, else $XDG_CONFIG_HOME/npu/keys, else ~/.config/npu/keys.
Outcome<std::filesystem::path> key_directory();

// Puts |key| into |directory| (made with mode 0700) as NAME.pub with mode 0600. Gives the path.
Outcome<std::filesystem::path> enrol_key(const std::filesystem::path& directory,
                                         std::string_view name, const PublicKey& key);

}  // namespace npu::isa
