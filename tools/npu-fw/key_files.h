// SPDX-License-Identifier: Apache-2.0
// Key files, and the folder of keys that a device model in development mode accepts.
// Thread safety: all functions are safe to call at once, except on the same file.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "tools/isa/keys.h"
#include "tools/isa/outcome.h"

namespace npu::isa {

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
