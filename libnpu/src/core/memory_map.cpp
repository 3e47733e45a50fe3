// SPDX-License-Identifier: Apache-2.0
// Reservations of a context, and the pieces that are mapped in them.
#include <algorithm>

#include "libnpu/src/core/error.h"
#include "libnpu/src/core/memory.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

using Ull = unsigned long long;

constexpr uint64_t kGranuleBytes = NPU_PAGE_64K;  // NPU_MEM_GRANULE_BYTES
constexpr uint64_t kAlignMax = 1ull << 40;

Status check_granules(const char* what, uint64_t value) {
  if (value % kGranuleBytes == 0) return Status::ok();
  return fail(NPU_ERROR_UNALIGNED, "%s 0x%llx is no multiple of 64 KiB", what, Ull{value});
}

}  // namespace

Result<uint64_t> Memory::reserve(uint64_t size_bytes, uint64_t align_bytes) {
  NPU_TRY(check_size(size_bytes));
  NPU_TRY(check_granules("size_bytes", size_bytes));
  if ((align_bytes & (align_bytes - 1)) != 0 || align_bytes > kAlignMax) {
    return fail(NPU_ERROR_INVALID_ARGUMENT,
                "align_bytes is %llu, it must be 0 or a power of two of at most 2^40",
                Ull{align_bytes});
  }
  NPU_TRY_ASSIGN(const uint64_t dva, vm_.take_range(size_bytes, align_bytes));
  std::lock_guard lock(mutex_);
  reservations_.emplace(dva, Reservation{size_bytes, Call::birth()});
  return dva;
}

Status Memory::release_reservation(uint64_t dva) {
  uint64_t size_bytes = 0;
  {
    std::lock_guard lock(mutex_);
    const auto found = reservations_.find(dva);
    if (found == reservations_.end()) {
      return fail(NPU_ERROR_INVALID_ADDRESS, "0x%llx is not the start of a reservation", Ull{dva});
    }
    size_bytes = found->second.size_bytes;
    const auto piece = allocations_.lower_bound(dva);
    if (piece != allocations_.end() && piece->first < dva + size_bytes) {
      const Status status =
          fail(NPU_ERROR_BUSY, "memory is still mapped at 0x%llx", Ull{piece->first});
      set_remedy("Unmap it with npuMemUnmapAt first.");
      return status;
    }
    reservations_.erase(found);
  }
  vm_.give_back_range(dva, size_bytes);
  return Status::ok();
}

// The range lies in one reservation, and nothing is mapped there.
Status Memory::check_free_locked(uint64_t dva, uint64_t size_bytes, uint64_t* out_reservation) {
  auto home = reservations_.upper_bound(dva);
  bool inside = home != reservations_.begin();
  if (inside) {
    --home;
    const uint64_t offset = dva - home->first;
    inside = offset < home->second.size_bytes && size_bytes <= home->second.size_bytes - offset;
  }
  if (!inside) {
    return fail(NPU_ERROR_INVALID_ADDRESS,
                "[0x%llx, + %llu bytes) is not inside one reservation of this context", Ull{dva},
                Ull{size_bytes});
  }
  auto piece = allocations_.lower_bound(dva + size_bytes);
  if (piece != allocations_.begin()) {
    --piece;
    if (piece->first + piece->second.size_bytes > dva) {
      return fail(NPU_ERROR_BUSY, "memory is mapped at 0x%llx already", Ull{piece->first});
    }
  }
  *out_reservation = home->first;
  return Status::ok();
}

Status Memory::map_at(uint64_t dva, std::shared_ptr<Storage> storage, uint64_t offset,
                      uint64_t size_bytes, bool readonly) {
  if (size_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "size_bytes is 0");
  NPU_TRY(check_granules("dva", dva));
  NPU_TRY(check_granules("offset", offset));
  NPU_TRY(check_granules("size_bytes", size_bytes));
  const uint64_t whole = storage->size_bytes();
  if (offset > whole || size_bytes > whole - offset) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "offset %llu and size %llu exceed the memory's %llu",
                Ull{offset}, Ull{size_bytes}, Ull{whole});
  }
  Allocation piece;
  piece.size_bytes = size_bytes;
  piece.id = next_id();
  piece.origin = Origin::kMapped;
  piece.birth = Call::birth();
  piece.storage_dva = dva - offset;
  piece.readonly = readonly || storage->readonly();
  // Held over the call, so that two threads cannot map one over the other.
  std::lock_guard lock(mutex_);
  NPU_TRY(check_free_locked(dva, size_bytes, &piece.reservation));
  const Vm::Piece bound{.bo_handle = storage->handle(),
                        .bo_offset = offset,
                        .dva = dva,
                        .size_bytes = size_bytes,
                        .readonly = piece.readonly};
  if (const int error = vm_.bind(bound); error != 0) {
    return fail_call(error, "mapping memory into the address space");
  }
  if (storage->first_dva() == 0) storage->set_first_dva(dva - offset);
  piece.storage = std::move(storage);
  allocations_.emplace(dva, std::move(piece));
  return Status::ok();
}

Status Memory::unmap_at(uint64_t dva, uint64_t size_bytes) {
  if (size_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "size_bytes is 0");
  if (dva + size_bytes < dva) return fail(NPU_ERROR_OVERFLOW, "the range passes 2^64");
  std::vector<Detached> ended;  // may hold the last references to memory
  std::lock_guard lock(mutex_);
  auto begin = allocations_.lower_bound(dva);
  auto end = begin;
  bool whole = begin == allocations_.begin() ||
               std::prev(begin)->first + std::prev(begin)->second.size_bytes <= dva;
  for (; end != allocations_.end() && end->first < dva + size_bytes; ++end) {
    whole = whole && end->second.origin == Origin::kMapped &&
            end->first + end->second.size_bytes <= dva + size_bytes &&
            end->second.reservation == begin->second.reservation;
  }
  if (!whole || begin == end) {
    return fail(NPU_ERROR_INVALID_ADDRESS,
                "[0x%llx, + %llu bytes) does not hold whole mapped pieces of one reservation",
                Ull{dva}, Ull{size_bytes});
  }
  const uint64_t last = std::prev(end)->first + std::prev(end)->second.size_bytes;
  if (const int error = vm_.unbind(begin->first, last - begin->first); error != 0) {
    return fail_call(error, "unmapping memory");
  }
  while (begin != end) {
    const auto next = std::next(begin);
    ended.push_back(take_out_locked(begin));
    if (ended.back().mapped().storage->first_dva() == ended.back().mapped().storage_dva) {
      ended.back().mapped().storage->set_first_dva(0);
    }
    begin = next;
  }
  return Status::ok();
}

}  // namespace npu
