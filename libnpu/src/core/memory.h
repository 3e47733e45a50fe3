// SPDX-License-Identifier: Apache-2.0
// Memory: the books of one context: which device addresses are what. Small allocations are pieces of chunks of 2 to 32 MiB, so that a buffer object is not made for each;
// large, exportable, imported and registered ones own theirs; those of queue-ordered pools are pieces of the pool; mapped pieces lie in a reservation (memory_map.cpp).
// Thread safety: all functions. Lock order: mutex_, then what Vm locks. Pools lock for themselves, never inside mutex_.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/call.h"
#include "libnpu/src/core/host_view.h"
#include "libnpu/src/core/ordered_pool.h"
#include "libnpu/src/core/pool.h"
#include "libnpu/src/core/status.h"

namespace npu {

// How an allocation came to be, and so how it ends.
enum class Origin { kAllocated, kPool, kMapped, kImported, kRegistered };

struct Allocation {
  uint64_t size_bytes = 0;  // as asked for
  uint64_t id = 0;
  uint64_t shared_id = 0;  // the same in every process that shares it; 0: not shared
  Origin origin = Origin::kAllocated;
  std::shared_ptr<Storage> storage;
  uint64_t storage_dva = 0;           // where the first byte of the storage lies, or would
  PoolBlock* block = nullptr;         // a piece of a chunk, or of pool
  std::shared_ptr<OrderedPool> pool;  // kPool
  std::unique_ptr<Buffer> buffer;     // owned alone
  uint64_t reservation = 0;           // kMapped: its address
  bool readonly = false;              // for the device
  Birth birth;
};

class Memory {
 public:
  using Allocations = std::map<uint64_t, Allocation>;
  using Detached = Allocations::node_type;

  explicit Memory(Vm& vm) : vm_(vm) {}
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // Gives everything back: no work of the device runs any more.
  void clear();

  // Memory that reads as zero.
  Result<uint64_t> allocate(Region region, uint64_t size_bytes, bool exportable = false);
  // Enters memory that somebody else made: a piece of a pool, an import. Gives it an id.
  // Fails when the context has ended meanwhile.
  Status enter(uint64_t dva, Allocation allocation);
  // Takes the allocation that begins at |dva| out of the books; its memory stays until reclaim().
  Result<Detached> detach(uint64_t dva);
  // The same only for pieces of pools.
  Result<Detached> detach_pooled(uint64_t dva);
  std::vector<Detached> detach_pool(const OrderedPool* pool);
  void reclaim(Detached detached);

  // Reservations: address ranges to map objects in.
  Result<uint64_t> reserve(uint64_t size_bytes, uint64_t align_bytes);
  Status release_reservation(uint64_t dva);
  Status map_at(uint64_t dva, std::shared_ptr<Storage> storage, uint64_t offset,
                uint64_t size_bytes, bool readonly);
  Status unmap_at(uint64_t dva, uint64_t size_bytes);

  // Memory from elsewhere (memory_shared.cpp).
  Result<uint64_t> import(int fd, uint64_t offset, uint64_t size_bytes, bool readonly);
  Status export_fd(uint64_t dva, int* out_fd, uint64_t* out_shared_id);
  Result<uint64_t> register_host(void* host, uint64_t size_bytes, bool readonly);
  // The registration of |host| leaves the books; for retirement.
  Result<Detached> unregister_host(const void* host);
  // The device's address of a registered byte; 0: it is none.
  uint64_t registered_dva(const void* host);

  // NPU_ERROR_INVALID_ADDRESS unless [dva, dva + size_bytes) lies inside one allocation, or is covered by pieces of one reservation. |what| names the range.
  Status check(uint64_t dva, uint64_t size_bytes, const char* what, bool for_writing = false);
  // A size that is asked for: not 0, and not larger than the address space.
  static Status check_size(uint64_t size_bytes);
  // What the host sees of it. host(): only if that is in one piece.
  Result<HostView> view(uint64_t dva, uint64_t size_bytes, const char* what);
  Result<std::byte*> host(uint64_t dva, uint64_t size_bytes, const char* what);

  struct Info {
    bool known = false;
    Region region = Region::kHbm;
    Origin origin = Origin::kAllocated;
    uint64_t base = 0;
    uint64_t size_bytes = 0;
    uint64_t id = 0;
    uint64_t shared_id = 0;
    uint64_t reservation = 0;
    bool readonly = false;
    std::shared_ptr<Storage> storage;
    uint64_t storage_dva = 0;
  };
  Info query(uint64_t dva);

  // Allocations and reservations, for lists.
  struct Live {
    const char* kind = nullptr;
    uint64_t dva = 0;
    uint64_t size_bytes = 0;
    Birth birth;
  };
  std::vector<Live> live();
  // What became of the memory at |dva|, or where the nearest is, as a sentence; empty: nothing is known. Freed memory is remembered while the layer "validation" is on.
  std::string story_of(uint64_t dva);

 private:
  struct Chunk : PoolChunk {
    std::unique_ptr<Buffer> buffer;
  };
  struct RegionPool {
    Pool pool;
    std::map<PoolChunk*, std::unique_ptr<Chunk>> chunks;
    PoolBlock* empty = nullptr;  // one chunk that is kept although nothing is in it
    uint64_t next_chunk_bytes = 2 << 20;
  };
  struct Reservation {
    uint64_t size_bytes = 0;
    Birth birth;
  };
  struct Registration {
    uint64_t size_bytes = 0;
    uint64_t dva = 0;  // 0: in the making
  };

  // Never the same twice in this process.
  static uint64_t next_id();
  Detached take_out_locked(Allocations::iterator at);
  RegionPool& pool_of(Region region) { return pools_[region == Region::kHbm ? 0 : 1]; }
  // The allocation in which the range begins, if all of it is good; end() else.
  Allocations::iterator find_locked(uint64_t dva, uint64_t size_bytes);
  Status allocate_small(Region region, uint64_t size_bytes, Allocation* out, uint64_t* out_dva);
  Status add_chunk_locked(RegionPool& pool, Region region, uint64_t least_bytes);
  Status outside_locked(uint64_t dva, uint64_t size_bytes, const char* what);
  Status check_free_locked(uint64_t dva, uint64_t size_bytes, uint64_t* out_reservation);

  Vm& vm_;
  std::mutex mutex_;
  bool ended_ = false;  // clear() was called: blocks that somebody still knows are gone
  std::array<RegionPool, 2> pools_;
  Allocations allocations_;
  std::map<uint64_t, Reservation> reservations_;
  std::map<uint64_t, Registration> registrations_;  // by host address
  std::deque<Live> freed_;                          // the latest; birth is that of the end
};

}  // namespace npu
