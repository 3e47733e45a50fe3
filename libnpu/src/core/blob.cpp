// SPDX-License-Identifier: Apache-2.0
// A strict reader of the notes of a blob.
#include "libnpu/src/core/blob.h"

#include <algorithm>
#include <cstring>

#include "libnpu/src/core/elf_format.h"
#include "libnpu/src/core/error.h"
#include "uapi/npu_format.h"
#include "uapi/npu_isa.h"

namespace npu {
namespace {

using Bytes = std::span<const std::byte>;

Status broken(const char* what) { return fail(NPU_ERROR_BLOB_FORMAT, "the blob %s", what); }

template <typename T>
bool take(Bytes* bytes, T* out) {
  if (bytes->size() < sizeof(T)) return false;
  std::memcpy(out, bytes->data(), sizeof(T));
  *bytes = bytes->subspan(sizeof(T));
  return true;
}

bool ends_with_nul(const char* text, size_t bytes) {
  return std::memchr(text, 0, bytes) != nullptr;
}

Status read_kernel(Bytes body, Image* out) {
  KernelImage kernel;
  if (!take(&body, &kernel.note)) return broken("has a kernel note that is too short");
  const npu_note_kernel& note = kernel.note;
  if (!ends_with_nul(note.name, sizeof note.name) || note.name[0] == '\0') {
    return broken("has a kernel without a proper name");
  }
  if (note.nargs > NPU_KERNEL_MAX_ARGS || body.size() != note.nargs * sizeof(npu_note_arg)) {
    return broken("has a kernel note whose arguments do not fit its size");
  }
  for (uint32_t i = 0; i < note.nargs; i++) {
    npu_note_arg arg;
    if (!take(&body, &arg)) return broken("has a kernel note that is too short");
    if (!ends_with_nul(arg.name, sizeof arg.name) || (arg.size != 4 && arg.size != 8) ||
        arg.offset > note.args_bytes || arg.size > note.args_bytes - arg.offset) {
      return broken("has a kernel argument outside of its argument block");
    }
    kernel.args.push_back(arg);
  }
  if (out->kernels.size() >= NPU_BLOB_MAX_KERNELS) return broken("has too many kernels");
  out->kernels.push_back(std::move(kernel));
  return Status::ok();
}

Status read_lines(Bytes body, Image* out) {
  npu_note_lines head;
  if (!take(&body, &head)) return broken("has a line table that is too short");
  const uint64_t rows = uint64_t{head.count} * sizeof(npu_note_line);
  if (!out->lines.empty() || rows + head.strings_bytes != body.size()) {
    return broken("has a line table whose size is wrong");
  }
  out->lines.resize(head.count);
  if (rows != 0) std::memcpy(out->lines.data(), body.data(), rows);
  out->strings.assign(reinterpret_cast<const char*>(body.data()) + rows, head.strings_bytes);
  if (!out->strings.empty() && out->strings.back() != '\0')
    return broken("has a line table without an end");
  return Status::ok();
}

Status read_formats(Bytes body, Image* out) {
  npu_note_formats head;
  if (!take(&body, &head) || !out->formats.empty() || head.count == 0 ||
      head.count > NPU_BLOB_MAX_FORMATS) {
    return broken("has a malformed table of formats");
  }
  const uint64_t rows = uint64_t{head.count} * sizeof(npu_note_format);
  if (rows + head.strings_bytes != body.size()) {
    return broken("has a table of formats whose size is wrong");
  }
  const Bytes strings = body.subspan(rows);
  for (uint32_t i = 0; i < head.count; i++) {
    npu_note_format row;
    take(&body, &row);
    const size_t left = row.text < strings.size() ? strings.size() - row.text : 0;
    const auto* text = reinterpret_cast<const char*>(strings.data()) + (left != 0 ? row.text : 0);
    const size_t length = strnlen(text, std::min<size_t>(left, NPU_FORMAT_MAX_BYTES));
    if (length == left || npu_format_args(text, static_cast<uint32_t>(length + 1)) != row.nargs) {
      return broken("has a text to print that is no format");
    }
    out->formats.emplace_back(text, length);
  }
  return Status::ok();
}

Status read_notes(Bytes notes, Image* out) {
  while (!notes.empty()) {
    elf::Note head;
    char owner[4];
    if (!take(&notes, &head) || head.name_bytes != sizeof owner || !take(&notes, &owner) ||
        std::memcmp(owner, NPU_NOTE_OWNER, sizeof owner) != 0) {
      return broken("has a note of another owner");
    }
    const uint64_t padded = (uint64_t{head.body_bytes} + 3) & ~uint64_t{3};
    if (padded > notes.size()) return broken("has a note that is longer than its segment");
    const Bytes body = notes.first(head.body_bytes);
    notes = notes.subspan(padded);
    switch (head.type) {
      case NPU_NOTE_BUILD_ID:
        break;
      case NPU_NOTE_KERNEL:
        NPU_TRY(read_kernel(body, out));
        break;
      case NPU_NOTE_LINES:
        NPU_TRY(read_lines(body, out));
        break;
      case NPU_NOTE_FORMATS:
        NPU_TRY(read_formats(body, out));
        break;
      default:
        return broken("has a note of an unknown type");
    }
  }
  return Status::ok();
}

}  // namespace

int32_t Image::find(const char* name) const {
  for (size_t i = 0; i < kernels.size(); i++) {
    if (std::strcmp(kernels[i].note.name, name) == 0) return static_cast<int32_t>(i);
  }
  return -1;
}

bool Image::place_of(uint32_t id, std::string* out_file, uint32_t* out_line) const {
  if (id == 0 || id > lines.size()) return false;
  const npu_note_line& row = lines[id - 1];
  if (row.file >= strings.size()) return false;
  *out_file = strings.c_str() + row.file;
  *out_line = row.line;
  return true;
}

Result<Image> read_image(std::span<const std::byte> blob) {
  elf::Header header;
  Bytes cursor = blob;
  if (!take(&cursor, &header) || std::memcmp(header.ident, elf::kMagic, sizeof elf::kMagic) != 0 ||
      header.ident[4] != elf::kClass64 || header.ident[5] != elf::kLittleEndian ||
      header.machine != NPU_ELF_MACHINE || header.program_entry_bytes != sizeof(elf::Segment)) {
    return broken("is no ELF file for this machine");
  }
  const uint64_t table_bytes = uint64_t{header.program_count} * sizeof(elf::Segment);
  if (header.program_offset > blob.size() || table_bytes > blob.size() - header.program_offset) {
    return broken("is cut off");
  }
  Image image;
  Bytes table = blob.subspan(header.program_offset, table_bytes);
  elf::Segment segment;
  bool has_notes = false;
  Bytes code;
  while (take(&table, &segment)) {
    if (segment.type == elf::kLoadSegment && segment.offset <= blob.size() &&
        segment.file_bytes <= blob.size() - segment.offset) {
      code = blob.subspan(segment.offset, segment.file_bytes);
    }
    if (segment.type != elf::kNoteSegment) continue;
    if (has_notes || segment.offset > blob.size() ||
        segment.file_bytes > blob.size() - segment.offset) {
      return broken("has notes outside of the file");
    }
    has_notes = true;
    NPU_TRY(read_notes(blob.subspan(segment.offset, segment.file_bytes), &image));
  }
  if (image.kernels.empty()) return broken("has no kernels");
  for (KernelImage& kernel : image.kernels) {
    const uint64_t begin = uint64_t{kernel.note.entry} * NPU_INSN_BYTES;
    const uint64_t bytes = uint64_t{kernel.note.insn_count} * NPU_INSN_BYTES;
    if (begin > code.size() || bytes > code.size() - begin) {
      return broken("has a kernel outside of its instructions");
    }
    kernel.use = use_of(code.subspan(begin, bytes));
  }
  return image;
}

}  // namespace npu
