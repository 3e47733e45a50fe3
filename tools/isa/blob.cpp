// SPDX-License-Identifier: Apache-2.0
// Blobs: layout of the ELF part, the manifest behind it, and the checks in the order in which a device makes them.
#include "tools/isa/blob.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "tools/isa/codec.h"
#include "tools/isa/elf_file.h"
#include "tools/isa/elf_format.h"

namespace npu::isa {
namespace {

using View = std::span<const uint8_t>;

constexpr uint64_t kCodeOffset =
    192;  // behind ELF and program headers, a multiple of an instruction
constexpr size_t kPrefixBytes = sizeof(NPU_FW_SIGN_PREFIX) - 1;
constexpr size_t kFixedManifestBytes =
    sizeof(npu_manifest) + NPU_SIGNATURE_BYTES + sizeof(npu_manifest_trailer);
static_assert(kCodeOffset >= sizeof(ElfHeader) + 2 * sizeof(ElfProgramHeader));
static_assert(kCodeOffset % NPU_INSN_BYTES == 0);

template <typename T>
void append(Bytes& out, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof(T));
}

void pad(Bytes& out, size_t multiple) {
  out.resize((out.size() + multiple - 1) / multiple * multiple);
}

void append_note(Bytes& out, uint32_t type, const Bytes& desc) {
  append(out, ElfNoteHeader{sizeof(NPU_NOTE_OWNER), static_cast<uint32_t>(desc.size()), type});
  append(out, NPU_NOTE_OWNER);
  out.insert(out.end(), desc.begin(), desc.end());
  pad(out, 4);
}

std::array<uint8_t, 32> sha256(View bytes) {
  std::array<uint8_t, 32> hash;
  crypto_hash_sha256(hash.data(), bytes.data(), bytes.size());
  return hash;
}

// One line table for all programs: a place in the sources has one row.
class LineTable {
 public:
  uint32_t id(const SourceLine& line) {
    const auto key = std::make_pair(line.file, line.line);
    const auto [it, added] = ids_.emplace(key, static_cast<uint32_t>(rows_.size() + 1));
    if (added) rows_.push_back({file(line.file), line.line});
    return it->second;
  }

  Bytes desc() const {
    Bytes out;
    Bytes strings = strings_;
    pad(strings, 4);
    append(out, npu_note_lines{static_cast<uint32_t>(rows_.size()),
                               static_cast<uint32_t>(strings.size())});
    for (const npu_note_line& row : rows_) append(out, row);
    out.insert(out.end(), strings.begin(), strings.end());
    return out;
  }

 private:
  uint32_t file(const std::string& name) {
    const auto [it, added] = files_.emplace(name, static_cast<uint32_t>(strings_.size()));
    if (added) strings_.insert(strings_.end(), name.c_str(), name.c_str() + name.size() + 1);
    return it->second;
  }

  std::map<std::pair<std::string, uint32_t>, uint32_t> ids_;
  std::map<std::string, uint32_t> files_;
  std::vector<npu_note_line> rows_;
  Bytes strings_;
};

// One table of formats for all programs, likewise.
class FormatTable {
 public:
  uint32_t id(const std::string& text) {
    const auto [it, added] = ids_.emplace(text, static_cast<uint32_t>(rows_.size() + 1));
    if (!added) return it->second;
    npu_note_format row{};
    row.text = static_cast<uint32_t>(strings_.size());
    row.nargs = format_args(text).value_or(0);
    rows_.push_back(row);
    strings_.insert(strings_.end(), text.c_str(), text.c_str() + text.size() + 1);
    return it->second;
  }

  size_t size() const { return rows_.size(); }

  Bytes desc() const {
    Bytes out;
    Bytes strings = strings_;
    pad(strings, 4);
    append(out, npu_note_formats{static_cast<uint32_t>(rows_.size()),
                                 static_cast<uint32_t>(strings.size())});
    for (const npu_note_format& row : rows_) append(out, row);
    out.insert(out.end(), strings.begin(), strings.end());
    return out;
  }

