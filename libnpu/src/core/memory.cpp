// SPDX-License-Identifier: Apache-2.0
// Allocations, their books, and where their bytes are.
#include "libnpu/src/core/memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "libnpu/src/core/error.h"
#include "uapi/npu_accel.h"

namespace npu {
namespace {

constexpr uint64_t kChunkMaxBytes = 32 << 20;
constexpr uint64_t kSmallMaxBytes = 8 << 20;  // larger ones own a buffer object
constexpr uint64_t kChunkStepBytes = 2 << 20;
constexpr size_t kFreedKept = 1024;
// So far behind an allocation an address is taken for a mistake with its size.
constexpr uint64_t kNearBytes = 64 << 10;

std::atomic<uint64_t> g_next_allocation_id{1};

using Ull = unsigned long long;

Status context_ended() { return fail(NPU_ERROR_INVALID_HANDLE, "the context was destroyed"); }

}  // namespace

Status Memory::outside_locked(uint64_t dva, uint64_t size_bytes, const char* what) {
  if (ended_) return context_ended();
  return fail(NPU_ERROR_INVALID_ADDRESS,
              "%s [0x%llx, + %llu bytes) is not inside one allocation of this context", what,
              Ull{dva}, Ull{size_bytes});
}

namespace {

const char* origin_name(Origin origin) {
  switch (origin) {
    case Origin::kAllocated:
      return "memory";
    case Origin::kPool:
      return "pool memory";
    case Origin::kMapped:
      return "mapped memory";
    case Origin::kImported:
      return "imported memory";
    case Origin::kRegistered:
      return "registered memory";
  }
  return "memory";
}

}  // namespace

std::vector<Memory::Live> Memory::live() {
  std::vector<Live> out;
  std::lock_guard lock(mutex_);
  for (const auto& [dva, allocation] : allocations_) {
    out.push_back({origin_name(allocation.origin), dva, allocation.size_bytes, allocation.birth});
  }
  for (const auto& [dva, reservation] : reservations_) {
    out.push_back({"reservation", dva, reservation.size_bytes, reservation.birth});
  }
  return out;
}

uint64_t Memory::next_id() { return g_next_allocation_id.fetch_add(1, std::memory_order_relaxed); }

Status Memory::check_size(uint64_t size_bytes) {
  if (size_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "size_bytes is 0");
  if (size_bytes <= NPU_VA_USER_END) return Status::ok();
  return fail(NPU_ERROR_OVERFLOW, "size_bytes %llu is larger than the address space",
              Ull{size_bytes});
}

Memory::~Memory() { clear(); }

void Memory::clear() {
  Allocations allocations;
  std::array<std::map<PoolChunk*, std::unique_ptr<Chunk>>, 2> chunks;
  std::lock_guard lock(mutex_);
  ended_ = true;
  allocations.swap(allocations_);
  for (size_t i = 0; i < pools_.size(); i++) {
    chunks[i].swap(pools_[i].chunks);
    pools_[i].pool.clear();
    pools_[i].empty = nullptr;
  }
  // The address space ends with the context.
  reservations_.clear();
  registrations_.clear();
}

Status Memory::add_chunk_locked(RegionPool& pool, Region region, uint64_t least_bytes) {
  const uint64_t least = (least_bytes + kChunkStepBytes - 1) & ~(kChunkStepBytes - 1);
  uint64_t bytes = std::max(pool.next_chunk_bytes, least);
  for (;;) {
    StorageInfo info;
    info.region = region;
    info.size_bytes = bytes;
    auto buffer = Buffer::create(vm_, info);
    if (buffer.is_ok()) {
      auto chunk = std::make_unique<Chunk>();
      chunk->buffer = buffer.take();
      chunk->dva = chunk->buffer->dva();
      chunk->size_bytes = chunk->buffer->size_bytes();
      PoolChunk* key = chunk.get();
      pool.chunks.emplace(key, std::move(chunk));
      pool.pool.add_chunk(key);
      pool.next_chunk_bytes = std::min(pool.next_chunk_bytes * 2, kChunkMaxBytes);
      return Status::ok();
    }
    // A device that is nearly full may still have what was asked for.
    if (bytes == least) return buffer.status();
    bytes = std::max(least, bytes / 2);
  }
}

Status Memory::allocate_small(Region region, uint64_t size_bytes, Allocation* out,
                              uint64_t* out_dva) {
  uint64_t dirty_bytes = 0;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return context_ended();
    RegionPool& pool = pool_of(region);
    PoolBlock* block = pool.pool.take(size_bytes);
    if (block == nullptr) {
      // Pieces of odd size are found in lists that are an eighth apart, hence the room.
      NPU_TRY(add_chunk_locked(pool, region, size_bytes + size_bytes / 8 + Pool::kAlignBytes));
      block = pool.pool.take(size_bytes);
    }
    if (block == nullptr)
      return fail(NPU_ERROR_INTERNAL, "a new chunk has no room for %llu bytes", Ull{size_bytes});
    if (pool.empty != nullptr && pool.empty->chunk == block->chunk) pool.empty = nullptr;
    out->block = block;
    auto* chunk = static_cast<Chunk*>(block->chunk);
    out->storage = chunk->buffer->storage();
    out->storage_dva = chunk->dva;
    *out_dva = block->dva;
    dirty_bytes = block->dirty_bytes;
  }
  if (dirty_bytes == 0) return Status::ok();
  // The piece is ours alone now, so it is cleared without the lock. The storage stays, also when the context ends; the block does not.
  auto host = out->storage->host();
  if (!host.is_ok()) {
    std::lock_guard lock(mutex_);
    if (!ended_) pool_of(region).pool.give_back(out->block);
    return host.status();
  }
  std::memset(host.value() + (*out_dva - out->storage_dva), 0, dirty_bytes);
  return Status::ok();
}

