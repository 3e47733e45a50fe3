// SPDX-License-Identifier: Apache-2.0
// ELF header, program headers and notes, each field checked before it is used.
#include "firmware-model/device/elf_reader.h"

#include <elf.h>
#include <algorithm>
#include <bitset>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "uapi/npu_format.h"

namespace npu::model {
namespace {

using Bytes = std::span<const std::byte>;

constexpr unsigned kSegments = 2;  // the program and its notes

std::optional<Bytes> slice(Bytes bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(offset, size);
}

// The bytes of a file have no alignment: structs are copied out.
template <typename T>
std::optional<T> read_at(Bytes bytes, uint64_t offset) {
  const auto part = slice(bytes, offset, sizeof(T));
  if (!part) return std::nullopt;
  T value;
  std::memcpy(&value, part->data(), sizeof(T));
  return value;
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// 1..field - 1 characters of [A-Za-z0-9_.-], then NUL to the end of the field.
bool name_fits(const char* field, size_t field_bytes) {
  const size_t length = strnlen(field, field_bytes);
  if (length == 0 || length == field_bytes) return false;
  for (size_t i = 0; i < field_bytes; ++i) {
    const char c = field[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    if (i < length ? !letter : c != '\0') return false;
  }
  return true;
}

// Visible ASCII, at least one character, then NUL to the end of the field.
bool version_fits(const char* field, size_t field_bytes) {
  const size_t length = strnlen(field, field_bytes);
  if (length == 0 || length == field_bytes) return false;
  for (size_t i = 0; i < field_bytes; ++i) {
    if (i < length ? field[i] <= ' ' || field[i] > '~' : field[i] != '\0') return false;
  }
  return true;
}

npu_status check_header(const Elf64_Ehdr& header) {
  static constexpr unsigned char kIdent[EI_NIDENT] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
                                                      ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
  if (std::memcmp(header.e_ident, kIdent, sizeof(kIdent)) != 0) return NPU_ST_BLOB_FORMAT;
  if (header.e_type != ET_EXEC || header.e_machine != NPU_ELF_MACHINE ||
      header.e_version != EV_CURRENT || header.e_ehsize != sizeof(Elf64_Ehdr) ||
      header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum != kSegments) {
    return NPU_ST_BLOB_FORMAT;
  }
  const uint32_t major = header.e_flags >> 24;
  const uint32_t minor = NPU_ELF_ISA_MINOR(header.e_flags);
  if (major != NPU_ISA_MAJOR || minor > NPU_ISA_MINOR || (header.e_flags & 0xffff) != 0) {
    return NPU_ST_BLOB_ISA;
  }
  return NPU_ST_OK;
}

uint32_t size_of_kind(uint8_t kind) {
  switch (kind) {
    case NPU_ARG_U32:
    case NPU_ARG_I32:
    case NPU_ARG_F32:
      return 4;
    case NPU_ARG_U64:
    case NPU_ARG_DVA:
      return 8;
    default:
      return 0;
  }
}

bool arguments_fit(Bytes rows, const npu_note_kernel& note) {
  std::bitset<NPU_ARGS_MAX_BYTES / 4> taken;
  for (uint32_t i = 0; i < note.nargs; ++i) {
    const auto arg = *read_at<npu_note_arg>(rows, uint64_t{i} * sizeof(npu_note_arg));
    const uint32_t size = size_of_kind(arg.kind);
    if (!name_fits(arg.name, sizeof(arg.name)) || size == 0 || arg.size != size || arg.rsvd != 0 ||
        arg.offset % size != 0 || note.args_bytes < size || arg.offset > note.args_bytes - size) {
      return false;
    }
    for (uint32_t word = arg.offset / 4; word < (arg.offset + size) / 4; ++word) {
      if (taken.test(word)) return false;
      taken.set(word);
    }
  }
  return true;
}

class NoteReader {
 public:
  NoteReader(ElfImage* image, uint32_t isa_minor) : image_(*image), isa_minor_(isa_minor) {}

  bool read(Bytes notes) {
    uint64_t at = 0;
    while (at < notes.size()) {
      const auto header = read_at<Elf64_Nhdr>(notes, at);
      const auto owner = slice(notes, at + sizeof(Elf64_Nhdr), sizeof(NPU_NOTE_OWNER));
      if (!header || header->n_namesz != sizeof(NPU_NOTE_OWNER) || !owner) return false;
      if (std::memcmp(owner->data(), NPU_NOTE_OWNER, sizeof(NPU_NOTE_OWNER)) != 0) return false;
      at += sizeof(Elf64_Nhdr) + sizeof(NPU_NOTE_OWNER);
      const auto body = slice(notes, at, header->n_descsz);
      if (!body || !note(header->n_type, *body)) return false;
      at += header->n_descsz;
      const auto padding = slice(notes, at, (4 - at % 4) % 4);
      if (!padding || !all_zero(*padding)) return false;
      at += padding->size();
    }
    return !image_.kernels.empty();
  }

 private:
  bool note(uint32_t type, Bytes body) {
    switch (type) {
      case NPU_NOTE_BUILD_ID:
        return !std::exchange(seen_build_id_, true) && build_id(body);
      case NPU_NOTE_KERNEL:
        return kernel(body);
      case NPU_NOTE_LINES:
        return !std::exchange(seen_lines_, true) && lines(body);
      case NPU_NOTE_FIRMWARE:
        return !image_.firmware && firmware(body);
      case NPU_NOTE_FORMATS:
        return isa_minor_ >= 1 && image_.format_args.empty() && formats(body);
      default:
        return false;
    }
  }

  bool build_id(Bytes body) {
    if (body.size() != image_.build_id.size()) return false;
    std::memcpy(image_.build_id.data(), body.data(), body.size());
    return true;
  }

  bool firmware(Bytes body) {
    const auto note = read_at<npu_note_firmware>(body, 0);
    if (!note || body.size() != sizeof(npu_note_firmware) || note->rsvd != 0) return false;
    if (!version_fits(note->version, sizeof(note->version))) return false;
    image_.firmware = *note;
    return true;
  }

  bool kernel(Bytes body) {
    const auto note = read_at<npu_note_kernel>(body, 0);
    if (!note || image_.kernels.size() >= NPU_BLOB_MAX_KERNELS) return false;
    if (!name_fits(note->name, sizeof(note->name)) || !names_.insert(note->name).second) {
      return false;
    }
    if (note->nargs > NPU_KERNEL_MAX_ARGS || note->args_bytes > NPU_ARGS_MAX_BYTES ||
        note->args_bytes % 8 != 0 || note->group_tiles == 0 ||
        note->group_tiles > NPU_GROUP_MAX_TILES) {
      return false;
    }
    if (body.size() != sizeof(npu_note_kernel) + uint64_t{note->nargs} * sizeof(npu_note_arg)) {
      return false;
    }
    if (!arguments_fit(body.subspan(sizeof(npu_note_kernel)), *note)) return false;
    image_.kernels.push_back(*note);
    return true;
  }

  bool lines(Bytes body) {
    const auto head = read_at<npu_note_lines>(body, 0);
    if (!head) return false;
    const uint64_t rows_bytes = uint64_t{head->count} * sizeof(npu_note_line);
    const auto rows = slice(body, sizeof(npu_note_lines), rows_bytes);
    if (!rows || body.size() - sizeof(npu_note_lines) - rows_bytes != head->strings_bytes) {
      return false;
    }
    const Bytes strings = body.last(head->strings_bytes);
    if (!strings.empty() && strings.back() != std::byte{0}) return false;
    image_.strings.assign(reinterpret_cast<const char*>(strings.data()), strings.size());
    image_.lines.resize(head->count);
    if (head->count != 0) std::memcpy(image_.lines.data(), rows->data(), rows_bytes);
    return std::all_of(image_.lines.begin(), image_.lines.end(),
                       [&](const npu_note_line& row) { return row.file < strings.size(); });
  }

  // The device keeps no text: it needs to know only how many registers belong to each.
  bool formats(Bytes body) {
    const auto head = read_at<npu_note_formats>(body, 0);
    if (!head || head->count == 0 || head->count > NPU_BLOB_MAX_FORMATS) return false;
    const uint64_t rows_bytes = uint64_t{head->count} * sizeof(npu_note_format);
    const auto rows = slice(body, sizeof(npu_note_formats), rows_bytes);
    if (!rows || body.size() - sizeof(npu_note_formats) - rows_bytes != head->strings_bytes) {
      return false;
    }
    const Bytes strings = body.last(head->strings_bytes);
    for (uint32_t i = 0; i < head->count; ++i) {
      const auto row = *read_at<npu_note_format>(*rows, uint64_t{i} * sizeof(npu_note_format));
      if (row.text >= strings.size()) return false;
      const auto* text = reinterpret_cast<const char*>(strings.data()) + row.text;
      const size_t most = std::min<size_t>(strings.size() - row.text, NPU_FORMAT_MAX_BYTES);
      const size_t length = strnlen(text, most);
      if (length == most) return false;
      const int args = npu_format_args(text, static_cast<uint32_t>(length + 1));
      if (args < 0 || args != row.nargs) return false;
      if (row.rsvd[0] != 0 || row.rsvd[1] != 0 || row.rsvd[2] != 0) return false;
      image_.format_args.push_back(row.nargs);
    }
    return true;
  }

  ElfImage& image_;
  const uint32_t isa_minor_;
  std::set<std::string> names_;
  bool seen_build_id_ = false;
  bool seen_lines_ = false;
};

// The ranges of the kernels lie inside the program and do not overlap: no instruction is kept or
// verified twice.
bool ranges_fit(const ElfImage& image) {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  const uint64_t total = image.code.size() / NPU_INSN_BYTES;
  for (const npu_note_kernel& kernel : image.kernels) {
    if (kernel.insn_count == 0 || kernel.insn_count > NPU_KERNEL_MAX_INSNS ||
        kernel.entry >= total || kernel.insn_count > total - kernel.entry) {
      return false;
    }
    ranges.emplace_back(kernel.entry, kernel.insn_count);
  }
  std::sort(ranges.begin(), ranges.end());
  for (size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first - ranges[i - 1].first < ranges[i - 1].second) return false;
  }
  return true;
}

bool load_segment_fits(const Elf64_Phdr& header) {
  return header.p_flags == (PF_R | PF_X) && header.p_vaddr == 0 &&
         header.p_filesz == header.p_memsz && header.p_filesz != 0 &&
         header.p_filesz % NPU_INSN_BYTES == 0;
}

}  // namespace

npu_status read_elf(Bytes elf, ElfImage* out) {
  const auto header = read_at<Elf64_Ehdr>(elf, 0);
  if (!header) return NPU_ST_BLOB_FORMAT;
  if (const npu_status status = check_header(*header); status != NPU_ST_OK) return status;
  const auto table = slice(elf, header->e_phoff, kSegments * sizeof(Elf64_Phdr));
  if (!table) return NPU_ST_BLOB_FORMAT;

  std::optional<Bytes> code;
  std::optional<Bytes> notes;
  for (unsigned i = 0; i < kSegments; ++i) {
    const auto segment = *read_at<Elf64_Phdr>(*table, i * sizeof(Elf64_Phdr));
    const auto bytes = slice(elf, segment.p_offset, segment.p_filesz);
    if (!bytes) return NPU_ST_BLOB_FORMAT;
    if (segment.p_type == PT_LOAD && !code && load_segment_fits(segment)) {
      code = bytes;
    } else if (segment.p_type == PT_NOTE && !notes) {
      notes = bytes;
    } else {
      return NPU_ST_BLOB_FORMAT;
    }
    out->segments.push_back({segment.p_offset, segment.p_filesz});
  }
  out->code = *code;
  out->isa_minor = NPU_ELF_ISA_MINOR(header->e_flags);
  if (!NoteReader(out, out->isa_minor).read(*notes) || !ranges_fit(*out)) return NPU_ST_BLOB_FORMAT;
  return NPU_ST_OK;
}

}  // namespace npu::model
