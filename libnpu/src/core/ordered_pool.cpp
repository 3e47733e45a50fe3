// SPDX-License-Identifier: Apache-2.0
// Queue-ordered memory: lanes of what queues gave back, over a Pool of chunks.
#include "libnpu/src/core/ordered_pool.h"

#include <algorithm>

#include "libnpu/src/core/error.h"

namespace npu {
namespace {

constexpr uint64_t kChunkMaxBytes = 32 << 20;
constexpr uint64_t kChunkStepBytes = 2 << 20;
constexpr uint64_t kSizeMax = 1ull << 38;  // the largest size that a Pool has lists for

using Ull = unsigned long long;

uint64_t round_up(uint64_t bytes, uint64_t step) { return (bytes + step - 1) / step * step; }

}  // namespace

Result<OrderedPool::Piece> OrderedPool::take(Queue& queue, uint64_t size_bytes) {
  if (size_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "size_bytes is 0");
  if (size_bytes > kSizeMax) {
    return fail(NPU_ERROR_OVERFLOW, "size_bytes %llu is larger than a pool can be",
                Ull{size_bytes});
  }
  Dropped dropped;  // ends after the lock: it calls the driver
  std::lock_guard lock(mutex_);
  if (closed_) return fail(NPU_ERROR_INVALID_HANDLE, "the pool was destroyed");
  Status why_not;
  PoolBlock* block =
      take_locked(queue, round_up(size_bytes, Pool::kAlignBytes), &why_not, &dropped);
  if (block == nullptr) return why_not;
  stats_.live++;
  stats_.allocations++;
  stats_.used_bytes += block->size_bytes;
  stats_.used_high_bytes = std::max(stats_.used_high_bytes, stats_.used_bytes);
  auto* chunk = static_cast<Chunk*>(block->chunk);
  empty_.erase(chunk);
  return Piece{block, block->dva, chunk->buffer->storage(), chunk->dva};
}

// From the cheapest to the dearest: the queue's own, of about this size; free memory; what other queues have passed meanwhile; a new chunk; the queue's own of any size.
PoolBlock* OrderedPool::take_locked(Queue& queue, uint64_t size_bytes, Status* why_not,
                                    Dropped* dropped) {
  if (PoolBlock* own = reuse_locked(queue, size_bytes, size_bytes + size_bytes / 8)) return own;
  if (PoolBlock* block = pool_.take(size_bytes)) return block;
  reap_all_locked(dropped);
  if (PoolBlock* block = pool_.take(size_bytes)) return block;
  // Pieces of odd size are found in lists that are an eighth apart, hence the room.
  *why_not = add_chunk_locked(size_bytes + size_bytes / 8 + Pool::kAlignBytes);
  if (why_not->is_ok()) return pool_.take(size_bytes);
  return reuse_locked(queue, size_bytes, UINT64_MAX);
}

PoolBlock* OrderedPool::reuse_locked(Queue& queue, uint64_t size_bytes, uint64_t most_bytes) {
  const auto lane = lanes_.find(&queue);
  if (lane == lanes_.end()) return nullptr;
  const auto fit = lane->second.by_size.lower_bound(size_bytes);
  if (fit == lane->second.by_size.end() || fit->first > most_bytes) return nullptr;
  PoolBlock* block = fit->second->block;
  lane->second.in_order.erase(fit->second);
  lane->second.by_size.erase(fit);
  stats_.pending_bytes -= block->size_bytes;
  stats_.reuses++;
  return block;
}

void OrderedPool::count_free_locked(const PoolBlock& block) {
  stats_.live--;
  stats_.frees++;
  stats_.used_bytes -= block.size_bytes;
}

void OrderedPool::give_back_on(Queue& queue, PoolBlock* block) {
  const uint64_t value = queue.busy_until();
  Dropped dropped;
  std::lock_guard lock(mutex_);
  if (closed_) return;
  count_free_locked(*block);
  if (value == 0) return free_locked(block, &dropped);
  const auto lane = lanes_.try_emplace(&queue).first;
  if (!lane->second.queue) lane->second.queue = Ref<Queue>::share(&queue);
  lane->second.in_order.push_back({value, block, {}});
  const auto last = std::prev(lane->second.in_order.end());
  last->by_size = lane->second.by_size.emplace(block->size_bytes, last);
  stats_.pending_bytes += block->size_bytes;
  reap_locked(lane, &dropped);
}

void OrderedPool::give_back(PoolBlock* block) {
  Dropped dropped;
  std::lock_guard lock(mutex_);
  if (closed_) return;
  count_free_locked(*block);
  free_locked(block, &dropped);
}

// What the queue has passed; values of one lane only grow, so the first that it has not ends the look. Returns the lane after it.
OrderedPool::Lanes::iterator OrderedPool::reap_locked(Lanes::iterator lane, Dropped* dropped) {
  std::list<Pending>& in_order = lane->second.in_order;
  while (!in_order.empty() && lane->second.queue->has_passed(in_order.front().value)) {
    PoolBlock* block = in_order.front().block;
    lane->second.by_size.erase(in_order.front().by_size);
    in_order.pop_front();
    stats_.pending_bytes -= block->size_bytes;
    free_locked(block, dropped);
  }
  return in_order.empty() ? lanes_.erase(lane) : std::next(lane);
}

void OrderedPool::reap_all_locked(Dropped* dropped) {
  for (auto lane = lanes_.begin(); lane != lanes_.end();) lane = reap_locked(lane, dropped);
}

void OrderedPool::free_locked(PoolBlock* block, Dropped* dropped) {
  block = pool_.give_back(block);
  if (!Pool::is_whole(block)) return;
  empty_[block->chunk] = block;
  release_locked(options_.release_threshold, dropped);
}

void OrderedPool::release_locked(uint64_t keep_bytes, Dropped* dropped) {
  for (auto at = empty_.begin(); at != empty_.end() && stats_.reserved_bytes > keep_bytes;) {
    const auto found = chunks_.find(at->first);
    pool_.remove_chunk(at->second);
    stats_.reserved_bytes -= found->second->size_bytes;
    dropped->push_back(std::move(found->second));
    chunks_.erase(found);
    at = empty_.erase(at);
  }
}

Status OrderedPool::add_chunk_locked(uint64_t least_bytes) {
  const uint64_t least = round_up(least_bytes, kChunkStepBytes);
  uint64_t bytes = std::max(next_chunk_bytes_, least);
  for (;; bytes = std::max(least, bytes / 2)) {
    const uint64_t room = options_.max_bytes - std::min(options_.max_bytes, stats_.reserved_bytes);
    Status status;
    if (bytes > room) {
      status =
          fail(NPU_ERROR_QUOTA,
               "the pool has reserved %llu of at most %llu bytes, %llu of them wait for queues",
               Ull{stats_.reserved_bytes}, Ull{options_.max_bytes}, Ull{stats_.pending_bytes});
      set_remedy(
          "Free memory of the pool, wait for the queues it was freed on, or make the pool "
          "larger.");
    } else {
      StorageInfo info;
      info.region = options_.region;
      info.use = Use::kPools;
      info.size_bytes = bytes;
      auto buffer = Buffer::create(vm_, info);
      status = buffer.status();
      if (status.is_ok()) {
        auto chunk = std::make_unique<Chunk>();
        chunk->buffer = buffer.take();
        chunk->dva = chunk->buffer->dva();
        chunk->size_bytes = chunk->buffer->size_bytes();
        stats_.reserved_bytes += chunk->size_bytes;
        PoolChunk* key = chunk.get();
        chunks_.emplace(key, std::move(chunk));
        pool_.add_chunk(key);
        next_chunk_bytes_ = std::min(next_chunk_bytes_ * 2, kChunkMaxBytes);
        stats_.reserved_high_bytes = std::max(stats_.reserved_high_bytes, stats_.reserved_bytes);
        return Status::ok();
      }
    }
    if (bytes == least) return status;
  }
}

void OrderedPool::trim(uint64_t keep_bytes) {
  Dropped dropped;
  std::lock_guard lock(mutex_);
  reap_all_locked(&dropped);
  release_locked(keep_bytes, &dropped);
}

OrderedPool::Stats OrderedPool::stats() {
  Dropped dropped;
  std::lock_guard lock(mutex_);
  reap_all_locked(&dropped);
  return stats_;
}

std::vector<std::unique_ptr<Buffer>> OrderedPool::close() {
  std::vector<std::unique_ptr<Buffer>> all;
  Lanes lanes;  // may hold last references to queues
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto& [key, chunk] : chunks_) all.push_back(std::move(chunk->buffer));
  lanes.swap(lanes_);
  empty_.clear();
  pool_.clear();
  chunks_.clear();
  stats_.reserved_bytes = stats_.used_bytes = stats_.pending_bytes = stats_.live = 0;
  return all;
}

}  // namespace npu
