// SPDX-License-Identifier: Apache-2.0
// Address spaces by the calls VM_CREATE, VM_BIND and VM_DESTROY.
#include "libnpu/src/core/vm.h"

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/storage.h"

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

Result<uint64_t> Vm::take_range(uint64_t size_bytes, uint64_t align_bytes) {
  constexpr uint64_t kGranule = AddressSpace::kGranuleBytes;
  const uint64_t slack = align_bytes > kGranule ? align_bytes - kGranule : 0;
  const uint64_t size = (size_bytes + kGranule - 1) & ~(kGranule - 1);
  std::lock_guard lock(mutex_);
  const uint64_t room = space_.take(size + slack);
  if (room == 0) {
    return fail(NPU_ERROR_OUT_OF_ADDRESS_SPACE,
                "no range of %llu bytes is free in the address space",
                static_cast<unsigned long long>(size_bytes));
  }
  if (slack == 0) return room;
  const uint64_t dva = (room + align_bytes - 1) & ~(align_bytes - 1);
  if (dva > room) space_.give_back(room, dva - room);
  if (const uint64_t rest = room + slack - dva; rest > 0) space_.give_back(dva + size, rest);
  return dva;
}

void Vm::give_back_range(uint64_t dva, uint64_t size_bytes) {
  std::lock_guard lock(mutex_);
  space_.give_back(dva, size_bytes);
}

int Vm::bind(const Piece& piece) {
  npu_bind_op op{};
  op.kind = NPU_BIND_MAP;
  op.flags = piece.readonly ? NPU_BIND_READONLY : 0;
  op.bo_handle = piece.bo_handle;
  op.bo_offset = piece.bo_offset;
  op.dva = piece.dva;
  op.size_bytes = piece.size_bytes;
  npu_vm_bind args{};
  args.vm_id = id_;
  args.ops = make_array(&op, 1);
  return call_vm_bind(backend_, args);
}

int Vm::unbind(uint64_t dva, uint64_t size_bytes) {
  npu_bind_op op{};
  op.kind = NPU_BIND_UNMAP;
  op.dva = dva;
  op.size_bytes = size_bytes;
  npu_vm_bind args{};
  args.vm_id = id_;
  args.ops = make_array(&op, 1);
  return call_vm_bind(backend_, args);
}

uint64_t Vm::dva_of_host(const void* host) {
  const auto* byte = static_cast<const std::byte*>(host);
  std::lock_guard lock(hosts_mutex_);
  auto found = hosts_.upper_bound(byte);
  if (found == hosts_.begin()) return 0;
  --found;
  const auto offset = static_cast<uint64_t>(byte - found->first);
  const uint64_t base = found->second->first_dva();
  return base == 0 || offset >= found->second->size_bytes() ? 0 : base + offset;
}

void Vm::remember_host(const std::byte* host, const Storage* storage) {
  std::lock_guard lock(hosts_mutex_);
  hosts_[host] = storage;
}

void Vm::forget_host(const std::byte* host) {
  std::lock_guard lock(hosts_mutex_);
  hosts_.erase(host);
}

}  // namespace npu
