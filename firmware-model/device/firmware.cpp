// SPDX-License-Identifier: Apache-2.0
// The built-in firmware and the copy of an image.
#include "firmware-model/device/firmware.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "uapi/npu_pagetable.h"

namespace npu::model {
namespace {

constexpr std::string_view kBuiltInName = "npu-model 0.1.0";
// A host hands out memory by pages; what host_memory() says of one is not believed of the next.
constexpr uint64_t kPageBytes = NPU_PAGE_4K;

// How many of |wanted| bytes were copied; 0: none are there.
uint64_t copy_piece(const npu_device_ports& ports, uint64_t iova, uint64_t wanted, std::byte* to) {
  uint64_t there = 0;
  const void* from = ports.host_memory(ports.ctx, iova, 0, &there);
  if (from == nullptr) {
    const bool copied =
        ports.host_copy != nullptr && ports.host_copy(ports.ctx, iova, to, wanted, 0) == 0;
    return copied ? wanted : 0;
  }
  const uint64_t piece = std::min(there, wanted);
  std::memcpy(to, from, piece);
  return piece;
}

}  // namespace

FirmwareInfo built_in_firmware() {
  FirmwareInfo info;
  info.abi_major = NPU_FW_ABI_MAJOR;
  info.abi_minor = NPU_FW_ABI_MINOR;
  const ModuleCache::Digest digest = digest_of(std::as_bytes(std::span(kBuiltInName)));
  std::copy_n(digest.begin(), info.build_id.size(), info.build_id.begin());
  return info;
}

npu_status read_firmware(const npu_device_ports& ports, uint64_t iova, uint64_t bytes,
                         const BlobPolicy& policy, FirmwareInfo* out) {
  if (bytes > NPU_FW_MAX_BYTES) return NPU_ST_BLOB_TOO_LARGE;
  if (iova > UINT64_MAX - bytes) return NPU_ST_INVALID_ADDRESS;
  const std::unique_ptr<std::byte[]> copy(new (std::nothrow) std::byte[bytes]);
  if (copy == nullptr) return NPU_ST_OUT_OF_HOST_MEMORY;
  for (uint64_t at = 0; at < bytes;) {
    const uint64_t page_left = kPageBytes - (iova + at) % kPageBytes;
    const uint64_t piece = copy_piece(ports, iova + at, std::min(page_left, bytes - at), &copy[at]);
    if (piece == 0) return NPU_ST_INVALID_ADDRESS;
    at += piece;
  }
  return load_firmware({copy.get(), bytes}, policy, out);
}

}  // namespace npu::model
