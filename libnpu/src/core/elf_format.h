// SPDX-License-Identifier: Apache-2.0
// The parts of the ELF64 format that a blob uses, as the System V gABI defines them.
#pragma once

#include <cstdint>

namespace npu::elf {

struct Header {
  uint8_t ident[16];
  uint16_t type;
  uint16_t machine;
  uint32_t version;
  uint64_t entry;
  uint64_t program_offset;
  uint64_t section_offset;
  uint32_t flags;
  uint16_t header_bytes;
  uint16_t program_entry_bytes;
  uint16_t program_count;
  uint16_t section_entry_bytes;
  uint16_t section_count;
  uint16_t names_index;
};
static_assert(sizeof(Header) == 64);

struct Segment {
  uint32_t type;
  uint32_t flags;
  uint64_t offset;
  uint64_t virtual_address;
  uint64_t physical_address;
  uint64_t file_bytes;
  uint64_t memory_bytes;
  uint64_t align;
};
static_assert(sizeof(Segment) == 56);

struct Note {
  uint32_t name_bytes;
  uint32_t body_bytes;
  uint32_t type;
};
static_assert(sizeof(Note) == 12);

inline constexpr uint8_t kMagic[4] = {0x7f, 'E', 'L', 'F'};
inline constexpr uint8_t kClass64 = 2;       // ident[4]
inline constexpr uint8_t kLittleEndian = 1;  // ident[5]
inline constexpr uint32_t kLoadSegment = 1;
inline constexpr uint32_t kNoteSegment = 4;

}  // namespace npu::elf
