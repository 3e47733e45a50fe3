// SPDX-License-Identifier: Apache-2.0
// Ed25519 keys for blobs. Key files are the business of tools/npu-fw.
// Thread safety: all functions are pure but make_key_pair(), which may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
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

std::optional<std::array<uint8_t, 32>> from_hex(
    std::string_view text);  // exactly 64 hexadecimal digits

}  // namespace npu::isa
