// SPDX-License-Identifier: Apache-2.0
// A blob as text for people and as JSON for programs.
#include "tools/npu-fw/inspect.h"

#include <iterator>
#include <nlohmann/json.hpp>

namespace npu::isa {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kArgKinds[] = {"?", "u32", "i32", "f32", "u64", "dva"};
constexpr const char* kImageTypes[] = {"?", "kernels", "firmware"};
constexpr const char* kKeyClasses[] = {"?", "dev", "prod", "owner"};

template <size_t N>
std::string name_of(const char* const (&names)[N], size_t number) {
  return number < N ? names[number] : "?";
}

std::string padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

std::string arguments_text(const Program& program) {
  std::string text;
  for (const npu_note_arg& arg : program.args)
    text += (text.empty() ? "" : ", ") + name_of(kArgKinds, arg.kind) + " " + arg.name;
  return text;
}

std::string abi_text(const npu_note_firmware& note) {
  return std::to_string(note.abi_major) + "." + std::to_string(note.abi_minor);
}

std::string firmware_text(const npu_note_firmware& note) {
  return std::string(note.version) + ", interface " + abi_text(note);
}

Json kernel_json(const Program& program) {
  const npu_note_kernel& note = program.note;
  Json args = Json::array();
  for (const npu_note_arg& arg : program.args)
    args.push_back(
        {{"name", arg.name}, {"kind", name_of(kArgKinds, arg.kind)}, {"offset", arg.offset}});
  return {{"name", note.name},
          {"instructions", note.insn_count},
          {"args_bytes", note.args_bytes},
          {"l1_bytes", note.l1_bytes},
          {"l2_bytes", note.l2_bytes},
          {"acc_bytes", note.acc_bytes},
          {"group_tiles", note.group_tiles},
          {"args", args}};
}

}  // namespace

std::string describe_text(const Blob& blob) {
  std::string text = "build id    " + to_hex(blob.build_id.data(), blob.build_id.size()) + "\n";
  text += "ELF         " + std::to_string(blob.elf_bytes) + " bytes\n";
  if (blob.firmware) text += "firmware    " + firmware_text(*blob.firmware) + "\n";
  if (blob.is_signed) {
    const npu_manifest& manifest = blob.manifest;
    text += "signed by   " + to_hex(manifest.key_id, NPU_KEY_ID_BYTES) + " (" +
            name_of(kKeyClasses, manifest.key_class) + " key; not checked here, see verify)\n";
    text += "image       " + name_of(kImageTypes, manifest.image_type) + ", security counter " +
            std::to_string(manifest.security_counter) + "\n";
  } else {
    text += "signed by   nobody\n";
  }
  text += "\n" + padded("kernel", 28) + padded("insns", 8) + padded("L1", 10) + padded("ACC", 10) +
          padded("tiles", 7) + "arguments\n";
  for (const Program& program : blob.programs) {
    const npu_note_kernel& note = program.note;
    text += padded(note.name, 28) + padded(std::to_string(note.insn_count), 8) +
            padded(std::to_string(note.l1_bytes), 10) + padded(std::to_string(note.acc_bytes), 10) +
            padded(std::to_string(note.group_tiles), 7) + arguments_text(program) + "\n";
  }
  return text;
}

std::string describe_json(const Blob& blob) {
  Json json = {{"build_id", to_hex(blob.build_id.data(), blob.build_id.size())},
               {"elf_bytes", blob.elf_bytes},
               {"signed", blob.is_signed}};
  if (blob.is_signed) {
    const npu_manifest& manifest = blob.manifest;
    json["key_id"] = to_hex(manifest.key_id, NPU_KEY_ID_BYTES);
    json["key_class"] = name_of(kKeyClasses, manifest.key_class);
    json["image_type"] = name_of(kImageTypes, manifest.image_type);
    json["security_counter"] = manifest.security_counter;
  }
  if (blob.firmware)
    json["firmware"] = {{"version", blob.firmware->version}, {"abi", abi_text(*blob.firmware)}};
  json["kernels"] = Json::array();
  for (const Program& program : blob.programs) json["kernels"].push_back(kernel_json(program));
  return json.dump(2) + "\n";
}

}  // namespace npu::isa
