// SPDX-License-Identifier: Apache-2.0
// Page table pieces: one size a chunk, an empty chunk goes back to the device memory.
#include "firmware-model/server/table_pool.h"

#include <errno.h>

#include <algorithm>

namespace npu::model::server {

int TablePool::allocate(uint32_t bytes, uint64_t* out_offset) {
  const int size_class = npu_pt_size_class(bytes);
  if (size_class < 0) return EINVAL;
  const auto c = static_cast<size_t>(size_class);
  if (partial_[c].empty()) {
    std::vector<Extent> extents;
    const int err = hbm_->allocate({.bytes = Buddy::kGranuleBytes, .contiguous = true}, &extents);
    if (err != 0) return err;
    Chunk chunk{.piece_bytes = bytes, .used = 0, .taken = {}};
    chunk.taken.resize(Buddy::kGranuleBytes / bytes, false);
    chunks_.emplace(extents[0].offset, std::move(chunk));
    partial_[c].insert(extents[0].offset);
  }
  const uint64_t base = *partial_[c].begin();
  Chunk& chunk = chunks_.at(base);
  const auto piece = std::find(chunk.taken.begin(), chunk.taken.end(), false);
  *piece = true;
  if (++chunk.used == chunk.taken.size()) partial_[c].erase(base);
  *out_offset = base + static_cast<uint64_t>(piece - chunk.taken.begin()) * bytes;
  return 0;
}

void TablePool::release(uint64_t offset, uint32_t bytes) {
  const uint64_t base = offset & ~(Buddy::kGranuleBytes - 1);
  const auto found = chunks_.find(base);
  if (found == chunks_.end() || found->second.piece_bytes != bytes) return;
  Chunk& chunk = found->second;
  const size_t index = static_cast<size_t>((offset - base) / bytes);
  if (!chunk.taken[index]) return;
  chunk.taken[index] = false;
  // A chunk exists for this size, so it is one.
  const auto c = static_cast<size_t>(npu_pt_size_class(bytes));
  partial_[c].insert(base);
  if (--chunk.used > 0) return;
  partial_[c].erase(base);
  chunks_.erase(found);
  hbm_->release({{base, Buddy::kGranuleBytes}});
}

}  // namespace npu::model::server
