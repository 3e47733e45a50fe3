// SPDX-License-Identifier: Apache-2.0
// OrderedPool: memory that is given and taken back in the order of queues. A piece that was given back on a queue is at once good for later commands of that queue (they run after
// all that used it), and for everybody once the queue has passed the point.
//
// Thread safety: all functions. Lock order: mutex_, then the mutex of a queue (has_passed), then what Vm locks.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "libnpu/src/core/buffer.h"
#include "libnpu/src/core/object.h"
#include "libnpu/src/core/pool.h"
#include "libnpu/src/core/queue.h"
#include "libnpu/src/core/status.h"

namespace npu {

struct OrderedPoolOptions {
  Region region = Region::kHbm;
  uint64_t max_bytes = UINT64_MAX;  // that it may have reserved
  uint64_t release_threshold = 0;   // reserved memory beyond it goes back when it is free
};

class OrderedPool {
 public:
  struct Piece {
    PoolBlock* block = nullptr;  // lives as long as the pool is not closed
    uint64_t dva = 0;
    std::shared_ptr<Storage> storage;
    uint64_t storage_dva = 0;
  };
  struct Stats {
    uint64_t reserved_bytes = 0;
    uint64_t reserved_high_bytes = 0;
    uint64_t used_bytes = 0;
    uint64_t used_high_bytes = 0;
    uint64_t pending_bytes = 0;  // given back on queues that have not passed the point
    uint64_t live = 0;
    uint64_t allocations = 0;  // ever
    uint64_t frees = 0;
    uint64_t reuses = 0;  // allocations served by what the same queue had given back
  };

  OrderedPool(Vm& vm, const OrderedPoolOptions& options) : vm_(vm), options_(options) {}
  OrderedPool(const OrderedPool&) = delete;
  OrderedPool& operator=(const OrderedPool&) = delete;

  bool is_closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  // For commands that |queue| runs from now on.
  Result<Piece> take(Queue& queue, uint64_t size_bytes);
  // Commands that |queue| has been given so far may still use it.
  void give_back_on(Queue& queue, PoolBlock* block);
  // Nothing uses it any more.
  void give_back(PoolBlock* block);
  // Gives free memory back to the device until at most |keep_bytes| are reserved.
  void trim(uint64_t keep_bytes);
  Stats stats();

  // No more memory from here on; all that there was, for whoever knows when the device has let go of it.
  std::vector<std::unique_ptr<Buffer>> close();

 private:
  struct Chunk : PoolChunk {
    std::unique_ptr<Buffer> buffer;
  };
  struct Pending {
    uint64_t value = 0;
    PoolBlock* block = nullptr;
    std::multimap<uint64_t, std::list<Pending>::iterator>::iterator by_size;
  };
  // What was given back on one queue.
  struct Lane {
    Ref<Queue> queue;
    std::list<Pending> in_order;
    std::multimap<uint64_t, std::list<Pending>::iterator> by_size;
  };
  using Lanes = std::map<Queue*, Lane>;
  using Dropped = std::vector<std::unique_ptr<Chunk>>;

  PoolBlock* take_locked(Queue& queue, uint64_t size_bytes, Status* why_not, Dropped* dropped);
  void count_free_locked(const PoolBlock& block);
  PoolBlock* reuse_locked(Queue& queue, uint64_t size_bytes, uint64_t most_bytes);
  Lanes::iterator reap_locked(Lanes::iterator lane, Dropped* dropped);
  void reap_all_locked(Dropped* dropped);
  void free_locked(PoolBlock* block, Dropped* dropped);
  void release_locked(uint64_t keep_bytes, Dropped* dropped);
  Status add_chunk_locked(uint64_t least_bytes);

  Vm& vm_;
  const OrderedPoolOptions options_;
  std::mutex mutex_;  // of what follows
  bool closed_ = false;
  Pool pool_;
  std::map<PoolChunk*, std::unique_ptr<Chunk>> chunks_;
  std::map<PoolChunk*, PoolBlock*> empty_;  // chunks with nothing in them
  uint64_t next_chunk_bytes_ = 2 << 20;
  Lanes lanes_;
  Stats stats_;
};

}  // namespace npu
