// SPDX-License-Identifier: Apache-2.0
// The ELF part of a blob: what Blob needs to know of it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tools/isa/outcome.h"
#include "tools/isa/program.h"
#include "uapi/npu_fw.h"

namespace npu::isa {

struct ElfSegment {
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

struct ElfFile {
  std::vector<ElfSegment> segments;  // in the order of the program headers
  std::array<uint8_t, 16> build_id{};
  std::optional<npu_note_firmware> firmware;
  std::vector<Program> programs;  // verified; each with the rows of the line table that it uses
};

Outcome<ElfFile> read_elf_file(std::span<const uint8_t> elf);

}  // namespace npu::isa