Result<uint64_t> Memory::allocate(Region region, uint64_t size_bytes, bool exportable) {
  NPU_TRY(check_size(size_bytes));
  Allocation allocation;
  allocation.size_bytes = size_bytes;
  uint64_t dva = 0;
  if (size_bytes <= kSmallMaxBytes && !exportable) {
    NPU_TRY(allocate_small(region, size_bytes, &allocation, &dva));
  } else {
    StorageInfo info;
    info.region = region;
    info.size_bytes = size_bytes;
    info.exportable = exportable;
    NPU_TRY_ASSIGN(allocation.buffer, Buffer::create(vm_, info));
    dva = allocation.buffer->dva();
    allocation.storage = allocation.buffer->storage();
    allocation.storage_dva = dva;
  }
  NPU_TRY(enter(dva, std::move(allocation)));
  return dva;
}

Status Memory::enter(uint64_t dva, Allocation allocation) {
  allocation.id = next_id();
  allocation.birth = Call::birth();
  std::lock_guard lock(mutex_);
  if (ended_) return context_ended();
  allocations_.emplace(dva, std::move(allocation));
  return Status::ok();
}

Memory::Detached Memory::take_out_locked(Allocations::iterator at) {
  if (Hooks::has(Hook::kValidation)) {
    if (freed_.size() == kFreedKept) freed_.pop_front();
    freed_.push_back(
        {origin_name(at->second.origin), at->first, at->second.size_bytes, Call::birth()});
  }
  return allocations_.extract(at);
}

std::string Memory::story_of(uint64_t dva) {
  char text[192] = "";
  std::lock_guard lock(mutex_);
  const auto freed = std::find_if(freed_.rbegin(), freed_.rend(), [&](const Live& one) {
    return dva >= one.dva && dva - one.dva < one.size_bytes;
  });
  auto before = allocations_.upper_bound(dva);
  const bool is_near = before != allocations_.begin() &&
                       dva - (--before)->first - before->second.size_bytes < kNearBytes;
  // Of both the later one: memory that was freed may be in use again.
  if (freed != freed_.rend() && !(is_near && before->second.birth.call_id > freed->birth.call_id)) {
    std::snprintf(text, sizeof text,
                  "the %s [0x%llx, + %llu bytes) there was freed by %s (call %llu)", freed->kind,
                  Ull{freed->dva}, Ull{freed->size_bytes},
                  freed->birth.function != nullptr ? freed->birth.function : "an earlier call",
                  Ull{freed->birth.call_id});
  } else if (is_near) {
    std::snprintf(text, sizeof text, "it is %llu bytes behind the end of [0x%llx, + %llu bytes)",
                  Ull{dva - before->first - before->second.size_bytes}, Ull{before->first},
                  Ull{before->second.size_bytes});
  }
  return text;
}

Result<Memory::Detached> Memory::detach(uint64_t dva) {
  std::lock_guard lock(mutex_);
  const auto found = allocations_.find(dva);
  if (found == allocations_.end()) {
    return fail(NPU_ERROR_INVALID_ADDRESS,
                "0x%llx is not the start of a live allocation of this context", Ull{dva});
  }
  if (found->second.origin == Origin::kMapped) {
    const Status status =
        fail(NPU_ERROR_INVALID_ADDRESS, "0x%llx is a mapped piece of a reservation", Ull{dva});
    set_remedy("Unmap it with npuMemUnmapAt.");
    return status;
  }
  if (found->second.origin == Origin::kRegistered) {
    const Status status =
        fail(NPU_ERROR_INVALID_ADDRESS, "0x%llx is registered memory of the process", Ull{dva});
    set_remedy("Undo the registration with npuMemUnregisterHost.");
    return status;
  }
  return take_out_locked(found);
}

Result<Memory::Detached> Memory::detach_pooled(uint64_t dva) {
  std::lock_guard lock(mutex_);
  const auto found = allocations_.find(dva);
  if (found == allocations_.end() || found->second.origin != Origin::kPool) {
    const Status status =
        fail(NPU_ERROR_INVALID_ADDRESS,
             "0x%llx is not the start of a live allocation of a pool of this context", Ull{dva});
    set_remedy("Memory that npuMemAlloc gave goes back with npuMemFree.");
    return status;
  }
  return take_out_locked(found);
}