 private:
  std::map<std::string, uint32_t> ids_;
  std::vector<npu_note_format> rows_;
  Bytes strings_;
};

// The oldest minor version of the instruction set that has all of it: the blob runs on every device from there on.
uint32_t minor_of(std::span<const Program> programs) {
  uint32_t minor = 0;
  for (const Program& program : programs) {
    for (const npu_insn& insn : program.insns) minor = std::max(minor, npu_insn_minor(&insn));
  }
  return minor;
}

std::optional<Failure> check_programs(std::span<const Program> programs) {
  if (programs.empty()) return Failure{"there is no kernel to write"};
  if (programs.size() > NPU_BLOB_MAX_KERNELS)
    return Failure{"a blob holds at most 1024 kernels; split it"};
  std::set<std::string> names;
  for (const Program& program : programs) {
    if (const auto error = verify_program(program))
      return Failure{"kernel '" + std::string(program.note.name, strnlen(program.note.name, 64)) +
                     "', instruction " + std::to_string(error->pc) + ": " + error->text};
    if (!names.insert(program.note.name).second)
      return Failure{"there are two kernels '" + std::string(program.note.name) +
                     "'; give one another name"};
    for (const SourceLine& line : program.lines) {
      if (line.file.find('\0') != std::string::npos)
        return Failure{"a file name of the line table contains a NUL"};
    }
  }
  return std::nullopt;
}

ElfHeader elf_header(uint32_t isa_minor) {
  ElfHeader header{};
  std::memcpy(header.ident, kElfIdent, sizeof(kElfIdent));
  header.type = kElfTypeExec;
  header.machine = NPU_ELF_MACHINE;
  header.version = kElfVersion;
  header.phoff = sizeof(ElfHeader);
  header.flags = NPU_ELF_FLAGS(NPU_ISA_MAJOR, isa_minor);
  header.ehsize = sizeof(ElfHeader);
  header.phentsize = sizeof(ElfProgramHeader);
  header.phnum = 2;
  header.shentsize = kElfSectionHeaderBytes;
  return header;
}

Bytes layout(const Bytes& code, const Bytes& notes, uint32_t isa_minor) {
  ElfProgramHeader load{};
  load.type = kElfLoad;
  load.flags = kElfRead | kElfExecute;
  load.offset = kCodeOffset;
  load.filesz = load.memsz = code.size();
  load.align = NPU_INSN_BYTES;
  ElfProgramHeader note{};
  note.type = kElfNote;
  note.flags = kElfRead;
  note.offset = kCodeOffset + code.size();
  note.filesz = note.memsz = notes.size();
  note.align = 4;
  Bytes elf;
  append(elf, elf_header(isa_minor));
  append(elf, load);
  append(elf, note);
  elf.resize(kCodeOffset);
  elf.insert(elf.end(), code.begin(), code.end());
  elf.insert(elf.end(), notes.begin(), notes.end());
  pad(elf, 8);
  return elf;
}

// Where the ELF ends. A file without a trailer, or whose trailer says "not signed", is an ELF without a manifest.
struct Parts {
  View elf, manifest;  // manifest: empty, or all bytes between the ELF and the trailer
};

Outcome<Parts> split(View bytes) {
  if (bytes.size() > NPU_BLOB_MAX_BYTES) return Failure{"the file is larger than 16 MiB"};
  npu_manifest_trailer trailer{};
  if (bytes.size() < sizeof(trailer)) return Failure{"the file is too short for a blob"};
  std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof(trailer), sizeof(trailer));
  if (trailer.magic != NPU_MANIFEST_MAGIC) return Parts{bytes, {}};
  if (trailer.manifest_bytes == 0) return Parts{bytes.first(bytes.size() - sizeof(trailer)), {}};
  if (trailer.manifest_bytes < kFixedManifestBytes || trailer.manifest_bytes > bytes.size())
    return Failure{"the manifest has a size that cannot be; the file is damaged"};
  const size_t elf_bytes = bytes.size() - trailer.manifest_bytes;
  return Parts{bytes.first(elf_bytes),
               bytes.subspan(elf_bytes, trailer.manifest_bytes - sizeof(trailer))};
}

std::optional<Failure> read_manifest(const Parts& parts, Blob& blob) {
  npu_manifest& manifest = blob.manifest;
  std::memcpy(&manifest, parts.manifest.data(), sizeof(manifest));
  const size_t rows_bytes = size_t{manifest.nseg} * sizeof(npu_manifest_seg);
  if (manifest.magic != NPU_MANIFEST_MAGIC || manifest.version != NPU_MANIFEST_VERSION)
    return Failure{"the manifest is of a kind that this tool does not know"};
  if (manifest.nseg > NPU_MANIFEST_MAX_SEGS || manifest.elf_bytes != parts.elf.size() ||
      parts.manifest.size() != sizeof(manifest) + rows_bytes + NPU_SIGNATURE_BYTES)
    return Failure{"the sizes in the manifest do not fit the file; it is damaged"};
  if (std::any_of(std::begin(manifest.rsvd), std::end(manifest.rsvd),
                  [](uint8_t byte) { return byte != 0; }))
    return Failure{"reserved bytes of the manifest are not zero; the file is damaged"};
  if (manifest.image_type != NPU_IMAGE_KERNELS && manifest.image_type != NPU_IMAGE_FIRMWARE)
    return Failure{"the image type does not exist"};
  if (manifest.key_class < NPU_KEY_DEV || manifest.key_class > NPU_KEY_OWNER)
    return Failure{"the key class does not exist"};
  blob.segments.resize(manifest.nseg);
  std::memcpy(blob.segments.data(), parts.manifest.data() + sizeof(manifest), rows_bytes);
  const View signature = parts.manifest.last(NPU_SIGNATURE_BYTES);
  std::copy(signature.begin(), signature.end(), blob.signature.begin());
  blob.is_signed = true;
  return std::nullopt;
}

