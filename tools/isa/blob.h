// SPDX-License-Identifier: Apache-2.0
// Firmware blobs on the tools' side: programs to ELF, signing, reading, verifying. The format is uapi/npu_fw.h.
// The same programs and the same key give the same bytes. Thread safety: all functions are pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tools/isa/keys.h"
#include "tools/isa/outcome.h"
#include "tools/isa/program.h"
#include "uapi/npu_regs.h"

namespace npu::isa {

using Bytes = std::vector<uint8_t>;

// What makes a program file control firmware: the interface it has for drivers, and its own version.
struct FirmwareVersion {
  uint16_t abi_major = NPU_FW_ABI_MAJOR;
  uint16_t abi_minor = NPU_FW_ABI_MINOR;
  std::string text;  // 1 to 31 visible ASCII characters
};

// An ELF with all programs, in this order; not signed. Refuses programs that do not verify and names that stand twice.
Outcome<Bytes> write_elf(std::span<const Program> programs,
                         const std::optional<FirmwareVersion>& firmware = std::nullopt);

struct SignOptions {
  std::optional<uint8_t> image_type =
      std::nullopt;  // left out: what the ELF is; anything else is refused
  uint8_t key_class = NPU_KEY_OWNER;
  uint64_t security_counter = 0;
};

// A blob: the ELF and its manifest. |elf| may carry a manifest already; that one is replaced.
Outcome<Bytes> sign_elf(std::span<const uint8_t> elf, const KeyPair& key,
                        const SignOptions& options = {});

struct Blob {
  uint64_t elf_bytes = 0;
  std::array<uint8_t, 16> build_id{};
  std::vector<Program> programs;
  std::optional<npu_note_firmware> firmware;
  // Only of a signed blob:
  bool is_signed = false;
  npu_manifest manifest{};
  std::vector<npu_manifest_seg> segments;
  std::array<uint8_t, NPU_SIGNATURE_BYTES> signature{};
};

// Reads a blob or a bare ELF: every size, hash and instruction is checked, the signature is not.
Outcome<Blob> read_blob(std::span<const uint8_t> bytes);

// As read_blob, and the signature must be that of |key|.
Outcome<Blob> verify_blob(std::span<const uint8_t> bytes, const PublicKey& key);

}  // namespace npu::isa
