// SPDX-License-Identifier: Apache-2.0
// Reads the ELF part of a blob; nothing in it is believed before it was compared with the size of the file.
#include <algorithm>
#include <cstring>
#include <map>
#include <string_view>

#include "tools/isa/codec.h"
#include "tools/isa/elf_file.h"
#include "tools/isa/elf_format.h"

namespace npu::isa {
namespace {

using View = std::span<const uint8_t>;

std::optional<View> slice(View bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

template <typename T>
std::optional<T> read_at(View bytes, uint64_t offset) {
  const auto view = slice(bytes, offset, sizeof(T));
  if (!view) return std::nullopt;
  T value;
  std::memcpy(&value, view->data(), sizeof(T));
  return value;
}

Failure bad(const char* what) {
  return {std::string("not a usable NPU program file: ") + what +
          "; make the file again with npu-as or npu-fw pack"};
}

class Reader {
 public:
  explicit Reader(View elf) : elf_(elf) {}

  Outcome<ElfFile> run() {
    if (const char* error = header()) return bad(error);
    if (const char* error = notes()) return bad(error);
    if (file_.programs.empty()) return bad("it has no kernel");
    for (Program& program : file_.programs) {
      if (const char* error = code(program)) return bad(error);
      if (const char* error = lines(program)) return bad(error);
      if (const char* error = formats(program)) return bad(error);
      if (const auto error = verify_program(program))
        return Failure{"kernel '" + std::string(program.note.name) + "', instruction " +
                       std::to_string(error->pc) + ": " + error->text};
      program.note.entry = 0;
    }
    return std::move(file_);
  }

 private:
  const char* header() {
    const auto header = read_at<ElfHeader>(elf_, 0);
    if (!header || std::memcmp(header->ident, kElfIdent, 4) != 0) return "it is no ELF file";
    if (std::memcmp(header->ident, kElfIdent, sizeof(kElfIdent)) != 0 ||
        header->type != kElfTypeExec || header->machine != NPU_ELF_MACHINE ||
        header->version != kElfVersion)
      return "it is an ELF file of another machine";
    if (header->flags < NPU_ELF_FLAGS(NPU_ISA_MAJOR, 0) ||
        header->flags > NPU_ELF_FLAGS(NPU_ISA_MAJOR, NPU_ISA_MINOR) ||
        (header->flags & 0xffff) != 0)
      return "it was made for another version of the instruction set";
    isa_minor_ = NPU_ELF_ISA_MINOR(header->flags);
    if (header->ehsize != sizeof(ElfHeader) || header->phentsize != sizeof(ElfProgramHeader) ||
        header->phnum != 2)
      return "its program headers are not one PT_LOAD and one PT_NOTE";
    for (uint64_t i = 0; i < 2; ++i) {
      if (header->phoff > elf_.size()) return "it is shorter than its headers say";
      const auto segment =
          read_at<ElfProgramHeader>(elf_, header->phoff + i * sizeof(ElfProgramHeader));
      if (!segment) return "it is shorter than its headers say";
      if (const char* error = take_segment(*segment)) return error;
    }
    if (load_.empty() || notes_.empty()) return "a segment is missing";
    return nullptr;
  }

  const char* take_segment(const ElfProgramHeader& segment) {
    const auto bytes = slice(elf_, segment.offset, segment.filesz);
    if (!bytes) return "it is shorter than its headers say";
    file_.segments.push_back({segment.offset, segment.filesz});
    View& place = segment.type == kElfLoad ? load_ : notes_;
    if (segment.type != kElfLoad && segment.type != kElfNote) return "a segment has a wrong type";
    if (!place.empty()) return "two segments have the same type";
    place = *bytes;
    if (segment.type == kElfNote) return nullptr;
    if (segment.flags != (kElfRead | kElfExecute) || segment.vaddr != 0 ||
        segment.memsz != segment.filesz || segment.filesz % NPU_INSN_BYTES != 0)
      return "the segment of instructions is malformed";
    return nullptr;
  }

  const char* notes() {
    uint64_t at = 0;
    while (at < notes_.size()) {
      const auto header = read_at<ElfNoteHeader>(notes_, at);
      const auto owner = slice(notes_, at + sizeof(ElfNoteHeader), sizeof(NPU_NOTE_OWNER));
      if (!header || !owner || header->namesz != sizeof(NPU_NOTE_OWNER) ||
          std::memcmp(owner->data(), NPU_NOTE_OWNER, sizeof(NPU_NOTE_OWNER)) != 0)
        return "a note does not belong to NPU";
      at += sizeof(ElfNoteHeader) + sizeof(NPU_NOTE_OWNER);
      const auto desc = slice(notes_, at, header->descsz);
      if (!desc) return "a note is longer than the file";
      if (const char* error = take_note(header->type, *desc)) return error;
      at += header->descsz;
      for (; at % 4 != 0; ++at) {
        if (at >= notes_.size() || notes_[static_cast<size_t>(at)] != 0)
          return "a note is not padded with zeros";
      }
    }
    return nullptr;
  }

  const char* take_note(uint32_t type, View desc) {
    switch (type) {
      case NPU_NOTE_BUILD_ID:
        if (desc.size() != file_.build_id.size() || seen_build_id_) return "a malformed build id";
        seen_build_id_ = true;
        std::copy(desc.begin(), desc.end(), file_.build_id.begin());
        return nullptr;
      case NPU_NOTE_KERNEL:
        return take_kernel(desc);
      case NPU_NOTE_LINES:
        return take_lines(desc);
      case NPU_NOTE_FIRMWARE:
        return take_firmware(desc);
      case NPU_NOTE_FORMATS:
        return take_formats(desc);
      default:
        return "a note has a type that this reader does not know";
    }
  }

  const char* take_firmware(View desc) {
    const auto note = read_at<npu_note_firmware>(desc, 0);
    if (!note || desc.size() != sizeof(npu_note_firmware) || note->rsvd != 0 || file_.firmware)
      return "a malformed firmware version";
    const std::string_view field(note->version, sizeof(note->version));
    const size_t length = std::min(field.find('\0'), field.size());
    if (length == 0 || length == field.size() ||
        field.find_first_not_of('\0', length) != std::string_view::npos ||
        std::any_of(field.begin(), field.begin() + static_cast<ptrdiff_t>(length),
                    [](char c) { return c <= ' ' || c > '~'; }))
      return "a malformed firmware version";
    file_.firmware = *note;
    return nullptr;
  }

  const char* take_kernel(View desc) {
    const auto note = read_at<npu_note_kernel>(desc, 0);
    if (!note || file_.programs.size() == NPU_BLOB_MAX_KERNELS) return "a malformed kernel table";
    if (note->nargs > NPU_KERNEL_MAX_ARGS ||
        desc.size() != sizeof(npu_note_kernel) + note->nargs * sizeof(npu_note_arg))
      return "a kernel with a malformed argument table";
    Program program;
    program.note = *note;
    for (uint64_t i = 0; i < note->nargs; ++i)
      program.args.push_back(
          *read_at<npu_note_arg>(desc, sizeof(npu_note_kernel) + i * sizeof(npu_note_arg)));
    for (const Program& other : file_.programs) {
      if (std::memcmp(other.note.name, note->name, sizeof(note->name)) == 0)
        return "two kernels have the same name";
    }
    file_.programs.push_back(std::move(program));
    return nullptr;
  }

  const char* take_lines(View desc) {
    const auto head = read_at<npu_note_lines>(desc, 0);
    if (!head || seen_lines_) return "a malformed line table";
    seen_lines_ = true;
    const uint64_t rows_bytes = uint64_t{head->count} * sizeof(npu_note_line);
    const auto rows = slice(desc, sizeof(npu_note_lines), rows_bytes);
    if (!rows || desc.size() - sizeof(npu_note_lines) - rows_bytes != head->strings_bytes)
      return "a line table of the wrong size";
    const View strings = desc.last(head->strings_bytes);
    if (!strings.empty() && strings.back() != 0) return "names of the line table without an end";
    for (uint64_t i = 0; i < head->count; ++i) {
      const npu_note_line row = *read_at<npu_note_line>(*rows, i * sizeof(npu_note_line));
      if (row.file >= strings.size()) return "a row of the line table without a name";
      lines_.push_back({reinterpret_cast<const char*>(strings.data()) + row.file, row.line});
    }
    return nullptr;
  }

  const char* take_formats(View desc) {
    const auto head = read_at<npu_note_formats>(desc, 0);
    if (!head || !formats_.empty() || head->count == 0 || head->count > NPU_BLOB_MAX_FORMATS ||
        isa_minor_ < 1)
      return "a malformed table of formats";
    const uint64_t rows_bytes = uint64_t{head->count} * sizeof(npu_note_format);
    const auto rows = slice(desc, sizeof(npu_note_formats), rows_bytes);
    if (!rows || desc.size() - sizeof(npu_note_formats) - rows_bytes != head->strings_bytes)
      return "a table of formats of the wrong size";
    const View strings = desc.last(head->strings_bytes);
    if (strings.empty() || strings.back() != 0) return "formats without an end";
    for (uint64_t i = 0; i < head->count; ++i) {
      const auto row = *read_at<npu_note_format>(*rows, i * sizeof(npu_note_format));
      if (row.text >= strings.size()) return "a row of the table of formats without a text";
      std::string text = reinterpret_cast<const char*>(strings.data()) + row.text;
      const auto args = format_args(text);
      if (!args || *args != row.nargs || row.rsvd[0] != 0 || row.rsvd[1] != 0 || row.rsvd[2] != 0)
        return "a format that does not exist";
      formats_.push_back(std::move(text));
    }
    return nullptr;
  }

  const char* code(Program& program) {
    const npu_note_kernel& note = program.note;
    const uint64_t count = load_.size() / NPU_INSN_BYTES;
    if (note.entry > count || note.insn_count > count - note.entry ||
        note.insn_count > NPU_KERNEL_MAX_INSNS)
      return "a kernel lies outside the instructions";
    taken_.resize(static_cast<size_t>(count));
    for (uint64_t i = note.entry; i < uint64_t{note.entry} + note.insn_count; ++i) {
      if (taken_[static_cast<size_t>(i)]) return "two kernels overlap";
      taken_[static_cast<size_t>(i)] = true;
      program.insns.push_back(*read_at<npu_insn>(load_, i * NPU_INSN_BYTES));
      if (npu_insn_minor(&program.insns.back()) > isa_minor_)
        return "an instruction is newer than the version that the file says to need";
    }
    return nullptr;
  }

  // Gives the program the rows that it uses, and its instructions the numbers in that smaller table.
  const char* lines(Program& program) {
    std::map<uint32_t, uint32_t> number;
    for (const npu_insn& insn : program.insns) {
      if (insn.line > lines_.size()) return "an instruction names a row behind the line table";
      if (insn.line != 0) number.emplace(insn.line, 0);
    }
    for (auto& [old_id, new_id] : number) {
      program.lines.push_back(lines_[old_id - 1]);
      new_id = static_cast<uint32_t>(program.lines.size());
    }
    for (npu_insn& insn : program.insns) {
      if (insn.line != 0) insn.line = number[insn.line];
    }
    return nullptr;
  }

  // Likewise the formats.
  const char* formats(Program& program) {
    std::map<uint32_t, uint32_t> number;
    for (const npu_insn& insn : program.insns) {
      if (kInsnTable[insn.op].imm != 'P') continue;
      if (insn.imm == 0 || insn.imm > formats_.size())
        return "an instruction names a format behind the table";
      number.emplace(insn.imm, 0);
    }
    for (auto& [old_id, new_id] : number) {
      program.formats.push_back(formats_[old_id - 1]);
      new_id = static_cast<uint32_t>(program.formats.size());
    }
    for (npu_insn& insn : program.insns) {
      if (kInsnTable[insn.op].imm == 'P') insn.imm = number[insn.imm];
    }
    return nullptr;
  }

  View elf_, load_, notes_;
  ElfFile file_;
  std::vector<SourceLine> lines_;
  std::vector<std::string> formats_;
  uint32_t isa_minor_ = 0;
  std::vector<bool> taken_;
  bool seen_build_id_ = false, seen_lines_ = false;
};

}  // namespace

Outcome<ElfFile> read_elf_file(View elf) { return Reader(elf).run(); }

}  // namespace npu::isa
