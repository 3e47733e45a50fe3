// SPDX-License-Identifier: Apache-2.0
// Manifest checks and the building of a module.
#include "firmware-model/device/loader.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "firmware-model/device/elf_reader.h"
#include "firmware-model/device/verifier.h"

namespace npu::model {
namespace {

using Bytes = std::span<const std::byte>;

const unsigned char* raw(Bytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

template <typename T>
T copy_out(Bytes bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.subspan(offset, sizeof(T)).data(), sizeof(T));
  return value;
}

// The parts of a blob whose sizes agree with each other.
struct BlobParts {
  Bytes elf;
  Bytes signed_bytes;  // manifest and segment rows
  Bytes signature;
  npu_manifest manifest;
  std::vector<npu_manifest_seg> segments;
};

npu_status split_blob(Bytes blob, BlobParts* out) {
  if (blob.size() > NPU_BLOB_MAX_BYTES) return NPU_ST_BLOB_TOO_LARGE;
  if (blob.size() < sizeof(npu_manifest_trailer)) return NPU_ST_BLOB_FORMAT;
  const auto trailer =
      copy_out<npu_manifest_trailer>(blob, blob.size() - sizeof(npu_manifest_trailer));
  if (trailer.magic != NPU_MANIFEST_MAGIC || trailer.manifest_bytes == 0) {
    return NPU_ST_BLOB_UNSIGNED;
  }
  constexpr size_t kFixedBytes =
      sizeof(npu_manifest) + NPU_SIGNATURE_BYTES + sizeof(npu_manifest_trailer);
  if (trailer.manifest_bytes < kFixedBytes || trailer.manifest_bytes > blob.size()) {
    return NPU_ST_BLOB_FORMAT;
  }
  const size_t elf_bytes = blob.size() - trailer.manifest_bytes;
  const auto manifest = copy_out<npu_manifest>(blob, elf_bytes);
  const size_t rows_bytes = size_t{manifest.nseg} * sizeof(npu_manifest_seg);
  if (manifest.magic != NPU_MANIFEST_MAGIC || manifest.version != NPU_MANIFEST_VERSION ||
      manifest.nseg == 0 || manifest.nseg > NPU_MANIFEST_MAX_SEGS ||
      manifest.elf_bytes != elf_bytes || trailer.manifest_bytes != kFixedBytes + rows_bytes) {
    return NPU_ST_BLOB_FORMAT;
  }
  for (const uint8_t byte : manifest.rsvd) {
    if (byte != 0) return NPU_ST_BLOB_FORMAT;
  }
  if (manifest.key_class < NPU_KEY_DEV || manifest.key_class > NPU_KEY_OWNER) {
    return NPU_ST_BLOB_FORMAT;
  }
  out->elf = blob.first(elf_bytes);
  out->signed_bytes = blob.subspan(elf_bytes, sizeof(npu_manifest) + rows_bytes);
  out->signature = blob.subspan(elf_bytes + out->signed_bytes.size(), NPU_SIGNATURE_BYTES);
  out->manifest = manifest;
  for (size_t i = 0; i < manifest.nseg; ++i) {
    out->segments.push_back(copy_out<npu_manifest_seg>(
        out->signed_bytes, sizeof(npu_manifest) + i * sizeof(npu_manifest_seg)));
  }
  return NPU_ST_OK;
}

bool hash_matches(Bytes bytes, const uint8_t (&expected)[crypto_hash_sha256_BYTES]) {
  const ModuleCache::Digest digest = digest_of(bytes);
  return std::memcmp(digest.data(), expected, sizeof(expected)) == 0;
}

npu_status check_hashes(const BlobParts& parts) {
  if (!hash_matches(parts.elf, parts.manifest.elf_sha256)) return NPU_ST_BLOB_SIGNATURE;
  for (const npu_manifest_seg& segment : parts.segments) {
    if (segment.offset > parts.elf.size() ||
        segment.size_bytes > parts.elf.size() - segment.offset) {
      return NPU_ST_BLOB_FORMAT;
    }
    if (!hash_matches(parts.elf.subspan(segment.offset, segment.size_bytes), segment.sha256)) {
      return NPU_ST_BLOB_SIGNATURE;
    }
  }
  return NPU_ST_OK;
}

npu_status check_signature(const BlobParts& parts, const BlobPolicy& policy) {
  const size_t accepted =
      policy.production ? std::min<size_t>(1, policy.keys.size()) : policy.keys.size();
  for (size_t i = 0; i < accepted; ++i) {
    const auto& key = policy.keys[i];
    const ModuleCache::Digest digest = digest_of(std::as_bytes(std::span(key)));
    if (std::memcmp(digest.data(), parts.manifest.key_id, NPU_KEY_ID_BYTES) != 0) continue;
    constexpr size_t kPrefixBytes = sizeof(NPU_FW_SIGN_PREFIX) - 1;
    std::vector<unsigned char> message(kPrefixBytes + parts.signed_bytes.size());
    std::memcpy(message.data(), NPU_FW_SIGN_PREFIX, kPrefixBytes);
    std::memcpy(message.data() + kPrefixBytes, parts.signed_bytes.data(),
                parts.signed_bytes.size());
    const bool good = crypto_sign_verify_detached(raw(parts.signature), message.data(),
                                                  message.size(), key.data()) == 0;
    return good ? NPU_ST_OK : NPU_ST_BLOB_SIGNATURE;
  }
  return NPU_ST_BLOB_KEY;
}

// The rows of the manifest are those of the program headers.
bool segments_match(const BlobParts& parts, const ElfImage& image) {
  return std::equal(parts.segments.begin(), parts.segments.end(), image.segments.begin(),
                    image.segments.end(), [](const npu_manifest_seg& row, const ElfSegment& seg) {
                      return row.offset == seg.offset && row.size_bytes == seg.size_bytes;
                    });
}

// Scalar registers from 0 on that |code| names.
uint32_t regs_of(const std::vector<npu_insn>& code) {
  uint32_t highest = 0;
  for (const npu_insn& insn : code) {
    for (const uint8_t reg : insn.r) highest = std::max<uint32_t>(highest, reg);
  }
  return highest + 1;
}

npu_status build_kernel(const ElfImage& image, const npu_note_kernel& note,
                        const BlobPolicy& policy, Program* out, uint32_t* bad_pc) {
  if (note.l1_bytes > policy.l1_bytes || note.l2_bytes > policy.l2_bytes ||
      note.acc_bytes > policy.acc_bytes || note.group_tiles > policy.tiles_per_cluster) {
    return NPU_ST_BLOB_TOO_LARGE;
  }
  out->code.resize(note.insn_count);
  std::memcpy(out->code.data(), image.code.data() + size_t{note.entry} * NPU_INSN_BYTES,
              size_t{note.insn_count} * NPU_INSN_BYTES);
  const VerifierLimits limits{note.args_bytes, note.group_tiles,
                              static_cast<uint32_t>(image.lines.size()), image.format_args,
                              image.isa_minor};
  if (const auto bad = find_bad_instruction(out->code, limits)) {
    *bad_pc = *bad;
    return NPU_ST_BLOB_INSTRUCTION;
  }
  out->regs = regs_of(out->code);
  out->name = note.name;
  out->args_bytes = note.args_bytes;
  out->l1_bytes = note.l1_bytes;
  out->l2_bytes = note.l2_bytes;
  out->acc_bytes = note.acc_bytes;
  out->group_tiles = note.group_tiles;
  return NPU_ST_OK;
}

// All checks up to the instructions. |out| points into |blob|.
npu_status open_blob(Bytes blob, const BlobPolicy& policy, npu_image_type type, ElfImage* out) {
  BlobParts parts;
  npu_status status = split_blob(blob, &parts);
  if (status == NPU_ST_OK) status = check_hashes(parts);
  if (status == NPU_ST_OK) status = check_signature(parts, policy);
  if (status != NPU_ST_OK) return status;
  if (policy.production && parts.manifest.security_counter < policy.min_counter) {
    return NPU_ST_BLOB_ROLLBACK;
  }
  if (parts.manifest.image_type != type) return NPU_ST_BLOB_FORMAT;
  status = read_elf(parts.elf, out);
  if (status != NPU_ST_OK) return status;
  const bool is_firmware = out->firmware.has_value();
  if (is_firmware != (type == NPU_IMAGE_FIRMWARE)) return NPU_ST_BLOB_FORMAT;
  return segments_match(parts, *out) ? NPU_ST_OK : NPU_ST_BLOB_FORMAT;
}

}  // namespace

bool init_crypto() { return sodium_init() >= 0; }

ModuleCache::Digest digest_of(Bytes bytes) {
  ModuleCache::Digest digest;
  static_assert(sizeof(digest) == crypto_hash_sha256_BYTES);
  crypto_hash_sha256(digest.data(), raw(bytes), bytes.size());
  return digest;
}

npu_status load_blob(Bytes blob, const BlobPolicy& policy, std::shared_ptr<const Module>* out,
                     BlobPlace* place) {
  ElfImage image;
  npu_status status = open_blob(blob, policy, NPU_IMAGE_KERNELS, &image);
  if (status != NPU_ST_OK) return status;
  auto module = std::make_shared<Module>();
  for (const npu_note_kernel& note : image.kernels) {
    auto kernel = std::make_unique<Kernel>();
    place->kernel = static_cast<uint32_t>(module->kernels.size());
    status = build_kernel(image, note, policy, &kernel->program, &place->pc);
    if (status != NPU_ST_OK) return status;
    module->kernels.push_back(std::move(kernel));
  }
  module->lines = std::move(image.lines);
  module->strings = std::move(image.strings);
  *out = std::move(module);
  return NPU_ST_OK;
}

npu_status load_firmware(Bytes blob, const BlobPolicy& policy, FirmwareInfo* out) {
  ElfImage image;
  npu_status status = open_blob(blob, policy, NPU_IMAGE_FIRMWARE, &image);
  for (size_t i = 0; status == NPU_ST_OK && i < image.kernels.size(); ++i) {
    Program program;
    uint32_t bad_pc = 0;
    status = build_kernel(image, image.kernels[i], policy, &program, &bad_pc);
  }
  if (status != NPU_ST_OK) return status;
  out->abi_major = image.firmware->abi_major;
  out->abi_minor = image.firmware->abi_minor;
  out->build_id = image.build_id;
  return NPU_ST_OK;
}

}  // namespace npu::model
