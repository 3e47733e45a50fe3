// SPDX-License-Identifier: Apache-2.0
// Sharded tensors against the definition: each element by itself.
#include "libnpu/src/core/shard_layout.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace npu {
namespace {

struct Owner {
  uint64_t shard = 0;
  uint64_t offset = 0;
};

// Where element |index| lies, from the words of the definition: runs are dealt out, a shard keeps the order.
Owner owner_of(const std::vector<ShardDim>& dims, const std::vector<uint64_t>& index,
               uint64_t element_bytes) {
  Owner owner;
  for (size_t d = 0; d < dims.size(); d++) {
    const uint64_t part = index[d] / dims[d].block % dims[d].parts;
    uint64_t local = 0;
    uint64_t size = 0;
    for (uint64_t i = 0; i < dims[d].size; i++) {
      if (i / dims[d].block % dims[d].parts != part) continue;
      if (i < index[d]) local++;
      size++;
    }
    owner.shard = owner.shard * dims[d].parts + part;
    owner.offset = owner.offset * size + local;
  }
  owner.offset *= element_bytes;
  return owner;
}

TEST(ShardLayout, RandomTensorsMoveEveryElementOnceToItsPlace) {
  const uint32_t seed = 20240611;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; round++) {
    const size_t rank = 1 + random() % 4;
    const uint64_t element = 1 + random() % 4;
    std::vector<ShardDim> dst(rank);
    std::vector<ShardDim> src(rank);
    uint64_t count = 1;
    for (size_t d = 0; d < rank; d++) {
      dst[d].size = src[d].size = 1 + random() % 9;
      count *= dst[d].size;
      for (ShardDim* dim : {&dst[d], &src[d]}) {
        dim->parts = 1 + random() % 3;
        dim->block = 1 + random() % 5;
      }
    }
    auto to = ShardLayout::create(dst.data(), rank, element);
    auto from = ShardLayout::create(src.data(), rank, element);
    ASSERT_TRUE(to.is_ok() && from.is_ok());
    std::vector<std::vector<uint8_t>> in(from.value().shard_count());
    std::vector<std::vector<uint8_t>> out(to.value().shard_count());
    std::vector<std::vector<uint8_t>> wanted(out.size());
    for (size_t i = 0; i < in.size(); i++) in[i].resize(from.value().shard_bytes(i));
    for (size_t i = 0; i < out.size(); i++) {
      out[i].assign(to.value().shard_bytes(i), 0);
      wanted[i] = out[i];
    }
    std::vector<uint64_t> index(rank, 0);
    for (uint64_t n = 0; n < count; n++) {
      const Owner a = owner_of(src, index, element);
      const Owner b = owner_of(dst, index, element);
      for (uint64_t k = 0; k < element; k++) {
        const auto byte = static_cast<uint8_t>(1 + (n * element + k) % 251);
        in.at(a.shard).at(a.offset + k) = byte;
        wanted.at(b.shard).at(b.offset + k) = byte;
      }
      for (size_t d = rank; d-- > 0 && ++index[d] == dst[d].size;) index[d] = 0;
    }
    uint64_t moved = 0;
    ShardLayout::each_run(to.value(), from.value(), [&](const ShardLayout::Run& run) {
      moved += run.size_bytes;
      for (uint64_t k = 0; k < run.size_bytes; k++) {
        out.at(run.dst_shard).at(run.dst_offset + k) = in.at(run.src_shard).at(run.src_offset + k);
      }
    });
    ASSERT_EQ(moved, count * element) << "seed " << seed << " round " << round;
    ASSERT_EQ(out, wanted) << "seed " << seed << " round " << round;
  }
}

TEST(ShardLayout, WholeTrailingDimensionsMoveInOneRun) {
  const ShardDim dims[] = {{4, 2, 2}, {8, 8, 1}, {16, 16, 1}};
  auto layout = ShardLayout::create(dims, 3, 4);
  ASSERT_TRUE(layout.is_ok());
  const ShardDim plain[] = {{4, 4, 1}, {8, 8, 1}, {16, 16, 1}};
  auto host = ShardLayout::create(plain, 3, 4);
  ASSERT_TRUE(host.is_ok());
  int runs = 0;
  ShardLayout::each_run(layout.value(), host.value(), [&](const ShardLayout::Run& run) {
    runs++;
    EXPECT_EQ(run.size_bytes, 2u * 8 * 16 * 4);
  });
  EXPECT_EQ(runs, 2);
}

TEST(ShardLayout, MoreThanTheAddressSpaceIsRefused) {
  const ShardDim large[] = {{1ull << 40, 1, 1}, {1ull << 40, 1, 1}};
  EXPECT_EQ(ShardLayout::create(large, 2, 4).status().code(), NPU_ERROR_OVERFLOW);
  const ShardDim round[] = {{8, 1ull << 63, 4}};
  EXPECT_EQ(ShardLayout::create(round, 1, 4).status().code(), NPU_ERROR_OVERFLOW);
  const ShardDim none[] = {{8, 1, 0}};
  EXPECT_EQ(ShardLayout::create(none, 1, 4).status().code(), NPU_ERROR_INVALID_ARGUMENT);
  const ShardDim good[] = {{8, 1, 1}};
  EXPECT_EQ(ShardLayout::create(good, 1, 0).status().code(), NPU_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(ShardLayout::create(good, 9, 4).status().code(), NPU_ERROR_INVALID_ARGUMENT);
}

TEST(ShardLayout, AnEmptyTensorMovesNothing) {
  const ShardDim dims[] = {{0, 1, 2}, {8, 8, 1}};
  auto layout = ShardLayout::create(dims, 2, 4);
  ASSERT_TRUE(layout.is_ok());
  EXPECT_EQ(layout.value().shard_bytes(1), 0u);
  ShardLayout::each_run(layout.value(), layout.value(),
                        [](const ShardLayout::Run&) { FAIL() << "a run of nothing"; });
}

}  // namespace
}  // namespace npu
