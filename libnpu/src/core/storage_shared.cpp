// SPDX-License-Identifier: Apache-2.0
// Memory that comes from elsewhere: objects of other contexts and processes, memfds, ranges of the process itself; and the way out.
#include <cerrno>

#include "libnpu/src/backend/calls.h"
#include "libnpu/src/backend/shared_file.h"
#include "libnpu/src/core/error.h"
#include "libnpu/src/core/storage.h"

namespace npu {
namespace {

using Ull = unsigned long long;

constexpr uint64_t kPageBytes = NPU_PAGE_4K;

Status refuse_file(const char* why) {
  const Status status = fail(NPU_ERROR_INVALID_ARGUMENT, "fd %s", why);
  set_remedy(
      "Pass what npuMemExportFd gave, a dma-buf, or a memfd with F_SEAL_SHRINK (fcntl "
      "F_ADD_SEALS).");
  return status;
}

Status check_pages(uint64_t offset, uint64_t size_bytes, uint64_t page_bytes) {
  if (((offset | size_bytes) & (page_bytes - 1)) == 0) return Status::ok();
  return fail(NPU_ERROR_UNALIGNED, "offset %llu or size %llu is no multiple of %llu", Ull{offset},
              Ull{size_bytes}, Ull{page_bytes});
}

Status refuse_writing() {
  const Status status = fail(
      NPU_ERROR_NOT_SUPPORTED,
      "on this road the device cannot write into the process's own pages: they lie in no sealed "
      "memfd of which a descriptor is open");
  set_remedy(
      "Register with NPU_MEM_READONLY, map a memfd with F_SEAL_SHRINK, or allocate with "
      "npuMemAlloc "
      "(NPU_MEM_HOST) and npuMemMap.");
  return status;
}

}  // namespace

// handle_ is an object that somebody has made: learns what it is, and charges it.
Status Storage::use_object() {
  npu_bo_info info{};
  info.handle = handle_;
  if (const int error = call_bo_info(vm_.backend(), info); error != 0) {
    return fail_call(error, "asking for an imported object");
  }
  info_.region = info.region == NPU_REGION_HBM ? Region::kHbm : Region::kSystem;
  info_.size_bytes = info.size_bytes;
  info_.exportable = info.map_token != 0;
  map_token_ = info.map_token;
  return charge(info.size_bytes);
}

void Storage::show_mapping() {
  vm_.remember_host(mapping_.data(), this);
  host_.store(mapping_.data(), std::memory_order_release);
}

// Memory of another device is shown by its file, not by our own node. Where that shows nothing, the host has no view.
void Storage::map_peer(int fd) {
  if (mapping_.map_device(fd, 0, info_.size_bytes, readonly_) == 0) show_mapping();
}

Status Storage::use_file(int fd, uint64_t offset, uint64_t size_bytes) {
  info_.region = Region::kSystem;
  info_.size_bytes = size_bytes;
  NPU_TRY(charge(size_bytes));
  if (!mapping_.valid() && host_.load(std::memory_order_relaxed) == nullptr) {
    if (const int error = mapping_.map(fd, offset, size_bytes, readonly_); error != 0) {
      return fail_errno(result_of_errno(error), error, "mapping the file failed");
    }
    show_mapping();
  }
  if (handle_ != 0) return Status::ok();
  const int error = vm_.backend().adopt_memory(host_.load(std::memory_order_relaxed), fd, offset,
                                               size_bytes, readonly_, &handle_);
  return error == 0 ? Status::ok() : fail_call(error, "giving the device the file's memory");
}

Result<std::shared_ptr<Storage>> Storage::import(Vm& vm, int fd, uint64_t offset,
                                                 uint64_t size_bytes, bool readonly,
                                                 uint64_t* out_offset, uint64_t* out_bytes) {
  SharedFileInfo file;
  if (describe_shared_file(fd, &file) != 0) return refuse_file("is no open descriptor");
  if (!file.is_memory && !file.is_dma_buf) {
    return refuse_file("is a file that can be shortened while it is mapped");
  }
  if (file.size_bytes == 0) return refuse_file("holds no shared memory");
  if (offset > file.size_bytes || size_bytes > file.size_bytes - offset) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "offset %llu and size %llu exceed the file's %llu",
                Ull{offset}, Ull{size_bytes}, Ull{file.size_bytes});
  }
  if (!readonly && !file.is_writable) {
    return fail(NPU_ERROR_PERMISSION, "fd is open for reading only: import with NPU_MEM_READONLY");
  }
  if (size_bytes == 0) size_bytes = file.size_bytes - offset;
  if (size_bytes == 0) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "nothing lies behind offset %llu: the file ends there",
                Ull{offset});
  }
  NPU_TRY(check_pages(offset, size_bytes, kPageBytes));
  StorageInfo info;
  info.use = Use::kImports;
  std::shared_ptr<Storage> storage(new Storage(vm, info));
  storage->readonly_ = readonly;
  bool is_object = false;
  const int error =
      vm.backend().import_object(fd, offset, size_bytes, readonly, &storage->handle_, &is_object);
  if (error == ENOENT && !file.is_memory) return refuse_file("is of another driver's making");
  if (error != 0 && error != ENOENT) return fail_call(error, "importing shared memory");
  *out_offset = is_object ? offset : 0;
  if (!is_object) {
    NPU_TRY(storage->use_file(fd, offset, size_bytes));
  } else {
    NPU_TRY(storage->use_object());
    if (storage->region() == Region::kHbm) NPU_TRY(check_pages(offset, size_bytes, NPU_PAGE_64K));
    if (storage->region() == Region::kHbm && storage->map_token_ == 0) storage->map_peer(fd);
  }
  *out_bytes = size_bytes;
  return storage;
}

