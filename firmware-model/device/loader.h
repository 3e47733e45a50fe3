// SPDX-License-Identifier: Apache-2.0
// From the bytes of a blob to a module or to firmware: sizes, hash, signature, counter, parse, every
// instruction, in this order.
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

// Who a firmware image says it is.
struct FirmwareInfo {
  uint16_t abi_major = 0;
  uint16_t abi_minor = 0;
  std::array<uint8_t, 16> build_id{};
};

// Likewise for an image of type FIRMWARE, which is no module, as a module is no firmware.
npu_status load_firmware(std::span<const std::byte> blob, const BlobPolicy& policy,
                         FirmwareInfo* out);

}  // namespace npu::model

#endif  // NPU_MODEL_DEVICE_LOADER_H_
