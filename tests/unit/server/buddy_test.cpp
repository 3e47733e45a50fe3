// SPDX-License-Identifier: Apache-2.0
// The buddy allocator and the extents on top of it.
#include "firmware-model/server/buddy.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>

#include "firmware-model/server/hbm.h"
#include "firmware-model/server/iova.h"
#include "firmware-model/server/shared_memory.h"
#include "firmware-model/server/table_pool.h"

namespace npu::model::server {
namespace {

constexpr uint64_t kGranule = Buddy::kGranuleBytes;

TEST(BuddyTest, ABlockIsAlignedToItsSizeAndTheLowestOneComesFirst) {
  Buddy buddy(16 * kGranule);
  uint64_t a = 1;
  uint64_t b = 1;
  uint64_t c = 1;
  ASSERT_TRUE(buddy.allocate(16, &a));
  ASSERT_TRUE(buddy.allocate(18, &b));
  ASSERT_TRUE(buddy.allocate(16, &c));
  EXPECT_EQ(a, 0u);
  EXPECT_EQ(b, 4 * kGranule);
  EXPECT_EQ(c, kGranule);
}

TEST(BuddyTest, FreeBlocksJoinAgain) {
  Buddy buddy(64 * kGranule);
  std::vector<uint64_t> offsets(64);
  for (uint64_t& offset : offsets) ASSERT_TRUE(buddy.allocate(0, &offset));
  uint64_t none = 0;
  EXPECT_FALSE(buddy.allocate(0, &none));
  std::shuffle(offsets.begin(), offsets.end(), std::mt19937_64(1));
  for (const uint64_t offset : offsets) ASSERT_TRUE(buddy.release(offset, kGranule));
  EXPECT_EQ(buddy.largest_block_bytes(), 64 * kGranule);
}

TEST(BuddyTest, WhatIsNotAllocatedCannotBeGivenBack) {
  Buddy buddy(16 * kGranule);
  uint64_t offset = 0;
  ASSERT_TRUE(buddy.allocate(17, &offset));
  EXPECT_FALSE(buddy.release(offset + kGranule, 2 * kGranule));
  EXPECT_FALSE(buddy.release(offset + 1, kGranule));
  EXPECT_FALSE(buddy.release(16 * kGranule, kGranule));
  EXPECT_FALSE(buddy.release(kGranule, ~0ull & ~(kGranule - 1)));
  EXPECT_TRUE(buddy.release(offset, 2 * kGranule));
  EXPECT_FALSE(buddy.release(offset, 2 * kGranule));
  EXPECT_EQ(buddy.free_bytes(), 16 * kGranule);
}

TEST(BuddyTest, ASizeThatIsNoPowerOfTwoIsUsedWhole) {
  Buddy buddy(13 * kGranule + 100);
  EXPECT_EQ(buddy.total_bytes(), 13 * kGranule);
  uint64_t offset = 0;
  size_t count = 0;
  while (buddy.allocate(0, &offset)) ++count;
  EXPECT_EQ(count, 13u);
}

TEST(BuddyTest, RandomUseAgreesWithAMapOfGranules) {
  const uint64_t seed = std::random_device{}();
  printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kCount = 1000;
  Buddy buddy(kCount * kGranule);
  std::vector<bool> used(kCount, false);
  std::map<uint64_t, uint64_t> held;
  for (int step = 0; step < 20000; ++step) {
    if (held.empty() || random() % 2 == 0) {
      const unsigned order = static_cast<unsigned>(random() % 6);
      uint64_t offset = 0;
      if (!buddy.allocate(Buddy::kGranuleLog2 + order, &offset)) continue;
      const uint64_t bytes = kGranule << order;
      ASSERT_EQ(offset % bytes, 0u);
      for (uint64_t g = offset / kGranule; g < (offset + bytes) / kGranule; ++g) {
        ASSERT_FALSE(used[g]) << "granule given twice";
        used[g] = true;
      }
      held[offset] = bytes;
    } else {
      auto at = held.begin();
      std::advance(at, static_cast<long>(random() % held.size()));
      // Any part of it may go alone.
      const uint64_t part = (1 + random() % (at->second / kGranule)) * kGranule;
      ASSERT_TRUE(buddy.release(at->first, part));
      for (uint64_t g = at->first / kGranule; g < (at->first + part) / kGranule; ++g)
        used[g] = false;
      if (part < at->second) held[at->first + part] = at->second - part;
      held.erase(at);
    }
    ASSERT_EQ(buddy.free_bytes() / kGranule,
              static_cast<uint64_t>(std::count(used.begin(), used.end(), false)));
  }
  for (const auto& [offset, bytes] : held) ASSERT_TRUE(buddy.release(offset, bytes));
  EXPECT_EQ(buddy.free_bytes(), kCount * kGranule);
  EXPECT_EQ(buddy.largest_block_bytes(), 512 * kGranule);
}

class HbmTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kSize = 64 << 20;
  void SetUp() override {
    base_ = static_cast<std::byte*>(mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    ASSERT_NE(base_, MAP_FAILED);
    hbm_ = std::make_unique<Hbm>(base_, kSize);
  }
  void TearDown() override { munmap(base_, kSize); }
  std::byte* base_ = nullptr;
  std::unique_ptr<Hbm> hbm_;
};

TEST_F(HbmTest, AnObjectIsOnePieceWhenThereIsRoomAndSeveralWhenThereIsNot) {
  std::vector<Extent> extents;
  ASSERT_EQ(hbm_->allocate({.bytes = 3 * kGranule}, &extents), 0);
  EXPECT_EQ(extents.size(), 1u);
  EXPECT_EQ(hbm_->free_bytes(), kSize - 3 * kGranule);
  // Every second granule of the rest.
  std::vector<Extent> all;
  std::vector<Extent> one;
  while (hbm_->allocate({.bytes = kGranule}, &one) == 0) all.push_back(one[0]);
  for (size_t i = 0; i < all.size(); i += 2) hbm_->release({all[i]});
  EXPECT_EQ(hbm_->allocate({.bytes = 4 * kGranule, .contiguous = true}, &extents), ENOSPC);
  ASSERT_EQ(hbm_->allocate({.bytes = 4 * kGranule}, &extents), 0);
  EXPECT_EQ(extents.size(), 4u);
}

TEST_F(HbmTest, NothingIsLostWhenTheLastPieceIsMissing) {
  std::vector<Extent> extents;
  const uint64_t before = hbm_->free_bytes();
  EXPECT_EQ(hbm_->allocate({.bytes = before + kGranule}, &extents), ENOSPC);
  EXPECT_EQ(hbm_->free_bytes(), before);
  EXPECT_TRUE(extents.empty());
}

TEST_F(HbmTest, AlignmentAndHugePagesAreKept) {
  std::vector<Extent> filler;
  ASSERT_EQ(hbm_->allocate({.bytes = kGranule}, &filler), 0);
  std::vector<Extent> extents;
  ASSERT_EQ(hbm_->allocate({.bytes = 3 * kGranule, .align_log2 = 24}, &extents), 0);
  EXPECT_EQ(extents[0].offset % (1 << 24), 0u);
  ASSERT_EQ(hbm_->allocate({.bytes = 6 << 20, .huge = true}, &extents), 0);
  for (const Extent& extent : extents) {
    EXPECT_EQ(extent.offset % (2 << 20), 0u);
    EXPECT_EQ(extent.bytes % (2 << 20), 0u);
  }
}

TEST_F(HbmTest, ReleasedMemoryReadsAsZero) {
  std::vector<Extent> extents;
  ASSERT_EQ(hbm_->allocate({.bytes = 2 * kGranule}, &extents), 0);
  UniqueFd file;
  ASSERT_EQ(create_shared_file("test", 2 * kGranule, &file), 0);
  ASSERT_EQ(hbm_->attach(file.get(), extents), 0);
  Mapping client;
  ASSERT_EQ(client.map(file.get(), 0, 2 * kGranule, true), 0);
  client.data()[kGranule] = std::byte{7};
  EXPECT_EQ(*hbm_->at(extents[0].offset + kGranule), std::byte{7});
  hbm_->release(extents);
  EXPECT_EQ(*hbm_->at(extents[0].offset + kGranule), std::byte{0});
  client.data()[kGranule] = std::byte{9};
  EXPECT_EQ(*hbm_->at(extents[0].offset + kGranule), std::byte{0}) << "the client kept a way in";
}

TEST_F(HbmTest, TablesComeFromChunksThatGoBackWhenTheyAreEmpty) {
  TablePool pool(hbm_.get());
  std::vector<std::pair<uint64_t, uint32_t>> pieces;
  std::mt19937_64 random(5);
  constexpr uint32_t kSizes[] = {4096, 256, 128};
  for (int i = 0; i < 3000; ++i) {
    const uint32_t bytes = kSizes[random() % 3];
    uint64_t offset = 0;
    ASSERT_EQ(pool.allocate(bytes, &offset), 0);
    ASSERT_EQ(offset % bytes, 0u);
    pieces.emplace_back(offset, bytes);
  }
  auto sorted = pieces;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 1; i < sorted.size(); ++i) {
    ASSERT_LE(sorted[i - 1].first + sorted[i - 1].second, sorted[i].first);
  }
  std::shuffle(pieces.begin(), pieces.end(), random);
  for (const auto& [offset, bytes] : pieces) pool.release(offset, bytes);
  EXPECT_EQ(pool.chunk_bytes(), 0u);
  EXPECT_EQ(hbm_->free_bytes(), kSize);
  uint64_t none = 0;
  EXPECT_EQ(pool.allocate(512, &none), EINVAL);
}

TEST(IovaTest, AnAddressLeadsToItsRangeAndNoFurther) {
  IovaMap map;
  std::vector<std::byte> memory(0x20000);
  uint64_t a = 0;
  uint64_t b = 0;
  ASSERT_EQ(map.add(memory.data(), 0x10000, true, &a), 0);
  ASSERT_EQ(map.add(memory.data() + 0x10000, 0x1000, false, &b), 0);
  uint64_t left = 0;
  EXPECT_EQ(map.find(a + 16, true, &left), memory.data() + 16);
  EXPECT_EQ(left, 0x10000u - 16);
  EXPECT_EQ(map.find(a + 0x10000, false, &left), nullptr);
  EXPECT_EQ(map.find(b, true, &left), nullptr) << "not for writing";
  EXPECT_NE(map.find(b, false, &left), nullptr);
  EXPECT_EQ(map.find(a - 1, false, &left), nullptr);
  EXPECT_EQ(map.find(~0ull, false, &left), nullptr);
  map.remove(a);
  EXPECT_EQ(map.find(a, false, &left), nullptr);
}

TEST(IovaTest, TheAddressSpaceIsUsedAgainWhenItHasGoneRound) {
  IovaMap map;
  std::byte byte{};
  constexpr uint64_t kLarge = 1ull << 45;
  uint64_t kept = 0;
  ASSERT_EQ(map.add(&byte, 4096, true, &kept), 0);
  for (int i = 0; i < 40; ++i) {
    uint64_t iova = 0;
    ASSERT_EQ(map.add(&byte, kLarge, true, &iova), 0) << i;
    ASSERT_TRUE(iova > kept || iova + kLarge <= kept);
    map.remove(iova);
  }
  uint64_t none = 0;
  EXPECT_EQ(map.add(&byte, 1ull << 47, true, &none), ENOSPC);
  EXPECT_EQ(map.size(), 1u);
}

}  // namespace
}  // namespace npu::model::server