// The device gets the bytes as they are now; the caller has promised not to change them.
Status Storage::copy_of(const void* host, uint64_t in_page, uint64_t size_bytes) {
  UniqueFd file;
  const int error = create_shared_copy(host, size_bytes, in_page, info_.size_bytes, &file);
  if (error == EFAULT) {
    return fail(NPU_ERROR_INVALID_ADDRESS, "[%p, + %llu bytes) is not mapped in this process", host,
                Ull{size_bytes});
  }
  if (error != 0)
    return fail_errno(NPU_ERROR_OUT_OF_HOST_MEMORY, error, "copying the range failed");
  return use_file(file.get(), 0, info_.size_bytes);
}

Result<std::shared_ptr<Storage>> Storage::adopt(Vm& vm, void* host, uint64_t size_bytes,
                                                bool readonly) {
  const uint64_t in_page = reinterpret_cast<uintptr_t>(host) % kPageBytes;
  auto* begin = static_cast<std::byte*>(host) - in_page;
  StorageInfo info;
  info.region = Region::kSystem;
  info.use = Use::kRegistered;
  info.size_bytes = (in_page + size_bytes + kPageBytes - 1) & ~(kPageBytes - 1);
  std::shared_ptr<Storage> storage(new Storage(vm, info));
  storage->readonly_ = readonly;
  storage->borrowed_ = true;
  storage->host_.store(begin, std::memory_order_release);
  const int error =
      vm.backend().adopt_memory(begin, -1, 0, info.size_bytes, readonly, &storage->handle_);
  if (error == 0) {
    NPU_TRY(storage->charge(info.size_bytes));
    return storage;
  }
  if (error == EFAULT) {
    return fail(NPU_ERROR_INVALID_ADDRESS, "[%p, + %llu bytes) is not mapped in this process", host,
                Ull{size_bytes});
  }
  if (error != EOPNOTSUPP) return fail_call(error, "giving the device the process's memory");
  UniqueFd file;
  uint64_t offset = 0;
  if (find_mapped_memory(begin, info.size_bytes, &file, &offset) == 0) {
    NPU_TRY(storage->use_file(file.get(), offset, info.size_bytes));
  } else if (readonly) {
    NPU_TRY(storage->copy_of(host, in_page, size_bytes));
  } else {
    return refuse_writing();
  }
  return storage;
}

Status Storage::export_fd(int* out_fd, uint64_t* out_id) {
  UniqueFd file;
  SharedFileInfo info;
  if (const int error = vm_.backend().export_object(handle_, map_token_, &file); error != 0) {
    return fail_call(error, "exporting memory");
  }
  if (const int error = describe_shared_file(file.get(), &info); error != 0) {
    return fail_call(error, "exporting memory");
  }
  *out_id = info.id;
  *out_fd = file.release();
  return Status::ok();
}

}  // namespace npu
