// SPDX-License-Identifier: Apache-2.0
#include "libnpu/src/core/pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace npu {
namespace {

TEST(PoolTest, GivesAlignedPiecesThatDoNotOverlapAndJoinsThemAgain) {
  const uint32_t seed = 815;
  RecordProperty("seed", static_cast<int>(seed));
  std::mt19937 random(seed);
  Pool pool;
  PoolChunk chunk;
  chunk.dva = 0x100000000;
  chunk.size_bytes = 2 << 20;
  pool.add_chunk(&chunk);
  std::map<uint64_t, PoolBlock*> taken;
  PoolBlock* last = nullptr;
  for (int i = 0; i < 20000; i++) {
    if (taken.empty() || random() % 9 < 5) {
      const uint64_t size = 1 + random() % 9000;
      PoolBlock* block = pool.take(size);
      if (block == nullptr) continue;
      ASSERT_GE(block->size_bytes, size);
      ASSERT_EQ(block->dva % Pool::kAlignBytes, 0u);
      ASSERT_GE(block->dva, chunk.dva);
      ASSERT_LE(block->dva + block->size_bytes, chunk.dva + chunk.size_bytes);
      const auto next = taken.lower_bound(block->dva);
      ASSERT_TRUE(next == taken.end() || block->dva + block->size_bytes <= next->first);
      ASSERT_TRUE(next == taken.begin() ||
                  std::prev(next)->first + std::prev(next)->second->size_bytes <= block->dva);
      taken.emplace(block->dva, block);
    } else {
      const auto one = std::next(taken.begin(), static_cast<long>(random() % taken.size()));
      last = pool.give_back(one->second);
      taken.erase(one);
    }
  }
  for (const auto& [dva, block] : taken) last = pool.give_back(block);
  ASSERT_NE(last, nullptr);
  EXPECT_TRUE(Pool::is_whole(last));
  EXPECT_EQ(last->size_bytes, chunk.size_bytes);
}

TEST(PoolTest, KnowsWhichBytesWereNeverGivenOut) {
  Pool pool;
  PoolChunk chunk;
  chunk.dva = 1 << 20;
  chunk.size_bytes = 64 << 10;
  pool.add_chunk(&chunk);
  PoolBlock* first = pool.take(1024);
  EXPECT_EQ(first->dirty_bytes, 0u);
  pool.give_back(first);
  PoolBlock* larger = pool.take(4096);
  EXPECT_EQ(larger->dva, chunk.dva);
  EXPECT_EQ(larger->dirty_bytes, 1024u);
  pool.give_back(larger);
  EXPECT_EQ(pool.take(2048)->dirty_bytes, 2048u);
}

TEST(PoolTest, AWholeChunkCanBeTakenOut) {
  Pool pool;
  PoolChunk chunk;
  chunk.dva = 1 << 20;
  chunk.size_bytes = 1 << 20;
  pool.add_chunk(&chunk);
  PoolBlock* block = pool.take(1 << 20);
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(pool.take(1), nullptr);
  block = pool.give_back(block);
  ASSERT_TRUE(Pool::is_whole(block));
  pool.remove_chunk(block);
  EXPECT_EQ(pool.take(1), nullptr);
}

}  // namespace
}  // namespace npu
