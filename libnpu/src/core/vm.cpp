// SPDX-License-Identifier: Apache-2.0
// Address spaces by the calls VM_CREATE, VM_BIND and VM_DESTROY.
#include "libnpu/src/core/vm.h"

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"

namespace npu {
namespace {
// Small numbers that get used as addresses by mistake are not mapped.
constexpr uint64_t kFirstAddress = 1ull << 32;
}  // namespace

Result<std::unique_ptr<Vm>> Vm::create(Backend& backend) {
  npu_vm_create args{};
  if (const int error = call_vm_create(backend, args); error != 0) {
    return fail_call(error, "creating an address space");
  }
  return std::unique_ptr<Vm>(new Vm(backend, args.vm_id, args.va_end));
}

Vm::Vm(Backend& backend, uint32_t id, uint64_t end)
    : backend_(backend), id_(id), space_(kFirstAddress, end) {}

Vm::~Vm() {
  npu_vm_destroy args{.vm_id = id_, .pad = 0};
  call_vm_destroy(backend_, args);
}

Result<uint64_t> Vm::take_range(uint64_t size_bytes) {
  std::lock_guard lock(mutex_);
  const uint64_t dva = space_.take(size_bytes);
  if (dva == 0) {
    return fail(NPU_ERROR_OUT_OF_ADDRESS_SPACE,
                "no range of %llu bytes is free in the address space",
                static_cast<unsigned long long>(size_bytes));
  }
  return dva;
}

void Vm::give_back_range(uint64_t dva, uint64_t size_bytes) {
  std::lock_guard lock(mutex_);
  space_.give_back(dva, size_bytes);
}

int Vm::change(uint32_t kind, uint32_t bo_handle, uint64_t dva, uint64_t size_bytes) {
  npu_bind_op op{};
  op.kind = kind;
  op.bo_handle = bo_handle;
  op.dva = dva;
  op.size_bytes = size_bytes;
  npu_vm_bind args{};
  args.vm_id = id_;
  args.ops = make_array(&op, 1);
  return call_vm_bind(backend_, args);
}

int Vm::bind(uint32_t bo_handle, uint64_t dva, uint64_t size_bytes) {
  return change(NPU_BIND_MAP, bo_handle, dva, size_bytes);
}

int Vm::unbind(uint64_t dva, uint64_t size_bytes) {
  return change(NPU_BIND_UNMAP, 0, dva, size_bytes);
}

}  // namespace npu