bool same_hash(const uint8_t* stored, View bytes) {
  return std::memcmp(stored, sha256(bytes).data(), 32) == 0;
}

std::optional<Failure> check_segments(const Blob& blob, const ElfFile& elf, View bytes) {
  if (blob.segments.size() != elf.segments.size())
    return Failure{"the manifest does not list the segments of the ELF"};
  for (size_t i = 0; i < elf.segments.size(); ++i) {
    const ElfSegment& segment = elf.segments[i];
    if (blob.segments[i].offset != segment.offset ||
        blob.segments[i].size_bytes != segment.size_bytes ||
        !same_hash(blob.segments[i].sha256, bytes.subspan(segment.offset, segment.size_bytes)))
      return Failure{"segment " + std::to_string(i) + " is not the one in the manifest"};
  }
  return std::nullopt;
}

bool is_version(const std::string& text) {
  if (text.empty() || text.size() >= sizeof(npu_note_firmware::version)) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Bytes firmware_desc(const FirmwareVersion& version) {
  npu_note_firmware note{};
  note.abi_major = version.abi_major;
  note.abi_minor = version.abi_minor;
  std::copy(version.text.begin(), version.text.end(), note.version);
  Bytes desc;
  append(desc, note);
  return desc;
}

uint8_t type_of(const ElfFile& elf) {
  return elf.firmware ? NPU_IMAGE_FIRMWARE : NPU_IMAGE_KERNELS;
}

Bytes signed_message(View manifest_and_rows) {
  Bytes message(kPrefixBytes + manifest_and_rows.size());
  std::memcpy(message.data(), NPU_FW_SIGN_PREFIX, kPrefixBytes);
  std::memcpy(message.data() + kPrefixBytes, manifest_and_rows.data(), manifest_and_rows.size());
  return message;
}

}  // namespace

Outcome<Bytes> write_elf(std::span<const Program> programs,
                         const std::optional<FirmwareVersion>& firmware) {
  if (auto failure = check_programs(programs)) return *failure;
  if (firmware && !is_version(firmware->text))
    return Failure{"a firmware version is 1 to 31 visible characters, not '" + firmware->text +
                   "'"};
  Bytes code, notes;
  LineTable lines;
  FormatTable formats;
  for (const Program& program : programs) {
    npu_note_kernel note = program.note;
    note.entry = static_cast<uint32_t>(code.size() / NPU_INSN_BYTES);
    for (npu_insn insn : program.insns) {
      if (insn.line != 0) insn.line = lines.id(program.lines[insn.line - 1]);
      if (kInsnTable[insn.op].imm == 'P') insn.imm = formats.id(program.formats[insn.imm - 1]);
      append(code, insn);
    }
    Bytes desc;
    append(desc, note);
    for (const npu_note_arg& arg : program.args) append(desc, arg);
    append_note(notes, NPU_NOTE_KERNEL, desc);
  }
  append_note(notes, NPU_NOTE_LINES, lines.desc());
  if (formats.size() > NPU_BLOB_MAX_FORMATS)
    return Failure{"the kernels have more than 4096 formats together; split the blob"};
  if (formats.size() != 0) append_note(notes, NPU_NOTE_FORMATS, formats.desc());
  if (firmware) append_note(notes, NPU_NOTE_FIRMWARE, firmware_desc(*firmware));
  Bytes hashed = code;
  hashed.insert(hashed.end(), notes.begin(), notes.end());
  const auto hash = sha256(hashed);
  append_note(notes, NPU_NOTE_BUILD_ID, Bytes(hash.begin(), hash.begin() + 16));
  Bytes elf = layout(code, notes, minor_of(programs));
  if (elf.size() + kFixedManifestBytes + 2 * sizeof(npu_manifest_seg) > NPU_BLOB_MAX_BYTES)
    return Failure{"the blob would be larger than 16 MiB; split it"};
  return elf;
}

