// SPDX-License-Identifier: Apache-2.0
// Memory: the allocations of one context. Small ones are pieces of chunks of 2 to 32 MiB, so that a buffer object is not made for each; large ones own theirs.
// Thread safety: all functions.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/pool.h"
#include "libnpu/src/core/status.h"

namespace npu {

struct Allocation {
  uint64_t size_bytes = 0;  // as asked for
  uint64_t id = 0;
  Region region = Region::kHbm;
  PoolBlock* block = nullptr;      // a piece of a chunk, or
  std::unique_ptr<Buffer> buffer;  // a buffer of its own
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
  Result<uint64_t> allocate(Region region, uint64_t size_bytes);
  // Takes the allocation that begins at |dva| out of the books; its memory stays until reclaim().
  Result<Detached> detach(uint64_t dva);
  void reclaim(Detached detached);

  // NPU_ERROR_INVALID_ADDRESS unless [dva, dva + size_bytes) lies inside one allocation. |what| names the range.
  Status check(uint64_t dva, uint64_t size_bytes, const char* what);
  Result<std::byte*> host(uint64_t dva, uint64_t size_bytes, const char* what);

  struct Info {
    bool known = false;
    Region region = Region::kHbm;
    uint64_t base = 0;
    uint64_t size_bytes = 0;
    uint64_t id = 0;
  };
  Info query(uint64_t dva);

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

  RegionPool& pool_of(Region region) { return pools_[region == Region::kHbm ? 0 : 1]; }
  Allocations::iterator find_locked(uint64_t dva, uint64_t size_bytes);
  Status allocate_small(Region region, uint64_t size_bytes, Allocation* out);
  Status add_chunk_locked(RegionPool& pool, Region region, uint64_t least_bytes);

  Vm& vm_;
  std::mutex mutex_;
  std::array<RegionPool, 2> pools_;
  Allocations allocations_;
};

}  // namespace npu
