// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the device's blob loader. The first byte decides what the rest is: a whole blob, or
// changes to a good ELF that is then signed properly, so that they reach the reader and the
// verifier behind the signature.
#include <sodium.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "firmware-model/device/loader.h"
#include "tests/unit/device/test_driver.h"
#include "tests/unit/device/test_kernels.h"

namespace {

using Blob = std::vector<uint8_t>;

npu::model::BlobPolicy make_policy() {
  if (!npu::model::init_crypto()) std::abort();
  npu::model::BlobPolicy policy;
  policy.keys = {npu::test::test_key().public_key};
  const npu_profile profile = npu::test::small_profile();
  policy.l1_bytes = profile.l1_bytes;
  policy.l2_bytes = profile.l2_bytes;
  policy.acc_bytes = profile.acc_bytes;
  policy.tiles_per_cluster = profile.tiles_per_cluster;
  return policy;
}

// Writes the hashes and the signature that belong to the ELF part as it is now.
void sign_again(Blob* blob, size_t elf_bytes) {
  uint8_t* at = blob->data() + elf_bytes;
  npu_manifest manifest;
  std::memcpy(&manifest, at, sizeof(manifest));
  crypto_hash_sha256(manifest.elf_sha256, blob->data(), elf_bytes);
  std::memcpy(at, &manifest, sizeof(manifest));
  for (size_t i = 0; i < manifest.nseg; ++i) {
    uint8_t* row = at + sizeof(manifest) + i * sizeof(npu_manifest_seg);
    npu_manifest_seg segment;
    std::memcpy(&segment, row, sizeof(segment));
    crypto_hash_sha256(segment.sha256, blob->data() + segment.offset, segment.size_bytes);
    std::memcpy(row, &segment, sizeof(segment));
  }
  const size_t signed_bytes = sizeof(manifest) + manifest.nseg * sizeof(npu_manifest_seg);
  std::vector<uint8_t> message(sizeof(NPU_FW_SIGN_PREFIX) - 1 + signed_bytes);
  std::memcpy(message.data(), NPU_FW_SIGN_PREFIX, sizeof(NPU_FW_SIGN_PREFIX) - 1);
  std::memcpy(message.data() + sizeof(NPU_FW_SIGN_PREFIX) - 1, at, signed_bytes);
  uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
  uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
  crypto_sign_seed_keypair(public_key, secret_key, npu::test::test_key().seed.data());
  crypto_sign_detached(at + signed_bytes, nullptr, message.data(), message.size(), secret_key);
}

// Triples: two bytes of place, one byte to be put there.
Blob changed_blob(const Blob& good, const uint8_t* data, size_t size) {
  npu_manifest_trailer trailer;
  std::memcpy(&trailer, good.data() + good.size() - sizeof(trailer), sizeof(trailer));
  const size_t elf_bytes = good.size() - trailer.manifest_bytes;
  Blob blob = good;
  for (size_t i = 0; i + 3 <= size; i += 3) {
    blob[(data[i] | data[i + 1] << 8) % elf_bytes] = data[i + 2];
  }
  sign_again(&blob, elf_bytes);
  return blob;
}

void load(std::span<const uint8_t> bytes) {
  static const npu::model::BlobPolicy policy = make_policy();
  std::shared_ptr<const npu::model::Module> module;
  npu::model::BlobPlace place;
  const npu_status status = npu::model::load_blob(std::as_bytes(bytes), policy, &module, &place);
  if ((status == NPU_ST_OK) != (module != nullptr)) std::abort();
  if (module == nullptr) return;
  for (const auto& kernel : module->kernels) {
    if (kernel->program.code.empty() || kernel->program.name.empty()) std::abort();
  }
  for (uint32_t line = 0; line < 64; ++line) module->place(line);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Blob good = npu::test::standard_blob();
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    load({data + 1, size - 1});
  } else {
    load(changed_blob(good, data + 1, size - 1));
  }
  return 0;
}
