// SPDX-License-Identifier: Apache-2.0
// Walking a tensor in two distributions at once.
#include "libnpu/src/core/shard_layout.h"

#include <algorithm>

#include "libnpu/src/core/error.h"

namespace npu {

struct ShardLayout::Walk {
  const ShardLayout& dst;
  const ShardLayout& src;
  const std::function<void(const Run&)>& visit;
  size_t rank;          // dimensions to walk; what follows them is whole on both sides
  uint64_t unit_bytes;  // of one element of the last walked dimension
};

Result<ShardLayout> ShardLayout::create(const ShardDim* dims, size_t rank, uint64_t element_bytes) {
  if (rank == 0 || rank > kRankMax) {
    return fail(NPU_ERROR_INVALID_ARGUMENT, "rank is %zu, it must be 1 to %zu", rank, kRankMax);
  }
  if (element_bytes == 0) return fail(NPU_ERROR_INVALID_ARGUMENT, "element_bytes is 0");
  ShardLayout layout;
  layout.rank_ = rank;
  layout.element_bytes_ = element_bytes;
  uint64_t bytes = element_bytes;
  uint64_t shards = 1;
  for (size_t i = 0; i < rank; i++) {
    const ShardDim& dim = dims[i];
    if (dim.parts == 0 || dim.block == 0) {
      return fail(NPU_ERROR_INVALID_ARGUMENT, "dimension %zu has parts or blocks of 0", i);
    }
    uint64_t round = 0;
    if (__builtin_mul_overflow(bytes, std::max<uint64_t>(dim.size, 1), &bytes) ||
        bytes > kBytesMax || __builtin_mul_overflow(shards, dim.parts, &shards) ||
        __builtin_mul_overflow(dim.parts, dim.block, &round)) {
      return fail(NPU_ERROR_OVERFLOW,
                  "the tensor is larger than the address space at dimension %zu", i);
    }
    layout.dims_[i] = dim;
  }
  return layout;
}

uint64_t ShardLayout::shard_count() const {
  uint64_t count = 1;
  for (size_t i = 0; i < rank_; i++) count *= dims_[i].parts;
  return count;
}

uint64_t ShardLayout::local_size(const ShardDim& dim, uint64_t part) {
  const uint64_t round = dim.block * dim.parts;
  const uint64_t rest = dim.size % round;
  const uint64_t before = dim.block * part;
  return dim.size / round * dim.block +
         (rest > before ? std::min(rest - before, dim.block) : uint64_t{0});
}

ShardLayout::Place ShardLayout::place_of(const ShardDim& dim, uint64_t index) {
  const uint64_t run = index / dim.block;
  const uint64_t inside = index % dim.block;
  return {run % dim.parts, run / dim.parts * dim.block + inside,
          std::min(dim.block - inside, dim.size - index)};
}

uint64_t ShardLayout::shard_bytes(uint64_t shard) const {
  uint64_t bytes = element_bytes_;
  for (size_t i = rank_; i-- > 0;) {
    bytes *= local_size(dims_[i], shard % dims_[i].parts);
    shard /= dims_[i].parts;
  }
  return bytes;
}

bool ShardLayout::same_tensor(const ShardLayout& other) const {
  return rank_ == other.rank_ && element_bytes_ == other.element_bytes_ &&
         std::equal(dims_.begin(), dims_.begin() + rank_, other.dims_.begin(),
                    [](const ShardDim& a, const ShardDim& b) { return a.size == b.size; });
}

// Offsets count elements of dimension |at| until the last one turns them into bytes.
void ShardLayout::step(const Walk& walk, size_t at, Run place) {
  const ShardDim& dst = walk.dst.dims_[at];
  const ShardDim& src = walk.src.dims_[at];
  for (uint64_t index = 0; index < dst.size;) {
    const Place to = place_of(dst, index);
    const Place from = place_of(src, index);
    uint64_t count = std::min(to.left, from.left);
    Run next;
    next.dst_shard = place.dst_shard * dst.parts + to.part;
    next.src_shard = place.src_shard * src.parts + from.part;
    next.dst_offset = place.dst_offset * local_size(dst, to.part) + to.local;
    next.src_offset = place.src_offset * local_size(src, from.part) + from.local;
    if (at + 1 < walk.rank) {
      count = 1;
      step(walk, at + 1, next);
    } else {
      next.dst_offset *= walk.unit_bytes;
      next.src_offset *= walk.unit_bytes;
      next.size_bytes = count * walk.unit_bytes;
      walk.visit(next);
    }
    index += count;
  }
}

void ShardLayout::each_run(const ShardLayout& dst, const ShardLayout& src,
                           const std::function<void(const Run&)>& visit) {
  Walk walk{dst, src, visit, dst.rank_, dst.element_bytes_};
  for (size_t i = 0; i < dst.rank_; i++) {
    if (dst.dims_[i].size == 0) return;
  }
  // Trailing dimensions that nobody cuts are part of the element.
  while (walk.rank > 1 && dst.dims_[walk.rank - 1].parts == 1 &&
         src.dims_[walk.rank - 1].parts == 1) {
    walk.unit_bytes *= dst.dims_[walk.rank - 1].size;
    walk.rank--;
  }
  step(walk, 0, {});
}

}  // namespace npu
