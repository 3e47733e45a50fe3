// SPDX-License-Identifier: Apache-2.0
// Allocations, their books, and where their bytes are.
#include "libnpu/src/core/memory.h"

#include <algorithm>
#include <cstring>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

constexpr uint64_t kChunkMaxBytes = 32 << 20;
constexpr uint64_t kSmallMaxBytes = 8 << 20;  // larger ones own a buffer object
constexpr uint64_t kSizeMax = 1ull << 47;
constexpr uint64_t kChunkStepBytes = 2 << 20;

std::atomic<uint64_t> g_next_allocation_id{1};

using Ull = unsigned long long;

}  // namespace

Memory::~Memory() { clear(); }

void Memory::clear() {
  Allocations allocations;
  std::array<std::map<PoolChunk*, std::unique_ptr<Chunk>>, 2> chunks;
  std::lock_guard lock(mutex_);
  allocations.swap(allocations_);
  for (size_t i = 0; i < pools_.size(); i++) {
    chunks[i].swap(pools_[i].chunks);
    pools_[i].pool.clear();
    pools_[i].empty = nullptr;
  }
}

Status Memory::add_chunk_locked(RegionPool& pool, Region region, uint64_t least_bytes) {
  const uint64_t least = (least_bytes + kChunkStepBytes - 1) & ~(kChunkStepBytes - 1);
  uint64_t bytes = std::max(pool.next_chunk_bytes, least);
  for (;;) {
    auto buffer = Buffer::create(vm_, region, bytes);
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

Status Memory::allocate_small(Region region, uint64_t size_bytes, Allocation* out) {
  std::byte* dirty = nullptr;
  Chunk* chunk = nullptr;
  {
    std::lock_guard lock(mutex_);
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
    chunk = static_cast<Chunk*>(block->chunk);
  }
  if (out->block->dirty_bytes == 0) return Status::ok();
  // The piece is ours alone now, so it is cleared without the lock.
  auto host = chunk->buffer->host();
  if (!host.is_ok()) {
    std::lock_guard lock(mutex_);
    pool_of(region).pool.give_back(out->block);
    return host.status();
  }
  dirty = host.value() + (out->block->dva - chunk->dva);
  std::memset(dirty, 0, out->block->dirty_bytes);
  return Status::ok();
}

Result<uint64_t> Memory::allocate(Region region, uint64_t size_bytes) {
  if (size_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "size_bytes is 0");
  if (size_bytes > kSizeMax) {
    return fail(NPU_ERROR_OVERFLOW, "size_bytes %llu is larger than the address space",
                Ull{size_bytes});
  }
  Allocation allocation;
  allocation.size_bytes = size_bytes;
  allocation.region = region;
  allocation.id = g_next_allocation_id.fetch_add(1, std::memory_order_relaxed);
  uint64_t dva = 0;
  if (size_bytes <= kSmallMaxBytes) {
    NPU_TRY(allocate_small(region, size_bytes, &allocation));
    dva = allocation.block->dva;
  } else {
    NPU_TRY_ASSIGN(allocation.buffer, Buffer::create(vm_, region, size_bytes));
    dva = allocation.buffer->dva();
  }
  std::lock_guard lock(mutex_);
  allocations_.emplace(dva, std::move(allocation));
  return dva;
}

Result<Memory::Detached> Memory::detach(uint64_t dva) {
  std::lock_guard lock(mutex_);
  const auto found = allocations_.find(dva);
  if (found == allocations_.end()) {
    return fail(NPU_ERROR_INVALID_ADDRESS,
                "0x%llx is not the start of a live allocation of this context", Ull{dva});
  }
  return allocations_.extract(found);
}

void Memory::reclaim(Detached detached) {
  Allocation& allocation = detached.mapped();
  if (allocation.block == nullptr) return;  // the buffer ends with the node
  std::unique_ptr<Chunk> dropped;
  std::lock_guard lock(mutex_);
  RegionPool& pool = pool_of(allocation.region);
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
  if (offset > size || size_bytes > size - offset) return allocations_.end();
  return found;
}

Status Memory::check(uint64_t dva, uint64_t size_bytes, const char* what) {
  std::lock_guard lock(mutex_);
  if (find_locked(dva, size_bytes) != allocations_.end()) return Status::ok();
  return fail(NPU_ERROR_INVALID_ADDRESS,
              "%s [0x%llx, + %llu bytes) is not inside one allocation of this context", what,
              Ull{dva}, Ull{size_bytes});
}

Result<std::byte*> Memory::host(uint64_t dva, uint64_t size_bytes, const char* what) {
  Buffer* buffer = nullptr;
  {
    std::lock_guard lock(mutex_);
    const auto found = find_locked(dva, size_bytes);
    if (found == allocations_.end()) {
      return fail(NPU_ERROR_INVALID_ADDRESS,
                  "%s [0x%llx, + %llu bytes) is not inside one allocation of this context", what,
                  Ull{dva}, Ull{size_bytes});
    }
    const Allocation& allocation = found->second;
    buffer = allocation.block != nullptr
                 ? static_cast<Chunk*>(allocation.block->chunk)->buffer.get()
                 : allocation.buffer.get();
  }
  NPU_TRY_ASSIGN(std::byte * base, buffer->host());
  return base + (dva - buffer->dva());
}

Memory::Info Memory::query(uint64_t dva) {
  std::lock_guard lock(mutex_);
  const auto found = find_locked(dva, 1);
  if (found == allocations_.end()) return {};
  return {true, found->second.region, found->first, found->second.size_bytes, found->second.id};
}

}  // namespace npu