std::vector<Memory::Detached> Memory::detach_pool(const OrderedPool* pool) {
  std::vector<Detached> out;
  std::lock_guard lock(mutex_);
  for (auto at = allocations_.begin(); at != allocations_.end();) {
    const auto next = std::next(at);
    if (at->second.pool.get() == pool) out.push_back(take_out_locked(at));
    at = next;
  }
  return out;
}

void Memory::reclaim(Detached detached) {
  Allocation& allocation = detached.mapped();
  if (allocation.pool != nullptr) return allocation.pool->give_back(allocation.block);
  if (allocation.block == nullptr) return;  // the buffer ends with the node
  std::unique_ptr<Chunk> dropped;
  std::lock_guard lock(mutex_);
  if (ended_) return;
  RegionPool& pool = pool_of(allocation.storage->region());
  PoolBlock* block = pool.pool.give_back(allocation.block);
  if (!Pool::is_whole(block)) return;
  if (pool.empty == nullptr) {
    pool.empty = block;
    return;
  }
  const auto found = pool.chunks.find(block->chunk);
  pool.pool.remove_chunk(block);
  dropped = std::move(found->second);
  pool.chunks.erase(found);
}

Memory::Allocations::iterator Memory::find_locked(uint64_t dva, uint64_t size_bytes) {
  auto found = allocations_.upper_bound(dva);
  if (found == allocations_.begin()) return allocations_.end();
  --found;
  const uint64_t offset = dva - found->first;
  const uint64_t size = found->second.size_bytes;
  if (offset > size) return allocations_.end();
  if (size_bytes <= size - offset) return found;
  if (found->second.reservation == 0) return allocations_.end();
  // Pieces that lie side by side in one reservation count as one.
  uint64_t left = size_bytes - (size - offset);
  for (auto piece = found;;) {
    const uint64_t end = piece->first + piece->second.size_bytes;
    if (++piece == allocations_.end() || piece->first != end ||
        piece->second.reservation != found->second.reservation) {
      return allocations_.end();
    }
    if (left <= piece->second.size_bytes) return found;
    left -= piece->second.size_bytes;
  }
}

Status Memory::check(uint64_t dva, uint64_t size_bytes, const char* what, bool for_writing) {
  std::lock_guard lock(mutex_);
  auto found = find_locked(dva, size_bytes);
  if (found == allocations_.end()) return outside_locked(dva, size_bytes, what);
  if (!for_writing || size_bytes == 0) return Status::ok();
  for (; found != allocations_.end() && found->first < dva + size_bytes; ++found) {
    if (!found->second.readonly) continue;
    return fail(NPU_ERROR_PERMISSION,
                "%s [0x%llx, + %llu bytes) is memory that the device may only read", what, Ull{dva},
                Ull{size_bytes});
  }
  return Status::ok();
}

Result<HostView> Memory::view(uint64_t dva, uint64_t size_bytes, const char* what) {
  struct Part {
    std::shared_ptr<Storage> storage;
    uint64_t offset;
    uint64_t size_bytes;
    bool readonly;
  };
  std::vector<Part> parts;
  {
    std::lock_guard lock(mutex_);
    auto found = find_locked(dva, size_bytes);
    if (found == allocations_.end()) return outside_locked(dva, size_bytes, what);
    for (uint64_t left = size_bytes;; ++found) {
      const Allocation& allocation = found->second;
      const uint64_t step = std::min(left, found->first + allocation.size_bytes - dva);
      parts.push_back(
          {allocation.storage, dva - allocation.storage_dva, step, allocation.storage->readonly()});
      dva += step;
      left -= step;
      if (left == 0) break;
    }
  }
  // The first look at an object calls the driver: not under the lock.
  HostView view;
  for (Part& part : parts) {
    NPU_TRY_ASSIGN(std::byte * base, part.storage->host());
    view.add(std::move(part.storage), base + part.offset, part.size_bytes, part.readonly);
  }
  return view;
}

Result<std::byte*> Memory::host(uint64_t dva, uint64_t size_bytes, const char* what) {
  NPU_TRY_ASSIGN(const HostView whole, view(dva, size_bytes, what));
  uint64_t bytes = 0;
  std::byte* host = whole.at(0, &bytes);
  if (bytes >= size_bytes) return host;
  return fail(NPU_ERROR_NOT_SUPPORTED,
              "%s [0x%llx, + %llu bytes) is made of several mapped pieces, which the host does not "
              "see in one",
              what, Ull{dva}, Ull{size_bytes});
}

Memory::Info Memory::query(uint64_t dva) {
  std::lock_guard lock(mutex_);
  const auto found = find_locked(dva, 1);
  if (found == allocations_.end()) return {};
  const Allocation& from = found->second;
  Info info;
  info.known = true;
  info.region = from.storage->region();
  info.origin = from.origin;
  info.base = found->first;
  info.size_bytes = from.size_bytes;
  info.id = from.id;
  info.shared_id = from.shared_id;
  info.reservation = from.reservation;
  info.readonly = from.readonly;
  info.storage = from.storage;
  info.storage_dva = from.storage_dva;
  return info;
}

}  // namespace npu