Outcome<Bytes> sign_elf(View bytes, const KeyPair& key, const SignOptions& options) {
  const auto parts = split(bytes);
  if (!parts) return parts.failure();
  const auto elf = read_elf_file(parts->elf);
  if (!elf) return elf.failure();
  const uint8_t type = type_of(*elf);
  if (options.image_type && *options.image_type != type)
    return Failure{type == NPU_IMAGE_FIRMWARE
                       ? "it is firmware ('npu-fw pack --firmware' made it), not kernels"
                       : "it holds kernels; 'npu-fw pack --firmware VERSION' makes firmware"};
  npu_manifest manifest{};
  manifest.magic = NPU_MANIFEST_MAGIC;
  manifest.version = NPU_MANIFEST_VERSION;
  manifest.nseg = static_cast<uint16_t>(elf->segments.size());
  manifest.image_type = type;
  manifest.key_class = options.key_class;
  manifest.security_counter = options.security_counter;
  manifest.elf_bytes = parts->elf.size();
  std::memcpy(manifest.key_id, key_id(key.public_key).data(), NPU_KEY_ID_BYTES);
  std::memcpy(manifest.elf_sha256, sha256(parts->elf).data(), sizeof(manifest.elf_sha256));
  Bytes rows;
  append(rows, manifest);
  for (const ElfSegment& segment : elf->segments) {
    npu_manifest_seg row{segment.offset, segment.size_bytes, {}};
    const auto hash = sha256(parts->elf.subspan(segment.offset, segment.size_bytes));
    std::memcpy(row.sha256, hash.data(), hash.size());
    append(rows, row);
  }
  const Bytes message = signed_message(rows);
  uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
  crypto_sign_seed_keypair(public_key, secret, key.seed.data());
  uint8_t signature[NPU_SIGNATURE_BYTES];
  crypto_sign_detached(signature, nullptr, message.data(), message.size(), secret);
  sodium_memzero(secret, sizeof(secret));
  Bytes blob(parts->elf.begin(), parts->elf.end());
  blob.insert(blob.end(), rows.begin(), rows.end());
  append(blob, signature);
  append(blob, npu_manifest_trailer{
                   static_cast<uint32_t>(kFixedManifestBytes + rows.size() - sizeof(npu_manifest)),
                   NPU_MANIFEST_MAGIC});
  if (auto check = read_blob(blob); !check) return check.failure();
  return blob;
}

Outcome<Blob> read_blob(View bytes) {
  const auto parts = split(bytes);
  if (!parts) return parts.failure();
  Blob blob;
  blob.elf_bytes = parts->elf.size();
  if (!parts->manifest.empty()) {
    if (auto failure = read_manifest(*parts, blob)) return *failure;
    if (!same_hash(blob.manifest.elf_sha256, parts->elf))
      return Failure{"the ELF was changed after it was signed"};
  }
  auto elf = read_elf_file(parts->elf);
  if (!elf) return elf.failure();
  if (blob.is_signed) {
    if (auto failure = check_segments(blob, *elf, parts->elf)) return *failure;
    if (blob.manifest.image_type != type_of(*elf))
      return Failure{"the image type of the manifest is not that of the ELF"};
  }
  blob.build_id = elf->build_id;
  blob.firmware = elf->firmware;
  blob.programs = std::move(elf->programs);
  return blob;
}

Outcome<Blob> verify_blob(View bytes, const PublicKey& key) {
  const auto parts = split(bytes);
  if (!parts) return parts.failure();
  if (parts->manifest.empty())
    return Failure{"the file is not signed; 'npu-fw sign' signs it with your key"};
  Blob head;
  if (auto failure = read_manifest(*parts, head)) return *failure;
  if (std::memcmp(head.manifest.key_id, key_id(key).data(), NPU_KEY_ID_BYTES) != 0)
    return Failure{"the file was signed with another key, " +
                   to_hex(head.manifest.key_id, NPU_KEY_ID_BYTES)};
  const Bytes message =
      signed_message(parts->manifest.first(parts->manifest.size() - NPU_SIGNATURE_BYTES));
  if (crypto_sign_verify_detached(head.signature.data(), message.data(), message.size(),
                                  key.data()) != 0)
    return Failure{"the signature is wrong: the file was changed after it was signed"};
  return read_blob(bytes);
}

}  // namespace npu::isa
