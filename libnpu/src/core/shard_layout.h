// SPDX-License-Identifier: Apache-2.0
// ShardLayout: how a tensor is spread over shards, and the runs of bytes that move when it is spread anew. Pure.
//
// Block and cyclic are one thing: runs of `block` elements are dealt out to the parts in turn (block: so long that one round is enough). Each shard is dense, last dimension fastest.
// Thread safety: as a plain value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "libnpu/src/core/status.h"

namespace npu {

struct ShardDim {
  uint64_t size = 1;
  uint64_t block = 1;  // at least 1
  uint64_t parts = 1;  // at least 1
};

class ShardLayout {
 public:
  static constexpr size_t kRankMax = 8;
  static constexpr uint64_t kBytesMax = 1ull << 47;

  // NPU_ERROR_INVALID_ARGUMENT or NPU_ERROR_OVERFLOW for a tensor that is none.
  static Result<ShardLayout> create(const ShardDim* dims, size_t rank, uint64_t element_bytes);

  uint64_t shard_count() const;
  // Bytes of a shard; 0: it has no elements.
  uint64_t shard_bytes(uint64_t shard) const;
  bool same_tensor(const ShardLayout& other) const;

  struct Run {
    uint64_t dst_shard = 0;
    uint64_t dst_offset = 0;
    uint64_t src_shard = 0;
    uint64_t src_offset = 0;
    uint64_t size_bytes = 0;
  };
  // Every byte of the tensor once. The layouts are of the same tensor.
  static void each_run(const ShardLayout& dst, const ShardLayout& src,
                       const std::function<void(const Run&)>& visit);

 private:
  struct Place {  // of one index on one side
    uint64_t part = 0;
    uint64_t local = 0;
    uint64_t left = 0;  // elements that follow in the same run
  };
  struct Walk;

  static Place place_of(const ShardDim& dim, uint64_t index);
  static uint64_t local_size(const ShardDim& dim, uint64_t part);
  static void step(const Walk& walk, size_t at, Run place);

  std::array<ShardDim, kRankMax> dims_{};
  size_t rank_ = 0;
  uint64_t element_bytes_ = 0;
};

}  // namespace npu
