// SPDX-License-Identifier: Apache-2.0
// From the bytes of a blob to a module: sizes, hash, signature, counter, parse, every instruction,
// in this order.
//
// Thread safety: pure functions of a private copy of the blob. init_crypto() once before.
#ifndef NPU_MODEL_DEVICE_LOADER_H_
#define NPU_MODEL_DEVICE_LOADER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "firmware-model/device/module.h"
#include "uapi/npu_fw.h"
#include "uapi/npu_status.h"

namespace npu::model {

// What a device accepts: its fuses and its sizes.
struct BlobPolicy {
  std::vector<std::array<uint8_t, NPU_PUBLIC_KEY_BYTES>> keys;
  bool production = false;
  uint64_t min_counter = 0;
  uint32_t l1_bytes = 0;
  uint32_t l2_bytes = 0;
  uint32_t acc_bytes = 0;
  uint32_t tiles_per_cluster = 0;
};

// Where a refused blob breaks a rule; meaningful for BLOB_INSTRUCTION, and the kernel for
// BLOB_TOO_LARGE.
struct BlobPlace {
  uint32_t kernel = 0;
  uint32_t pc = 0;
};

// False: the library for hashes and signatures does not start.
bool init_crypto();

ModuleCache::Digest digest_of(std::span<const std::byte> bytes);

// |blob| must be private memory that nobody else can write.
npu_status load_blob(std::span<const std::byte> blob, const BlobPolicy& policy,
                     std::shared_ptr<const Module>* out, BlobPlace* place);

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_LOADER_H_
