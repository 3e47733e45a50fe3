// SPDX-License-Identifier: Apache-2.0
// Buffer objects by the calls BO_CREATE, VM_BIND and the socket's close.
#include "libnpu/src/core/buffer.h"

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"

namespace npu {

Result<std::unique_ptr<Buffer>> Buffer::create(Vm& vm, Region region, uint64_t size_bytes,
                                               bool shared_words) {
  std::unique_ptr<Buffer> buffer(new Buffer(vm));
  npu_bo_create args{};
  args.size_bytes = size_bytes;
  args.region = region == Region::kHbm ? NPU_REGION_HBM : NPU_REGION_SYSTEM;
  args.flags = shared_words ? NPU_BO_SYNC : 0;
  args.vm_id = vm.id();
  if (const int error = call_bo_create(vm.backend(), args); error != 0) {
    npuResult code = result_of_errno(error);
    if (error == ENOSPC && region != Region::kHbm) code = NPU_ERROR_OUT_OF_HOST_MEMORY;
    return fail_errno(code, error, "allocating %llu bytes of %s memory failed",
                      static_cast<unsigned long long>(size_bytes),
                      region == Region::kHbm ? "device" : "host");
  }
  buffer->handle_ = args.handle;
  buffer->size_bytes_ = args.size_bytes;
  buffer->map_token_ = args.map_token;
  NPU_TRY_ASSIGN(buffer->dva_, vm.take_range(args.size_bytes));
  if (const int error = vm.bind(args.handle, buffer->dva_, args.size_bytes); error != 0) {
    return fail_call(error, "mapping memory into the address space");
  }
  buffer->bound_ = true;
  return buffer;
}

Buffer::~Buffer() {
  mapping_.unmap();
  // Errors here mean that the device is gone, and the memory with it.
  if (bound_) vm_.unbind(dva_, size_bytes_);
  if (dva_ != 0) vm_.give_back_range(dva_, size_bytes_);
  if (handle_ != 0) vm_.backend().close_object(handle_);
}

Result<std::byte*> Buffer::host() {
  if (std::byte* known = host_.load(std::memory_order_acquire); known != nullptr) return known;
  std::lock_guard lock(map_mutex_);
  if (!mapping_.valid()) {
    if (map_token_ == 0) {
      return fail(NPU_ERROR_NOT_SUPPORTED,
                  "the device has no window through which the host sees this memory");
    }
    if (const int error = vm_.backend().map(map_token_, size_bytes_, &mapping_); error != 0) {
      return fail_call(error, "mapping memory into the process");
    }
  }
  host_.store(mapping_.data(), std::memory_order_release);
  return mapping_.data();
}

}  // namespace npu
