// SPDX-License-Identifier: Apache-2.0
// Whole objects in an address space, by the call VM_BIND.
#include "libnpu/src/core/buffer.h"

#include "libnpu/src/core/error.h"

namespace npu {

Result<std::unique_ptr<Buffer>> Buffer::create(Vm& vm, const StorageInfo& info) {
  NPU_TRY_ASSIGN(std::shared_ptr<Storage> storage, Storage::create(vm, info));
  return over(vm, std::move(storage));
}

Result<std::unique_ptr<Buffer>> Buffer::over(Vm& vm, std::shared_ptr<Storage> storage,
                                             uint64_t offset, uint64_t size_bytes) {
  std::unique_ptr<Buffer> buffer(new Buffer(vm, std::move(storage)));
  const Storage& object = *buffer->storage_;
  buffer->size_bytes_ = size_bytes != 0 ? size_bytes : object.size_bytes();
  NPU_TRY_ASSIGN(buffer->dva_, vm.take_range(buffer->size_bytes_));
  const Vm::Piece piece{.bo_handle = object.handle(),
                        .bo_offset = offset,
                        .dva = buffer->dva_,
                        .size_bytes = buffer->size_bytes_,
                        .readonly = object.readonly()};
  if (const int error = vm.bind(piece); error != 0) {
    return fail_call(error, "mapping memory into the address space");
  }
  buffer->bound_ = true;
  buffer->storage_->set_first_dva(buffer->dva_ - offset);
  return buffer;
}

Buffer::~Buffer() {
  // Errors here mean that the device is gone, and the memory with it.
  if (bound_) vm_.unbind(dva_, size_bytes_);
  if (dva_ != 0) vm_.give_back_range(dva_, size_bytes_);
}

}  // namespace npu
