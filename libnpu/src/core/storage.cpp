// SPDX-License-Identifier: Apache-2.0
// Buffer objects by the call BO_CREATE and the socket's close.
#include "libnpu/src/core/storage.h"

#include <cerrno>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"

namespace npu {

Result<std::shared_ptr<Storage>> Storage::create(Vm& vm, const StorageInfo& info) {
  const uint64_t page_bytes = info.region == Region::kHbm ? NPU_PAGE_64K : NPU_PAGE_4K;
  std::shared_ptr<Storage> storage(new Storage(vm, info));
  NPU_TRY(storage->charge((info.size_bytes + page_bytes - 1) & ~(page_bytes - 1)));
  npu_bo_create args{};
  args.size_bytes = info.size_bytes;
  args.region = info.region == Region::kHbm ? NPU_REGION_HBM : NPU_REGION_SYSTEM;
  args.flags = info.shared_words ? NPU_BO_SYNC : 0;
  args.vm_id = info.exportable ? 0 : vm.id();
  if (const int error = call_bo_create(vm.backend(), args); error != 0) {
    npuResult code = result_of_errno(error);
    if (error == ENOSPC && info.region != Region::kHbm) code = NPU_ERROR_OUT_OF_HOST_MEMORY;
    return fail_errno(code, error, "allocating %llu bytes of %s memory failed",
                      static_cast<unsigned long long>(info.size_bytes),
                      info.region == Region::kHbm ? "device" : "host");
  }
  storage->handle_ = args.handle;
  storage->map_token_ = args.map_token;
  storage->info_.size_bytes = args.size_bytes;
  return storage;
}

Status Storage::charge(uint64_t bytes) {
  NPU_TRY(vm_.budget().charge(info_.region, info_.use, bytes));
  charged_bytes_ = bytes;
  return Status::ok();
}

Storage::~Storage() {
  if (std::byte* host = host_.load(std::memory_order_relaxed); host != nullptr && !borrowed_) {
    vm_.forget_host(host);
  }
  mapping_.unmap();
  // Errors here mean that the device is gone, and the memory with it.
  if (handle_ != 0) vm_.backend().close_object(handle_);
  if (charged_bytes_ != 0) vm_.budget().refund(info_.region, info_.use, charged_bytes_);
}

Result<std::byte*> Storage::host() {
  if (std::byte* known = host_.load(std::memory_order_acquire); known != nullptr) return known;
  std::lock_guard lock(map_mutex_);
  if (!mapping_.valid()) {
    if (map_token_ == 0) {
      return fail(NPU_ERROR_NOT_SUPPORTED,
                  "the device has no window through which the host sees this memory");
    }
    if (const int error = vm_.backend().map(map_token_, info_.size_bytes, &mapping_); error != 0) {
      return fail_call(error, "mapping memory into the process");
    }
    vm_.remember_host(mapping_.data(), this);
  }
  host_.store(mapping_.data(), std::memory_order_release);
  return mapping_.data();
}

}  // namespace npu
