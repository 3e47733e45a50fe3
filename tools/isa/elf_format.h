// SPDX-License-Identifier: Apache-2.0
// The few structs of ELF64 that a program file consists of (System V ABI, "Object Files" and "Program Loading").
#pragma once

#include <cstdint>

namespace npu::isa {

struct ElfHeader {
  uint8_t ident[16];  // kElfIdent
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, phoff, shoff;
  uint32_t flags;
  uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct ElfProgramHeader {
  uint32_t type, flags;
  uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct ElfNoteHeader {
  uint32_t namesz, descsz, type;
};

static_assert(sizeof(ElfHeader) == 64 && sizeof(ElfProgramHeader) == 56);
static_assert(sizeof(ElfNoteHeader) == 12);

// Magic, ELFCLASS64, little-endian, version 1, no OS ABI.
inline constexpr uint8_t kElfIdent[16] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
inline constexpr uint16_t kElfTypeExec = 2;
inline constexpr uint32_t kElfVersion = 1;
inline constexpr uint32_t kElfLoad = 1, kElfNote = 4;  // types of segments
inline constexpr uint32_t kElfExecute = 1, kElfRead = 4;
inline constexpr uint16_t kElfSectionHeaderBytes = 64;

}  // namespace npu::isa
