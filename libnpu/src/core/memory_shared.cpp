// SPDX-License-Identifier: Apache-2.0
// The books of memory that comes from elsewhere.
#include <iterator>

#include "libnpu/src/backend/shared_file.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/memory.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

using Ull = unsigned long long;

}  // namespace

Result<uint64_t> Memory::import(int fd, uint64_t offset, uint64_t size_bytes, bool readonly) {
  uint64_t begin = 0;
  NPU_TRY_ASSIGN(std::shared_ptr<Storage> storage,
                 Storage::import(vm_, fd, offset, size_bytes, readonly, &begin, &size_bytes));
  SharedFileInfo file;
  Allocation allocation;
  if (describe_shared_file(fd, &file) == 0) allocation.shared_id = file.id;
  NPU_TRY_ASSIGN(allocation.buffer, Buffer::over(vm_, storage, begin, size_bytes));
  const uint64_t dva = allocation.buffer->dva();
  allocation.size_bytes = size_bytes;
  allocation.origin = Origin::kImported;
  allocation.storage_dva = dva - begin;
  allocation.readonly = readonly;
  allocation.storage = std::move(storage);
  NPU_TRY(enter(dva, std::move(allocation)));
  return dva;
}

Status Memory::export_fd(uint64_t dva, int* out_fd, uint64_t* out_shared_id) {
  std::shared_ptr<Storage> storage;
  {
    std::lock_guard lock(mutex_);
    const auto found = allocations_.find(dva);
    if (found == allocations_.end()) {
      return fail(NPU_ERROR_INVALID_ADDRESS,
                  "0x%llx is not the start of a live allocation of this context", Ull{dva});
    }
    const Allocation& allocation = found->second;
    storage = allocation.storage;
    const bool whole = allocation.storage_dva == dva &&
                       allocation.size_bytes + NPU_PAGE_64K > storage->size_bytes();
    if (!storage->exportable() || !whole) {
      const Status status = fail(NPU_ERROR_NOT_SUPPORTED,
                                 "the memory at 0x%llx was not made to be exported", Ull{dva});
      set_remedy("Allocate it with kind | NPU_MEM_EXPORTABLE, and export all of it.");
      return status;
    }
  }
  NPU_TRY(storage->export_fd(out_fd, out_shared_id));
  std::lock_guard lock(mutex_);
  const auto found = allocations_.find(dva);
  if (found != allocations_.end()) found->second.shared_id = *out_shared_id;
  return Status::ok();
}

Result<uint64_t> Memory::register_host(void* host, uint64_t size_bytes, bool readonly) {
  const uint64_t begin = reinterpret_cast<uintptr_t>(host);
  if (size_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "size_bytes is 0");
  if (size_bytes > UINT64_MAX - begin - 2 * NPU_PAGE_4K) {
    return fail(NPU_ERROR_OVERFLOW, "the range passes the end of the address space");
  }
  {
    std::lock_guard lock(mutex_);
    const auto after = registrations_.lower_bound(begin + size_bytes);
    if (after != registrations_.begin() &&
        std::prev(after)->first + std::prev(after)->second.size_bytes > begin) {
      return fail(NPU_ERROR_BUSY, "the range overlaps one that is registered");
    }
    registrations_.emplace(begin, Registration{size_bytes, 0});
  }
  auto made = [&]() -> Result<uint64_t> {
    NPU_TRY_ASSIGN(std::shared_ptr<Storage> storage,
                   Storage::adopt(vm_, host, size_bytes, readonly));
    Allocation allocation;
    NPU_TRY_ASSIGN(allocation.buffer, Buffer::over(vm_, storage));
    allocation.size_bytes = size_bytes;
    allocation.origin = Origin::kRegistered;
    allocation.storage_dva = allocation.buffer->dva();
    allocation.readonly = readonly;
    allocation.storage = std::move(storage);
    const uint64_t dva = allocation.storage_dva + begin % NPU_PAGE_4K;
    NPU_TRY(enter(dva, std::move(allocation)));
    return dva;
  }();
  std::lock_guard lock(mutex_);
  const auto own = registrations_.find(begin);
  if (own == registrations_.end()) return made;
  if (made.is_ok()) {
    own->second.dva = made.value();
  } else {
    registrations_.erase(own);
  }
  return made;
}

Result<Memory::Detached> Memory::unregister_host(const void* host) {
  std::lock_guard lock(mutex_);
  const auto found = registrations_.find(reinterpret_cast<uintptr_t>(host));
  if (found == registrations_.end() || found->second.dva == 0) {
    return fail(NPU_ERROR_INVALID_ADDRESS, "%p is not the start of a registered range", host);
  }
  const auto allocation = allocations_.find(found->second.dva);
  registrations_.erase(found);
  if (allocation == allocations_.end()) return fail(NPU_ERROR_INTERNAL, "the range has no entry");
  return take_out_locked(allocation);
}

uint64_t Memory::registered_dva(const void* host) {
  const uint64_t at = reinterpret_cast<uintptr_t>(host);
  std::lock_guard lock(mutex_);
  auto found = registrations_.upper_bound(at);
  if (found == registrations_.begin()) return 0;
  --found;
  const uint64_t offset = at - found->first;
  return found->second.dva != 0 && offset < found->second.size_bytes ? found->second.dva + offset
                                                                     : 0;
}

}  // namespace npu
